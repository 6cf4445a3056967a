//! How long it takes to find a route, and to record that one was used (M-01).
//!
//! Counted on the way of each request, so a measurement is two looks at the clock and two
//! additions without order: no lock, no allocation, and no more memory after a year than
//! after a minute.

use std::{
    array, fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

/// What [`ProxyConfig::timings`](crate::ProxyConfig::timings) measures. Clones share it.
#[derive(Clone, Default)]
pub struct RouteTimings(Arc<Inner>);

#[derive(Default)]
struct Inner {
    look_ups: Durations,
    updates: Durations,
}

/// What was measured of one thing until now.
#[derive(Clone, Debug)]
pub struct Timing {
    counts: [u64; BUCKETS],
    sum: Duration,
}

/// Ranges of nanoseconds, eight to each power of two; the last one has no end. It begins
/// above a minute, and what is measured takes microseconds at most.
const BUCKETS: usize = 280;

/// How many bits of a number tell its range, the leading one not among them.
const BITS: u32 = 3;

struct Durations {
    counts: [AtomicU64; BUCKETS],
    nanoseconds: AtomicU64,
}

impl RouteTimings {
    /// Look-ups of the route of a request, the decoding of its path included.
    pub fn look_ups(&self) -> Timing {
        self.0.look_ups.read()
    }

    /// Updates of the time at which a route was last used.
    pub fn updates(&self) -> Timing {
        self.0.updates.read()
    }

    pub(crate) fn look_up<T>(timings: Option<&Self>, work: impl FnOnce() -> T) -> T {
        measured(timings.map(|timings| &timings.0.look_ups), work)
    }

    pub(crate) fn update<T>(timings: Option<&Self>, work: impl FnOnce() -> T) -> T {
        measured(timings.map(|timings| &timings.0.updates), work)
    }
}

impl fmt::Debug for RouteTimings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteTimings").finish_non_exhaustive()
    }
}

impl Timing {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long they took together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// How long all but the slowest took, of which `share` is the part that is meant:
    /// 0.99 for all but one in a hundred. Within a sixteenth of what was measured; zero
    /// when nothing was.
    #[expect(clippy::cast_precision_loss, reason = "its range is wider than that")]
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = share * self.count() as f64;
        let mut seen = 0;
        let bucket = self.counts.iter().position(|&count| {
            seen += count;
            count > 0 && seen as f64 >= wanted
        });
        Duration::from_nanos(bucket.map_or(0, middle_of))
    }
}

impl Durations {
    fn add(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket_of(nanoseconds)].fetch_add(1, Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Relaxed);
    }

    fn read(&self) -> Timing {
        let counts = self.counts.each_ref().map(|count| count.load(Relaxed));
        Timing { counts, sum: Duration::from_nanos(self.nanoseconds.load(Relaxed)) }
    }
}

impl Default for Durations {
    fn default() -> Self {
        let counts = array::from_fn(|_| AtomicU64::default());
        Self { counts, nanoseconds: AtomicU64::default() }
    }
}

fn measured<T>(durations: Option<&Durations>, work: impl FnOnce() -> T) -> T {
    let Some(durations) = durations else { return work() };
    let began = Instant::now();
    let done = work();
    durations.add(began.elapsed());
    done
}

/// Numbers below eight have ranges of their own.
fn bucket_of(nanoseconds: u64) -> usize {
    let power = nanoseconds.max(1).ilog2().max(BITS) - BITS;
    // The leading bit counts as one power more, but for numbers that have none there.
    let bucket = u64::from(power) * (1 << BITS) + (nanoseconds >> power);
    usize::try_from(bucket).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

/// The number in the middle of a range.
fn middle_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let power = (bucket >> BITS).saturating_sub(1);
    let first = (bucket - power * (1 << BITS)) << power;
    first + (1 << power) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m_01_a_range_is_an_eighth_of_a_power_of_two_and_none_is_left_out() {
        for nanoseconds in (0..5_000).chain([1 << 20, (1 << 20) + (1 << 17), 60_000_000_000]) {
            let middle = middle_of(bucket_of(nanoseconds));
            assert!(middle.abs_diff(nanoseconds) * 16 <= nanoseconds, "{nanoseconds}: {middle}");
        }
        let buckets: Vec<usize> = (0..5_000).map(bucket_of).collect();
        assert!(buckets.is_sorted() && buckets.windows(2).all(|pair| pair[1] - pair[0] <= 1));
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert!(middle_of(BUCKETS - 1) > 60_000_000_000);
    }

    #[test]
    fn m_01_quantiles_are_those_of_what_was_measured() {
        let durations = Durations::default();
        assert_eq!(durations.read().quantile(0.5), Duration::ZERO, "nothing yet");
        for microseconds in 1..=1_000 {
            durations.add(Duration::from_micros(microseconds));
        }
        let timing = durations.read();
        assert_eq!((timing.count(), timing.sum()), (1_000, Duration::from_micros(500_500)));
        for (share, expected) in [(0.01, 10.0), (0.5, 500.0), (0.99, 990.0), (0.999, 999.0)] {
            let found = timing.quantile(share).as_secs_f64() * 1e6;
            assert!((found - expected).abs() <= expected / 16.0, "{share}: {found}");
        }
    }
}
