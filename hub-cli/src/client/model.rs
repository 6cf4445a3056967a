//! The JSON that the hub answers with, as far as it is shown to people. Fields
//! that a token may not see are missing from it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// An answer, as it came and as it is understood.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) json: Value,
    pub(crate) body: T,
}

impl<T: DeserializeOwned> Answer<T> {
    pub(super) fn read(json: Value) -> Result<Self, serde_json::Error> {
        let body = T::deserialize(&json)?;
        Ok(Self { json, body })
    }
}

/// A user.
#[derive(Debug, Deserialize)]
pub(crate) struct User {
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) admin: Option<bool>,
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    #[serde(default)]
    pub(crate) roles: Vec<String>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) last_activity: Option<Timestamp>,
    pub(crate) servers: Option<BTreeMap<String, Server>>,
}

/// A server.
#[derive(Debug, Deserialize)]
pub(crate) struct Server {
    pub(crate) pending: Option<String>,
    #[serde(default)]
    pub(crate) ready: bool,
    #[serde(default)]
    pub(crate) stopped: bool,
    pub(crate) started: Option<Timestamp>,
    pub(crate) last_activity: Option<Timestamp>,
    #[serde(default)]
    pub(crate) url: String,
    pub(crate) last_failure: Option<Failure>,
    /// What the image's own check says, if it has one.
    pub(crate) health: Option<String>,
}

impl Server {
    /// One word for where the server is in its life.
    pub(crate) fn state(&self) -> &str {
        match self.pending.as_deref() {
            Some("spawn") => "starting",
            Some("stop") => "stopping",
            Some("check") => "checking",
            Some(other) => other,
            None if self.ready => "ready",
            None => "stopped",
        }
    }

    /// The same, with the verdict of the server's own health check.
    pub(crate) fn state_and_health(&self) -> String {
        match &self.health {
            Some(health) => format!("{} ({health})", self.state()),
            None => self.state().to_owned(),
        }
    }

    /// Whether there is anything of it.
    pub(crate) fn is_active(&self) -> bool {
        !self.stopped && (self.ready || self.pending.is_some())
    }
}

/// How a server's last run ended, if it went wrong.
#[derive(Debug, Deserialize)]
pub(crate) struct Failure {
    #[serde(default)]
    pub(crate) message: String,
}

/// What a server wrote last.
#[derive(Debug, Deserialize)]
pub(crate) struct Log {
    pub(crate) log: String,
    /// When the server ended that wrote it; nothing while it runs.
    #[serde(default)]
    pub(crate) ended: Option<Timestamp>,
}

/// All tokens of a user.
#[derive(Debug, Deserialize)]
pub(crate) struct ApiTokens {
    pub(crate) api_tokens: Vec<ApiToken>,
}

/// What is known of a token.
#[derive(Debug, Deserialize)]
pub(crate) struct ApiToken {
    pub(crate) id: String,
    pub(crate) note: Option<String>,
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) last_activity: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// A token that was made just now. Not printable by accident.
#[derive(Deserialize)]
pub(crate) struct NewApiToken {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) expires_at: Option<Timestamp>,
}

impl std::fmt::Debug for NewApiToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewApiToken").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Whose token the requests are made with: a user's or a service's.
#[derive(Debug, Deserialize)]
pub(crate) struct Caller {
    pub(crate) kind: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) admin: bool,
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
}

/// What became of a configuration that was read again.
#[derive(Debug, Deserialize)]
pub(crate) struct Reloaded {
    /// `applied`, `unchanged` or `refused`.
    pub(crate) outcome: String,
    pub(crate) applied: Vec<String>,
    pub(crate) for_new_servers: Vec<String>,
    pub(crate) needs_restart: Vec<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) errors: Vec<String>,
}

/// The items of a page and the offset of the next one. Hubs before JupyterHub 2
/// know no pages and send all items at once.
pub(super) fn page(json: Value) -> Result<(Vec<Value>, Option<u64>), serde_json::Error> {
    #[derive(Deserialize)]
    struct Page {
        items: Vec<Value>,
        #[serde(rename = "_pagination")]
        pagination: Pagination,
    }
    #[derive(Deserialize)]
    struct Pagination {
        next: Option<Next>,
    }
    #[derive(Deserialize)]
    struct Next {
        offset: u64,
    }
    if let Value::Array(items) = json {
        return Ok((items, None));
    }
    let page: Page = serde_json::from_value(json)?;
    Ok((page.items, page.pagination.next.map(|next| next.offset)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn states_have_words() {
        for (json, expected) in [
            (json!({ "ready": true, "pending": null }), "ready"),
            (json!({ "ready": false, "pending": "spawn" }), "starting"),
            (json!({ "ready": false, "pending": "stop" }), "stopping"),
            (json!({ "ready": false, "pending": "check" }), "checking"),
            (json!({ "ready": false, "pending": "rename" }), "rename"),
            (json!({ "ready": false, "stopped": true }), "stopped"),
        ] {
            let server: Server = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(server.state(), expected, "{json}");
        }
    }

    #[test]
    fn a_narrow_token_sees_a_narrow_user() {
        let user: User = serde_json::from_value(json!({ "kind": "user", "name": "ada" })).unwrap();
        assert_eq!(user.name, "ada");
        assert!(user.servers.is_none() && user.created.is_none());
    }

    #[test]
    fn a_list_without_pages_is_one_page() {
        let (items, next) = page(json!([{ "name": "ada" }])).unwrap();
        assert_eq!((items.len(), next), (1, None));
    }
}
