//! How often an address may fail to sign in (security A1).
//!
//! Accounts have a limit of their own in `hub-auth`; this one stops a client that
//! goes through names. Only failures count, so that a class behind one address
//! gets in.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Failures allowed in one window.
const MOST: u32 = 100;
/// Length of a window.
const WINDOW: Duration = Duration::from_secs(300);
/// How many addresses are remembered before old ones are looked for.
const CROWD: usize = 10_000;

/// Failed sign-ins by address.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    windows: Mutex<HashMap<IpAddr, Window>>,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    failures: u32,
}

impl Attempts {
    /// How long the address has to wait, if it has failed too often.
    pub(crate) fn wait(&self, remote: &str, now: Instant) -> Option<Duration> {
        let windows = self.windows();
        let window = windows.get(&subnet(remote)?)?;
        let left = WINDOW.checked_sub(now.duration_since(window.began))?;
        (window.failures >= MOST).then_some(left)
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, remote: &str, now: Instant) {
        let Some(address) = subnet(remote) else { return };
        let mut windows = self.windows();
        if windows.len() >= CROWD {
            windows.retain(|_, window| now.duration_since(window.began) < WINDOW);
        }
        let window = windows.entry(address).or_insert(Window { began: now, failures: 0 });
        if now.duration_since(window.began) >= WINDOW {
            *window = Window { began: now, failures: 0 };
        }
        window.failures += 1;
    }

    /// A panic elsewhere cannot leave a half-made entry in a map.
    fn windows(&self) -> MutexGuard<'_, HashMap<IpAddr, Window>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address itself, or the /64 that one IPv6 customer has to themselves.
fn subnet(remote: &str) -> Option<IpAddr> {
    match remote.parse().ok()? {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Some(IpAddr::from([a, b, c, d, 0, 0, 0, 0]))
        }
        address @ IpAddr::V4(_) => Some(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn login_rate_limit_by_address_counts_failures_and_ends() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for last in 0..100 {
            assert_eq!(attempts.wait("2001:db8::1", now), None);
            attempts.failed(&format!("2001:db8::{last}"), now);
        }
        assert_eq!(attempts.wait("2001:db8::ffff", now), Some(WINDOW));
        assert_eq!(attempts.wait("2001:db8:0:1::1", now), None, "another /64");
        assert_eq!(attempts.wait("192.0.2.1", now), None);
        let later = now + WINDOW + Duration::from_secs(1);
        assert_eq!(attempts.wait("2001:db8::1", later), None);
        attempts.failed("2001:db8::1", later);
        assert_eq!(attempts.wait("2001:db8::1", later), None);
    }
}
