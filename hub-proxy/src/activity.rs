//! Marking a route as used while data passes over it (proxy contract, section 8).

use std::sync::Arc;

use crate::{ProxyConfig, RouteTimings, table::Route};

/// A route in the hands of something that may be a sign of use: a body, a tunnel.
#[derive(Clone, Debug)]
pub(crate) struct Activity {
    route: Arc<Route>,
    timings: Option<RouteTimings>,
}

impl Activity {
    pub(crate) fn on(route: &Arc<Route>, config: &ProxyConfig) -> Self {
        Self { route: Arc::clone(route), timings: config.timings.clone() }
    }

    pub(crate) fn route(&self) -> &Route {
        &self.route
    }

    /// Records that data passes now.
    pub(crate) fn mark(&self) {
        RouteTimings::update(self.timings.as_ref(), || self.route.touch());
    }
}
