//! Failed tries that end with the process.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;

use super::{Tries, TryLimit, TryStore};
use crate::BoxError;

/// From so many keys on, those whose tries do not count any more are dropped.
const SWEEP_KEYS: usize = 1024;

/// Counts failed tries in memory, for programs without a store: a restart forgives all.
#[derive(Debug, Default)]
pub struct TriesInMemory {
    failed: Mutex<HashMap<String, Tries>>,
}

#[async_trait]
impl TryStore for TriesInMemory {
    async fn count_try(
        &self,
        key: &str,
        limit: &TryLimit,
        now: SystemTime,
    ) -> Result<Result<(), Duration>, BoxError> {
        // A panic elsewhere cannot leave the map half changed.
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= SWEEP_KEYS && !failed.contains_key(key) {
            failed.retain(|_, tries| !limit.is_over(tries, now));
        }
        Ok(limit.count(failed.entry(key.to_owned()).or_default(), now))
    }

    async fn forgive(&self, key: &str) -> Result<(), BoxError> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const LIMIT: TryLimit = TryLimit::ACCOUNT;

    async fn count(tries: &TriesInMemory, key: &str, seconds: u64) -> Result<(), Duration> {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds);
        tries.count_try(key, &LIMIT, now).await.unwrap()
    }

    #[tokio::test]
    async fn a1_login_rate_limit_is_ten_failed_tries_in_five_minutes() {
        let tries = TriesInMemory::default();
        for _ in 0..9 {
            assert_eq!(count(&tries, "ada", 0).await, Ok(()));
        }
        assert_eq!(count(&tries, "ada", 60).await, Ok(()));
        assert_eq!(count(&tries, "ada", 60).await, Err(Duration::from_secs(240)));
        assert_eq!(count(&tries, "bob", 60).await, Ok(()), "others are not held up");
        assert!(count(&tries, "ada", 299).await.is_err());
        // Nine tries have expired; refused ones did not count.
        for _ in 0..9 {
            assert_eq!(count(&tries, "ada", 300).await, Ok(()));
        }
        assert_eq!(count(&tries, "ada", 300).await, Err(Duration::from_secs(60)));
    }

    #[tokio::test]
    async fn a1_success_resets_the_account_only() {
        let tries = TriesInMemory::default();
        for _ in 0..10 {
            count(&tries, "ada", 0).await.unwrap();
            count(&tries, "bob", 0).await.unwrap();
        }
        tries.forgive("ada").await.unwrap();
        assert!(count(&tries, "ada", 0).await.is_ok());
        assert!(count(&tries, "bob", 0).await.is_err());
    }

    #[tokio::test]
    async fn names_that_nobody_tries_any_more_are_dropped() {
        let tries = TriesInMemory::default();
        for index in 0..SWEEP_KEYS {
            count(&tries, &format!("n{index}"), 0).await.unwrap();
        }
        count(&tries, "late", 300).await.unwrap();
        assert_eq!(tries.failed.lock().unwrap().len(), 1);
    }
}
