//! How long a start may take.

use std::{pin::pin, time::Duration};

use tokio::time::timeout;

/// How often somebody looks whether an image is fetched.
const STEP: Duration = Duration::from_secs(1);

/// Awaits `start`; `None` if that takes longer than `limit`. The time in which a backend
/// fetches an image does not count (SPN-13): the backend limits that itself.
pub(super) async fn within<T>(
    limit: Duration,
    is_fetching: impl Fn() -> bool,
    start: impl Future<Output = T>,
) -> Option<T> {
    let mut start = pin!(start);
    let mut left = limit;
    while !left.is_zero() {
        let step = left.min(STEP);
        if let Ok(started) = timeout(step, &mut start).await {
            return Some(started);
        }
        if !is_fetching() {
            left -= step;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::sync::Notify;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(5);

    #[tokio::test]
    async fn a_start_in_which_nothing_is_fetched_takes_no_longer_than_its_limit() {
        assert_eq!(within(LIMIT, || false, std::future::pending::<()>()).await, None);
        assert_eq!(within(LIMIT, || false, async { 7 }).await, Some(7));
    }

    #[tokio::test]
    async fn the_time_in_which_an_image_is_fetched_does_not_count() {
        let (looks, fetched) = (Cell::new(0), Notify::new());
        let is_fetching = || {
            looks.set(looks.get() + 1);
            if looks.get() == 3 {
                fetched.notify_one();
            }
            looks.get() <= 3
        };
        // Three times the limit pass before it is there.
        assert_eq!(within(LIMIT, is_fetching, fetched.notified()).await, Some(()));

        looks.set(0);
        let is_fetching = || {
            looks.set(looks.get() + 1);
            looks.get() <= 3
        };
        assert_eq!(within(LIMIT, is_fetching, std::future::pending::<()>()).await, None);
        assert_eq!(looks.get(), 4);
    }
}
