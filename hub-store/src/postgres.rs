//! What is particular to PostgreSQL: sessions with limits, ties between writers,
//! one hub per schema.

mod lock;

use std::{str::FromStr as _, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, Executor as _, PgConnection, PgPool, Row as _,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use url::Url;

use self::lock::Lock;
use crate::{
    StoreConfig, StoreError,
    error::{Failure, cause},
    migrations,
    row::Row,
    statement::Statement,
    value::{Value, bound},
};

/// Connections at most; a hub's statements take a millisecond each.
const CONNECTIONS: u32 = 10;
/// How long a call may wait for a connection before it is better refused.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a statement is run that the database undoes to break a tie.
const TRIES: u32 = 3;

/// Limits for every session, so that one stuck statement or lock does not stop
/// the hub. A confirmed commit must outlive a crash, also where the server's
/// default gives that up; stricter settings stay.
const SESSION: &str = "
    SET statement_timeout = '30s';
    SET lock_timeout = '5s';
    SET idle_in_transaction_session_timeout = '60s';
    SELECT set_config('synchronous_commit', 'local', false)
        WHERE current_setting('synchronous_commit') = 'off'";

/// The session of who only reads.
const READ_ONLY_SESSION: &str = "
    SET lock_timeout = '5s';
    SET default_transaction_read_only = on";

/// An open PostgreSQL database.
#[derive(Debug)]
pub(crate) struct Postgres {
    pool: PgPool,
    /// Held until the store is closed; who only reads needs none.
    lock: Option<Lock>,
}

impl Postgres {
    /// Connects to the database that `url` names.
    pub(crate) async fn open(url: &Url, config: &StoreConfig) -> Result<Self, StoreError> {
        let options = Self::options(url, config)?;
        let mut connection = connect(&options, config).await?;
        // Before migrating: it may be the schema of a hub that runs.
        let lock = Lock::new(options.clone(), config.redacted());
        lock.hold().await?;
        migrations::apply(&mut connection, migrations::POSTGRES).await?;
        connection.close().await.map_err(|error| Failure::new(migrations::ACTION, error))?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(QUEUE_TIMEOUT)
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(SESSION).await.map(drop) })
            })
            .connect_lazy_with(options);
        Ok(Self { pool, lock: Some(lock) })
    }

    /// Connects to the database that `url` names beside whoever has it.
    pub(crate) async fn open_read_only(
        url: &Url,
        config: &StoreConfig,
    ) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url.as_str())
            .map_err(|error| config.invalid(cause(error).to_string()))?
            .disable_statement_logging();
        let mut connection = connect(&options, config).await?;
        migrations::check(&mut connection, config).await?;
        connection.close().await.map_err(|error| Failure::new(migrations::ACTION, error))?;
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(QUEUE_TIMEOUT)
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(READ_ONLY_SESSION).await.map(drop) })
            })
            .connect_lazy_with(options);
        Ok(Self { pool, lock: None })
    }

    /// How to connect to the database that `url` names.
    pub(crate) fn options(url: &Url, config: &StoreConfig) -> Result<PgConnectOptions, StoreError> {
        PgConnectOptions::from_str(url.as_str())
            .map(|options| options.disable_statement_logging())
            .map_err(|error| config.invalid(cause(error).to_string()))
    }

    pub(crate) async fn connection(
        &self,
        action: &'static str,
    ) -> Result<PoolConnection<sqlx::Postgres>, Failure> {
        self.pool.acquire().await.map_err(|error| Failure::new(action, error))
    }

    pub(crate) async fn begin(
        &self,
        action: &'static str,
    ) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, Failure> {
        self.pool.begin().await.map_err(|error| Failure::new(action, error))
    }

    pub(crate) async fn snapshot(
        &self,
        action: &'static str,
    ) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, Failure> {
        let failed = |error| Failure::new(action, error);
        let mut tx = self
            .pool
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await
            .map_err(failed)?;
        // It takes as long as whoever receives it takes.
        tx.execute(
            "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0",
        )
        .await
        .map_err(failed)?;
        Ok(tx)
    }

    /// As [`Lock::hold`].
    pub(crate) async fn hold(&self) -> Result<(), StoreError> {
        match &self.lock {
            Some(lock) => lock.hold().await,
            None => Ok(()),
        }
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
        if let Some(lock) = &self.lock {
            lock.release().await;
        }
    }
}

/// Runs a statement and returns how many rows it changed.
pub(crate) async fn run(
    connection: &mut PgConnection,
    statement: &Statement,
    values: &[Value<'_>],
) -> Result<u64, Failure> {
    bound::<sqlx::Postgres>(statement, values)
        .execute(connection)
        .await
        .map(|done| done.rows_affected())
        .map_err(|error| Failure::new(statement.action, error))
}

/// Runs a change that is a transaction by itself, again if it lost a tie.
pub(crate) async fn run_breaking_ties(
    connection: &mut PgConnection,
    statement: &Statement,
    values: &[Value<'_>],
) -> Result<u64, Failure> {
    for _ in 1..TRIES {
        match run(connection, statement, values).await {
            Err(failure) if failure.is_tie() => {}
            done => return done,
        }
    }
    run(connection, statement, values).await
}

/// Runs a statement and returns its rows.
pub(crate) async fn rows(
    connection: &mut PgConnection,
    statement: &Statement,
    values: &[Value<'_>],
) -> Result<Vec<Row>, Failure> {
    bound::<sqlx::Postgres>(statement, values)
        .fetch_all(connection)
        .await
        .map(|rows| rows.into_iter().map(Row::Postgres).collect())
        .map_err(|error| Failure::new(statement.action, error))
}

/// A connection for bringing the schema up to date, without the limits above: a
/// migration may take its time, and one that fails leaves a lock behind that
/// only ends with the connection.
pub(crate) async fn connect(
    options: &PgConnectOptions,
    config: &StoreConfig,
) -> Result<PgConnection, StoreError> {
    const ACTION: &str = "connect to the database";
    let failed = |error| Failure::new(ACTION, error);
    let mut connection = PgConnection::connect_with(options).await.map_err(failed)?;
    let encoding: String = connection
        .fetch_one("SHOW server_encoding")
        .await
        .and_then(|row| row.try_get(0))
        .map_err(failed)?;
    if encoding != "UTF8" {
        let reason = format!("the database's encoding is {encoding}, it must be UTF8");
        return Err(config.invalid(reason));
    }
    Ok(connection)
}
