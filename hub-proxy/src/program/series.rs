//! What [`Meters`] have counted, written as Prometheus reads it.

use std::fmt::{self, Write};

use crate::meters::{BOUNDS, Durations, Meter, Meters};

/// A name, what it means, and its numbers by label.
type Counter = (&'static str, &'static str, &'static [(&'static str, Meter)]);

const COUNTERS: [Counter; 8] = [
    (
        "hub_proxy_bytes_total",
        "Bytes of HTTP and WebSockets that browsers sent and were sent.",
        &[
            ("{direction=\"from_clients\"}", Meter::BytesFromClients),
            ("{direction=\"to_clients\"}", Meter::BytesToClients),
        ],
    ),
    (
        "hub_proxy_upstream_connects_total",
        "Connections to targets, by whether they could be made.",
        &[("{result=\"ok\"}", Meter::Connects), ("{result=\"failed\"}", Meter::FailedConnects)],
    ),
    (
        "hub_proxy_upstream_connect_retries_total",
        "Connections to targets that were tried once more, as they had been refused.",
        &[("", Meter::ConnectRetries)],
    ),
    (
        "hub_proxy_upstream_reuses_total",
        "Requests over a connection to a target that was kept.",
        &[("", Meter::Reuses)],
    ),
    (
        "hub_proxy_upstream_retries_total",
        "Requests that were sent a second time, as a kept connection had ended.",
        &[("", Meter::Retries)],
    ),
    (
        "hub_proxy_tls_handshakes_total",
        "TLS handshakes of browsers, by whether they were completed.",
        &[("{result=\"ok\"}", Meter::Handshakes), ("{result=\"failed\"}", Meter::FailedHandshakes)],
    ),
    (
        "hub_proxy_rejected_requests_total",
        "Requests that reached neither target nor page, and connections without room.",
        &[
            ("{reason=\"malformed\"}", Meter::Malformed),
            ("{reason=\"too_large\"}", Meter::TooLarge),
            ("{reason=\"unsupported\"}", Meter::Unsupported),
            ("{reason=\"path\"}", Meter::BadPaths),
            ("{reason=\"connection_limit\"}", Meter::TurnedAway),
        ],
    ),
    (
        "hub_proxy_access_log_lost_total",
        "Requests that are not in the access log, as it was not written as fast.",
        &[("", Meter::LostAccessEntries)],
    ),
];

/// Adds them to what a page says of other numbers.
pub(super) fn write(page: &mut String, meters: &Meters) {
    let histograms = [
        Histogram {
            name: "hub_proxy_time_to_first_byte_seconds",
            help: "From the head of a request to the head of its answer; WebSockets left out.",
            durations: meters.first_bytes(),
        },
        Histogram {
            name: "hub_proxy_request_duration_seconds",
            help: "From the head of a request to the end of its answer; WebSockets left out.",
            durations: meters.durations(),
        },
    ];
    for (name, help, numbers) in COUNTERS {
        let mut text = format!("# HELP {name} {help}\n# TYPE {name} counter\n");
        for (label, meter) in numbers {
            writeln!(text, "{name}{label} {}", meters.get(*meter))
                .expect("a string takes everything");
        }
        page.push_str(&text);
    }
    for histogram in histograms {
        write!(page, "{histogram}").expect("a string takes everything");
    }
}

struct Histogram {
    name: &'static str,
    help: &'static str,
    durations: Durations,
}

impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, help, durations: Durations { counts, sum } } = self;
        writeln!(f, "# HELP {name} {help}\n# TYPE {name} histogram")?;
        let mut within = 0;
        for (bound, count) in BOUNDS.iter().zip(counts) {
            within += count;
            // Milliseconds are written exactly so.
            let (seconds, rest) = (bound / 1000, bound % 1000);
            writeln!(f, "{name}_bucket{{le=\"{seconds}.{rest:03}\"}} {within}")?;
        }
        let all: u64 = counts.iter().sum();
        writeln!(f, "{name}_bucket{{le=\"+Inf\"}} {all}")?;
        writeln!(f, "{name}_sum {}\n{name}_count {all}", sum.as_secs_f64())
    }
}
