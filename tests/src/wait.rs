//! Waiting for a condition, never for a time.

use std::{fmt::Debug, time::Duration};

use tokio::time::{Instant, sleep};

/// How long anything may take before a test gives up. Generous: a slow machine
/// is no failure.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Looks until `look` returns `Ok`; what it last saw is told when the deadline
/// has passed.
pub async fn eventually<T, S: Debug, F: Future<Output = Result<T, S>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match look().await {
            Ok(value) => return value,
            Err(seen) if Instant::now() > deadline => {
                panic!("never came true: {what}; last seen: {seen:#?}")
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn a_condition_that_comes_true_ends_the_wait() {
        let looks = Cell::new(0);
        let value = eventually("three looks", || async {
            looks.set(looks.get() + 1);
            if looks.get() == 3 { Ok(looks.get()) } else { Err(looks.get()) }
        })
        .await;
        assert_eq!(value, 3);
    }
}
