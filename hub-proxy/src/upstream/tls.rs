//! The TLS handshake with a target.

use std::sync::{Arc, OnceLock};

use http::Uri;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{BoxError, TargetTls, TlsError};

/// What handshakes with targets are made with.
#[derive(Clone, Debug)]
pub(super) struct Handshakes {
    /// The system's authorities are read for the first target that needs them.
    tls: Arc<OnceLock<TargetTls>>,
}

impl Handshakes {
    pub(super) fn new(chosen: Option<TargetTls>) -> Self {
        let tls = Arc::new(OnceLock::new());
        if let Some(chosen) = chosen {
            // Cannot fail: nobody else has it yet.
            let _ = tls.set(chosen);
        }
        Self { tls }
    }

    pub(super) async fn shake(
        &self,
        name: ServerName<'static>,
        tcp: TcpStream,
    ) -> Result<TlsStream<TcpStream>, BoxError> {
        let connector = TlsConnector::from(self.config()?.client_config());
        Ok(connector.connect(name, tcp).await?)
    }

    fn config(&self) -> Result<&TargetTls, TlsError> {
        if self.tls.get().is_none() {
            let of_system = TargetTls::of_system()?;
            // Whoever was quicker has the same.
            let _ = self.tls.set(of_system);
        }
        self.tls.get().ok_or_else(|| TlsError::Setup("no configuration".into()))
    }
}

/// The name that a target's certificate has to have; sent to it, unless it is an
/// address (S-05, S-06).
pub(super) fn server_name(uri: &Uri) -> Result<ServerName<'static>, BoxError> {
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok(ServerName::try_from(host.to_owned())?)
}
