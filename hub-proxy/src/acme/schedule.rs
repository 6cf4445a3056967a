//! When to order the next certificate. Pure.

use jiff::{SignedDuration, Timestamp};

/// How long to wait after the first failure.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// How long at least, whoever asks: Let's Encrypt accepts five failed proofs of
/// a name an hour.
const SHORTEST_PAUSE: SignedDuration = SignedDuration::from_mins(15);

/// How long at most, however often it failed.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(24);

/// How long before somebody looks again, more or less.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The certificate in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    /// Whether it is for all domains.
    pub(super) covers: bool,
}

/// How the last attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing has gone wrong since a certificate came.
    Smooth,
    /// This often in a row there was none, the last time at `failed_at`.
    Failing { failures: u32, failed_at: Timestamp, retry_at: Timestamp },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Order,
    /// Nothing to do before this.
    Wait(Timestamp),
}

impl Progress {
    /// After another failure. `jitter`, from 0 to 1, keeps hubs apart that
    /// failed together.
    pub(super) fn failed(self, now: Timestamp, jitter: f64) -> Self {
        let failures = match self {
            Self::Smooth => 1,
            Self::Failing { failures, .. } => failures.saturating_add(1),
        };
        let doublings = failures.saturating_sub(1).min(8);
        let pause = (FIRST_PAUSE * (1_i32 << doublings)).min(LONGEST_PAUSE);
        // Up to a tenth more, but never more than the longest.
        let pause = (pause + scaled(pause, jitter / 10.0)).min(LONGEST_PAUSE);
        let retry_at = now.saturating_add(pause).unwrap_or(Timestamp::MAX);
        Self::Failing { failures, failed_at: now, retry_at }
    }

    /// When somebody has asked not to wait beyond `until`.
    pub(super) fn nudged(self, until: Timestamp) -> Self {
        match self {
            Self::Smooth => Self::Smooth,
            Self::Failing { failures, failed_at, retry_at } => {
                Self::Failing { failures, failed_at, retry_at: retry_at.min(until) }
            }
        }
    }
}

/// The earliest that one may try again, whoever asks, after a failure.
pub(super) fn soon_after(failed_at: Timestamp) -> Timestamp {
    failed_at.saturating_add(SHORTEST_PAUSE).unwrap_or(Timestamp::MAX)
}

/// What to do now, and if nothing, until when (ACME-2).
///
/// A certificate is renewed when less than a third of its life time is left. In
/// between somebody looks about once a day; `jitter`, from 0 to 1, spreads that.
pub(super) fn next(held: Option<Held>, progress: Progress, now: Timestamp, jitter: f64) -> Next {
    let due = match held {
        Some(held) if held.covers => renewal_of(held),
        _ => Timestamp::MIN,
    };
    match progress {
        _ if now < due => {
            // From 21 to 27 hours.
            let look = scaled(DAY, 0.875 + jitter / 4.0);
            Next::Wait(now.saturating_add(look).unwrap_or(Timestamp::MAX).min(due))
        }
        Progress::Failing { retry_at, .. } if now < retry_at => Next::Wait(retry_at),
        Progress::Smooth | Progress::Failing { .. } => Next::Order,
    }
}

fn renewal_of(held: Held) -> Timestamp {
    let life = held.not_after.duration_since(held.not_before);
    held.not_after.saturating_sub(life / 3).unwrap_or(Timestamp::MIN)
}

fn scaled(duration: SignedDuration, factor: f64) -> SignedDuration {
    SignedDuration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// 90 days, as Let's Encrypt gives them.
    fn held() -> Held {
        Held {
            not_before: at("2026-01-01T00:00:00Z"),
            not_after: at("2026-04-01T00:00:00Z"),
            covers: true,
        }
    }

    #[test]
    fn acme_2_a_certificate_is_renewed_when_a_third_of_its_life_is_left() {
        for (now, expected) in [
            ("2026-01-01T00:00:00Z", Next::Wait(at("2026-01-02T00:00:00Z"))),
            ("2026-02-28T00:00:00Z", Next::Wait(at("2026-03-01T00:00:00Z"))),
            ("2026-03-01T12:00:00Z", Next::Wait(at("2026-03-02T00:00:00Z"))),
            ("2026-03-02T00:00:00Z", Next::Order),
            ("2026-03-31T00:00:00Z", Next::Order),
            ("2026-05-01T00:00:00Z", Next::Order),
        ] {
            assert_eq!(next(Some(held()), Progress::Smooth, at(now), 0.5), expected, "{now}");
        }
    }

    #[test]
    fn acme_2_short_lives_are_renewed_in_time() {
        let held = Held { not_after: at("2026-01-01T00:00:30Z"), ..held() };
        let now = at("2026-01-01T00:00:05Z");
        assert_eq!(
            next(Some(held), Progress::Smooth, now, 0.5),
            Next::Wait(at("2026-01-01T00:00:20Z"))
        );
    }

    #[test]
    fn acme_2_the_daily_look_is_jittered() {
        let now = at("2026-01-01T00:00:00Z");
        for (jitter, expected) in [
            (0.0, "2026-01-01T21:00:00Z"),
            (0.5, "2026-01-02T00:00:00Z"),
            (1.0, "2026-01-02T03:00:00Z"),
        ] {
            assert_eq!(next(Some(held()), Progress::Smooth, now, jitter), Next::Wait(at(expected)));
        }
    }

    #[test]
    fn acme_1_without_a_certificate_for_all_domains_one_is_ordered_now() {
        let now = at("2026-01-01T00:00:00Z");
        assert_eq!(next(None, Progress::Smooth, now, 0.5), Next::Order);
        let other = Held { covers: false, ..held() };
        assert_eq!(next(Some(other), Progress::Smooth, now, 0.5), Next::Order);
    }

    #[test]
    fn acme_2_failures_are_tried_again_after_1_h_up_to_24_h() {
        let now = at("2026-01-01T00:00:00Z");
        let mut progress = Progress::Smooth;
        let mut hours = Vec::new();
        for _ in 0..7 {
            progress = progress.failed(now, 0.0);
            match progress {
                Progress::Failing { retry_at, .. } => {
                    hours.push(retry_at.duration_since(now).as_hours());
                }
                Progress::Smooth => unreachable!("it failed"),
            }
        }
        assert_eq!(hours, [1, 2, 4, 8, 16, 24, 24]);
    }

    #[test]
    fn acme_2_however_often_it_failed_the_pause_is_a_day_at_most() {
        let now = at("2026-01-01T00:00:00Z");
        let failing = |failures, retry_at: &str| Progress::Failing {
            failures,
            failed_at: now,
            retry_at: at(retry_at),
        };
        let many = failing(u32::MAX, "2026-01-01T00:00:00Z");
        assert_eq!(many.failed(now, 1.0), failing(u32::MAX, "2026-01-02T00:00:00Z"));
        assert_eq!(Progress::Smooth.failed(now, 1.0), failing(1, "2026-01-01T01:06:00Z"));
    }

    #[test]
    fn acme_2_a_wish_makes_a_pause_shorter_and_never_longer() {
        let failed_at = at("2026-01-01T00:00:00Z");
        let until =
            |retry_at: &str| Progress::Failing { failures: 3, failed_at, retry_at: at(retry_at) };
        let pause = until("2026-01-01T04:00:00Z");
        let soon = soon_after(failed_at);
        assert_eq!(pause.nudged(soon), until("2026-01-01T00:15:00Z"));
        assert_eq!(pause.nudged(at("2026-01-01T09:00:00Z")), pause);
        assert_eq!(Progress::Smooth.nudged(soon), Progress::Smooth);
    }

    #[test]
    fn acme_2_a_pause_after_a_failure_is_kept_and_then_over() {
        let now = at("2026-03-10T00:00:00Z");
        let retry_at = at("2026-03-10T02:00:00Z");
        let progress = Progress::Failing { failures: 2, failed_at: now, retry_at };
        for held in [None, Some(held())] {
            assert_eq!(next(held, progress, now, 0.5), Next::Wait(at("2026-03-10T02:00:00Z")));
            assert_eq!(next(held, progress, at("2026-03-10T02:00:00Z"), 0.5), Next::Order);
        }
    }
}
