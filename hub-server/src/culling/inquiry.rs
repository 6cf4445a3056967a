//! Asking a server what runs in it.
//!
//! It is asked at its own address, not through the proxy, so that nothing of this
//! counts as its user's activity; with a token that opens this server and nothing
//! else, and only for the time it takes.

use std::time::Duration;

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hub_auth::{ApiToken, Filter, Scope, ScopeName};
use hub_names::ServerKey;
use hub_store::{NewToken, StoreError, TokenOwner, User};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use super::decision::{Inside, Kernels};
use crate::hub::Hub;

/// How long one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Longest answer: thousands of kernels.
const MOST_BYTES: usize = 1024 * 1024;
/// What runs; the question itself does not count as use there.
const KERNELS: &str = "api/kernels?no_track_activity=1";
const TERMINALS: &str = "api/terminals?no_track_activity=1";
/// A token is revoked after the question; this is for a hub that ends in between.
const TOKEN_LIFE: SignedDuration = SignedDuration::from_mins(5);

/// Asks servers. Clones share connections.
#[derive(Clone, Debug)]
pub(super) struct Inquirer {
    client: Client<HttpConnector, Empty<Bytes>>,
}

/// A kernel, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Kernel {
    #[serde(default)]
    execution_state: String,
    #[serde(default)]
    connections: u64,
    last_activity: Option<String>,
}

/// A terminal, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Terminal {
    last_activity: Option<String>,
}

/// What an answer was.
enum Answer<T> {
    Said(T),
    /// Something else, such as that there is no such page.
    Other,
    /// None.
    Silence,
}

impl Inquirer {
    pub(super) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_secs(5)));
        let client =
            Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Self { client }
    }

    /// What runs in the server of `key`, which answers at `url`.
    ///
    /// # Errors
    ///
    /// When the store does not take the token.
    pub(super) async fn ask(
        &self,
        hub: &Hub,
        user: &User,
        key: &ServerKey,
        url: &Url,
    ) -> Result<Inside, StoreError> {
        let token = ApiToken::generate();
        let now = hub.clock.now();
        let prefix = hub.paths.server_prefix(key);
        let record = hub
            .store
            .tokens()
            .issue(&NewToken {
                owner: TokenOwner::User(user.id),
                hash: *token.hash().as_bytes(),
                client_id: None,
                session_id: None,
                // What a token with such a note does is not its user's activity.
                note: format!("Server at {prefix} is asked what it does"),
                scopes: vec![
                    Scope::filtered(ScopeName::AccessServers, Filter::Server(key.clone()))
                        .to_string(),
                ],
                created: now,
                expires_at: Some(now + TOKEN_LIFE),
            })
            .await?;
        let inside = self.look(url, &prefix, &token).await;
        hub.store.tokens().revoke(record.id).await?;
        Ok(inside)
    }

    async fn look(&self, url: &Url, prefix: &str, token: &ApiToken) -> Inside {
        let kernels: Vec<Kernel> = match self.get(below(url, prefix, KERNELS), token).await {
            Answer::Said(kernels) => kernels,
            Answer::Other => return Inside::Reticent,
            Answer::Silence => return Inside::Silent,
        };
        // Not every server has terminals.
        let terminals: Vec<Terminal> = match self.get(below(url, prefix, TERMINALS), token).await {
            Answer::Said(terminals) => terminals,
            Answer::Other | Answer::Silence => Vec::new(),
        };
        Inside::Told(summary(&kernels, &terminals))
    }

    async fn get<T: serde::de::DeserializeOwned>(
        &self,
        url: Option<Url>,
        token: &ApiToken,
    ) -> Answer<T> {
        let request = url.and_then(|url| {
            Request::get(url.as_str())
                .header(header::AUTHORIZATION, format!("token {}", token.expose()))
                .header(header::ACCEPT, "application/json")
                .body(Empty::new())
                .ok()
        });
        let Some(request) = request else { return Answer::Other };
        let exchange = async {
            let response = self.client.request(request).await.ok()?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MOST_BYTES).collect().await.ok()?;
            Some((status, body.to_bytes()))
        };
        match timeout(ANSWER_LIMIT, exchange).await {
            Ok(Some((StatusCode::OK, body))) => {
                serde_json::from_slice(&body).map_or(Answer::Other, Answer::Said)
            }
            Ok(Some((status, _))) if !status.is_server_error() => {
                tracing::debug!(%status, "a server does not tell what it does");
                Answer::Other
            }
            Ok(Some(_) | None) | Err(_) => Answer::Silence,
        }
    }
}

/// A page of the server. All parts are made by us from checked names and addresses.
fn below(url: &Url, prefix: &str, page: &str) -> Option<Url> {
    url.join(prefix).ok()?.join(page).ok()
}

fn summary(kernels: &[Kernel], terminals: &[Terminal]) -> Kernels {
    let of_kernels = kernels.iter().filter_map(|kernel| kernel.last_activity.as_deref());
    let of_terminals = terminals.iter().filter_map(|terminal| terminal.last_activity.as_deref());
    Kernels {
        busy: kernels.iter().filter(|kernel| kernel.execution_state == "busy").count(),
        connections: kernels.iter().map(|kernel| kernel.connections).sum(),
        last_activity: of_kernels
            .chain(of_terminals)
            .filter_map(|text| text.parse::<Timestamp>().ok())
            .max(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_summed_up() {
        let kernels = r#"[
            {"id": "a", "name": "python3", "execution_state": "idle", "connections": 2,
             "last_activity": "2026-11-22T22:18:34.616697Z"},
            {"id": "b", "name": "python3", "execution_state": "busy", "connections": 0,
             "last_activity": "2026-11-22T20:00:00Z"},
            {"id": "c", "name": "odd", "last_activity": null}
        ]"#;
        let terminals = r#"[{"name": "1", "last_activity": "2026-11-22T23:00:00.5Z"}]"#;
        let kernels: Vec<Kernel> = serde_json::from_str(kernels).unwrap();
        let terminals: Vec<Terminal> = serde_json::from_str(terminals).unwrap();
        let expected = Kernels {
            busy: 1,
            connections: 2,
            last_activity: Some("2026-11-22T23:00:00.5Z".parse().unwrap()),
        };
        assert_eq!(summary(&kernels, &terminals), expected);
        assert_eq!(summary(&[], &[]), Kernels::default());
    }
}
