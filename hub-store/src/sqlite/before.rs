//! A copy of the database as it was before a newer program changed its tables: the
//! way back to the program that was (a database that is newer than a program is
//! refused).

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use sqlx::{Connection as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{MODE, lock::Lock, unreadable};
use crate::{StoreError, migrations};

const ACTION: &str = "copy the database before its tables are changed";

/// Where the copy with the tables of step `schema` is: `hub.sqlite.schema-3`.
fn place(path: &Path, schema: i64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".schema-{schema}"));
    name.into()
}

/// Where a database with the tables of step `schema` is while an older program has
/// its own: `hub.sqlite.newer-4`.
fn aside(path: &Path, schema: i64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".newer-{schema}"));
    name.into()
}

/// What became of a database that a program is to use without changing its tables.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutBack {
    /// It has this program's tables, or older ones, or is not there.
    Unneeded,
    /// A kept one has taken its place.
    Done {
        /// The last step of the tables that the database had.
        found: i64,
        /// Where it is now.
        aside: PathBuf,
    },
}

/// Puts the copy that was kept for the program with the tables of step `known` in
/// the place of a newer database; or the newer one again, if an older program was
/// tried in between.
pub(super) async fn put_back(path: &Path, known: i64) -> Result<PutBack, StoreError> {
    const ACTION: &str = "put a copy of the database back";
    if !path.is_file() {
        return Ok(PutBack::Unneeded);
    }
    let failed = |error| unreadable(path, ACTION, error);
    let path = path.canonicalize().map_err(|error| super::failed(ACTION, error))?;
    let lock = Lock::acquire(&path)?;
    let options = SqliteConnectOptions::new().filename(&path);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    let found = match schema(&mut connection, &path).await? {
        Some(found) if found != known => found,
        _ => return Ok(PutBack::Unneeded),
    };
    let (from, to) = if found > known {
        (place(&path, known), aside(&path, found))
    } else {
        (aside(&path, known), place(&path, found))
    };
    if !from.is_file() {
        return match found > known {
            true => Err(StoreError::Newer { found, known }),
            false => Ok(PutBack::Unneeded),
        };
    }
    // The log belongs to this file, and must not be taken for the other's.
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(&mut connection)
        .await
        .map_err(failed)?;
    connection.close().await.map_err(failed)?;
    let unmoved = |error| super::failed(ACTION, error);
    for end in ["-wal", "-shm"] {
        let mut log = path.as_os_str().to_owned();
        log.push(end);
        removed(Path::new(&log)).map_err(unmoved)?;
    }
    // Under its own name there is a database at any time.
    removed(&to).map_err(unmoved)?;
    fs::hard_link(&path, &to).map_err(unmoved)?;
    fs::rename(&from, &path).map_err(unmoved)?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(unmoved)?;
    lock.release();
    Ok(PutBack::Done { found, aside: to })
}

fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The last step of a database's tables; `None` if it has none of ours.
async fn schema(connection: &mut SqliteConnection, path: &Path) -> Result<Option<i64>, StoreError> {
    let failed = |error| unreadable(path, ACTION, error);
    let is_new =
        sqlx::query("SELECT count(*) = 0 FROM sqlite_schema WHERE name = '_sqlx_migrations'")
            .fetch_one(&mut *connection)
            .await
            .and_then(|row| row.try_get::<bool, _>(0))
            .map_err(failed)?;
    if is_new {
        return Ok(None);
    }
    sqlx::query("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(&mut *connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(failed)
}

/// Keeps a copy, if the database has tables and lacks steps. A copy with the same
/// tables from an earlier time is replaced.
pub(super) async fn keep(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let failed = |error| unreadable(path, ACTION, error);
    let schema = schema(connection, path).await?;
    let Some(schema) = schema.filter(|schema| *schema < migrations::last(migrations::SQLITE))
    else {
        return Ok(());
    };
    let copy = place(path, schema);
    let mut part = copy.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let unwritten = |source: io::Error| StoreError::Unavailable {
        action: ACTION,
        source: format!("{}: {source}", copy.display()).into(),
    };
    // SQLite writes to a file that is there only if that is empty; one that is made
    // here is nobody else's to read from the first byte on.
    fs::write(&part, "").map_err(unwritten)?;
    fs::set_permissions(&part, fs::Permissions::from_mode(MODE)).map_err(unwritten)?;
    sqlx::query("VACUUM INTO $1")
        .bind(part.to_string_lossy())
        .execute(connection)
        .await
        .map_err(failed)?;
    fs::File::open(&part).and_then(|file| file.sync_all()).map_err(unwritten)?;
    fs::rename(&part, &copy).map_err(unwritten)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreConfig;

    async fn connection(path: &Path) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    async fn schema(path: &Path) -> i64 {
        super::schema(&mut connection(path).await, path).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn a_database_is_copied_before_its_tables_change_and_not_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hub.sqlite");
        let config = StoreConfig { url: format!("sqlite://{}", path.display()) };
        let mut old = connection(&path).await;
        migrations::apply(&mut old, &migrations::SQLITE[..1]).await.unwrap();
        old.close().await.unwrap();
        // What an interrupted run has left.
        fs::write(dir.path().join("hub.sqlite.schema-1.part"), "").unwrap();

        super::super::Sqlite::open(&path, &config).await.unwrap().close().await;
        let copy = place(&path, 1);
        assert_eq!(schema(&copy).await, 1);
        assert_eq!(schema(&path).await, migrations::last(migrations::SQLITE));
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, MODE);

        // The tables are as they should be: there is nothing to keep.
        fs::remove_file(&copy).unwrap();
        super::super::Sqlite::open(&path, &config).await.unwrap().close().await;
        let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let copies = names.filter(|name| name.to_string_lossy().contains("schema")).count();
        assert_eq!(copies, 0);
    }

    /// Makes the tables those of a later program.
    async fn migrate_to(path: &Path, version: i64) {
        let mut connection = connection(path).await;
        sqlx::query("UPDATE _sqlx_migrations SET version = $1 WHERE version = (SELECT max(version) FROM _sqlx_migrations)")
            .bind(version)
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }

    #[tokio::test]
    async fn an_older_program_gets_the_copy_that_was_kept_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hub.sqlite");
        assert_eq!(put_back(&path, 3).await.unwrap(), PutBack::Unneeded, "there is none");
        let config = StoreConfig { url: format!("sqlite://{}", path.display()) };
        let store = super::super::Sqlite::open(&path, &config).await.unwrap();
        let known = migrations::last(migrations::SQLITE);
        let refused = put_back(&path, known).await.unwrap_err();
        assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
        store.close().await;
        assert_eq!(put_back(&path, known).await.unwrap(), PutBack::Unneeded);

        // A later program has kept a copy and changed the tables.
        fs::copy(&path, place(&path, known)).unwrap();
        migrate_to(&path, known + 7).await;
        let there = aside(&path, known + 7);
        let done = PutBack::Done { found: known + 7, aside: there.canonicalize().unwrap_or(there) };
        assert_eq!(put_back(&path, known).await.unwrap(), done);
        assert_eq!(schema(&path).await, known);
        super::super::Sqlite::open(&path, &config).await.unwrap().close().await;

        // And the later program again, with its own.
        let done = put_back(&path, known + 7).await.unwrap();
        assert!(matches!(done, PutBack::Done { found, .. } if found == known), "{done:?}");
        assert_eq!((schema(&path).await, schema(&place(&path, known)).await), (known + 7, known));

        // Without a copy nothing is touched.
        fs::remove_file(place(&path, known)).unwrap();
        let refused = put_back(&path, known).await.unwrap_err();
        assert!(matches!(refused, StoreError::Newer { .. }), "{refused}");
        assert_eq!(schema(&path).await, known + 7);
    }
}
