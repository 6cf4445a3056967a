//! The TLS handshake with a target.

use std::sync::Arc;

use http::Uri;
use rustls_pki_types::ServerName;
use tokio::sync::OnceCell;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{BoxError, TargetTls, socket::Socket};

/// What handshakes with targets are made with.
#[derive(Clone, Debug)]
pub(super) struct Handshakes {
    /// The system's authorities are read for the first target that needs them.
    tls: Arc<OnceCell<TargetTls>>,
}

impl Handshakes {
    pub(super) fn new(chosen: Option<TargetTls>) -> Self {
        Self { tls: Arc::new(OnceCell::new_with(chosen)) }
    }

    pub(super) async fn shake(
        &self,
        name: ServerName<'static>,
        socket: Socket,
    ) -> Result<TlsStream<Socket>, BoxError> {
        let tls = self.tls.get_or_try_init(of_system).await?;
        Ok(TlsConnector::from(tls.client_config()).connect(name, socket).await?)
    }
}

/// Reads some hundred files, so not where others wait.
async fn of_system() -> Result<TargetTls, BoxError> {
    Ok(tokio::task::spawn_blocking(TargetTls::of_system).await??)
}

/// The name that a target's certificate has to have; sent to it, unless it is an
/// address (S-05, S-06).
pub(super) fn server_name(uri: &Uri) -> Result<ServerName<'static>, BoxError> {
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok(ServerName::try_from(host.to_owned())?)
}
