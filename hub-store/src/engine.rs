//! One way to run statements on either database.
//!
//! What the engines do differently is in `sqlite.rs` and `postgres.rs`; this file
//! only chooses between them.

use crate::{
    StoreError,
    error::Failure,
    postgres::{self, Postgres},
    row::Row,
    sqlite::{self, Sqlite},
    statement::Statement,
    value::Value,
};

/// An open database.
#[derive(Debug)]
pub(crate) enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// A transaction, undone when dropped before [`commit`](Self::commit).
pub(crate) enum Tx {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

impl Engine {
    /// Runs a statement that changes nothing.
    pub(crate) async fn read(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Failure> {
        match self {
            Self::Sqlite(sqlite) => {
                let mut connection = sqlite.reader(statement.action).await?;
                sqlite::rows(&mut connection, statement, values).await
            }
            Self::Postgres(postgres) => {
                let mut connection = postgres.connection(statement.action).await?;
                postgres::rows(&mut connection, statement, values).await
            }
        }
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
    pub(crate) async fn write(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<u64, Failure> {
        match self {
            Self::Sqlite(sqlite) => {
                let mut connection = sqlite.writer(statement.action).await?;
                sqlite::run(&mut connection, statement, values).await
            }
            Self::Postgres(postgres) => {
                let mut connection = postgres.connection(statement.action).await?;
                postgres::run_breaking_ties(&mut connection, statement, values).await
            }
        }
    }

    /// Runs a change by itself that returns at most one row (`RETURNING`).
    pub(crate) async fn write_one(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, Failure> {
        let mut rows = match self {
            Self::Sqlite(sqlite) => {
                let mut connection = sqlite.writer(statement.action).await?;
                sqlite::rows(&mut connection, statement, values).await?
            }
            Self::Postgres(postgres) => {
                let mut connection = postgres.connection(statement.action).await?;
                postgres::rows(&mut connection, statement, values).await?
            }
        };
        Ok(rows.pop())
    }

    /// Begins a transaction that may change things.
    pub(crate) async fn begin(&self, action: &'static str) -> Result<Tx, Failure> {
        match self {
            Self::Sqlite(sqlite) => Ok(Tx::Sqlite(sqlite.begin(action).await?)),
            Self::Postgres(postgres) => Ok(Tx::Postgres(postgres.begin(action).await?)),
        }
    }

    /// Begins a transaction that changes nothing and sees nothing change.
    pub(crate) async fn snapshot(&self, action: &'static str) -> Result<Tx, Failure> {
        match self {
            Self::Sqlite(sqlite) => Ok(Tx::Sqlite(sqlite.snapshot(action).await?)),
            Self::Postgres(postgres) => Ok(Tx::Postgres(postgres.snapshot(action).await?)),
        }
    }

    /// Makes sure that no other hub has the database. The lock on a SQLite file
    /// cannot be lost.
    pub(crate) async fn hold(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(postgres) => postgres.hold().await,
        }
    }

    /// Waits for what is running and gives the database back.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await,
            Self::Postgres(postgres) => postgres.close().await,
        }
    }

    /// Has the database check `statement` without running it.
    #[cfg(test)]
    pub(crate) async fn prepare(&self, statement: &Statement) -> Result<(), Failure> {
        use sqlx::{Executor as _, SqlStr};
        let text = SqlStr::from_static(statement.text);
        match self {
            Self::Sqlite(sqlite) => {
                let mut connection = sqlite.writer(statement.action).await?;
                connection.prepare(text).await.map(drop)
            }
            Self::Postgres(postgres) => {
                let mut connection = postgres.connection(statement.action).await?;
                connection.prepare(text).await.map(drop)
            }
        }
        .map_err(|error| Failure::new(statement.action, error))
    }
}

impl Tx {
    /// Runs a change and returns how many rows it concerned.
    pub(crate) async fn write(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<u64, Failure> {
        match self {
            Self::Sqlite(tx) => sqlite::run(tx, statement, values).await,
            Self::Postgres(tx) => postgres::run(tx, statement, values).await,
        }
    }

    /// Runs a statement that returns rows.
    pub(crate) async fn read(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Failure> {
        match self {
            Self::Sqlite(tx) => sqlite::rows(tx, statement, values).await,
            Self::Postgres(tx) => postgres::rows(tx, statement, values).await,
        }
    }

    /// Makes the changes last.
    pub(crate) async fn commit(self, action: &'static str) -> Result<(), Failure> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
        .map_err(|error| Failure::new(action, error))
    }
}
