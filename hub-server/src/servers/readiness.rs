//! Whether a started server answers.

use std::{io, time::Duration};

use http_body_util::Empty;
use hub_spawner::{Exit, Liveness, SavedState, ServerKey, Spawner};
use hyper::{Request, body::Bytes, header};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::{Instant, sleep, timeout, timeout_at};
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
    /// It answers.
    Up(Greeting),
    /// It ended first.
    Exited(Exit),
    /// It vanished first.
    Missing,
    /// It ran all the time without answering; this is what was seen last.
    Silent(Silence),
}

/// How a server answered the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// The status, below 500.
    pub status: u16,
    /// The version of its JupyterHub package, if it says so.
    pub version: Option<String>,
}

/// What a question got that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Silence {
    /// Nothing listens at the address.
    #[error("nothing listens there")]
    Refused,
    /// No connection came about: the network drops what is sent there.
    #[error("no connection came about")]
    Unreachable,
    /// A connection, and no word.
    #[error("it takes connections and says nothing")]
    Hanging,
    /// A connection, and something that is not HTTP.
    #[error("it does not speak HTTP")]
    Garbled,
    /// A status of 500 or above.
    #[error("the status is {0}")]
    Failing(u16),
    /// A single-user server that has no page there: one of another path, such as that
    /// of another server which took the port first.
    #[error("it is a single-user server of another path")]
    Elsewhere,
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
    /// `wait_for_http_server` does (NBI-5), at most for `limit`; redirects are not
    /// followed. A single-user server that knows no such page is somebody else's
    /// (SPN-21). Between two questions it looks whether the server is still there.
    pub(crate) async fn wait(
        &self,
        spawner: &dyn Spawner,
        key: &ServerKey,
        state: &SavedState,
        url: &Url,
        prefix: &str,
        limit: Duration,
    ) -> Answer {
        let deadline = Instant::now() + limit;
        let mut seen = Silence::Hanging;
        let asking = async {
            let mut pause = MIN_PAUSE;
            loop {
                match timeout(ANSWER_LIMIT, self.ask(url, prefix)).await {
                    Ok(Ok(greeting)) => return Answer::Up(greeting),
                    Ok(Err(silence)) => seen = silence,
                    Err(_) => seen = Silence::Hanging,
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
        };
        let answer = timeout_at(deadline, asking).await;
        answer.unwrap_or(Answer::Silent(seen))
    }

    /// Asks a service at `{url}{prefix}` until the status is below 500, at most for
    /// `limit`; redirects are not followed.
    ///
    /// # Errors
    ///
    /// What was seen last.
    pub(crate) async fn wait_for(
        &self,
        url: &Url,
        prefix: &str,
        limit: Duration,
    ) -> Result<Greeting, Silence> {
        let deadline = Instant::now() + limit;
        let mut seen = Silence::Hanging;
        let target = url.join(prefix).map_err(|_| Silence::Unreachable)?;
        let asking = async {
            let mut pause = MIN_PAUSE;
            loop {
                match timeout(ANSWER_LIMIT, self.get(&target)).await {
                    Ok(Ok(greeting)) => return greeting,
                    Ok(Err(silence)) => seen = silence,
                    Err(_) => seen = Silence::Hanging,
                }
                sleep(pause).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
        };
        let answer = timeout_at(deadline, asking).await;
        answer.map_err(|_| seen)
    }

    async fn ask(&self, url: &Url, prefix: &str) -> Result<Greeting, Silence> {
        // Both are made by us from checked names and addresses.
        let target = url.join(prefix).and_then(|url| url.join("api"));
        let greeting = self.get(&target.map_err(|_| Silence::Unreachable)?).await?;
        match greeting.status == 404 && greeting.version.is_some() {
            true => Err(Silence::Elsewhere),
            false => Ok(greeting),
        }
    }

    async fn get(&self, target: &Url) -> Result<Greeting, Silence> {
        let request = Request::get(target.as_str()).header(header::ACCEPT, "application/json");
        let request = request.body(Empty::new()).map_err(|_| Silence::Unreachable)?;
        let response = self.client.request(request).await.map_err(|error| silence(&error))?;
        let version = response
            .headers()
            .get("x-jupyterhub-version")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        match response.status().as_u16() {
            status @ 500.. => Err(Silence::Failing(status)),
            status => Ok(Greeting { status, version }),
        }
    }
}

/// What it means that a request failed.
fn silence(error: &Error) -> Silence {
    if !error.is_connect() {
        return Silence::Garbled;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            return Silence::Refused;
        }
        cause = error.source();
    }
    Silence::Unreachable
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// Asks a server that says `reply` to whatever it is told.
    async fn asked(reply: &'static [u8]) -> Result<Greeting, Silence> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut question = [0; 1024];
            let length = stream.read(&mut question).await.unwrap();
            let question = String::from_utf8_lossy(&question[..length]).into_owned();
            assert!(question.starts_with("GET /user/ada/api HTTP/1.1\r\n"), "{question}");
            stream.write_all(reply).await.unwrap();
        };
        let url: Url = format!("http://{address}").parse().unwrap();
        let readiness = Readiness::new();
        tokio::join!(readiness.ask(&url, "/user/ada/"), answering).0
    }

    #[tokio::test]
    async fn nbi_5_any_status_below_500_is_an_answer() {
        let reply = b"HTTP/1.1 403 No\r\nx-jupyterhub-version: 4.1.6\r\ncontent-length: 0\r\n\r\n";
        let greeting = Greeting { status: 403, version: Some("4.1.6".to_owned()) };
        assert_eq!(asked(reply).await, Ok(greeting));
        let reply = b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(asked(reply).await, Ok(Greeting { status: 404, version: None }));
    }

    #[tokio::test]
    async fn spn_21_a_single_user_server_of_another_path_is_not_this_one() {
        let reply = b"HTTP/1.1 404 No\r\nx-jupyterhub-version: 6.1.1\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(asked(reply).await, Err(Silence::Elsewhere));
    }

    #[tokio::test]
    async fn nbi_4_kinds_of_silence_are_told_apart() {
        let failing = b"HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(asked(failing).await, Err(Silence::Failing(503)));
        assert_eq!(asked(b"\x15\x03\x01\x00\x02\x02\x46").await, Err(Silence::Garbled));
        // Bound and let go: nobody listens there.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        drop(listener);
        assert_eq!(Readiness::new().ask(&url, "/user/ada/").await, Err(Silence::Refused));
    }
}
