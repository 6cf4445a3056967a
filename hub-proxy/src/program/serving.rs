//! Listeners at work, and how they end.

use std::{convert::Infallible, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Drained, EndSignals, Handler, Listener, ResponseBody};

/// How long answers of the REST API may take once it ends.
const API_GRACE: Duration = Duration::from_secs(1);

/// What runs, in two groups that end one after the other: whoever has a connection to
/// the API can see the browsers' side end.
#[derive(Debug, Default)]
pub(super) struct Serving {
    /// For browsers.
    pub(super) public: Group,
    /// The REST API.
    pub(super) api: Group,
}

/// Listeners that end together.
#[derive(Debug, Default)]
pub(super) struct Group {
    tasks: JoinSet<Drained>,
    signals: EndSignals,
}

impl Serving {
    /// Stops accepting everywhere: somebody else does. Browsers lose nothing;
    /// whoever has a connection to the API must make a new one, since routes
    /// are kept elsewhere now.
    pub(super) fn release(&self) {
        self.public.signals.release.cancel();
        // First: it says that the socket is another's now.
        self.api.signals.release.cancel();
        self.api.signals.stop.cancel();
    }

    /// Stops serving. Who starts in our place needs the API's address at once, too; who
    /// has a connection to it can go on watching.
    pub(super) fn stop(&self) {
        self.api.signals.close.cancel();
        self.public.signals.stop.cancel();
    }

    /// After [`release`](Self::release) or [`stop`](Self::stop), waits until the
    /// connections of browsers have ended or are [cut](Self::cutter), then ends
    /// the API; how many were cut.
    pub(super) async fn drained(&mut self) -> usize {
        let cut = self.public.join().await;
        self.api.signals.stop.cancel();
        let api_cut = self.api.signals.cut.clone();
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

    /// Cancelled, it ends the connections that are left.
    pub(super) fn cutter(&self) -> CancellationToken {
        self.public.signals.cut.clone()
    }
}

impl Group {
    pub(super) fn serve<S, B>(&mut self, listeners: Vec<Listener>, service: &S)
    where
        S: Handler<B>,
        B: ResponseBody,
    {
        for listener in listeners {
            self.tasks.spawn(listener.serve_until(service.clone(), self.signals.clone()));
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
