//! A PostgreSQL schema: who may have it.

use hub_store::{Store, StoreConfig, StoreError};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::{engines::open, scratch::Schema};

/// The schema's URL, with sessions of a name by which they can be killed.
fn named(schema: &Schema, name: &str) -> String {
    format!("{}&application_name={name}", schema.url())
}

async fn kill(schema: &Schema, name: &str) {
    let mut connection = PgConnection::connect(schema.url()).await.unwrap();
    // Waits for the end of each session, up to a minute.
    let sql = format!(
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
         WHERE application_name = '{name}'"
    );
    let killed = connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
    assert!(killed.rows_affected() > 0, "there was a session to kill");
}

async fn refusal(url: &str) -> StoreError {
    Store::open(&StoreConfig { url: url.to_owned() }).await.unwrap_err()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
async fn a_second_hub_on_a_postgres_schema_is_refused_until_the_first_has_closed() {
    let schema = Schema::create().await;
    let first = open(schema.url()).await;

    let error = refusal(schema.url()).await;
    first.close().await;
    let next = open(schema.url()).await;

    next.close().await;
    schema.remove().await;
    assert!(matches!(error, StoreError::InUse { pid: None, .. }), "{error:?}");
    assert!(!error.is_transient());
    let text = error.to_string();
    assert!(text.contains("uses the database postgres"), "{text}");
    assert!(!text.contains("search_path"), "{text}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
async fn the_last_clone_takes_the_lock_along() {
    let schema = Schema::create().await;
    let first = open(schema.url()).await;
    let clone = first.clone();
    drop(first);
    clone.ping().await.unwrap();
    drop(clone);

    let next = open(schema.url()).await;

    next.close().await;
    schema.remove().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
async fn two_schemas_of_a_database_have_a_hub_each() {
    let (one, other) = (Schema::create().await, Schema::create().await);
    let stores = [open(one.url()).await, open(other.url()).await];

    for store in stores {
        store.ping().await.unwrap();
        store.close().await;
    }
    one.remove().await;
    other.remove().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
async fn a_lost_lock_is_taken_again_by_the_next_ping() {
    let schema = Schema::create().await;
    let first = open(&named(&schema, "hub_test_retaken")).await;
    kill(&schema, "hub_test_retaken").await;

    first.ping().await.unwrap();
    let error = refusal(schema.url()).await;

    first.close().await;
    schema.remove().await;
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
async fn a_hub_that_lost_its_database_to_another_hears_so_from_ping() {
    let schema = Schema::create().await;
    let first = open(&named(&schema, "hub_test_replaced")).await;
    kill(&schema, "hub_test_replaced").await;
    let second = open(schema.url()).await;

    let error = first.ping().await.unwrap_err();

    first.close().await;
    second.close().await;
    schema.remove().await;
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
}
