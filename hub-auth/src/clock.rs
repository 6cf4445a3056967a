//! What time it is, for those parts that compare it with times of others.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A clock. Parts that need one are given it, so that tests can move it.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The clock of this computer.
#[expect(clippy::disallowed_methods, reason = "the one place that looks at the real clock")]
pub fn system_clock() -> Clock {
    Arc::new(SystemTime::now)
}

/// Seconds since 1970; zero for earlier times.
pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
