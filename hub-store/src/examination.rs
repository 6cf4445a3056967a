//! A look at a database that changes nothing, also while a hub uses it.

use std::path::{Path, PathBuf};

use hub_names::ServerKey;
use sqlx::{
    ConnectOptions as _, Connection as _, Row as _, SqliteConnection, postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};

use crate::{
    Store, StoreConfig, StoreError,
    config::Location,
    error::Failure,
    migrations,
    postgres::{self, Postgres},
    row::Row,
    sqlite,
    statement::statements,
};

statements! {
    SERVERS: "list all servers",
        "SELECT u.name AS user_name, s.name FROM servers s JOIN users u ON u.id = s.user_id
         ORDER BY s.id";
}

/// What the schema's history says, in both databases.
const VERSION: &str = "SELECT max(version) FROM _sqlx_migrations";

/// What an error says was being done.
const ACTION: &str = "look at the database";

/// How much of a database is read when it is examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Whether its parts fit together, without comparing indexes with tables.
    Quick,
    /// Everything; slow where there is much.
    Full,
}

/// What a look at a database has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// The SQLite file, if it is one; it may not be there yet.
    pub file: Option<PathBuf>,
    /// The last migration in the database; `None` if it is empty or not there.
    pub schema: Option<i64>,
    /// The last migration in this program.
    pub known: i64,
    /// The servers that it knows of, whether they run or not.
    pub servers: Vec<ServerKey>,
}

impl Store {
    /// Looks at the database that `config` names, without changing it and without
    /// taking it from a hub that uses it. Nothing is created or migrated.
    ///
    /// # Errors
    ///
    /// As [`Store::open`], but never [`StoreError::InUse`].
    pub async fn examine(config: &StoreConfig, depth: Depth) -> Result<Examination, StoreError> {
        match config.location()? {
            Location::Memory => Ok(nothing(None)),
            Location::File(path) => file(&path, config, depth).await,
            Location::Postgres(url) => {
                let options = Postgres::options(&url, config)?;
                server(&options, config).await
            }
        }
    }
}

fn nothing(file: Option<PathBuf>) -> Examination {
    Examination { file, schema: None, known: migrations::last(migrations::SQLITE), servers: vec![] }
}

async fn file(path: &Path, config: &StoreConfig, depth: Depth) -> Result<Examination, StoreError> {
    let directory = sqlite::directory_of(path, config)?;
    if !path.exists() {
        return Ok(nothing(Some(directory.join(path.file_name().unwrap_or_default()))));
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(sqlite::BUSY_TIMEOUT)
        .disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options)
        .await
        .map_err(|error| sqlite::unreadable(path, ACTION, error))?;
    let outcome = in_file(&mut connection, path, config, depth).await;
    // Nothing was written, so nothing is lost if this fails.
    let _ = connection.close().await;
    outcome
}

async fn in_file(
    connection: &mut SqliteConnection,
    path: &Path,
    config: &StoreConfig,
    depth: Depth,
) -> Result<Examination, StoreError> {
    let check = match depth {
        Depth::Quick => "PRAGMA quick_check(1)",
        Depth::Full => "PRAGMA integrity_check(1)",
    };
    sqlite::check(connection, path, config, check).await?;
    let is_empty = "SELECT count(*) = 0 FROM sqlite_schema WHERE name = '_sqlx_migrations'";
    let failed = |error| sqlite::unreadable(path, ACTION, error);
    let row = sqlx::query(is_empty).fetch_one(&mut *connection).await.map_err(failed)?;
    if row.try_get(0).map_err(failed)? {
        return Ok(nothing(Some(path.to_owned())));
    }
    let row = sqlx::query(VERSION).fetch_one(&mut *connection).await.map_err(failed)?;
    let schema = known(row.try_get(0).map_err(failed)?)?;
    let rows = sqlite::rows(connection, &SERVERS, &[]).await?;
    Ok(Examination { schema, servers: keys(&rows)?, ..nothing(Some(path.to_owned())) })
}

async fn server(
    options: &PgConnectOptions,
    config: &StoreConfig,
) -> Result<Examination, StoreError> {
    let mut connection = postgres::connect(options, config).await?;
    let failed = |error| Failure::new(ACTION, error);
    let outcome = async {
        let is_empty = "SELECT to_regclass('_sqlx_migrations') IS NULL";
        let row = sqlx::query(is_empty).fetch_one(&mut connection).await.map_err(failed)?;
        if row.try_get(0).map_err(failed)? {
            return Ok(nothing(None));
        }
        let row = sqlx::query(VERSION).fetch_one(&mut connection).await.map_err(failed)?;
        let schema = known(row.try_get(0).map_err(failed)?)?;
        let rows = postgres::rows(&mut connection, &SERVERS, &[]).await?;
        Ok(Examination { schema, servers: keys(&rows)?, ..nothing(None) })
    }
    .await;
    // Nothing was written, so nothing is lost if this fails.
    let _ = connection.close().await;
    outcome
}

/// The same, unless a later version of this program has been there.
fn known(schema: Option<i64>) -> Result<Option<i64>, StoreError> {
    let known = migrations::last(migrations::SQLITE);
    match schema {
        Some(found) if found > known => Err(StoreError::Newer { found, known }),
        schema => Ok(schema),
    }
}

fn keys(rows: &[Row]) -> Result<Vec<ServerKey>, StoreError> {
    let key = |row: &Row| {
        let fields = row.of("servers");
        Ok(ServerKey::new(fields.parsed("user_name")?, fields.parsed("name")?))
    };
    rows.iter().map(key).collect()
}
