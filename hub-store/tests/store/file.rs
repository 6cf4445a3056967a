//! A SQLite file: who may have it, and what is refused.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use hub_store::{Store, StoreConfig, StoreError};
use sqlx::{
    Connection as _, Executor as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions,
};

use crate::{engines::open, name, user};

fn config(path: &Path) -> StoreConfig {
    StoreConfig { url: format!("sqlite://{}", path.display()) }
}

async fn sql(path: &Path, statement: &'static str) {
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    connection.execute(statement).await.unwrap();
    connection.close().await.unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.sqlite");
    let store = Store::open(&config(&path)).await.unwrap();
    let ada = user(&store, "ada").await;
    store.close().await;
    assert!(store.ping().await.is_err());

    let store = Store::open(&config(&path)).await.unwrap();
    store.ping().await.unwrap();
    assert_eq!(store.users().by_name(&name("ada")).await.unwrap(), Some(ada));
}

#[tokio::test]
async fn a_second_hub_is_told_who_has_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.sqlite");
    let link = directory.path().join("link.sqlite");
    let first = Store::open(&config(&path)).await.unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();

    let second = Store::open(&config(&link)).await.unwrap_err();

    let StoreError::InUse { pid, .. } = &second else { panic!("{second:?}") };
    assert_eq!(*pid, Some(std::process::id()));
    assert!(!second.is_transient());
    drop(first);
}

#[tokio::test]
async fn a_closed_store_leaves_the_file_to_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.sqlite");
    let first = Store::open(&config(&path)).await.unwrap();
    first.close().await;
    // Still held, and still without the file.
    Store::open(&config(&path)).await.unwrap();
    assert!(first.users().count(None).await.is_err());
}

#[tokio::test]
async fn files_are_for_their_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    let (new, old) = (directory.path().join("new.sqlite"), directory.path().join("old.sqlite"));
    fs::write(&old, "").unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o644)).unwrap();

    for path in [&new, &old] {
        let store = Store::open(&config(path)).await.unwrap();
        user(&store, "ada").await;
        let beside = |suffix: &str| mode(Path::new(&format!("{}{suffix}", path.display())));
        assert_eq!([beside(""), beside("-wal"), beside(".lock")], [0o600; 3], "{path:?}");
    }
}

#[tokio::test]
async fn a_missing_directory_is_named_and_not_created() {
    let directory = tempfile::tempdir().unwrap();
    let absent = directory.path().join("absent");
    let error = Store::open(&config(&absent.join("hub.sqlite"))).await.unwrap_err();
    let expected = format!("the directory {} does not exist", absent.display());
    assert!(error.to_string().ends_with(&expected), "{error}");
    assert!(!absent.exists());
}

#[tokio::test]
async fn a_directory_is_no_database() {
    let directory = tempfile::tempdir().unwrap();
    let error = Store::open(&config(directory.path())).await.unwrap_err();
    assert!(matches!(error, StoreError::InvalidUrl { .. }), "{error:?}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("letter.txt");
    let letter = "Dear hub, ".repeat(1000);
    fs::write(&path, &letter).unwrap();

    let error = Store::open(&config(&path)).await.unwrap_err();

    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), letter);
}

#[tokio::test]
async fn another_programs_database_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jupyterhub.sqlite");
    fs::write(&path, "").unwrap();
    sql(&path, "CREATE TABLE users (id INTEGER PRIMARY KEY)").await;
    let before = fs::read(&path).unwrap();

    let error = Store::open(&config(&path)).await.unwrap_err();

    assert!(error.to_string().ends_with("the file is another program's database"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_file_keeps_a_write_ahead_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.sqlite");
    open(path.to_str().unwrap()).await.close().await;
    let options = SqliteConnectOptions::new().filename(&path);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let row = connection.fetch_one("PRAGMA journal_mode").await.unwrap();
    assert_eq!(row.get::<String, _>(0), "wal");
}

#[tokio::test]
async fn a_damaged_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.sqlite");
    open(path.to_str().unwrap()).await.close().await;
    let mut bytes = fs::read(&path).unwrap();
    let page = bytes.len() - 4096;
    bytes[page..].fill(0xAA);
    fs::write(&path, bytes).unwrap();

    let error = Store::open(&config(&path)).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused_by_number() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.sqlite");
    open(path.to_str().unwrap()).await.close().await;
    sql(
        &path,
        "INSERT INTO _sqlx_migrations SELECT 1017, 'later', installed_on, success, checksum,
        execution_time FROM _sqlx_migrations WHERE version = 1",
    )
    .await;

    let error = Store::open(&config(&path)).await.unwrap_err();

    let StoreError::Newer { found: 1017, known } = error else { panic!("{error:?}") };
    assert_eq!(
        error.to_string(),
        format!(
            "database schema 1017 is newer than this program ({known}); upgrade the program, or go \
             back to a copy of the database from before"
        )
    );
}

#[tokio::test]
async fn a_value_the_hub_never_writes_is_reported_with_its_column() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.sqlite");
    let store = open(path.to_str().unwrap()).await;
    let ada = user(&store, "ada").await;
    sql(&path, "UPDATE users SET name = 'a/b'").await;

    let error = store.users().by_id(ada.id).await.unwrap_err();

    let StoreError::Corrupt { table, column, .. } = error else { panic!("{error:?}") };
    assert_eq!((table, column), ("users", "name"));
}
