//! What a JupyterHub 6.1 was asked, and what it answered.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The recording: one exchange a line. Pages are left out of it, and what the proxy
/// and single-user servers answered is not the hub's.
const RECORDED: &str = include_str!("fixtures/recorded.jsonl");

/// One request and its answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) seq: u32,
    pub(crate) step: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    pub(crate) status: u16,
    pub(crate) reply: Vec<(String, String)>,
    /// The text of an answer in JSON or of an event stream.
    pub(crate) json: Option<String>,
}

impl Exchange {
    /// The values of the answer's fields of that name.
    pub(crate) fn replies<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.reply.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Where the answer sends the browser.
    pub(crate) fn location(&self) -> Option<&str> {
        self.replies("location").next()
    }

    /// The answer's JSON.
    pub(crate) fn answer(&self) -> Option<Value> {
        serde_json::from_str(self.json.as_deref()?).ok()
    }

    /// Whether a single-user server or a service answered: nothing of the hub's.
    fn is_elsewhere(&self) -> bool {
        let below = |prefix: &str| self.target.starts_with(prefix);
        let running = (30..=59).contains(&self.seq) || (329..=364).contains(&self.seq);
        running && (below("/user/") || below("/services/"))
    }
}

/// Every exchange with the hub, by its number.
pub(crate) fn exchanges() -> BTreeMap<u32, Exchange> {
    RECORDED
        .lines()
        .map(|line| serde_json::from_str::<Exchange>(line).unwrap())
        .filter(|exchange| !exchange.is_elsewhere())
        .map(|exchange| (exchange.seq, exchange))
        .collect()
}
