//! The SQL of an export, made from what the database says about its tables.
//!
//! The database writes and reads the JSON itself, so that no column needs code.

use sqlx::{AssertSqlSafe, Executor as _, Row as _, SqlStr};

use crate::{
    StoreError,
    engine::{OnDatabase, Tx},
    error::{Failure, cause},
    row::Row,
    statement::Statement,
};

/// What an error says was being done.
const ACTION: &str = "find out what the tables are";

const COLUMNS_SQLITE: Statement = Statement {
    action: ACTION,
    text: "SELECT name, upper(type) AS kind FROM pragma_table_info($1) ORDER BY cid",
};
const COLUMNS_POSTGRES: Statement = Statement {
    action: ACTION,
    text: "SELECT column_name::text AS name, upper(data_type) AS kind
           FROM information_schema.columns
           WHERE table_schema = current_schema() AND table_name = $1
           ORDER BY ordinal_position",
};
const LAST_ID_SQLITE: Statement =
    Statement { action: ACTION, text: "SELECT seq FROM sqlite_sequence WHERE name = $1" };
const LAST_ID_POSTGRES: Statement = Statement {
    action: ACTION,
    text: "SELECT coalesce(last_value, 0) AS seq FROM pg_sequences
           WHERE schemaname = current_schema()
             AND format('%I.%I', schemaname, sequencename) = pg_get_serial_sequence($1, 'id')",
};
const SCHEMA: Statement = Statement {
    action: ACTION,
    text: "SELECT coalesce(max(version), 0) AS version FROM _sqlx_migrations",
};

/// A column, and what the engine calls its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: String,
}

/// Whose SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    pub(super) fn of(tx: &Tx) -> Self {
        match &tx.on {
            OnDatabase::Sqlite(_) => Self::Sqlite,
            OnDatabase::Postgres(_) => Self::Postgres,
        }
    }

    /// Returns each row as the text of a JSON array.
    pub(super) fn select(self, table: &str, columns: &[Column]) -> String {
        let cells = list(columns, |_, column| {
            let name = quoted(&column.name);
            match (self, column.kind.as_str()) {
                (Self::Sqlite, "BLOB") => format!("iif({name} IS NULL, NULL, lower(hex({name})))"),
                (Self::Postgres, "BYTEA") => format!("encode({name}, 'hex')"),
                (Self::Postgres, "BOOLEAN") => format!("CAST({name} AS INTEGER)"),
                _ => name,
            }
        });
        let table = quoted(table);
        let order = columns.first().map(|column| quoted(&column.name)).unwrap_or_default();
        match self {
            Self::Sqlite => {
                format!("SELECT json_array({cells}) AS line FROM {table} ORDER BY {order}")
            }
            Self::Postgres => format!(
                "SELECT CAST(json_build_array({cells}) AS TEXT) AS line FROM {table} \
                 ORDER BY {order}"
            ),
        }
    }

    /// Takes a JSON array of rows, each with the cells of `columns`.
    pub(super) fn insert(self, table: &str, columns: &[Column]) -> String {
        let names = list(columns, |_, column| quoted(&column.name));
        let table = quoted(table);
        let cells = list(columns, |at, column| match (self, column.kind.as_str()) {
            (Self::Sqlite, "BLOB") => format!("unhex(json_extract(value, '$[{at}]'))"),
            (Self::Sqlite, _) => format!("json_extract(value, '$[{at}]')"),
            (Self::Postgres, "BYTEA") => format!("decode(value ->> {at}, 'hex')"),
            (Self::Postgres, kind) => format!("CAST(value ->> {at} AS {kind})"),
        });
        match self {
            Self::Sqlite => {
                format!("INSERT INTO {table} ({names}) SELECT {cells} FROM json_each($1)")
            }
            Self::Postgres => format!(
                "INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {cells} \
                 FROM json_array_elements(CAST($1 AS json)) AS line (value)"
            ),
        }
    }
}

/// The table's columns; none if there is no such table.
pub(super) async fn columns(tx: &mut Tx, table: &'static str) -> Result<Vec<Column>, StoreError> {
    let statement = match Dialect::of(tx) {
        Dialect::Sqlite => &COLUMNS_SQLITE,
        Dialect::Postgres => &COLUMNS_POSTGRES,
    };
    let rows = tx.read(statement, &[table.into()]).await?;
    rows.iter()
        .map(|row| {
            let fields = row.of(table);
            Ok(Column { name: fields.text("name")?, kind: fields.text("kind")? })
        })
        .collect()
}

/// The number of the last migration that was applied.
pub(super) async fn schema(tx: &mut Tx) -> Result<i64, StoreError> {
    match tx.read(&SCHEMA, &[]).await?.first() {
        Some(row) => row.of("_sqlx_migrations").int("version"),
        None => Ok(0),
    }
}

/// The highest id ever given to a row of `table`; `None` where rows bring their
/// own.
pub(super) async fn last_id(
    tx: &mut Tx,
    table: &'static str,
    columns: &[Column],
) -> Result<Option<i64>, StoreError> {
    if !has_made_ids(columns) {
        return Ok(None);
    }
    let statement = match Dialect::of(tx) {
        Dialect::Sqlite => &LAST_ID_SQLITE,
        Dialect::Postgres => &LAST_ID_POSTGRES,
    };
    match tx.read(statement, &[table.into()]).await?.first() {
        Some(row) => Ok(Some(row.of(table).int("seq")?)),
        None => Ok(Some(0)),
    }
}

/// Makes the next row of `table` get an id higher than `last`.
pub(super) async fn set_last_id(
    tx: &mut Tx,
    table: &'static str,
    last: i64,
) -> Result<(), StoreError> {
    const ACTION: &str = "go on counting row ids";
    let text = match Dialect::of(tx) {
        Dialect::Sqlite => format!(
            "DELETE FROM sqlite_sequence WHERE name = '{table}';
             INSERT INTO sqlite_sequence (name, seq)
             SELECT '{table}', max({last}, coalesce(max(id), 0)) FROM {table};"
        ),
        Dialect::Postgres => format!(
            "SELECT setval(pg_get_serial_sequence('{table}', 'id'), greatest(last, 1), last > 0)
             FROM (SELECT greatest({last}, max(id)) AS last FROM {table}) AS ids"
        ),
    };
    execute(tx, ACTION, text).await
}

/// Whether the database numbers the rows of a table with these columns.
pub(super) fn has_made_ids(columns: &[Column]) -> bool {
    columns
        .iter()
        .any(|column| column.name == "id" && matches!(column.kind.as_str(), "INTEGER" | "BIGINT"))
}

/// Whether `table` has a row.
pub(super) async fn has_rows(tx: &mut Tx, table: &'static str) -> Result<bool, StoreError> {
    let text = AssertSqlSafe(format!("SELECT 1 FROM {table} LIMIT 1"));
    match &mut tx.on {
        OnDatabase::Sqlite(tx) => tx.fetch_optional(text).await.map(|row| row.is_some()),
        OnDatabase::Postgres(tx) => tx.fetch_optional(text).await.map(|row| row.is_some()),
    }
    .map_err(|error| Failure::new(ACTION, error).into())
}

/// Runs SQL that takes no values.
pub(super) async fn execute(
    tx: &mut Tx,
    action: &'static str,
    text: String,
) -> Result<(), StoreError> {
    match &mut tx.on {
        OnDatabase::Sqlite(tx) => tx.execute(AssertSqlSafe(text)).await.map(drop),
        OnDatabase::Postgres(tx) => tx.execute(AssertSqlSafe(text)).await.map(drop),
    }
    .map_err(|error| Failure::new(action, error).into())
}

/// Runs SQL that takes one text; the statement is prepared once for all calls.
pub(super) async fn execute_with(
    tx: &mut Tx,
    action: &'static str,
    text: &SqlStr,
    value: &str,
) -> Result<u64, StoreError> {
    match &mut tx.on {
        OnDatabase::Sqlite(tx) => sqlx::query(text.clone())
            .bind(value)
            .execute(&mut **tx)
            .await
            .map(|done| done.rows_affected()),
        OnDatabase::Postgres(tx) => sqlx::query(text.clone())
            .bind(value)
            .execute(&mut **tx)
            .await
            .map(|done| done.rows_affected()),
    }
    .map_err(|error| Failure::new(action, error).into())
}

/// The only column of a row of [`Dialect::select`].
pub(super) fn line(row: &Row, table: &'static str) -> Result<String, StoreError> {
    match row {
        Row::Sqlite(row) => row.try_get(0),
        Row::Postgres(row) => row.try_get(0),
    }
    .map_err(|error| StoreError::Corrupt { table, column: "(row)", source: cause(error) })
}

fn list(columns: &[Column], each: impl Fn(usize, &Column) -> String) -> String {
    columns.iter().enumerate().map(|(at, column)| each(at, column)).collect::<Vec<_>>().join(", ")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
