//! How the proxy fares.

use http::HeaderValue;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Registry, record::written};
use crate::{Traffic, clock};

/// What [`AdminApi`](super::AdminApi) reports beside the routes.
#[derive(Clone, Debug)]
pub struct Vitals {
    version: &'static str,
    /// Changes with each start of the process.
    start: String,
    started: Timestamp,
    draining: CancellationToken,
    traffic: Vec<Traffic>,
}

impl Vitals {
    /// Vitals of a process that starts now and whose program has `version`.
    ///
    /// `draining` is cancelled once the process ends its work; `traffic` is
    /// that of the listeners that serve browsers.
    pub fn new(version: &'static str, draining: CancellationToken, traffic: Vec<Traffic>) -> Self {
        let started = clock::now();
        // A container's process always has the same id; two starts in one
        // microsecond do not happen.
        let start = format!("{:x}-{:x}", started.as_microsecond(), std::process::id());
        Self { version, start, started, draining, traffic }
    }

    pub(super) fn start_header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.start).expect("hexadecimal digits and a minus are visible")
    }

    pub(super) fn report(&self, registry: &Registry) -> Value {
        let sum = |count: fn(&Traffic) -> usize| self.traffic.iter().map(count).sum::<usize>();
        json!({
            "version": self.version,
            "pid": std::process::id(),
            "start": self.start,
            "started": written(self.started),
            "state": if self.draining.is_cancelled() { "draining" } else { "serving" },
            "routes": registry.len(),
            "routes_version": registry.version(),
            "connections": sum(Traffic::connections),
            "websockets": sum(Traffic::tunnels),
        })
    }
}
