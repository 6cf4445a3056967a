//! Runs a test on SQLite in memory, on a SQLite file and on PostgreSQL.
//!
//! The file is no repetition: only there readers and the writer are different
//! connections.

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt as _;
use hub_store::{Store, StoreConfig};

use crate::scratch::Schema;

/// Declares tests of an empty store.
macro_rules! on_every_engine {
    ($(async fn $name:ident($store:ident) $body:block)+) => {$(
        mod $name {
            use super::*;

            async fn check($store: hub_store::Store) $body

            #[tokio::test]
            async fn in_memory() {
                $crate::engines::in_memory(check).await;
            }

            #[tokio::test]
            async fn in_a_file() {
                $crate::engines::in_a_file(check).await;
            }

            #[tokio::test]
            #[ignore = "needs PostgreSQL: cargo xtask test"]
            async fn on_postgres() {
                $crate::engines::on_postgres(check).await;
            }
        }
    )+};
}

pub(crate) async fn in_memory<F: Future<Output = ()>>(check: impl FnOnce(Store) -> F) {
    check(Store::in_memory().await.unwrap()).await;
}

pub(crate) async fn in_a_file<F: Future<Output = ()>>(check: impl FnOnce(Store) -> F) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.sqlite");
    check(open(path.to_str().unwrap()).await).await;
}

pub(crate) async fn on_postgres<F: Future<Output = ()>>(check: impl FnOnce(Store) -> F) {
    let schema = Schema::create().await;
    let store = open(schema.url()).await;
    let outcome = AssertUnwindSafe(check(store.clone())).catch_unwind().await;
    // An open transaction of a test that failed would keep the schema.
    store.close().await;
    schema.remove().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

pub(crate) async fn open(url: &str) -> Store {
    Store::open(&StoreConfig { url: url.to_owned() }).await.unwrap()
}
