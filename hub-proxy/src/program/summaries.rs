//! configurable-http-proxy's two summaries (M-01), written as Prometheus reads them.

use std::fmt::{self, Write};

use crate::{RouteTimings, Timing};

/// Those of its metrics library, whose summaries reach from the start of the process on
/// as ours do.
const QUANTILES: [f64; 7] = [0.01, 0.05, 0.5, 0.9, 0.95, 0.99, 0.999];

/// Adds them to what a page says of other numbers.
pub(super) fn write(page: &mut String, timings: &RouteTimings) {
    let summaries = [
        Summary {
            name: "find_target_for_req",
            help: "Seconds to find the route of a request.",
            timing: timings.look_ups(),
        },
        Summary {
            name: "last_activity_updating",
            help: "Seconds to record that a route was used.",
            timing: timings.updates(),
        },
    ];
    for summary in summaries {
        write!(page, "{summary}").expect("a string takes everything");
    }
}

struct Summary {
    name: &'static str,
    help: &'static str,
    timing: Timing,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, help, timing } = self;
        writeln!(f, "# HELP {name} {help}\n# TYPE {name} summary")?;
        for quantile in QUANTILES {
            let seconds = timing.quantile(quantile).as_secs_f64();
            writeln!(f, "{name}{{quantile=\"{quantile}\"}} {seconds}")?;
        }
        writeln!(f, "{name}_sum {}", timing.sum().as_secs_f64())?;
        writeln!(f, "{name}_count {}", timing.count())
    }
}
