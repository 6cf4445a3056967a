//! How the proxy fares.

use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Registry, condition, record::written, tally::Tally};
use crate::{Traffic, clock};

/// What [`AdminApi`](super::AdminApi) reports beside the routes. Clones are of
/// the same process.
#[derive(Clone, Debug)]
pub struct Vitals {
    version: &'static str,
    /// Changes with each start of the process.
    start: String,
    started: Timestamp,
    draining: CancellationToken,
    traffic: Vec<Traffic>,
    /// What the processes have that this one took over from.
    inherited: Arc<Mutex<Tally>>,
    #[cfg(feature = "acme")]
    certificate: Option<crate::Certificate>,
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
        Self {
            version,
            start,
            started,
            draining,
            traffic,
            inherited: Arc::default(),
            #[cfg(feature = "acme")]
            certificate: None,
        }
    }

    /// Also reports how the certificate is doing that browsers are shown.
    #[cfg(feature = "acme")]
    #[must_use]
    pub fn with_certificate(self, certificate: Option<crate::Certificate>) -> Self {
        Self { certificate, ..self }
    }

    #[cfg(feature = "acme")]
    fn certificate(&self) -> Value {
        let status = self.certificate.as_ref().map(crate::Certificate::status);
        // Text and numbers can always be written.
        serde_json::to_value(status).unwrap_or_default()
    }

    #[cfg(not(feature = "acme"))]
    #[expect(clippy::unused_self, reason = "with the feature there may be one")]
    fn certificate(&self) -> Value {
        Value::Null
    }

    /// Another one with each start of the process: hexadecimal digits and a minus.
    pub(super) fn start(&self) -> &str {
        &self.start
    }

    pub(super) fn start_header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.start).expect("hexadecimal digits and a minus are visible")
    }

    /// The tag of a version of the table.
    pub(super) fn tag(&self, version: u64) -> HeaderValue {
        HeaderValue::from_str(&condition::tag(&self.start, version))
            .expect("what stands in a start, and quotes, is visible")
    }

    /// When the certificate ends that browsers are shown; `None` without one, or
    /// while one that signed itself stands in for it.
    #[cfg(feature = "cli")]
    pub(crate) fn certificate_not_after(&self) -> Option<Timestamp> {
        self.certificate.as_ref()?.status().not_after
    }

    /// Whether the process ends its work.
    #[cfg(feature = "cli")]
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// The connections of this process and of those it took over from.
    pub(crate) fn tally(&self) -> Tally {
        let own = self.traffic.iter().map(|traffic| Tally {
            connections: traffic.connections(),
            websockets: traffic.tunnels(),
            websockets_ended: traffic.tunnels_ended(),
        });
        own.fold(self.inherited(), |sum, one| sum + one)
    }

    /// What the processes have that this one took over from, as far as known.
    pub(crate) fn inherited(&self) -> Tally {
        *self.inherited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the process has that this one took over from.
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "only the program hands over"))]
    pub(crate) fn inherit(&self, tally: Tally) {
        *self.inherited.lock().unwrap_or_else(PoisonError::into_inner) = tally;
    }

    /// And the version of the table that it tells of.
    pub(super) fn report(&self, registry: &Registry) -> (Value, u64) {
        let tally = self.tally();
        let (routes, version) = registry.size();
        let report = json!({
            "version": self.version,
            "pid": std::process::id(),
            "start": self.start,
            "started": written(self.started),
            "state": if self.draining.is_cancelled() { "draining" } else { "serving" },
            "routes": routes,
            "routes_version": version,
            "certificate": self.certificate(),
            "connections": tally.connections,
            "websockets": tally.websockets,
            "websockets_ended": tally.websockets_ended,
        });
        (report, version)
    }
}
