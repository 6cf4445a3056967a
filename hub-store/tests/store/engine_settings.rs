//! How the databases are set up, as seen from a failing one.

use std::error::Error as _;

use hub_store::{Store, StoreConfig, StoreError};
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::{engines::open, name, scratch::Schema, user};

/// What the sessions to be killed are called on the server.
const KILLED: &str = "hub_test_killed";

async fn refused(url: &str) -> StoreError {
    Store::open(&StoreConfig { url: url.to_owned() }).await.unwrap_err()
}

#[tokio::test]
async fn a_postgres_that_is_not_there_is_transient_trouble() {
    // Port 1 on this machine: nobody listens there.
    let error = refused("postgres://hub:hunter2@127.0.0.1:1/hub").await;

    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(error.is_transient());
    assert!(error.source().is_some());
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn another_kind_of_store_is_refused() {
    let error = refused("mysql://hub:hunter2@db/hub").await;
    assert!(matches!(error, StoreError::InvalidUrl { .. }), "{error:?}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
async fn a_postgres_of_a_newer_program_is_refused_by_number() {
    let schema = Schema::create().await;
    let config = StoreConfig { url: schema.url().to_owned() };
    Store::open(&config).await.unwrap().close().await;
    let mut connection = PgConnection::connect(schema.url()).await.unwrap();
    let newer =
        "INSERT INTO _sqlx_migrations SELECT 1017, 'later', installed_on, success, checksum,
        execution_time FROM _sqlx_migrations WHERE version = 1";
    connection.execute(newer).await.unwrap();
    connection.close().await.unwrap();

    let error = Store::open(&config).await.unwrap_err();

    schema.remove().await;
    assert!(matches!(error, StoreError::Newer { found: 1017, .. }), "{error:?}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
async fn what_was_written_is_there_after_reopening_postgres() {
    let schema = Schema::create().await;
    let config = StoreConfig { url: schema.url().to_owned() };
    let store = Store::open(&config).await.unwrap();
    let ada = user(&store, "ada").await;
    store.close().await;

    let store = Store::open(&config).await.unwrap();
    let found = store.users().by_name(&name("ada")).await.unwrap();

    store.close().await;
    schema.remove().await;
    assert_eq!(found, Some(ada));
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
async fn killed_sessions_heal_by_themselves() {
    let schema = Schema::create().await;
    let url = format!("{}&application_name={KILLED}", schema.url());
    let store = open(&url).await;
    user(&store, "ada").await;
    let mut connection = PgConnection::connect(schema.url()).await.unwrap();
    let killed = connection
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = 'hub_test_killed'",
        )
        .await
        .unwrap();
    connection.close().await.unwrap();

    let found = store.users().by_name(&name("ada")).await;

    store.close().await;
    schema.remove().await;
    assert_eq!(killed.rows_affected(), 2, "one session for statements, one for the lock");
    assert!(found.unwrap().is_some());
}
