//! A look at a database that changes nothing.

use std::{fs, path::Path};

use hub_store::{Depth, Store, StoreConfig, StoreError};
use sqlx::{Connection as _, Executor as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{at, key, name, scratch::Schema};

fn config(path: &Path) -> StoreConfig {
    StoreConfig { url: format!("sqlite://{}", path.display()) }
}

async fn sql(path: &Path, statement: &'static str) {
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    connection.execute(statement).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_database_in_use_can_be_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory.path().join("hub.sqlite"));
    let store = Store::open(&config).await.unwrap();
    store.users().ensure(&name("ada"), at(1)).await.unwrap();
    store.servers().ensure(&key("ada", "lab"), at(1)).await.unwrap();

    for depth in [Depth::Quick, Depth::Full] {
        let seen = Store::examine(&config, depth).await.unwrap();
        assert_eq!(seen.schema, Some(seen.known));
        assert_eq!(seen.servers, [key("ada", "lab")]);
    }
    store.ping().await.unwrap();
}

#[tokio::test]
async fn nothing_is_made_where_nothing_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.sqlite");
    let seen = Store::examine(&config(&path), Depth::Quick).await.unwrap();
    assert_eq!((seen.file.as_deref(), seen.schema), (Some(path.as_path()), None));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);

    let missing = directory.path().join("no/hub.sqlite");
    let error = Store::examine(&config(&missing), Depth::Quick).await.unwrap_err();
    assert!(matches!(error, StoreError::InvalidUrl { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_store_of_ours_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("text");
    fs::write(&text, "this is no database at all, but long enough to look like one".repeat(100))
        .unwrap();
    let error = Store::examine(&config(&text), Depth::Quick).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");

    let newer = directory.path().join("newer.sqlite");
    Store::open(&config(&newer)).await.unwrap().close().await;
    sql(
        &newer,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (999, 'later', true, x'00', 0)",
    )
    .await;
    let error = Store::examine(&config(&newer), Depth::Quick).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 999, .. }), "{error:?}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
async fn a_server_s_database_can_be_looked_at_in_use_and_empty() {
    let schema = Schema::create().await;
    let config = StoreConfig { url: schema.url().to_owned() };
    let empty = Store::examine(&config, Depth::Quick).await.unwrap();
    assert_eq!((empty.file, empty.schema), (None, None));

    let store = Store::open(&config).await.unwrap();
    store.users().ensure(&name("ada"), at(1)).await.unwrap();
    store.servers().ensure(&key("ada", ""), at(1)).await.unwrap();
    let seen = Store::examine(&config, Depth::Quick).await.unwrap();
    assert_eq!((seen.schema, seen.servers), (Some(seen.known), vec![key("ada", "")]));
    store.close().await;
    schema.remove().await;
}
