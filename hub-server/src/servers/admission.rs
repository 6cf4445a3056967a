//! How many servers may be on their way or up at once, and how many starts in a
//! row may fail (hub-contract 8.2).
//!
//! A start is let in where it is decided, under one lock with the counts: two that
//! ask together never both get the last place.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::config::AdmissionLimits;

/// Seconds up to which a pause is told in seconds rather than in minutes.
const TOLD_IN_SECONDS: u64 = 90;

/// The counts. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Admission {
    counts: Arc<Mutex<Counts>>,
    /// Cancelled when too many starts in a row have failed.
    hopeless: CancellationToken,
}

#[derive(Debug, Default)]
struct Counts {
    starting: usize,
    active: usize,
    failed_in_a_row: u32,
}

/// The place of a server that is up or on its way; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    admission: Admission,
    starting: bool,
}

/// Why a start has to wait. The texts are JupyterHub's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Crowded {
    /// Too many are on their way.
    #[error("Too many users trying to log in right now. Try again in {}.", pause(*retry_after))]
    Starting {
        /// Seconds to wait.
        retry_after: u64,
    },
    /// Too many are up.
    #[error("Active user limit exceeded. Try again in a few minutes.")]
    Active,
}

impl Admission {
    /// A place for a server that is to start.
    pub(super) fn enter(&self, limits: &AdmissionLimits) -> Result<Place, Crowded> {
        let mut counts = self.counts();
        if limits.starting.is_some_and(|limit| counts.starting >= limit) {
            let retry_after = within(&limits.retry_seconds);
            return Err(Crowded::Starting { retry_after });
        }
        if limits.active.is_some_and(|limit| counts.active >= limit) {
            return Err(Crowded::Active);
        }
        counts.starting += 1;
        counts.active += 1;
        Ok(Place { admission: self.clone(), starting: true })
    }

    /// A place for a server that was up before the hub was: nobody asks whether
    /// there is room for it.
    pub(super) fn take_up(&self) -> Place {
        self.counts().active += 1;
        Place { admission: self.clone(), starting: false }
    }

    /// A start succeeded.
    pub(super) fn succeeded(&self) {
        self.counts().failed_in_a_row = 0;
    }

    /// A start failed, and not by what its user chose. With `limit` in a row there
    /// is no hope; 0 is no limit.
    pub(super) fn failed(&self, limit: u32) {
        let mut counts = self.counts();
        counts.failed_in_a_row = counts.failed_in_a_row.saturating_add(1);
        let failed = counts.failed_in_a_row;
        if limit > 0 && failed >= limit && !self.hopeless.is_cancelled() {
            tracing::error!("{failed} starts in a row have failed; the hub gives up");
            self.hopeless.cancel();
        }
    }

    /// Cancelled when too many starts in a row have failed.
    pub(super) fn hopeless(&self) -> CancellationToken {
        self.hopeless.clone()
    }

    /// The counts; a panic elsewhere cannot leave numbers half-made.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The start is over: it makes room for another.
    pub(super) fn started(&mut self) {
        if std::mem::take(&mut self.starting) {
            self.admission.counts().starting -= 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.started();
        self.admission.counts().active -= 1;
    }
}

/// A number in the range. Without randomness it is the first, which is no less
/// right.
fn within(range: &std::ops::RangeInclusive<u64>) -> u64 {
    let mut bytes = [0_u8; 8];
    let span = range.end().saturating_sub(*range.start()).saturating_add(1);
    match getrandom::fill(&mut bytes) {
        Ok(()) => range.start() + u64::from_le_bytes(bytes) % span,
        Err(_) => *range.start(),
    }
}

/// A pause as people say it, rounded up.
fn pause(seconds: u64) -> String {
    match seconds {
        0..=TOLD_IN_SECONDS => format!("{} seconds", seconds.div_ceil(10) * 10),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(starting: usize, active: usize) -> AdmissionLimits {
        let limit = |number| Some(number).filter(|number| *number > 0);
        AdmissionLimits { starting: limit(starting), active: limit(active), retry_seconds: 30..=60 }
    }

    #[test]
    fn a_start_that_is_over_makes_room_for_another() {
        let admission = Admission::default();
        let limits = limits(1, 2);
        let mut first = admission.enter(&limits).unwrap();
        assert!(matches!(
            admission.enter(&limits),
            Err(Crowded::Starting { retry_after: 30..=60 })
        ));
        first.started();
        let mut second = admission.enter(&limits).unwrap();
        second.started();
        assert_eq!(admission.enter(&limits).unwrap_err(), Crowded::Active);
        drop(first);
        assert!(admission.enter(&limits).is_ok());
    }

    #[test]
    fn servers_from_before_count_and_are_not_asked() {
        let admission = Admission::default();
        let before = [admission.take_up(), admission.take_up()];
        assert_eq!(admission.enter(&limits(0, 1)).unwrap_err(), Crowded::Active);
        drop(before);
        assert!(admission.enter(&limits(0, 1)).is_ok());
    }

    #[test]
    fn limit_holds_in_parallel() {
        let admission = Admission::default();
        let limits = limits(3, 0);
        let enter = || admission.enter(&limits).ok();
        let places: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..10).map(|_| scope.spawn(enter)).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(places.len(), 3);
    }

    #[test]
    fn only_failures_in_a_row_end_the_hub() {
        let admission = Admission::default();
        admission.failed(2);
        admission.succeeded();
        admission.failed(2);
        assert!(!admission.hopeless().is_cancelled());
        admission.failed(0);
        assert!(!admission.hopeless().is_cancelled());
        admission.failed(2);
        assert!(admission.hopeless().is_cancelled());
    }

    #[test]
    fn pauses_are_rounded_up() {
        for (seconds, text) in [(31, "40 seconds"), (40, "40 seconds"), (100, "2 minutes")] {
            assert_eq!(pause(seconds), text);
        }
    }
}
