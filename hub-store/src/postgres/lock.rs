//! One hub per schema: an advisory lock on a connection that does nothing else.
//!
//! The lock is the session's: it ends with the connection, however the hub ends.

use std::time::Duration;

use sqlx::{
    Executor as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{StoreError, error::Failure};

/// What an error says was being done.
const ACTION: &str = "lock the database";
/// The first half of the lock's key, which is "NBHB" in ASCII. The second half is
/// the schema, and each database has keys of its own.
const KEY: i32 = 0x4e42_4842;
/// How long a call may wait for the server before it is better refused.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);
/// `lock_not_available` (PostgreSQL, appendix A): `lock_timeout` has passed.
const NOT_AVAILABLE: &str = "55P03";

/// The session may be idle for ever, but must not outlive its hub: a machine that
/// has lost its power or its network is noticed within a minute. A hub that was
/// killed is noticed at once, and `lock_timeout` is there for that moment.
const SESSION: &str = "
    SET statement_timeout = '30s';
    SET lock_timeout = '5s';
    SET tcp_keepalives_idle = 30;
    SET tcp_keepalives_interval = 10;
    SET tcp_keepalives_count = 3;
    SELECT set_config('idle_session_timeout', '0', false)
        WHERE current_setting('idle_session_timeout', true) IS NOT NULL";

/// Waits for the lock. A session that has it already gets it once more, which
/// changes nothing, for it ends with the session.
const LOCK: &str = "
    SELECT pg_advisory_lock($1, coalesce(
        (SELECT oid::int4 FROM pg_namespace WHERE nspname = current_schema()), 0))";

/// The lock on a schema.
#[derive(Debug)]
pub(super) struct Lock {
    /// One connection, replaced when it is lost.
    session: PgPool,
    /// The database, for people to read.
    database: String,
}

impl Lock {
    /// A lock that is not taken yet.
    pub(super) fn new(options: PgConnectOptions, database: String) -> Self {
        let session = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(QUEUE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(SESSION).await.map(drop) })
            })
            .connect_lazy_with(options);
        Self { session, database }
    }

    /// Takes the lock unless it is taken by this one, again if it was lost with
    /// its connection.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if another hub has it and keeps it for some seconds.
    pub(super) async fn hold(&self) -> Result<(), StoreError> {
        match sqlx::query(LOCK).bind(KEY).execute(&self.session).await {
            Ok(_) => Ok(()),
            Err(error) if is_taken(&error) => {
                Err(StoreError::InUse { database: self.database.clone(), pid: None })
            }
            Err(error) => Err(Failure::new(ACTION, error).into()),
        }
    }

    /// Lets others have the database.
    pub(super) async fn release(&self) {
        self.session.close().await;
    }
}

fn is_taken(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|code| code == NOT_AVAILABLE)
}
