//! One way to run statements on either database.
//!
//! What the engines do differently is in `sqlite.rs` and `postgres.rs`; this file
//! only chooses between them, and counts changes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures_util::future::BoxFuture;

use crate::{
    StoreError,
    error::Failure,
    postgres::{self, Postgres},
    row::Row,
    sqlite::{self, Sqlite},
    statement::Statement,
    value::Value,
};

/// A statement that runs. Of no type of its own: a hub's handlers run many, and the
/// compiler would go through the database's client for each.
type Running<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// An open database, and how often it was changed through here.
#[derive(Debug)]
pub(crate) struct Engine {
    database: Database,
    changes: Arc<AtomicU64>,
}

#[derive(Debug)]
pub(crate) enum Database {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// A transaction, undone when dropped before [`commit`](Self::commit).
pub(crate) struct Tx {
    pub(crate) on: OnDatabase,
    /// Dropped with the transaction, so after its end.
    change: Option<Change>,
}

pub(crate) enum OnDatabase {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

/// A change under way. It is counted when it is over, whichever way it ends: what
/// was read before and is found to be of the same count is what a read now would
/// find.
struct Change(Arc<AtomicU64>);

impl Drop for Change {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

impl Engine {
    pub(crate) fn new(database: Database) -> Self {
        Self { database, changes: Arc::default() }
    }

    /// How many changes have ended.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn change(&self) -> Change {
        Change(Arc::clone(&self.changes))
    }

    /// Runs a statement that changes nothing.
    pub(crate) fn read<'a>(
        &'a self,
        statement: &'a Statement,
        values: &'a [Value<'a>],
    ) -> Running<'a, Vec<Row>> {
        Box::pin(async move {
            match &self.database {
                Database::Sqlite(sqlite) => {
                    let mut connection = sqlite.reader(statement.action).await?;
                    sqlite::rows(&mut connection, statement, values).await
                }
                Database::Postgres(postgres) => {
                    let mut connection = postgres.connection(statement.action).await?;
                    postgres::rows(&mut connection, statement, values).await
                }
            }
        })
    }

    /// Runs a statement that changes nothing and returns at most one row.
    pub(crate) async fn read_one(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, Failure> {
        Ok(self.read(statement, values).await?.pop())
    }

    /// Runs a change by itself and returns how many rows it concerned.
    pub(crate) fn write<'a>(
        &'a self,
        statement: &'a Statement,
        values: &'a [Value<'a>],
    ) -> Running<'a, u64> {
        Box::pin(async move {
            let _change = self.change();
            match &self.database {
                Database::Sqlite(sqlite) => {
                    let mut connection = sqlite.writer(statement.action).await?;
                    sqlite::run(&mut connection, statement, values).await
                }
                Database::Postgres(postgres) => {
                    let mut connection = postgres.connection(statement.action).await?;
                    postgres::run_breaking_ties(&mut connection, statement, values).await
                }
            }
        })
    }

    /// Runs a change by itself that returns at most one row (`RETURNING`).
    pub(crate) fn write_one<'a>(
        &'a self,
        statement: &'a Statement,
        values: &'a [Value<'a>],
    ) -> Running<'a, Option<Row>> {
        Box::pin(async move {
            let _change = self.change();
            let mut rows = match &self.database {
                Database::Sqlite(sqlite) => {
                    let mut connection = sqlite.writer(statement.action).await?;
                    sqlite::rows(&mut connection, statement, values).await?
                }
                Database::Postgres(postgres) => {
                    let mut connection = postgres.connection(statement.action).await?;
                    postgres::rows(&mut connection, statement, values).await?
                }
            };
            Ok(rows.pop())
        })
    }

    /// Begins a transaction that may change things.
    pub(crate) async fn begin(&self, action: &'static str) -> Result<Tx, Failure> {
        let change = Some(self.change());
        let on = match &self.database {
            Database::Sqlite(sqlite) => OnDatabase::Sqlite(sqlite.begin(action).await?),
            Database::Postgres(postgres) => OnDatabase::Postgres(postgres.begin(action).await?),
        };
        Ok(Tx { on, change })
    }

    /// Begins a transaction that changes nothing and sees nothing change.
    pub(crate) async fn snapshot(&self, action: &'static str) -> Result<Tx, Failure> {
        let on = match &self.database {
            Database::Sqlite(sqlite) => OnDatabase::Sqlite(sqlite.snapshot(action).await?),
            Database::Postgres(postgres) => OnDatabase::Postgres(postgres.snapshot(action).await?),
        };
        Ok(Tx { on, change: None })
    }

    /// Makes sure that no other hub has the database. The lock on a SQLite file
    /// cannot be lost.
    pub(crate) async fn hold(&self) -> Result<(), StoreError> {
        match &self.database {
            Database::Sqlite(_) => Ok(()),
            Database::Postgres(postgres) => postgres.hold().await,
        }
    }

    /// Waits for what is running and gives the database back.
    pub(crate) async fn close(&self) {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.close().await,
            Database::Postgres(postgres) => postgres.close().await,
        }
    }

    /// Has the database check `statement` without running it.
    #[cfg(test)]
    pub(crate) async fn prepare(&self, statement: &Statement) -> Result<(), Failure> {
        use sqlx::{Executor as _, SqlStr};
        let text = SqlStr::from_static(statement.text);
        match &self.database {
            Database::Sqlite(sqlite) => {
                let mut connection = sqlite.writer(statement.action).await?;
                connection.prepare(text).await.map(drop)
            }
            Database::Postgres(postgres) => {
                let mut connection = postgres.connection(statement.action).await?;
                connection.prepare(text).await.map(drop)
            }
        }
        .map_err(|error| Failure::new(statement.action, error))
    }
}

impl Tx {
    /// Runs a change and returns how many rows it concerned.
    pub(crate) fn write<'a>(
        &'a mut self,
        statement: &'a Statement,
        values: &'a [Value<'a>],
    ) -> Running<'a, u64> {
        Box::pin(async move {
            match &mut self.on {
                OnDatabase::Sqlite(tx) => sqlite::run(tx, statement, values).await,
                OnDatabase::Postgres(tx) => postgres::run(tx, statement, values).await,
            }
        })
    }

    /// Runs a statement that returns rows.
    pub(crate) fn read<'a>(
        &'a mut self,
        statement: &'a Statement,
        values: &'a [Value<'a>],
    ) -> Running<'a, Vec<Row>> {
        Box::pin(async move {
            match &mut self.on {
                OnDatabase::Sqlite(tx) => sqlite::rows(tx, statement, values).await,
                OnDatabase::Postgres(tx) => postgres::rows(tx, statement, values).await,
            }
        })
    }

    /// Makes the changes last.
    pub(crate) async fn commit(self, action: &'static str) -> Result<(), Failure> {
        let Self { on, change } = self;
        let done = match on {
            OnDatabase::Sqlite(tx) => tx.commit().await,
            OnDatabase::Postgres(tx) => tx.commit().await,
        };
        drop(change);
        done.map_err(|error| Failure::new(action, error))
    }
}
