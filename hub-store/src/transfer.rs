//! The whole store as portable text, and back.
//!
//! An export is UTF-8 text of one JSON value a line, the same from either engine:
//!
//! ```text
//! {"format":"hub-store","version":1,"schema":1,"program":"hub 0.1.0","created":"2026-01-01T00:00:00Z"}
//! {"table":"users","columns":["id","name",...],"last_id":2}
//! [1,"ada",...]
//! [2,"grace",...]
//! {"table":"identities",...}
//! {"end":{"rows":2}}
//! ```
//!
//! Tables come parents first. Flags are 0 or 1, bytes are hexadecimal digits, times
//! are microseconds since 1970. `last_id` is the highest row id that was ever given
//! out: ids are never used again, not after a restore either. The last line tells a
//! whole export from one that was cut off.

mod dialect;
mod export;
mod import;
mod line;
mod users;

use jiff::Timestamp;

pub use self::{
    export::Origin,
    import::{ImportMode, Imported},
    line::Header,
    users::exported_users,
};

/// All tables of all schemas so far, parents first.
///
/// Named, not asked for: a PostgreSQL schema may hold tables of somebody else.
const TABLES: [&str; 19] = [
    "users",
    "identities",
    "servers",
    "server_logs",
    "oauth_clients",
    "oauth_codes",
    "tokens",
    "sessions",
    "user_groups",
    "group_members",
    "role_members",
    "services",
    "shares",
    "share_codes",
    "local_accounts",
    "second_factors",
    "login_tries",
    "tickets",
    "auth_states",
];

/// How much an export holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// The schema the rows have.
    pub schema: i64,
    /// Rows of all tables.
    pub rows: u64,
}

/// The first line's two constants.
const FORMAT: &str = "hub-store";
const VERSION: u32 = 1;

fn header(origin: &Origin, schema: i64) -> Header {
    Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        schema,
        program: origin.program.clone(),
        created: moment(origin.created),
    }
}

/// To the second: nobody needs more of it.
fn moment(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
