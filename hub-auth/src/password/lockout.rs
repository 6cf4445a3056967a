//! How often a name may fail.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hub_names::UserName;
use tokio::time::Instant;

/// Failed tries that an account has in each window.
const TRIES: usize = 10;

/// How long a failed try counts.
const WINDOW: Duration = Duration::from_secs(5 * 60);

/// From so many names on, those that have expired are dropped.
const SWEEP_NAMES: usize = 1024;

/// Failed tries by name, in memory. Names without an account are counted too:
/// otherwise the lock-out would tell which accounts exist.
#[derive(Debug, Default)]
pub(super) struct Lockout {
    failed: Mutex<HashMap<UserName, VecDeque<Instant>>>,
}

impl Lockout {
    /// Counts a try as failed; [`Lockout::forgive`] takes it back.
    ///
    /// # Errors
    ///
    /// How long to wait, if the tries are used up. Asking then costs nothing, so
    /// that the wait ends even for somebody who keeps trying.
    pub(super) fn count(&self, name: &UserName, now: Instant) -> Result<(), Duration> {
        let mut failed = self.failed();
        if failed.len() >= SWEEP_NAMES && !failed.contains_key(name) {
            failed.retain(|_, tries| tries.back().is_some_and(|last| counts(*last, now)));
        }
        let tries = failed.entry(name.clone()).or_default();
        while tries.front().is_some_and(|first| !counts(*first, now)) {
            tries.pop_front();
        }
        match tries.front() {
            Some(first) if tries.len() >= TRIES => Err(*first + WINDOW - now),
            _ => {
                tries.push_back(now);
                Ok(())
            }
        }
    }

    /// Forgets all failed tries of a name whose password was right.
    pub(super) fn forgive(&self, name: &UserName) {
        self.failed().remove(name);
    }

    /// A panic elsewhere cannot leave the map half changed.
    fn failed(&self) -> MutexGuard<'_, HashMap<UserName, VecDeque<Instant>>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn counts(tried: Instant, now: Instant) -> bool {
    now < tried + WINDOW
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn name(text: &str) -> UserName {
        text.parse().unwrap()
    }

    #[test]
    fn a1_login_rate_limit_is_ten_failed_tries_in_five_minutes() {
        let lockout = Lockout::default();
        let start = Instant::now();
        for _ in 0..9 {
            assert_eq!(lockout.count(&name("ada"), start), Ok(()));
        }
        let later = start + MINUTE;
        assert_eq!(lockout.count(&name("ada"), later), Ok(()));
        assert_eq!(lockout.count(&name("ada"), later), Err(4 * MINUTE));
        assert_eq!(lockout.count(&name("bob"), later), Ok(()), "others are not held up");
        let almost = start + 5 * MINUTE - Duration::from_nanos(1);
        assert!(lockout.count(&name("ada"), almost).is_err());
        // Nine tries have expired; refused ones did not count.
        for _ in 0..9 {
            assert_eq!(lockout.count(&name("ada"), start + 5 * MINUTE), Ok(()));
        }
        assert_eq!(lockout.count(&name("ada"), start + 5 * MINUTE), Err(MINUTE));
    }

    #[test]
    fn a1_success_resets_the_account_only() {
        let lockout = Lockout::default();
        let now = Instant::now();
        for _ in 0..10 {
            lockout.count(&name("ada"), now).unwrap();
            lockout.count(&name("bob"), now).unwrap();
        }
        lockout.forgive(&name("ada"));
        assert!(lockout.count(&name("ada"), now).is_ok());
        assert!(lockout.count(&name("bob"), now).is_err());
    }

    #[test]
    fn names_that_nobody_tries_any_more_are_dropped() {
        let lockout = Lockout::default();
        let start = Instant::now();
        for index in 0..SWEEP_NAMES {
            lockout.count(&name(&format!("n{index}")), start).unwrap();
        }
        lockout.count(&name("late"), start + WINDOW).unwrap();
        assert_eq!(lockout.failed().len(), 1);
    }
}
