//! Moments to come.

use std::time::Duration;

use tokio::time::Instant;

/// What stands for ever, about thirty years: longer than any process runs.
const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// So long after `since`. Whoever wants no limit may say so by one that no clock reaches.
pub(crate) fn after(since: Instant, limit: Duration) -> Instant {
    since.checked_add(limit).unwrap_or_else(|| since + FOR_EVER)
}
