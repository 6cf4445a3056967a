//! What is particular to SQLite: files, locks, one writer and several readers.

pub(crate) mod before;
mod lock;

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Row as _, SqliteConnection, SqlitePool,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous},
};

use self::lock::Lock;
use crate::{
    StoreConfig, StoreError,
    error::{Failure, cause},
    migrations,
    row::Row,
    statement::Statement,
    value::{Value, bound},
};

/// How long to wait for somebody else's lock, such as a backup's.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call may queue for the writer before it is better refused.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that read while the writer writes.
const READERS: u32 = 4;
/// Rows hold digests and names: for the owner of the file only.
const MODE: u32 = 0o600;
/// What an error says was being done while a file was checked.
const CHECK: &str = "check the database";

/// An open SQLite database.
///
/// All changes go through one connection, so that they queue here, in order and
/// without polling, instead of at SQLite's lock.
#[derive(Debug)]
pub(crate) struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    /// Held until the store is closed; a database in memory needs none.
    lock: Option<Lock>,
}

impl Sqlite {
    /// Opens an empty database that ends with the process.
    pub(crate) async fn in_memory() -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .in_memory(true)
            .foreign_keys(true)
            .disable_statement_logging();
        // Every connection would have a database of its own, so there is one.
        let writer = pool(1)
            .connect_with(options)
            .await
            .map_err(|error| Failure::new("open a database in memory", error))?;
        let sqlite = Self { readers: writer.clone(), writer, lock: None };
        sqlite.migrate().await?;
        Ok(sqlite)
    }

    /// Opens the database in the file at `path`, making the file if there is none.
    pub(crate) async fn open(path: &Path, config: &StoreConfig) -> Result<Self, StoreError> {
        let path = prepared(path, config)?;
        let lock = Lock::acquire(&path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            // NORMAL may lose a confirmed commit when the power fails.
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging();
        let writer = pool(1)
            .connect_with(options.clone())
            .await
            .map_err(|error| unreadable(&path, "open the database", error))?;
        let readers = pool(READERS).connect_lazy_with(options.pragma("query_only", "ON"));
        let sqlite = Self { writer, readers, lock: Some(lock) };
        sqlite.check(&path, config).await?;
        sqlite.keep_a_copy(&path).await?;
        sqlite.keep_a_log().await?;
        sqlite.migrate().await?;
        Ok(sqlite)
    }

    /// Opens the database in the file at `path`, which is there, beside whoever
    /// has it.
    pub(crate) async fn open_read_only(
        path: &Path,
        config: &StoreConfig,
    ) -> Result<Self, StoreError> {
        if !path.is_file() {
            return Err(config.invalid("there is no such file"));
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let readers = pool(1)
            .connect_with(options)
            .await
            .map_err(|error| unreadable(path, "open the database", error))?;
        let sqlite = Self { writer: readers.clone(), readers, lock: None };
        sqlite.check(path, config).await?;
        let mut connection = sqlite.reader("look at the schema").await?;
        migrations::check(&mut *connection, config).await?;
        drop(connection);
        Ok(sqlite)
    }

    /// Puts a kept copy in the place of a newer database.
    pub(crate) async fn put_back(path: &Path) -> Result<before::PutBack, StoreError> {
        before::put_back(path, migrations::last(migrations::SQLITE)).await
    }

    pub(crate) async fn reader(
        &self,
        action: &'static str,
    ) -> Result<PoolConnection<sqlx::Sqlite>, Failure> {
        self.readers.acquire().await.map_err(|error| Failure::new(action, error))
    }

    pub(crate) async fn writer(
        &self,
        action: &'static str,
    ) -> Result<PoolConnection<sqlx::Sqlite>, Failure> {
        self.writer.acquire().await.map_err(|error| Failure::new(action, error))
    }

    pub(crate) async fn begin(
        &self,
        action: &'static str,
    ) -> Result<sqlx::Transaction<'static, sqlx::Sqlite>, Failure> {
        // A transaction that reads first and writes later cannot wait for a lock
        // another program took in between; so it takes the lock at once.
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(|error| Failure::new(action, error))
    }

    pub(crate) async fn snapshot(
        &self,
        action: &'static str,
    ) -> Result<sqlx::Transaction<'static, sqlx::Sqlite>, Failure> {
        // What the first statement sees is what all others see.
        self.readers.begin().await.map_err(|error| Failure::new(action, error))
    }

    pub(crate) async fn close(&self) {
        // Readers first: the last connection to close moves the log into the file.
        self.readers.close().await;
        self.writer.close().await;
        if let Some(lock) = &self.lock {
            lock.release();
        }
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.writer(migrations::ACTION).await?;
        migrations::apply(&mut *connection, migrations::SQLITE).await
    }

    /// Refuses a file before anything is written to it.
    async fn check(&self, path: &Path, config: &StoreConfig) -> Result<(), StoreError> {
        let mut connection = self.writer(CHECK).await?;
        check(&mut connection, path, config, "PRAGMA quick_check(1)").await
    }

    async fn keep_a_copy(&self, path: &Path) -> Result<(), StoreError> {
        let mut connection = self.writer(migrations::ACTION).await?;
        before::keep(&mut connection, path).await
    }

    /// Switches the file to a write-ahead log, for good: readers then do not wait
    /// for the writer.
    async fn keep_a_log(&self) -> Result<(), StoreError> {
        const ACTION: &str = "switch the database to a write-ahead log";
        let mut connection = self.writer(ACTION).await?;
        sqlx::query("PRAGMA journal_mode = WAL")
            .execute(&mut *connection)
            .await
            .map_err(|error| Failure::new(ACTION, error))?;
        Ok(())
    }
}

/// What is said about the database of the hub that was there before. Its users are
/// named in the user list, its tokens are made anew.
const JUPYTERHUB: &str = "the file is JupyterHub's database, which is left alone; name another \
                          file in store.url, for example sqlite://hub.sqlite";

/// Refuses a file that is damaged or another program's. `pragma` says how much of
/// it is read: it answers `ok`, or the first thing that is wrong.
pub(crate) async fn check(
    connection: &mut SqliteConnection,
    path: &Path,
    config: &StoreConfig,
    pragma: &'static str,
) -> Result<(), StoreError> {
    let failed = |error| unreadable(path, CHECK, error);
    let found: String = sqlx::query(pragma)
        .fetch_one(&mut *connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(failed)?;
    if found != "ok" {
        return Err(StoreError::Damaged { path: path.to_owned(), source: found.into() });
    }
    let found = sqlx::query(
        "SELECT count(*) > 0 AND sum(name = '_sqlx_migrations') = 0,
                coalesce(sum(name IN ('spawners', 'hubs')), 0) > 0
         FROM sqlite_schema WHERE type = 'table'",
    )
    .fetch_one(connection)
    .await
    .map_err(failed)?;
    let foreign: bool = found.try_get(0).map_err(failed)?;
    let jupyterhub: bool = found.try_get(1).map_err(failed)?;
    match (foreign, jupyterhub) {
        (true, true) => Err(config.invalid(JUPYTERHUB)),
        (true, false) => Err(config.invalid("the file is another program's database")),
        (false, _) => Ok(()),
    }
}

/// Runs a statement and returns how many rows it changed.
pub(crate) async fn run(
    connection: &mut SqliteConnection,
    statement: &Statement,
    values: &[Value<'_>],
) -> Result<u64, Failure> {
    bound::<sqlx::Sqlite>(statement, values)
        .execute(connection)
        .await
        .map(|done| done.rows_affected())
        .map_err(|error| Failure::new(statement.action, error))
}

/// Runs a statement and returns its rows.
pub(crate) async fn rows(
    connection: &mut SqliteConnection,
    statement: &Statement,
    values: &[Value<'_>],
) -> Result<Vec<Row>, Failure> {
    bound::<sqlx::Sqlite>(statement, values)
        .fetch_all(connection)
        .await
        .map(|rows| rows.into_iter().map(Row::Sqlite).collect())
        .map_err(|error| Failure::new(statement.action, error))
}

/// A pool whose connections stay: a database in memory lives as long as one.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(QUEUE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// The file that `path` leads to, present and readable by its owner only.
///
/// Links are followed, so that two names of a file are one store with one lock.
fn prepared(path: &Path, config: &StoreConfig) -> Result<PathBuf, StoreError> {
    let directory = directory_of(path, config)?;
    create(path, directory).map_err(|error| failed("create the database file", error))?;
    path.canonicalize().map_err(|error| failed("find the database file", error))
}

/// The directory that the file at `path` is in, or is to be in.
pub(crate) fn directory_of<'p>(
    path: &'p Path,
    config: &StoreConfig,
) -> Result<&'p Path, StoreError> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        let reason = format!("the directory {} does not exist", directory.display());
        return Err(config.invalid(reason));
    }
    if path.is_dir() {
        return Err(config.invalid("it names a directory, not a file"));
    }
    Ok(directory)
}

fn create(path: &Path, directory: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        // A new name in a directory survives a power failure only when the
        // directory itself was written.
        Ok(_) => File::open(directory)?.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => restrict(path),
        Err(error) => Err(error),
    }
}

/// Takes away what an older or hand-made file allows to others.
fn restrict(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))
}

/// Tells a file that is no sound database from other trouble.
pub(crate) fn unreadable(path: &Path, action: &'static str, error: sqlx::Error) -> StoreError {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    match code.map(|code| code & 0xff) {
        // SQLITE_CORRUPT, SQLITE_NOTADB
        Some(11 | 26) => StoreError::Damaged { path: path.to_owned(), source: cause(error) },
        _ => Failure::new(action, error).into(),
    }
}

fn failed(action: &'static str, error: io::Error) -> StoreError {
    StoreError::Unavailable { action, source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pragma(mut connection: PoolConnection<sqlx::Sqlite>, query: &'static str) -> i64 {
        sqlx::query(query).fetch_one(&mut *connection).await.unwrap().get(0)
    }

    #[tokio::test]
    async fn connections_to_a_file_are_set_up_to_lose_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hub.sqlite");
        let config = StoreConfig { url: path.display().to_string() };
        let sqlite = Sqlite::open(&path, &config).await.unwrap();

        for (query, expected) in [
            ("PRAGMA synchronous", 2),
            ("PRAGMA foreign_keys", 1),
            ("PRAGMA busy_timeout", 5000),
            ("PRAGMA query_only", 0),
        ] {
            let writer = sqlite.writer("test").await.unwrap();
            assert_eq!(pragma(writer, query).await, expected, "{query}");
        }
        let reader = sqlite.reader("test").await.unwrap();
        assert_eq!(pragma(reader, "PRAGMA query_only").await, 1);
    }
}
