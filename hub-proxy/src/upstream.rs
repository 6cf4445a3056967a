//! Connections to targets: over TCP, with TLS or without, or to a Unix socket.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::{net::UnixStream, time::timeout};
use tower::{Service, ServiceExt};

use crate::{BoxError, ProxyConfig, target::socket_of, upgrade::TCP_KEEPALIVE};

mod stream;
#[cfg(feature = "tls")]
mod tls;

pub(crate) use self::stream::UpstreamStream;

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
    pub(crate) async fn connect(self, uri: Uri) -> Result<UpstreamStream, BoxError> {
        let limit = self.limit;
        let late = |_| BoxError::from(io::Error::from(io::ErrorKind::TimedOut));
        timeout(limit, self.open(uri)).await.map_err(late)?
    }

    async fn open(self, uri: Uri) -> Result<UpstreamStream, BoxError> {
        if let Some(path) = socket_of(&uri) {
            return Ok(UpstreamStream::Unix(TokioIo::new(UnixStream::connect(path).await?)));
        }
        #[cfg(feature = "tls")]
        if uri.scheme() == Some(&http::uri::Scheme::HTTPS) {
            let name = tls::server_name(&uri)?;
            let tcp = self.tcp.oneshot(uri).await?;
            return self.tls.shake(name, tcp.into_inner()).await.map(UpstreamStream::tls);
        }
        Ok(UpstreamStream::Tcp(self.tcp.oneshot(uri).await?))
    }
}

impl Service<Uri> for Connector {
    type Response = UpstreamStream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<UpstreamStream, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}
