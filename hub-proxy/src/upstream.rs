//! Connections to targets: over TCP, with TLS or without, or to a Unix socket.

use std::{io, time::Duration};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::{net::UnixStream, time::timeout};
use tower::ServiceExt;

use crate::{
    BoxError, ProxyConfig, socket::Socket, target::socket_of, transport::Transport,
    upgrade::TCP_KEEPALIVE,
};

#[cfg(feature = "tls")]
mod tls;

/// Connects to whatever a target's URI leads to.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    tcp: HttpConnector,
    limit: Duration,
    #[cfg(feature = "tls")]
    tls: tls::Handshakes,
}

impl Connector {
    pub(crate) fn new(config: &ProxyConfig) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(config.connect_timeout));
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        Self {
            tcp,
            limit: config.connect_timeout,
            #[cfg(feature = "tls")]
            tls: tls::Handshakes::new(config.target_tls.clone()),
        }
    }

    /// A connection that is ready for HTTP (T-04: in time, a handshake included).
    pub(crate) async fn connect(self, uri: Uri) -> Result<Transport, BoxError> {
        let limit = self.limit;
        let late = |_| BoxError::from(io::Error::from(io::ErrorKind::TimedOut));
        timeout(limit, self.open(uri)).await.map_err(late)?
    }

    async fn open(self, uri: Uri) -> Result<Transport, BoxError> {
        if let Some(path) = socket_of(&uri) {
            return Ok(Transport::Plain(Socket::Unix(UnixStream::connect(path).await?)));
        }
        #[cfg(feature = "tls")]
        if uri.scheme() == Some(&http::uri::Scheme::HTTPS) {
            let name = tls::server_name(&uri)?;
            let tcp = self.tcp.oneshot(uri).await?;
            let tls = self.tls.shake(name, Socket::Tcp(tcp.into_inner())).await?;
            return Ok(Transport::tls(tls));
        }
        Ok(Transport::Plain(Socket::Tcp(self.tcp.oneshot(uri).await?.into_inner())))
    }
}
