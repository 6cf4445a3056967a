//! Store to text.

use std::io::Write;

use futures_util::{Stream, StreamExt as _};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;
use sqlx::AssertSqlSafe;

use super::{
    Exported, TABLES,
    dialect::{self, Dialect},
    header,
    line::{End, Table, Totals},
};
use crate::{
    Store, StoreError,
    engine::{OnDatabase, Tx},
    error::Failure,
    row::Row,
};

/// What an error says was being done.
const ACTION: &str = "export the store";

/// What an export says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The program that writes it, with its version.
    pub program: String,
    /// When.
    pub created: Timestamp,
}

impl Store {
    /// Writes all that is in the store to `out`, as it is at one moment, while the
    /// hub goes on; the [format](crate::Header) is the same from either engine.
    ///
    /// Rows are written as they come: memory does not grow with the store. An
    /// export that has failed lacks its last line, so that it cannot be taken for
    /// a whole one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stream`] if `out` fails, [`StoreError::Unavailable`] if the
    /// database does.
    pub async fn export<W: Write + Send>(
        &self,
        out: &mut W,
        origin: &Origin,
    ) -> Result<Exported, StoreError> {
        let mut tx = self.engine().snapshot(ACTION).await?;
        let schema = dialect::schema(&mut tx).await?;
        write(out, &header(origin, schema))?;
        let mut rows = 0;
        for table in TABLES {
            rows += export_table(&mut tx, table, out).await?;
        }
        write(out, &End { end: Totals { rows } })?;
        out.flush().map_err(StoreError::Stream)?;
        Ok(Exported { schema, rows })
    }
}

async fn export_table<W: Write + Send>(
    tx: &mut Tx,
    table: &'static str,
    out: &mut W,
) -> Result<u64, StoreError> {
    let columns = dialect::columns(tx, table).await?;
    if columns.is_empty() {
        return Ok(0);
    }
    let last_id = dialect::last_id(tx, table, &columns).await?;
    let names = columns.iter().map(|column| column.name.clone()).collect();
    write(out, &Table { table: table.to_owned(), columns: names, last_id })?;
    let sql = AssertSqlSafe(Dialect::of(tx).select(table, &columns));
    match &mut tx.on {
        OnDatabase::Sqlite(tx) => {
            let rows = sqlx::query(sql).fetch(&mut **tx).map(|row| row.map(Row::Sqlite));
            export_rows(rows, table, out).await
        }
        OnDatabase::Postgres(tx) => {
            let rows = sqlx::query(sql).fetch(&mut **tx).map(|row| row.map(Row::Postgres));
            export_rows(rows, table, out).await
        }
    }
}

async fn export_rows<W: Write + Send>(
    mut rows: impl Stream<Item = Result<Row, sqlx::Error>> + Unpin + Send,
    table: &'static str,
    out: &mut W,
) -> Result<u64, StoreError> {
    let mut count = 0;
    while let Some(row) = rows.next().await {
        let row = row.map_err(|error| Failure::new(ACTION, error))?;
        let text = dialect::line(&row, table)?;
        // The engines put blanks in different places.
        let cells: Json = serde_json::from_str(&text).map_err(|error| StoreError::Corrupt {
            table,
            column: "(row)",
            source: error.into(),
        })?;
        write(out, &cells)?;
        count += 1;
    }
    Ok(count)
}

fn write<W: Write>(out: &mut W, line: &impl Serialize) -> Result<(), StoreError> {
    serde_json::to_writer(&mut *out, line).map_err(|error| StoreError::Stream(error.into()))?;
    out.write_all(b"\n").map_err(StoreError::Stream)
}
