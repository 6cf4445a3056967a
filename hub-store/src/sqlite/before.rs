//! A copy of the database as it was before a newer program changed its tables: the
//! way back to the program that was (a database that is newer than a program is
//! refused).

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use sqlx::{Row as _, SqliteConnection};

use super::{MODE, unreadable};
use crate::{StoreError, migrations};

const ACTION: &str = "copy the database before its tables are changed";

/// Where the copy with the tables of step `schema` is: `hub.sqlite.schema-3`.
fn place(path: &Path, schema: i64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".schema-{schema}"));
    name.into()
}

/// Keeps a copy, if the database has tables and lacks steps. A copy with the same
/// tables from an earlier time is replaced.
pub(super) async fn keep(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let failed = |error| unreadable(path, ACTION, error);
    let is_new =
        sqlx::query("SELECT count(*) = 0 FROM sqlite_schema WHERE name = '_sqlx_migrations'")
            .fetch_one(&mut *connection)
            .await
            .and_then(|row| row.try_get::<bool, _>(0))
            .map_err(failed)?;
    if is_new {
        return Ok(());
    }
    let schema: Option<i64> = sqlx::query("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(&mut *connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(failed)?;
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
    use sqlx::{Connection as _, sqlite::SqliteConnectOptions};

    use super::*;
    use crate::StoreConfig;

    async fn connection(path: &Path) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    async fn schema(path: &Path) -> i64 {
        let mut connection = connection(path).await;
        let row = sqlx::query("SELECT max(version) FROM _sqlx_migrations")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        row.try_get(0).unwrap()
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
}
