//! Rows of either engine, read column by column.

use std::str::FromStr;

use jiff::Timestamp;
use serde_json::Value as Json;
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type, postgres::PgRow, sqlite::SqliteRow};

use crate::{BoxError, StoreError, error::cause};

/// A row as one of the engines returned it.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The row's columns, whose errors name `table`.
    pub(crate) fn of(&self, table: &'static str) -> Fields<'_> {
        Fields { table, row: self }
    }
}

/// The columns of a row of `table`, by name.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'r> {
    table: &'static str,
    row: &'r Row,
}

impl<'r> Fields<'r> {
    pub(crate) fn flag(self, column: &'static str) -> Result<bool, StoreError> {
        self.get(column)
    }

    pub(crate) fn int(self, column: &'static str) -> Result<i64, StoreError> {
        self.get(column)
    }

    /// A number of something.
    pub(crate) fn count(self, column: &'static str) -> Result<u64, StoreError> {
        u64::try_from(self.int(column)?).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn opt_count(self, column: &'static str) -> Result<Option<u64>, StoreError> {
        self.opt_int(column)?
            .map(u64::try_from)
            .transpose()
            .map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn opt_int(self, column: &'static str) -> Result<Option<i64>, StoreError> {
        self.get(column)
    }

    pub(crate) fn text(self, column: &'static str) -> Result<String, StoreError> {
        self.get(column)
    }

    pub(crate) fn opt_text(self, column: &'static str) -> Result<Option<String>, StoreError> {
        self.get(column)
    }

    pub(crate) fn time(self, column: &'static str) -> Result<Timestamp, StoreError> {
        let microseconds = self.get(column)?;
        Timestamp::from_microsecond(microseconds).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn opt_time(self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        self.opt_int(column)?
            .map(Timestamp::from_microsecond)
            .transpose()
            .map_err(|error| self.corrupt(column, error))
    }

    /// A text that is parsed, such as a name.
    pub(crate) fn parsed<T>(self, column: &'static str) -> Result<T, StoreError>
    where
        T: FromStr<Err: Into<BoxError>>,
    {
        self.text(column)?.parse().map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn json(self, column: &'static str) -> Result<Json, StoreError> {
        serde_json::from_str(&self.text(column)?).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn opt_json(self, column: &'static str) -> Result<Option<Json>, StoreError> {
        self.opt_text(column)?
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| self.corrupt(column, error))
    }

    /// A list of texts, kept as JSON.
    pub(crate) fn list(self, column: &'static str) -> Result<Vec<String>, StoreError> {
        serde_json::from_str(&self.text(column)?).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn hash(self, column: &'static str) -> Result<[u8; 32], StoreError> {
        let bytes: Vec<u8> = self.get(column)?;
        let len = bytes.len();
        bytes.try_into().map_err(|_| self.corrupt(column, format!("{len} bytes instead of 32")))
    }

    pub(crate) fn corrupt(self, column: &'static str, source: impl Into<BoxError>) -> StoreError {
        StoreError::Corrupt { table: self.table, column, source: source.into() }
    }

    fn get<T>(self, column: &'static str) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
    {
        match self.row {
            Row::Sqlite(row) => row.try_get(column),
            Row::Postgres(row) => row.try_get(column),
        }
        .map_err(|error| self.corrupt(column, cause(error)))
    }
}
