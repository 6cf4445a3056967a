//! How often somebody may fail: state in, decision and state out.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use hub_names::UserName;
use serde::{Deserialize, Serialize};

use crate::clock::unix_seconds;

/// Failed tries of one account, or from one address, oldest first. For the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tries {
    /// Seconds since 1970.
    failed: Vec<u64>,
}

/// How many tries may fail within a window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryLimit {
    /// Failed tries; none left means waiting, also for the right password.
    pub tries: usize,
    /// How long a failed try counts.
    pub window: Duration,
}

impl TryLimit {
    /// For one account: 10 in 5 minutes (`allowed_failed_logins`,
    /// `seconds_before_next_try`).
    pub const ACCOUNT: Self = Self { tries: 10, window: Duration::from_secs(300) };

    /// For one address: 100 in 5 minutes, since a class sits behind one.
    pub const ADDRESS: Self = Self { tries: 100, window: Duration::from_secs(300) };

    /// Counts a try as failed; whoever was right is forgiven by dropping the
    /// account's tries. Those that do not count any more are dropped here.
    ///
    /// # Errors
    ///
    /// How long to wait, if the tries are used up. Asking then costs nothing, so
    /// that the wait ends even for somebody who keeps trying.
    pub fn count(&self, tries: &mut Tries, now: SystemTime) -> Result<(), Duration> {
        if let Some(wait) = self.wait(tries, now) {
            return Err(wait);
        }
        let now = unix_seconds(now);
        tries.failed.retain(|tried| self.counts(*tried, now));
        tries.failed.push(now);
        Ok(())
    }

    /// How long to wait before the next try is looked at; `None` if it is now.
    pub fn wait(&self, tries: &Tries, now: SystemTime) -> Option<Duration> {
        let now = unix_seconds(now);
        let counting = || tries.failed.iter().filter(|tried| self.counts(**tried, now));
        if counting().count() < self.tries {
            return None;
        }
        // With as many as are left over taken away, the oldest of the rest has to go.
        let oldest = counting().rev().nth(self.tries.saturating_sub(1)).copied().unwrap_or(now);
        let ends = oldest.saturating_add(self.window.as_secs());
        Some(Duration::from_secs(ends.saturating_sub(now).max(1)))
    }

    /// Whether none of `tries` counts any more, so that the store may drop them.
    pub fn is_over(&self, tries: &Tries, now: SystemTime) -> bool {
        let now = unix_seconds(now);
        !tries.failed.iter().any(|tried| self.counts(*tried, now))
    }

    /// A time in the future is of a clock that was set back; it counts no longer
    /// than one of now.
    fn counts(&self, tried: u64, now: u64) -> bool {
        now < tried.saturating_add(self.window.as_secs())
            && tried <= now.saturating_add(self.window.as_secs())
    }
}

/// The key of an account's tries. Names without an account are counted too:
/// otherwise the lock-out would tell which accounts exist.
pub fn account_key(name: &UserName) -> String {
    format!("account:{name}")
}

/// The key of an address's tries. Of an IPv6 address the first 64 bits, since one
/// line has as many addresses as it wants.
pub fn address_key(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("address:{address}"),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("address:{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn nat_2_ten_failed_tries_in_five_minutes() {
        let limit = TryLimit::ACCOUNT;
        let mut tries = Tries::default();
        for _ in 0..9 {
            assert_eq!(limit.count(&mut tries, at(0)), Ok(()));
        }
        assert_eq!(limit.count(&mut tries, at(60)), Ok(()));
        let wait = Duration::from_secs(240);
        assert_eq!(limit.count(&mut tries, at(60)), Err(wait));
        assert_eq!(limit.wait(&tries, at(299)), Some(Duration::from_secs(1)));
        // Nine have expired; refused ones did not count.
        assert_eq!(limit.wait(&tries, at(300)), None);
        for _ in 0..9 {
            assert_eq!(limit.count(&mut tries, at(300)), Ok(()));
        }
        assert_eq!(limit.count(&mut tries, at(300)), Err(Duration::from_secs(60)));
        assert_eq!(tries.failed.len(), 10, "what does not count is not kept");
        assert!(!limit.is_over(&tries, at(599)) && limit.is_over(&tries, at(600)));
    }

    #[test]
    fn nat_2_tries_outlive_a_restart() {
        let mut tries = Tries::default();
        for _ in 0..10 {
            TryLimit::ACCOUNT.count(&mut tries, at(0)).unwrap();
        }
        let json = serde_json::to_string(&tries).unwrap();
        let kept: Tries = serde_json::from_str(&json).unwrap();
        assert!(TryLimit::ACCOUNT.wait(&kept, at(10)).is_some());
        assert!(TryLimit { tries: 11, ..TryLimit::ACCOUNT }.wait(&kept, at(10)).is_none());
    }

    #[test]
    fn a_clock_that_was_set_back_locks_out_nobody_for_long() {
        let mut tries = Tries::default();
        for _ in 0..10 {
            TryLimit::ACCOUNT.count(&mut tries, at(1_000_000)).unwrap();
        }
        assert_eq!(TryLimit::ACCOUNT.wait(&tries, at(0)), None);
    }

    #[test]
    fn nat_2_an_address_is_counted_by_its_line() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("192.0.2.7"), "address:192.0.2.7");
        assert_eq!(key("::ffff:192.0.2.7"), "address:192.0.2.7");
        assert_eq!(key("2001:db8:0:1::1"), key("2001:db8::1:ffff:ffff:ffff:ffff"));
        assert_ne!(key("2001:db8:0:1::1"), key("2001:db8:0:2::1"));
    }
}
