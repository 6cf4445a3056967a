//! The hub's numbers: JupyterHub's names, types, labels and buckets (hub-contract
//! 10).
//!
//! Each hub has a recorder of its own, which is handed to whoever measures: nothing
//! is global, so that several hubs in one process, as tests have them, do not count
//! together.

mod gathering;

use std::{fmt, io, sync::Arc, time::Duration};

use http::Method;
use metrics::{Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

pub(crate) use self::gathering::keep_counting;

/// Buckets of everything that is not said to have others, in seconds.
const BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// A start may take minutes.
const SPAWN_BUCKETS: [f64; 12] =
    [0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0];

const REQUEST: &str = "request_duration_seconds";
const SPAWN: &str = "server_spawn_duration_seconds";
const RUNNING_SERVERS: &str = "running_servers";
const TOTAL_USERS: &str = "total_users";
const ACTIVE_USERS: &str = "active_users";
const CHECK_ROUTES: &str = "check_routes_duration_seconds";
const HUB_STARTUP: &str = "hub_startup_duration_seconds";
const INIT_SPAWNERS: &str = "init_spawners_duration_seconds";
const PROXY_POLL: &str = "proxy_poll_duration_seconds";
const LOGIN: &str = "login_duration_seconds";
const LOGOUT: &str = "logout_duration_seconds";
const POLL: &str = "server_poll_duration_seconds";
const STOP: &str = "server_stop_seconds";
const PROXY_ADD: &str = "proxy_add_duration_seconds";
const PROXY_DELETE: &str = "proxy_delete_duration_seconds";
const CSP_REPORTS: &str = "csp_reports_total";
/// Not JupyterHub's: the name that the proxy uses too, so that one alert does.
const NOT_AFTER: &str = "hub_tls_not_after_seconds";

static META: Metadata<'static> = Metadata::new("hub", Level::INFO, None);

/// The numbers of one hub. Clones share them.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    prefix: String,
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    process: metrics_process::Collector,
}

/// How a start ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpawnEnd {
    /// The server is up.
    Success,
    /// Somebody gave it up.
    GivenUp,
    /// It did not come up.
    Error,
    /// It was not begun.
    Refused(&'static str),
}

/// Something that takes time and has no outcome to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Comparing the whole table of a proxy.
    CheckRoutes,
    /// From the process's start until the hub listens.
    HubStartup,
    /// Taking up the servers that ran before.
    InitSpawners,
    /// Reading the proxy's times of last use.
    ProxyPoll,
    /// Signing out.
    Logout,
}

/// Numbers that are looked up when somebody asks for all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Levels {
    /// Servers that are up.
    pub running_servers: usize,
    /// Accounts; `None` if the database does not say.
    pub total_users: Option<u64>,
    /// The end of the certificate, in seconds since 1970, if the hub shows one.
    pub not_after: Option<i64>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("prefix", &self.0.prefix).finish_non_exhaustive()
    }
}

impl Metrics {
    /// Numbers whose names begin with `prefix`; all at nothing.
    ///
    /// # Errors
    ///
    /// When the library refuses our buckets.
    pub(crate) fn new(prefix: &str) -> Result<Self, io::Error> {
        Self::build(prefix).map_err(io::Error::other)
    }

    fn build(prefix: &str) -> Result<Self, BuildError> {
        let spawn = Matcher::Full(format!("{prefix}_{SPAWN}"));
        let recorder = PrometheusBuilder::new()
            .set_buckets(&BUCKETS)?
            .set_buckets_for_metric(spawn, &SPAWN_BUCKETS)?
            .build_recorder();
        let handle = recorder.handle();
        let process = metrics_process::Collector::default();
        let metrics =
            Self(Arc::new(Inner { prefix: prefix.to_owned(), recorder, handle, process }));
        metrics.describe();
        Ok(metrics)
    }

    /// Counts a request to the hub's own pages and API.
    pub(crate) fn request(&self, method: &Method, handler: String, code: u16, took: Duration) {
        // A client may make up methods; the label may not grow with them.
        let method = match method.as_str() {
            "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => {
                method.as_str().to_owned()
            }
            _ => "OTHER".to_owned(),
        };
        let labels = vec![
            Label::new("method", method),
            Label::new("handler", handler),
            Label::new("code", code.to_string()),
        ];
        self.observe(REQUEST, labels, took);
    }

    /// A start has ended, or was refused, after so long.
    pub(crate) fn spawn(&self, end: SpawnEnd, took: Duration) {
        let (status, reason) = match end {
            SpawnEnd::Success => ("success", ""),
            SpawnEnd::GivenUp => ("failure", ""),
            SpawnEnd::Error => ("error", ""),
            SpawnEnd::Refused(reason) => ("failure", reason),
        };
        self.observe(SPAWN, spawn_labels(status, reason), took);
    }

    /// A try to stop a server has ended.
    pub(crate) fn stop(&self, succeeded: bool, took: Duration) {
        self.observe(STOP, outcome(succeeded), took);
    }

    /// A server was looked at.
    pub(crate) fn poll(&self, running: bool, took: Duration) {
        let status = if running { "running" } else { "stopped" };
        self.observe(POLL, vec![Label::new("status", status)], took);
    }

    /// Somebody tried to sign in.
    pub(crate) fn login(&self, succeeded: bool, took: Duration) {
        self.observe(LOGIN, outcome(succeeded), took);
    }

    /// A route was added.
    pub(crate) fn proxy_add(&self, succeeded: bool, took: Duration) {
        self.observe(PROXY_ADD, outcome(succeeded), took);
    }

    /// A route was taken away.
    pub(crate) fn proxy_delete(&self, succeeded: bool, took: Duration) {
        self.observe(PROXY_DELETE, outcome(succeeded), took);
    }

    /// Something was done.
    pub(crate) fn took(&self, work: Work, took: Duration) {
        let name = match work {
            Work::CheckRoutes => CHECK_ROUTES,
            Work::HubStartup => HUB_STARTUP,
            Work::InitSpawners => INIT_SPAWNERS,
            Work::ProxyPoll => PROXY_POLL,
            Work::Logout => LOGOUT,
        };
        self.observe(name, Vec::new(), took);
    }

    /// A browser refused something on one of our pages.
    pub(crate) fn csp_report(&self) {
        self.0.recorder.register_counter(&self.key(CSP_REPORTS, Vec::new()), &META).increment(1);
    }

    /// How many people were seen in the last `period`: `24h`, `7d` or `30d`.
    pub(crate) fn active_users(&self, period: &'static str, users: u64) {
        self.level(ACTIVE_USERS, vec![Label::new("period", period)], count(users));
    }

    /// Everything as text, as Prometheus reads it.
    pub(crate) fn text(&self, levels: Levels) -> String {
        self.level(RUNNING_SERVERS, Vec::new(), count(levels.running_servers as u64));
        if let Some(users) = levels.total_users {
            self.level(TOTAL_USERS, Vec::new(), count(users));
        }
        if let Some(not_after) = levels.not_after {
            let key = Key::from_name(NOT_AFTER);
            #[expect(clippy::cast_precision_loss, reason = "exact for 285 million years")]
            self.0.recorder.register_gauge(&key, &META).set(not_after as f64);
        }
        metrics::with_local_recorder(&self.0.recorder, || self.0.process.collect());
        self.settle();
        with_decimals(&self.0.handle.render())
    }

    /// Sorts what was observed into its buckets, so that it does not pile up when
    /// nobody asks.
    pub(crate) fn settle(&self) {
        self.0.handle.run_upkeep();
    }

    fn observe(&self, name: &'static str, labels: Vec<Label>, took: Duration) {
        let histogram = self.0.recorder.register_histogram(&self.key(name, labels), &META);
        histogram.record(took.as_secs_f64());
    }

    fn level(&self, name: &'static str, labels: Vec<Label>, value: f64) {
        self.0.recorder.register_gauge(&self.key(name, labels), &META).set(value);
    }

    fn key(&self, name: &'static str, labels: Vec<Label>) -> Key {
        Key::from_parts(self.name(name), labels)
    }

    fn name(&self, name: &'static str) -> String {
        format!("{}_{name}", self.0.prefix)
    }

    /// Says what each number is, and makes those exist whose labels are known: a
    /// dashboard asks for failures before there was one.
    fn describe(&self) {
        let recorder = &self.0.recorder;
        let name = |name| KeyName::from(self.name(name));
        for (what, about, labels) in histograms() {
            recorder.describe_histogram(
                name(what),
                Some(Unit::Seconds),
                SharedString::const_str(about),
            );
            for labels in labels {
                // Dropped at once: to be registered is all it is for.
                let _ = recorder.register_histogram(&self.key(what, labels), &META);
            }
        }
        for (what, about) in [
            (RUNNING_SERVERS, "The number of user servers currently running"),
            (TOTAL_USERS, "Total number of users"),
            (ACTIVE_USERS, "Number of users who were active in the given time period"),
        ] {
            recorder.describe_gauge(name(what), None, SharedString::const_str(about));
        }
        recorder.describe_counter(
            name(CSP_REPORTS),
            None,
            SharedString::const_str("Content security policy violation reports"),
        );
        let _ = recorder.register_counter(&self.key(CSP_REPORTS, Vec::new()), &META);
        recorder.describe_gauge(
            KeyName::from_const_str(NOT_AFTER),
            Some(Unit::Seconds),
            SharedString::const_str("End of the certificate that is served, since 1970."),
        );
        metrics::with_local_recorder(recorder, || self.0.process.describe());
    }
}

/// Each histogram, what it is about, and the labels under which it is there from the
/// start.
fn histograms() -> Vec<(&'static str, &'static str, Vec<Vec<Label>>)> {
    let plain = || vec![Vec::new()];
    let outcomes = || vec![outcome(true), outcome(false)];
    let statuses =
        |all: [&'static str; 2]| all.map(|status| vec![Label::new("status", status)]).to_vec();
    let spawns = [
        ("success", ""),
        ("error", ""),
        ("failure", ""),
        ("failure", "throttled"),
        ("failure", "too-many-users"),
        ("failure", "already-pending"),
    ];
    vec![
        (REQUEST, "Request duration for all HTTP requests", Vec::new()),
        (
            SPAWN,
            "Time taken for server spawning operation",
            spawns.map(|(status, reason)| spawn_labels(status, reason)).to_vec(),
        ),
        (CHECK_ROUTES, "Time taken to validate all routes in proxy", plain()),
        (HUB_STARTUP, "Time taken for Hub to start", plain()),
        (INIT_SPAWNERS, "Time taken for spawners to initialize", plain()),
        (PROXY_POLL, "Duration for polling all routes from proxy", plain()),
        (LOGIN, "Duration for all authentication attempts", outcomes()),
        (LOGOUT, "Duration for all logout requests", plain()),
        (POLL, "Time taken to poll if server is running", statuses(["running", "stopped"])),
        (STOP, "Time taken for server stopping operation", outcomes()),
        (PROXY_ADD, "Duration for adding user routes to proxy", outcomes()),
        (PROXY_DELETE, "Duration for deleting user routes from proxy", outcomes()),
    ]
}

fn outcome(succeeded: bool) -> Vec<Label> {
    vec![Label::new("status", if succeeded { "success" } else { "failure" })]
}

fn spawn_labels(status: &'static str, reason: &'static str) -> Vec<Label> {
    vec![Label::new("status", status), Label::new("reason", reason)]
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 9 thousand million million")]
fn count(of: u64) -> f64 {
    of as f64
}

/// Bounds of buckets as Prometheus' client for Python writes them, `10.0` in place of
/// `10`: dashboards and older series have those.
fn with_decimals(text: &str) -> String {
    let mut pieces = text.split("le=\"");
    let mut written = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = piece.split_at(digits);
        let point = if digits > 0 && rest.starts_with('"') { ".0" } else { "" };
        written.extend(["le=\"", number, point, rest]);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dashboard_asks_for_is_there_before_it_happened() {
        let text = Metrics::new("jupyterhub").unwrap().text(Levels::default());
        for line in [
            "# TYPE jupyterhub_server_spawn_duration_seconds histogram",
            r#"jupyterhub_server_spawn_duration_seconds_count{status="failure",reason="too-many-users"} 0"#,
            r#"jupyterhub_server_spawn_duration_seconds_bucket{status="success",reason="",le="600.0"} 0"#,
            r#"jupyterhub_server_stop_seconds_bucket{status="failure",le="0.005"} 0"#,
            r#"jupyterhub_login_duration_seconds_count{status="failure"} 0"#,
            "# TYPE jupyterhub_running_servers gauge",
            "jupyterhub_running_servers 0",
            "# TYPE jupyterhub_csp_reports_total counter",
            "jupyterhub_csp_reports_total 0",
            "jupyterhub_hub_startup_duration_seconds_count 0",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
        // It was not looked up, and there is no certificate.
        assert!(!text.contains("jupyterhub_total_users "), "{text}");
        assert!(!text.contains("\nhub_tls_not_after_seconds "), "{text}");
    }

    #[test]
    fn starts_fall_into_buckets_of_minutes() {
        let metrics = Metrics::new("other").unwrap();
        metrics.spawn(SpawnEnd::Success, Duration::from_secs(90));
        let text = metrics.text(Levels::default());
        let bucket = |le: &str| {
            format!(
                r#"other_server_spawn_duration_seconds_bucket{{status="success",reason="",le="{le}"}} "#
            )
        };
        assert!(text.contains(&format!("{}0\n", bucket("60.0"))), "{text}");
        assert!(text.contains(&format!("{}1\n", bucket("120.0"))), "{text}");
    }

    #[test]
    fn two_hubs_in_one_process_count_for_themselves() {
        let (one, other) = (Metrics::new("hub").unwrap(), Metrics::new("hub").unwrap());
        one.csp_report();
        assert!(one.text(Levels::default()).contains("\nhub_csp_reports_total 1\n"));
        assert!(other.text(Levels::default()).contains("\nhub_csp_reports_total 0\n"));
    }

    #[test]
    fn made_up_methods_share_a_label() {
        let metrics = Metrics::new("hub").unwrap();
        let brew = Method::from_bytes(b"BREW").unwrap();
        metrics.request(&brew, "a".to_owned(), 405, Duration::ZERO);
        assert!(metrics.text(Levels::default()).contains(r#"method="OTHER""#));
    }
}
