use hub_store::{NewTries, Store};
use serde_json::{Value as Json, json};

use crate::at;

/// Counts one more, and says how many there were.
async fn count(store: &Store, key: &str) -> u64 {
    let decide = |known: Option<Json>| {
        let before = known.as_ref().and_then(Json::as_u64).unwrap_or(0);
        (Some(NewTries { tries: json!(before + 1), expires_at: at(100) }), before)
    };
    store.login_tries().count(key, at(0), decide).await.unwrap()
}

async fn known(store: &Store, key: &str) -> Option<Json> {
    store.login_tries().count(key, at(0), |known| (None, known)).await.unwrap()
}

on_every_engine! {
    async fn nat_2_tries_at_the_same_moment_are_all_counted(store) {
        let tries = (0..20).map(|_| count(&store, "account:ada"));
        let mut before = futures_util::future::join_all(tries).await;
        before.sort_unstable();
        assert_eq!(before, (0..20).collect::<Vec<u64>>());
        assert_eq!(known(&store, "account:ada").await, Some(json!(20)));
        assert_eq!(known(&store, "account:bob").await, None);
    }

    async fn tries_are_forgotten_or_expire(store) {
        count(&store, "one").await;
        count(&store, "two").await;
        assert!(store.login_tries().forget("one").await.unwrap());
        assert!(!store.login_tries().forget("one").await.unwrap());
        assert_eq!(store.login_tries().sweep(at(99)).await.unwrap(), 0);
        assert_eq!(store.login_tries().sweep(at(100)).await.unwrap(), 1);
        assert_eq!(known(&store, "two").await, None);
        // Looking leaves nothing behind.
        assert_eq!(store.login_tries().sweep(at(100)).await.unwrap(), 0);
    }
}
