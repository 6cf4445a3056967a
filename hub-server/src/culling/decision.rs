//! What becomes of one server, from what is known of it. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::{config::CullingLimits, servers::CullReason};

/// What is known of a server that is up.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub now: Timestamp,
    /// When it was started.
    pub started: Timestamp,
    /// When the hub last saw it used.
    pub last_used: Timestamp,
    /// What it says itself.
    pub inside: Inside,
}

/// What a server says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    /// It was not asked yet.
    NotAsked,
    /// It does not answer.
    Silent,
    /// It answers, but does not tell: it is no Jupyter server, or an old one.
    Reticent,
    /// This.
    Told(Kernels),
}

/// What runs in a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kernels {
    /// How many kernels compute.
    pub busy: usize,
    /// How many connections browsers have to kernels.
    pub connections: u64,
    /// When a kernel or a terminal last did something.
    pub last_activity: Option<Timestamp>,
}

/// What holds for a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub limits: CullingLimits,
    /// How long before the end its owner is told.
    pub warn: SignedDuration,
    /// Whether a connection to a kernel counts as use.
    pub keep_connected: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Keep,
    /// It has to be asked first.
    Ask,
    /// It ends soon, and its owner is to know.
    Warn(Notice),
    /// It ends now.
    Cull(Notice),
}

/// When and why a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: CullReason,
    /// How long it was unused, or up, at that time.
    pub after: SignedDuration,
}

/// What is to be done about a server.
///
/// A kernel that computes keeps it from being idle, but not from growing old. One
/// that does not answer gets its timeout twice: it may be too busy to answer. Of two
/// reasons the earlier counts.
pub(super) fn decide(facts: &Facts, rules: &Rules) -> Verdict {
    let old = rules.limits.max_age.and_then(|limit| notice(facts.started, limit, CullReason::Age));
    let idle = rules.limits.timeout.and_then(|timeout| {
        let (since, limit) = match &facts.inside {
            Inside::NotAsked | Inside::Reticent => (facts.last_used, timeout),
            Inside::Silent => (facts.last_used, timeout.saturating_mul(2)),
            Inside::Told(kernels) => {
                let used = kernels.busy > 0 || rules.keep_connected && kernels.connections > 0;
                if used {
                    return None;
                }
                // Its clock may be ahead.
                let inside = kernels.last_activity.map(|at| at.min(facts.now));
                (inside.map_or(facts.last_used, |at| at.max(facts.last_used)), timeout)
            }
        };
        notice(since, limit, CullReason::Idle)
    });
    let Some(notice) = old.into_iter().chain(idle).min_by_key(|notice| notice.at) else {
        return Verdict::Keep;
    };
    let left = notice.at.duration_since(facts.now);
    if left > rules.warn {
        return Verdict::Keep;
    }
    match (notice.why, &facts.inside) {
        (CullReason::Idle, Inside::NotAsked) => Verdict::Ask,
        (CullReason::Idle | CullReason::Age, _) if left > SignedDuration::ZERO => {
            Verdict::Warn(notice)
        }
        (CullReason::Idle | CullReason::Age, _) => {
            let after = facts.now.duration_since(notice.at).saturating_add(notice.after);
            Verdict::Cull(Notice { after, ..notice })
        }
    }
}

/// The end of what began at `since`; `None` if that is beyond all time.
fn notice(since: Timestamp, limit: SignedDuration, why: CullReason) -> Option<Notice> {
    since.checked_add(limit).ok().map(|at| Notice { at, why, after: limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(minutes: i64) -> SignedDuration {
        SignedDuration::from_mins(minutes)
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + minutes(minute)
    }

    fn told(busy: usize, connections: u64, last: Option<i64>) -> Inside {
        Inside::Told(Kernels { busy, connections, last_activity: last.map(at) })
    }

    fn warn(minute: i64, why: CullReason, after: i64) -> Verdict {
        Verdict::Warn(Notice { at: at(minute), why, after: minutes(after) })
    }

    fn cull(minute: i64, why: CullReason, after: i64) -> Verdict {
        Verdict::Cull(Notice { at: at(minute), why, after: minutes(after) })
    }

    /// Started at minute 0, last used at minute 100; may be idle for 60 minutes, and
    /// its owner is told 10 minutes before.
    #[test]
    fn idle_servers_are_warned_of_and_stopped() {
        use Inside::{NotAsked, Reticent, Silent};
        let rows = [
            ("in use", 120, NotAsked, Verdict::Keep),
            ("not yet near", 149, NotAsked, Verdict::Keep),
            ("near", 150, NotAsked, Verdict::Ask),
            ("over", 170, NotAsked, Verdict::Ask),
            ("no kernel, near", 150, told(0, 0, None), warn(160, CullReason::Idle, 60)),
            ("no kernel, over", 160, told(0, 0, None), cull(160, CullReason::Idle, 60)),
            ("long over", 500, told(0, 0, None), cull(160, CullReason::Idle, 400)),
            ("a kernel computes", 500, told(1, 0, Some(0)), Verdict::Keep),
            (
                "a kernel was idle all the time",
                160,
                told(0, 0, Some(90)),
                cull(160, CullReason::Idle, 60),
            ),
            ("a kernel worked later", 160, told(0, 0, Some(130)), Verdict::Keep),
            (
                "a kernel worked a bit later",
                160,
                told(0, 0, Some(105)),
                warn(165, CullReason::Idle, 60),
            ),
            ("a clock that is ahead", 170, told(0, 0, Some(10_000)), Verdict::Keep),
            ("a page is open", 160, told(0, 3, None), cull(160, CullReason::Idle, 60)),
            ("it does not tell", 160, Reticent, cull(160, CullReason::Idle, 60)),
            ("it does not answer", 160, Silent, Verdict::Keep),
            ("it does not answer, later", 215, Silent, warn(220, CullReason::Idle, 120)),
            ("it never answers", 220, Silent, cull(220, CullReason::Idle, 120)),
        ];
        let limits = CullingLimits { timeout: Some(minutes(60)), max_age: None };
        let rules = Rules { limits, warn: minutes(10), keep_connected: false };
        for (label, now, inside, expected) in rows {
            let facts = Facts { now: at(now), started: at(0), last_used: at(100), inside };
            assert_eq!(decide(&facts, &rules), expected, "{label}");
        }
    }

    #[test]
    fn a_connection_counts_as_use_when_the_operator_says_so() {
        let limits = CullingLimits { timeout: Some(minutes(60)), max_age: None };
        let rules = Rules { limits, warn: minutes(10), keep_connected: true };
        let facts =
            Facts { now: at(500), started: at(0), last_used: at(0), inside: told(0, 1, None) };
        assert_eq!(decide(&facts, &rules), Verdict::Keep);
        let alone = Facts { inside: told(0, 0, None), ..facts };
        assert!(matches!(decide(&alone, &rules), Verdict::Cull(_)));
    }

    /// Used until now, with a kernel that computes; may be up for 600 minutes.
    #[test]
    fn old_servers_are_stopped_even_when_they_are_used() {
        let rules = |timeout, warn| Rules {
            limits: CullingLimits { timeout, max_age: Some(minutes(600)) },
            warn: minutes(warn),
            keep_connected: true,
        };
        let facts =
            |now, used, inside| Facts { now: at(now), started: at(0), last_used: at(used), inside };
        for (label, facts, rules, expected) in [
            ("young", facts(500, 500, Inside::NotAsked), rules(None, 10), Verdict::Keep),
            (
                "near",
                facts(595, 595, told(1, 1, None)),
                rules(None, 10),
                warn(600, CullReason::Age, 600),
            ),
            (
                "over",
                facts(601, 601, told(1, 1, None)),
                rules(None, 10),
                cull(600, CullReason::Age, 601),
            ),
            (
                "nobody has to ask it",
                facts(600, 600, Inside::NotAsked),
                rules(None, 10),
                cull(600, CullReason::Age, 600),
            ),
            (
                "idle first",
                facts(595, 500, told(0, 0, None)),
                rules(Some(minutes(60)), 10),
                cull(560, CullReason::Idle, 95),
            ),
            (
                "age first",
                facts(599, 560, Inside::NotAsked),
                rules(Some(minutes(60)), 10),
                warn(600, CullReason::Age, 600),
            ),
            ("no warning", facts(599, 599, Inside::NotAsked), rules(None, 0), Verdict::Keep),
        ] {
            assert_eq!(decide(&facts, &rules), expected, "{label}");
        }
    }

    #[test]
    fn without_limits_nothing_happens() {
        let rules =
            Rules { limits: CullingLimits::default(), warn: minutes(10), keep_connected: false };
        let facts = Facts {
            now: at(1_000_000),
            started: at(0),
            last_used: at(0),
            inside: Inside::NotAsked,
        };
        assert_eq!(decide(&facts, &rules), Verdict::Keep);
    }
}
