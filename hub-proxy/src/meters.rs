//! What a proxy does, in numbers (M-05 to M-09).
//!
//! Counted on the way of each request, so a number is an addition without order, and each
//! thread adds to a place of its own. No number is of a user or a route.

use std::{
    cell::Cell,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use http::StatusCode;

/// What [`ProxyConfig::meters`](crate::ProxyConfig::meters) and
/// [`ListenConfig::meters`](crate::ListenConfig::meters) count. Clones share it.
#[derive(Clone, Default)]
pub struct Meters(Arc<Inner>);

#[derive(Default)]
struct Inner {
    shards: [Shard; SHARDS],
    first_byte: Histogram,
    duration: Histogram,
}

/// One number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Meter {
    /// Bytes read from clients, heads included, without TLS.
    BytesFromClients,
    /// Bytes written to clients.
    BytesToClients,
    /// Connections made to targets.
    Connects,
    /// Connections to targets that could not be made, nor by trying again.
    FailedConnects,
    /// Tries to connect to a target that had refused (K-06).
    ConnectRetries,
    /// Requests sent over a connection that was kept.
    Reuses,
    /// Requests sent a second time (K-07).
    Retries,
    /// TLS handshakes of clients that were completed.
    Handshakes,
    /// TLS handshakes that were not.
    FailedHandshakes,
    /// Requests refused as malformed.
    Malformed,
    /// Requests refused as too large.
    TooLarge,
    /// Requests refused for what they ask: methods, versions, expectations.
    Unsupported,
    /// Requests refused for their path ([`BadPath`](crate::BadPath)).
    BadPaths,
    /// Connections turned away beyond a limit (L-02, L-05).
    TurnedAway,
    /// Requests that are not in the access log, which was not taken as fast (G-06).
    LostAccessEntries,
}

const METERS: usize = Meter::LostAccessEntries as usize + 1;

/// Threads that count at once in places of their own.
const SHARDS: usize = 8;

/// No two of them in one line of a processor's cache.
#[repr(align(128))]
#[derive(Default)]
struct Shard([AtomicU64; METERS]);

/// Upper ends of ranges, in milliseconds.
pub(crate) const BOUNDS: [u64; 14] =
    [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 60_000, 600_000];

#[derive(Default)]
struct Histogram {
    /// The last is for what is longer than all bounds.
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// What a histogram has.
#[cfg_attr(not(any(feature = "cli", test)), expect(dead_code, reason = "the program shows them"))]
#[derive(Clone, Debug)]
pub(crate) struct Durations {
    /// How many were within each bound and not within the one before.
    pub(crate) counts: [u64; BOUNDS.len() + 1],
    pub(crate) sum: Duration,
}

impl Meters {
    /// What was counted until now.
    pub fn get(&self, meter: Meter) -> u64 {
        self.0.shards.iter().map(|shard| shard.0[meter as usize].load(Relaxed)).sum()
    }

    pub(crate) fn add(meters: Option<&Self>, meter: Meter, count: usize) {
        if let Some(Self(inner)) = meters {
            inner.shards[own_shard()].0[meter as usize].fetch_add(count as u64, Relaxed);
        }
    }

    /// A request is refused with this status.
    pub(crate) fn refused(meters: Option<&Self>, status: StatusCode) {
        let meter = match status {
            StatusCode::BAD_REQUEST => Meter::Malformed,
            StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::URI_TOO_LONG
            | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Meter::TooLarge,
            _ => Meter::Unsupported,
        };
        Self::add(meters, meter, 1);
    }
}

#[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "the program measures"))]
impl Meters {
    /// How long requests took until the head of their answer was there.
    pub(crate) fn first_bytes(&self) -> Durations {
        self.0.first_byte.read()
    }

    /// How long requests took until all of their answer had been given to the client.
    pub(crate) fn durations(&self) -> Durations {
        self.0.duration.read()
    }

    pub(crate) fn has_begun(&self, after: Duration) {
        self.0.first_byte.add(after);
    }

    pub(crate) fn has_ended(&self, after: Duration) {
        self.0.duration.add(after);
    }
}

impl Histogram {
    fn add(&self, duration: Duration) {
        let range = BOUNDS.partition_point(|&bound| Duration::from_millis(bound) < duration);
        self.counts[range].fetch_add(1, Relaxed);
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Relaxed);
    }

    fn read(&self) -> Durations {
        let counts = self.counts.each_ref().map(|count| count.load(Relaxed));
        Durations { counts, sum: Duration::from_nanos(self.nanoseconds.load(Relaxed)) }
    }
}

/// Where the thread that calls counts.
fn own_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = Cell::new(NEXT.fetch_add(1, Relaxed) % SHARDS);
    }
    OWN.get()
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m_07_threads_count_together() {
        let meters = Meters::default();
        std::thread::scope(|scope| {
            for _ in 0..SHARDS + 2 {
                scope.spawn(|| Meters::add(Some(&meters), Meter::Reuses, 3));
            }
        });
        assert_eq!(meters.get(Meter::Reuses), 3 * (SHARDS as u64 + 2));
        assert_eq!(meters.get(Meter::Retries), 0);
    }

    #[test]
    fn m_08_a_duration_is_in_the_first_range_that_holds_it() {
        let histogram = Histogram::default();
        for milliseconds in [0, 1, 2, 600_000, 600_001] {
            histogram.add(Duration::from_millis(milliseconds));
        }
        let Durations { counts, sum } = histogram.read();
        assert_eq!((counts[0], counts[1], counts[13], counts[14]), (2, 1, 1, 1));
        assert_eq!((counts.iter().sum::<u64>(), sum), (5, Duration::from_millis(1_200_004)));
    }
}
