//! Whether a started server answers.

use std::time::Duration;

use http_body_util::Empty;
use hub_spawner::{Exit, Liveness, SavedState, ServerKey, Spawner};
use hyper::{Request, body::Bytes, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::{sleep, timeout};
use url::Url;

/// First pause between two questions; doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause between two questions.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// How long one question may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Asks servers whether they are up. Clones share connections.
#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    client: Client<HttpConnector, Empty<Bytes>>,
}

/// What came of waiting.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It answers; with the version of its JupyterHub package, if it says so.
    Up { version: Option<String> },
    /// It ended first.
    Exited(Exit),
    /// It vanished first.
    Missing,
}

impl Readiness {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_secs(5)));
        Self {
            client: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build(connector),
        }
    }

    /// Asks `{url}{prefix}api` until the status is below 500, as JupyterHub's
    /// `wait_for_http_server` does (NBI-5); redirects are not followed. Between
    /// two questions it looks whether the server is still there.
    ///
    /// Never returns while the server runs and stays silent: the caller sets the
    /// deadline.
    pub(crate) async fn wait(
        &self,
        spawner: &dyn Spawner,
        key: &ServerKey,
        state: &SavedState,
        url: &Url,
        prefix: &str,
    ) -> Answer {
        let mut pause = MIN_PAUSE;
        loop {
            if let Ok(Some(version)) = timeout(ANSWER_LIMIT, self.ask(url, prefix)).await {
                return Answer::Up { version };
            }
            match spawner.probe(key, state).await {
                Ok(Liveness::Exited(exit)) => return Answer::Exited(exit),
                Ok(Liveness::Missing) => return Answer::Missing,
                // A backend that cannot be asked now says nothing about the server.
                Ok(Liveness::Running { .. }) | Err(_) => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// `Some(version header)` if the server answered with a status below 500.
    async fn ask(&self, url: &Url, prefix: &str) -> Option<Option<String>> {
        let target = url.join(prefix).ok()?.join("api").ok()?;
        let request = Request::get(target.as_str())
            .header(header::ACCEPT, "application/json")
            .body(Empty::new())
            .ok()?;
        let response = self.client.request(request).await.ok()?;
        let version = response
            .headers()
            .get("x-jupyterhub-version")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        (response.status().as_u16() < 500).then_some(version)
    }
}
