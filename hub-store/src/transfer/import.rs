//! Text to store.

use std::io::BufRead;

use serde_json::Value as Json;
use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use super::{
    TABLES,
    dialect::{self, Column, Dialect},
    line::{Header, Line, Lines, Table},
};
use crate::{
    Store, StoreConfig, StoreError,
    engine::{Engine, Tx},
    migrations,
};

/// What an error says was being done.
const ACTION: &str = "import into the store";
/// Rows that are sent to the database together.
const BATCH: usize = 500;

/// What may be in the store that is imported into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportMode {
    /// Nothing: no row in any table.
    Empty,
    /// Anything: it is replaced.
    Replace,
}

/// What an import has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// What the export said of itself.
    pub header: Header,
    /// Rows of all tables.
    pub rows: u64,
}

impl Store {
    /// Makes the database that `config` names hold what was
    /// [exported](Self::export), of whichever engine, and nothing else.
    ///
    /// All or nothing: what was in the database stays in it unless the whole export
    /// could be read. An export of an older schema is brought up to date. Rows keep
    /// their ids, and ids that were given out before are not given out again.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open), so [`StoreError::InUse`] while a hub runs on
    /// that database; [`StoreError::NotEmpty`] by `mode`; [`StoreError::Newer`] if the
    /// export has a schema that this program does not know;
    /// [`StoreError::BadExport`] if it is none, or damaged.
    pub async fn import<R: BufRead + Send>(
        config: &StoreConfig,
        input: R,
        mode: ImportMode,
    ) -> Result<Imported, StoreError> {
        let mut lines = Lines::new(input);
        let header = lines.header()?;
        let known = migrations::last(migrations::SQLITE);
        if header.schema > known {
            return Err(StoreError::Newer { found: header.schema, known });
        }
        // Brings an existing database up to date first, or refuses it: what is
        // replaced below is then known to be a hub's.
        let store = Self::open(config).await?;
        let outcome = replace(store.engine(), &mut lines, &header, mode).await;
        store.close().await;
        Ok(Imported { rows: outcome?, header })
    }
}

async fn replace<R: BufRead + Send>(
    engine: &Engine,
    lines: &mut Lines<R>,
    header: &Header,
    mode: ImportMode,
) -> Result<u64, StoreError> {
    let mut tx = engine.begin(ACTION).await?;
    unlimit(&mut tx).await?;
    if mode == ImportMode::Empty && !is_empty(&mut tx).await? {
        return Err(StoreError::NotEmpty);
    }
    // Schema changes are part of the transaction in both engines: the tables are
    // made as the export has them, filled, and then changed like any older store.
    for table in TABLES.iter().rev().chain(["_sqlx_migrations"].iter()) {
        dialect::execute(&mut tx, ACTION, format!("DROP TABLE IF EXISTS {table}")).await?;
    }
    migrations::apply_until(&mut tx, header.schema).await?;
    let rows = fill(&mut tx, lines).await?;
    migrations::apply_until(&mut tx, migrations::last(migrations::SQLITE)).await?;
    tx.commit(ACTION).await?;
    Ok(rows)
}

/// Lifts the limits on a single statement: this is no hub at work.
async fn unlimit(tx: &mut Tx) -> Result<(), StoreError> {
    match Dialect::of(tx) {
        Dialect::Sqlite => Ok(()),
        Dialect::Postgres => {
            let text = "SET LOCAL statement_timeout = 0;
                        SET LOCAL idle_in_transaction_session_timeout = 0";
            dialect::execute(tx, ACTION, text.to_owned()).await
        }
    }
}

async fn is_empty(tx: &mut Tx) -> Result<bool, StoreError> {
    for table in TABLES {
        let columns = dialect::columns(tx, table).await?;
        if !columns.is_empty() && dialect::has_rows(tx, table).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads table after table until the last line.
async fn fill<R: BufRead + Send>(tx: &mut Tx, lines: &mut Lines<R>) -> Result<u64, StoreError> {
    let mut filling: Option<Filling> = None;
    let mut done = Vec::new();
    let mut total = 0;
    loop {
        match lines.next()? {
            Line::Row(row) => {
                let Some(table) = &mut filling else {
                    return Err(lines.bad("there is a row before the first table"));
                };
                if row.len() != table.width {
                    return Err(lines.bad(format!(
                        "the row has {} values, the table {} has {} columns",
                        row.len(),
                        table.name,
                        table.width
                    )));
                }
                total += 1;
                table.rows.push(Json::Array(row));
                if table.rows.len() == BATCH {
                    table.flush(tx).await.map_err(|error| refused(lines, table.name, error))?;
                }
            }
            Line::Table(table) => {
                if let Some(table) = filling.take() {
                    let name = table.name;
                    table.finish(tx).await.map_err(|error| refused(lines, name, error))?;
                }
                let next = Filling::begin(tx, lines, table).await?;
                if done.contains(&next.name) {
                    return Err(lines.bad(format!("the table {} comes twice", next.name)));
                }
                done.push(next.name);
                filling = Some(next);
            }
            Line::End(totals) if totals.rows != total => {
                return Err(lines.bad(format!(
                    "the export holds {total} rows, it should hold {}",
                    totals.rows
                )));
            }
            Line::End(_) => {
                if let Some(table) = filling.take() {
                    let name = table.name;
                    table.finish(tx).await.map_err(|error| refused(lines, name, error))?;
                }
                return Ok(total);
            }
        }
    }
}

/// What the database does not take is the export's fault, unless it passes.
fn refused<R: BufRead>(lines: &Lines<R>, table: &str, error: StoreError) -> StoreError {
    if error.is_transient() {
        return error;
    }
    let reason = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
    lines.bad(format!("the database refused rows of the table {table} before this line: {reason}"))
}

/// A table whose rows are being read.
struct Filling {
    name: &'static str,
    insert: SqlStr,
    width: usize,
    rows: Vec<Json>,
    last_id: Option<i64>,
}

impl Filling {
    async fn begin<R: BufRead>(
        tx: &mut Tx,
        lines: &Lines<R>,
        table: Table,
    ) -> Result<Self, StoreError> {
        let Some(name) = TABLES.into_iter().find(|name| *name == table.table) else {
            return Err(lines.bad(format!("there is no table {:?}", table.table)));
        };
        let existing = dialect::columns(tx, name).await?;
        let columns = table
            .columns
            .iter()
            .map(|wanted| existing.iter().find(|column| column.name == *wanted).cloned())
            .collect::<Option<Vec<Column>>>()
            .filter(|columns| !columns.is_empty())
            .ok_or_else(|| {
                lines.bad(format!("the table {name} has no such columns: {:?}", table.columns))
            })?;
        let insert = Dialect::of(tx).insert(name, &columns);
        Ok(Self {
            name,
            insert: AssertSqlSafe(insert).into_sql_str(),
            width: columns.len(),
            rows: Vec::new(),
            last_id: dialect::has_made_ids(&columns).then_some(table.last_id.unwrap_or(0)),
        })
    }

    async fn flush(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = Json::Array(std::mem::take(&mut self.rows)).to_string();
        dialect::execute_with(tx, ACTION, &self.insert, &rows).await.map(drop)
    }

    async fn finish(mut self, tx: &mut Tx) -> Result<(), StoreError> {
        self.flush(tx).await?;
        match self.last_id {
            Some(last) => dialect::set_last_id(tx, self.name, last).await,
            None => Ok(()),
        }
    }
}
