//! Listeners at work, and how they end.

use std::{convert::Infallible, time::Duration};

use http::{Request, Response};
use http_body::Body;
use hyper::body::{Buf, Incoming};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::{BoxError, Drained, Listener};

/// How long answers of the REST API may take once it ends.
const API_GRACE: Duration = Duration::from_secs(1);

/// What runs, in two groups that end one after the other: whoever asks the API
/// can see the browsers' side end.
#[derive(Debug, Default)]
pub(super) struct Serving {
    public: Group,
    api: Group,
}

/// Listeners that end together.
#[derive(Debug, Default)]
struct Group {
    tasks: JoinSet<Drained>,
    stop: CancellationToken,
    cut: CancellationToken,
}

impl Serving {
    /// Serves browsers.
    pub(super) fn public<S, B>(&mut self, listeners: Vec<Listener>, service: &S)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        B: Body + Send + 'static,
        B::Data: Buf + Send,
        B::Error: Into<BoxError>,
    {
        self.public.serve(listeners, service);
    }

    /// Serves the REST API.
    pub(super) fn api<S, B>(&mut self, listeners: Vec<Listener>, service: &S)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        B: Body + Send + 'static,
        B::Data: Buf + Send,
        B::Error: Into<BoxError>,
    {
        self.api.serve(listeners, service);
    }

    /// Stops accepting everywhere: somebody else does.
    pub(super) fn leave_sockets(&self) {
        self.public.stop.cancel();
        self.api.stop.cancel();
    }

    /// Stops accepting browsers, waits until their connections have ended or
    /// are [cut](Self::cutter), then ends the API; how many were cut.
    ///
    /// # Cancellation
    ///
    /// Can be called again, and counts from then on.
    pub(super) async fn drain(&mut self) -> usize {
        self.public.stop.cancel();
        let cut = self.public.join().await;
        self.api.stop.cancel();
        let api_cut = self.api.cut.clone();
        let deadline = async {
            tokio::time::sleep(API_GRACE).await;
            api_cut.cancel();
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            _ = self.api.join() => {}
            never = deadline => match never {},
        }
        cut
    }

    /// A handle that cuts while [`drain`](Self::drain) runs.
    pub(super) fn cutter(&self) -> CancellationToken {
        self.public.cut.clone()
    }
}

impl Group {
    fn serve<S, B>(&mut self, listeners: Vec<Listener>, service: &S)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        B: Body + Send + 'static,
        B::Data: Buf + Send,
        B::Error: Into<BoxError>,
    {
        for listener in listeners {
            let (stop, cut) = (self.stop.clone(), self.cut.clone());
            self.tasks.spawn(listener.serve_until(service.clone(), stop, cut));
        }
    }

    async fn join(&mut self) -> usize {
        let mut cut = 0;
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(drained) => cut += drained.connections_cut + drained.tunnels_cut,
                Err(error) => tracing::error!(%error, "a listener failed"),
            }
        }
        cut
    }
}
