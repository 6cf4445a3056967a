//! What is bound to a statement's numbered parameters.

use std::borrow::Cow;

use hub_names::{ServerName, UserName};
use jiff::Timestamp;
use serde_json::Value as Json;
use sqlx::{Database, Encode, Type, query::Query};

use crate::{GroupId, ShareCodeId, TicketId, TokenId, UserId, statement::Statement};

/// One parameter. Absent values keep their kind: PostgreSQL wants to know it.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    Flag(bool),
    Int(i64),
    OptInt(Option<i64>),
    Text(Cow<'a, str>),
    OptText(Option<Cow<'a, str>>),
    Bytes(&'a [u8]),
}

impl Value<'_> {
    /// A number of rows. No table has more than `i64::MAX` of them.
    pub(crate) fn count(rows: u64) -> Self {
        Self::Int(i64::try_from(rows).unwrap_or(i64::MAX))
    }

    /// A list of texts, kept as JSON.
    pub(crate) fn list(items: &[String]) -> Self {
        Self::Text(Json::from(items).to_string().into())
    }

    /// A JSON value that may be absent.
    pub(crate) fn opt_json(json: Option<&Json>) -> Self {
        Self::OptText(json.map(|json| json.to_string().into()))
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<UserId> for Value<'_> {
    fn from(id: UserId) -> Self {
        Self::Int(id.get())
    }
}

impl From<Option<UserId>> for Value<'_> {
    fn from(id: Option<UserId>) -> Self {
        Self::OptInt(id.map(UserId::get))
    }
}

impl From<GroupId> for Value<'_> {
    fn from(id: GroupId) -> Self {
        Self::Int(id.get())
    }
}

impl From<ShareCodeId> for Value<'_> {
    fn from(id: ShareCodeId) -> Self {
        Self::Int(id.get())
    }
}

impl From<TicketId> for Value<'_> {
    fn from(id: TicketId) -> Self {
        Self::Int(id.get())
    }
}

impl From<TokenId> for Value<'_> {
    fn from(id: TokenId) -> Self {
        Self::Int(id.get())
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(at: Timestamp) -> Self {
        Self::Int(at.as_microsecond())
    }
}

impl From<Option<Timestamp>> for Value<'_> {
    fn from(at: Option<Timestamp>) -> Self {
        Self::OptInt(at.map(Timestamp::as_microsecond))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(storable(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        text.as_str().into()
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::OptText(text.map(storable))
    }
}

impl<'a> From<&'a UserName> for Value<'a> {
    fn from(name: &'a UserName) -> Self {
        name.as_str().into()
    }
}

impl<'a> From<&'a ServerName> for Value<'a> {
    fn from(name: &'a ServerName) -> Self {
        name.as_str().into()
    }
}

impl From<&Json> for Value<'_> {
    fn from(json: &Json) -> Self {
        Self::Text(json.to_string().into())
    }
}

impl<'a> From<&'a [u8; 32]> for Value<'a> {
    fn from(hash: &'a [u8; 32]) -> Self {
        Self::Bytes(hash)
    }
}

/// The statement with its parameters, ready to run on either engine.
pub(crate) fn bound<'q, DB>(
    statement: &Statement,
    values: &[Value<'_>],
) -> Query<'q, DB, <DB as Database>::Arguments>
where
    DB: Database,
    bool: for<'t> Encode<'t, DB> + Type<DB>,
    i64: for<'t> Encode<'t, DB> + Type<DB>,
    String: for<'t> Encode<'t, DB> + Type<DB>,
    Vec<u8>: for<'t> Encode<'t, DB> + Type<DB>,
    Option<i64>: for<'t> Encode<'t, DB> + Type<DB>,
    Option<String>: for<'t> Encode<'t, DB> + Type<DB>,
{
    values.iter().fold(sqlx::query(statement.text), |query, value| match value {
        Value::Flag(flag) => query.bind(*flag),
        Value::Int(number) => query.bind(*number),
        Value::OptInt(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.clone().into_owned()),
        Value::OptText(text) => query.bind(text.clone().map(Cow::into_owned)),
        Value::Bytes(bytes) => query.bind(bytes.to_vec()),
    })
}

/// PostgreSQL has no zero character in text, SQLite has. With the replacement
/// character in its place both keep the same, and no input is an error.
fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}").into() } else { text.into() }
}
