//! Why the store could not answer, and how a database's complaint becomes that.

use std::{borrow::Cow, io, path::PathBuf};

use sqlx::{error::DatabaseError, postgres::PgDatabaseError, sqlite::SqliteError};

/// A cause whose type is nobody's business but the log's.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why the store could not do what it was asked.
///
/// "There is none" is an answer (`None`, `false`), not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Something of that kind exists and may exist only once.
    #[error("this {what} exists already")]
    Conflict {
        /// What exists: `user`, `token`, ...
        what: &'static str,
    },

    /// The row that the call is about, or that a new row belongs to, is not there.
    #[error("there is no such {what}")]
    Missing {
        /// What is absent: `user`, `server`, ...
        what: &'static str,
    },

    /// Everything that was signed in as the user has ended since their credential was
    /// looked at. It begins nothing any more.
    #[error("the user was signed out everywhere a moment ago; sign in again")]
    SignedOut,

    /// A row holds a value that the hub never writes.
    #[error("the column {table}.{column} holds a value that cannot be read")]
    Corrupt {
        /// The table the row is in.
        table: &'static str,
        /// The column with the value.
        column: &'static str,
        /// What is wrong with it.
        source: BoxError,
    },

    /// The file is not a database, or the database contradicts itself. Only a
    /// backup helps.
    #[error("the database {} is damaged; restore it from a backup", path.display())]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What was found.
        source: BoxError,
    },

    /// Another process has this database open as its store.
    #[error(
        "another hub ({}) uses the database {database}; stop that one, or give this one a \
         database of its own",
        pid_text(*pid)
    )]
    InUse {
        /// The SQLite file, or the PostgreSQL URL without password and parameters.
        database: String,
        /// The process, if it has said so; only one with a SQLite file does. A
        /// process in another container counts its ids from 1 as well.
        pid: Option<u32>,
    },

    /// A later version of this program has migrated the database.
    #[error(
        "database schema {found} is newer than this program ({known}); upgrade the program, or go \
         back to a copy of the database from before"
    )]
    Newer {
        /// The last migration in the database.
        found: i64,
        /// The last migration in this program.
        known: i64,
    },

    /// Something is to be put into a store that holds something already.
    #[error("the store is not empty")]
    NotEmpty,

    /// An export cannot be used; nothing of it was.
    #[error("line {line} of the export: {reason}")]
    BadExport {
        /// Counted from 1.
        line: u64,
        /// What is wrong there.
        reason: String,
    },

    /// An export could not be written or read.
    #[error("the export could not be written or read")]
    Stream(#[source] io::Error),

    /// The configured URL is not one of a store, or leads nowhere.
    #[error("the store URL {url} cannot be used: {reason}")]
    InvalidUrl {
        /// The URL as configured, without password and parameters.
        url: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The database did not answer, or refused.
    #[error("the database failed while trying to {action}")]
    Unavailable {
        /// What was being done, after "trying to".
        action: &'static str,
        /// What the database or the operating system said.
        source: BoxError,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without anyone changing it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { source, .. } => passes(source),
            Self::Conflict { .. }
            | Self::Missing { .. }
            | Self::SignedOut
            | Self::Corrupt { .. }
            | Self::Damaged { .. }
            | Self::InUse { .. }
            | Self::Newer { .. }
            | Self::NotEmpty
            | Self::BadExport { .. }
            | Self::Stream(_)
            | Self::InvalidUrl { .. } => false,
        }
    }
}

/// A database error together with what was being done. Turns into
/// [`StoreError::Unavailable`], unless it is a violation that the caller has
/// announced.
#[derive(Debug)]
pub(crate) struct Failure {
    action: &'static str,
    error: sqlx::Error,
    conflict: Option<&'static str>,
    missing: Option<&'static str>,
}

impl Failure {
    pub(crate) fn new(action: &'static str, error: sqlx::Error) -> Self {
        Self { action, error, conflict: None, missing: None }
    }

    /// Says that a violated uniqueness means: there is already such a `what`.
    pub(crate) fn conflict(mut self, what: &'static str) -> Self {
        self.conflict = Some(what);
        self
    }

    /// Says that a violated reference means: there is no such `what`.
    pub(crate) fn missing(mut self, what: &'static str) -> Self {
        self.missing = Some(what);
        self
    }

    /// Whether the database has undone the statement to break a tie with another
    /// one (deadlock, serialization failure), so that repeating it is right.
    pub(crate) fn is_tie(&self) -> bool {
        let code = self.error.as_database_error().and_then(DatabaseError::code);
        matches!(code.as_deref(), Some("40001" | "40P01"))
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        let Failure { action, error, conflict, missing } = failure;
        if let Some(database) = error.as_database_error() {
            if let (true, Some(what)) = (database.is_unique_violation(), conflict) {
                return Self::Conflict { what };
            }
            if let (true, Some(what)) = (database.is_foreign_key_violation(), missing) {
                return Self::Missing { what };
            }
        }
        Self::Unavailable { action, source: cause(error) }
    }
}

/// The cause under sqlx's own wrapping, whose messages repeat their source.
pub(crate) fn cause(error: sqlx::Error) -> BoxError {
    match error {
        sqlx::Error::Database(error) => error.into_error(),
        sqlx::Error::Io(error) => error.into(),
        sqlx::Error::Tls(error) | sqlx::Error::Configuration(error) => error,
        other => other.into(),
    }
}

/// Whether the trouble that `source` tells of usually goes away by itself.
fn passes(source: &BoxError) -> bool {
    if let Some(error) = source.downcast_ref::<SqliteError>() {
        return error.code().is_some_and(|code| sqlite_passes(&code));
    }
    if let Some(error) = source.downcast_ref::<PgDatabaseError>() {
        return postgres_passes(error.code());
    }
    if let Some(error) = source.downcast_ref::<io::Error>() {
        return !matches!(
            error.kind(),
            io::ErrorKind::NotFound
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::ReadOnlyFilesystem
                | io::ErrorKind::IsADirectory
        );
    }
    matches!(
        source.downcast_ref::<sqlx::Error>(),
        Some(
            sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::BeginFailed
                | sqlx::Error::Protocol(_)
        )
    )
}

/// Busy, locked, out of memory, interrupted, input/output error, disk full: the
/// low byte of <https://sqlite.org/rescode.html>, the rest is detail.
fn sqlite_passes(code: &str) -> bool {
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 7 | 9 | 10 | 13))
}

/// Connection trouble, rollback, too few resources, operator's intervention, and
/// a lock or a statement that took too long (PostgreSQL, appendix A).
fn postgres_passes(code: &str) -> bool {
    matches!(code.get(..2), Some("08" | "40" | "53" | "57" | "58")) || code == "55P03"
}

fn pid_text(pid: Option<u32>) -> Cow<'static, str> {
    pid.map_or(Cow::Borrowed("its process id is unknown"), |pid| format!("pid {pid}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_connection_passes_and_a_missing_directory_does_not() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let absent = io::Error::from(io::ErrorKind::NotFound);
        let unavailable =
            |source: io::Error| StoreError::Unavailable { action: "x", source: source.into() };
        assert!(unavailable(refused).is_transient());
        assert!(!unavailable(absent).is_transient());
        assert!(!StoreError::Missing { what: "user" }.is_transient());
    }

    #[test]
    fn codes_tell_whether_trouble_passes() {
        let sqlite = [("busy", "5", true), ("busy snapshot", "517", true), ("full", "13", true)];
        for (label, code, expected) in sqlite {
            assert_eq!(sqlite_passes(code), expected, "{label}");
        }
        assert!(!sqlite_passes("1"), "a wrong statement stays wrong");
        assert!(postgres_passes("57P01"), "the server is being shut down");
        assert!(postgres_passes("55P03"), "a lock was not to be had");
        assert!(!postgres_passes("28P01"), "the password is wrong");
    }

    #[test]
    fn messages_are_fit_for_an_operator() {
        let newer = StoreError::Newer { found: 17, known: 15 };
        assert_eq!(
            newer.to_string(),
            "database schema 17 is newer than this program (15); upgrade the program, or go back to a \
             copy of the database from before"
        );
        let in_use = StoreError::InUse { database: "/data/hub.sqlite".into(), pid: Some(7) };
        assert_eq!(
            in_use.to_string(),
            "another hub (pid 7) uses the database /data/hub.sqlite; stop that one, or give this \
             one a database of its own"
        );
        let damaged =
            StoreError::Damaged { path: "/data/hub.sqlite".into(), source: "torn page".into() };
        assert_eq!(
            damaged.to_string(),
            "the database /data/hub.sqlite is damaged; restore it from a backup"
        );
    }
}
