//! The schema's history, and how a database is brought up to date.

use sqlx::{
    SqlStr,
    migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator},
};

use crate::{
    StoreConfig, StoreError,
    engine::{OnDatabase, Tx},
    error::Failure,
};

/// What an error says was being done.
pub(crate) const ACTION: &str = "bring the schema up to date";

/// A number, a word for people, and the SQL.
type Step = (i64, &'static str, &'static str);

/// The history in SQLite's words. The two lists have the same numbers.
pub(crate) const SQLITE: &[Step] = &[
    (1, "first", include_str!("../migrations/sqlite/0001_first.sql")),
    (2, "server logs", include_str!("../migrations/sqlite/0002_server_logs.sql")),
    (
        3,
        "groups, services, shares",
        include_str!("../migrations/sqlite/0003_groups_services_shares.sql"),
    ),
    (4, "local accounts", include_str!("../migrations/sqlite/0004_local_accounts.sql")),
    (5, "sign-ins", include_str!("../migrations/sqlite/0005_sign_ins.sql")),
    (6, "second factors", include_str!("../migrations/sqlite/0006_second_factors.sql")),
];

/// The history in PostgreSQL's words.
pub(crate) const POSTGRES: &[Step] = &[
    (1, "first", include_str!("../migrations/postgres/0001_first.sql")),
    (2, "server logs", include_str!("../migrations/postgres/0002_server_logs.sql")),
    (
        3,
        "groups, services, shares",
        include_str!("../migrations/postgres/0003_groups_services_shares.sql"),
    ),
    (4, "local accounts", include_str!("../migrations/postgres/0004_local_accounts.sql")),
    (5, "sign-ins", include_str!("../migrations/postgres/0005_sign_ins.sql")),
    (6, "second factors", include_str!("../migrations/postgres/0006_second_factors.sql")),
];

/// Applies what `connection`'s database lacks, each step in a transaction.
///
/// # Errors
///
/// [`StoreError::Newer`] if the database has steps that are not in `steps`.
pub(crate) async fn apply<C: Migrate>(
    connection: &mut C,
    steps: &[Step],
) -> Result<(), StoreError> {
    let migrator = Migrator::with_migrations(steps.iter().map(migration).collect());
    match migrator.run_direct(None, connection, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(_)) => {
            let applied =
                connection.list_applied_migrations(&migrator.table_name).await.map_err(failed)?;
            Err(StoreError::Newer {
                found: applied.iter().map(|step| step.version).max().unwrap_or(0),
                known: last(steps),
            })
        }
        Err(error) => Err(failed(error)),
    }
}

/// Refuses a database that is no hub's or has steps that are not in `steps`.
/// Changes nothing; a database that lacks steps is fine.
///
/// # Errors
///
/// [`StoreError::InvalidUrl`], [`StoreError::Newer`].
pub(crate) async fn check<C: Migrate>(
    connection: &mut C,
    config: &StoreConfig,
) -> Result<(), StoreError> {
    let applied = match connection.list_applied_migrations("_sqlx_migrations").await {
        Ok(applied) => applied,
        // There is no such table.
        Err(MigrateError::Execute(sqlx::Error::Database(_))) => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    match applied.iter().map(|step| step.version).max() {
        None => Err(config.invalid("there is no hub's store in it yet")),
        Some(found) if found > last(SQLITE) => {
            Err(StoreError::Newer { found, known: last(SQLITE) })
        }
        Some(_) => Ok(()),
    }
}

/// The number of the newest step.
pub(crate) fn last(steps: &[Step]) -> i64 {
    steps.iter().map(|step| step.0).max().unwrap_or(0)
}

/// Applies the steps up to number `last`, as parts of the transaction.
pub(crate) async fn apply_until(tx: &mut Tx, last: i64) -> Result<(), StoreError> {
    let until = |steps: &[Step]| -> Vec<Step> {
        steps.iter().filter(|step| step.0 <= last).copied().collect()
    };
    match &mut tx.on {
        OnDatabase::Sqlite(tx) => apply(&mut **tx, &until(SQLITE)).await,
        OnDatabase::Postgres(tx) => apply(&mut **tx, &until(POSTGRES)).await,
    }
}

fn migration((version, description, sql): &Step) -> Migration {
    let sql = SqlStr::from_static(sql);
    Migration::new(*version, (*description).into(), MigrationType::Simple, sql, false)
}

fn failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            Failure::new(ACTION, error).into()
        }
        other => StoreError::Unavailable { action: ACTION, source: other.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines_have_the_same_steps() {
        let numbers = |steps: &[Step]| steps.iter().map(|step| step.0).collect::<Vec<_>>();
        assert_eq!(numbers(SQLITE), numbers(POSTGRES));
        assert!(numbers(SQLITE).is_sorted());
    }
}
