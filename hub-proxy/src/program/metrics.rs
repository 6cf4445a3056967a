//! Numbers for Prometheus, at a listener of their own (proxy contract, section
//! 10). They are read when somebody asks.

use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    io,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tower::Service;

use super::{counted, series, summaries};
use crate::{
    LogWriter, Meters, RouteTimings,
    admin::{Registry, Vitals},
};

const PATH: &str = "/metrics";

/// Prometheus' text format.
const FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

const NOT_AFTER: &str = "hub_tls_not_after_seconds";
const BUILD: &str = "hub_proxy_build_info";
const ROUTES: &str = "hub_proxy_routes";
const CONNECTIONS: &str = "hub_proxy_connections";
const WEBSOCKETS: &str = "hub_proxy_websockets";
const WEBSOCKETS_ENDED: &str = "hub_proxy_websockets_ended_total";
const LOG_LOST: &str = "hub_proxy_log_lost_total";
const DRAINING: &str = "hub_proxy_draining";

/// Serves `/metrics`. A [`tower::Service`] that never fails; clones share all.
#[derive(Clone)]
pub(super) struct MetricsPage(Arc<Inner>);

struct Inner {
    handle: PrometheusHandle,
    process: metrics_process::Collector,
    log: LogWriter,
    registry: Registry,
    vitals: Vitals,
    timings: RouteTimings,
    meters: Meters,
}

impl fmt::Debug for MetricsPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsPage").finish_non_exhaustive()
    }
}

impl MetricsPage {
    /// Begins to keep numbers for this process, which is done once.
    pub(super) fn install(
        version: &'static str,
        log: LogWriter,
        registry: Registry,
        vitals: Vitals,
        timings: RouteTimings,
        meters: Meters,
    ) -> io::Result<Self> {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(io::Error::other)?;
        let process = metrics_process::Collector::default();
        process.describe();
        describe();
        gauge!(BUILD, "version" => version).set(1.0);
        counted::describe();
        Ok(Self(Arc::new(Inner { handle, process, log, registry, vitals, timings, meters })))
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<String> {
        let (status, body) = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, PATH) => (StatusCode::OK, self.0.text()),
            (_, PATH) => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
            _ => (StatusCode::NOT_FOUND, "Numbers are at /metrics.\n".to_owned()),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, FORMAT);
        response
    }
}

impl Inner {
    #[expect(clippy::cast_precision_loss, reason = "numbers of connections are small")]
    fn text(&self) -> String {
        self.process.collect();
        let tally = self.vitals.tally();
        gauge!(ROUTES).set(self.registry.len() as f64);
        gauge!(CONNECTIONS).set(tally.connections as f64);
        gauge!(WEBSOCKETS).set(tally.websockets as f64);
        counter!(LOG_LOST).absolute(self.log.lost());
        counter!(WEBSOCKETS_ENDED).absolute(tally.websockets_ended as u64);
        gauge!(DRAINING).set(if self.vitals.is_draining() { 1.0 } else { 0.0 });
        // A certificate that stands in for an authority's has no end to watch.
        if let Some(not_after) = self.vitals.certificate_not_after() {
            gauge!(NOT_AFTER).set(not_after.as_second() as f64);
        }
        self.handle.run_upkeep();
        let mut text = self.handle.render();
        summaries::write(&mut text, &self.timings);
        series::write(&mut text, &self.meters);
        text
    }
}

fn describe() {
    describe_gauge!(NOT_AFTER, Unit::Seconds, "End of the certificate that is served, since 1970.");
    describe_gauge!(BUILD, "1, with the version of the program.");
    describe_gauge!(ROUTES, "Routes in the table.");
    describe_gauge!(CONNECTIONS, "Open connections of clients, WebSockets not among them.");
    describe_gauge!(WEBSOCKETS, "Open WebSockets.");
    describe_counter!(WEBSOCKETS_ENDED, "WebSockets that have ended.");
    describe_counter!(LOG_LOST, "Lines of the log that its reader was too slow for.");
    describe_gauge!(DRAINING, "1 while the process ends its work, else 0.");
}

impl<B> Service<Request<B>> for MetricsPage {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer(&request)))
    }
}
