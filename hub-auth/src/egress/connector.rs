//! What an HTTP client takes its connections from.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::Uri;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::net::TcpStream;
use tower_service::Service;

use super::Egress;
use crate::BoxError;

/// Connects directly or by the proxy, whichever the destination takes.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    direct: HttpConnector,
    egress: Egress,
}

impl Connector {
    pub(crate) fn new(egress: Egress) -> Self {
        let mut direct = HttpConnector::new();
        // What is above adds the TLS.
        direct.enforce_http(false);
        Self { direct, egress }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.direct.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        match self.egress.proxy_for(&destination).cloned() {
            Some(proxy) => {
                Box::pin(async move { Ok(TokioIo::new(proxy.connect(&destination).await?)) })
            }
            None => {
                let connecting = self.direct.call(destination);
                Box::pin(async move { Ok(connecting.await?) })
            }
        }
    }
}
