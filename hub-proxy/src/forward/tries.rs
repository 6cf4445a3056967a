//! When to try again what was refused (K-06).

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The first pause and the longest: a server that begins to listen is found soon, one that
/// does not is not asked all the time.
const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(500);

/// Tries with growing pauses between them, the last one at the end of a time.
#[derive(Debug)]
pub(super) struct Tries {
    /// None where time has no end.
    end: Option<Instant>,
    pause: Duration,
}

impl Tries {
    pub(super) fn over(time: Duration) -> Self {
        Self { end: Instant::now().checked_add(time), pause: FIRST }
    }

    /// Waits for the next try; whether there is one.
    pub(super) async fn another(&mut self) -> bool {
        let now = Instant::now();
        if self.end.is_some_and(|end| now >= end) {
            return false;
        }
        let next = now + self.pause;
        sleep_until(self.end.map_or(next, |end| end.min(next))).await;
        self.pause = LONGEST.min(2 * self.pause);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn k_06_pauses_grow_and_the_last_try_is_at_the_end() {
        let began = Instant::now();
        let mut tries = Tries::over(Duration::from_millis(1500));
        let mut at = Vec::new();
        while tries.another().await {
            at.push(began.elapsed().as_millis());
        }
        assert_eq!(at, [10, 30, 70, 150, 310, 630, 1130, 1500]);
    }

    #[tokio::test(start_paused = true)]
    async fn k_06_tries_over_all_time_there_is_go_on() {
        let mut tries = Tries::over(Duration::MAX);
        for _ in 0..100 {
            assert!(tries.another().await);
        }
    }
}
