//! Named servers: whether there may be one, and of that name (hub-contract 5.4).

use http::StatusCode;
use hub_names::{ServerKey, ServerName};
use hub_store::{Addition, ServerRecord, StoreError};
use serde_json::Value;

use super::error::{ApiError, PageError};
use crate::{hub::Hub, servers::too_many};

/// Longest name of a new server, in bytes.
const LONGEST: usize = 30;
/// Longest name for people, in characters.
const LONGEST_DISPLAY: usize = 255;

/// Why there is no such named server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NamedError {
    /// There are none on this hub.
    #[error("Named servers are not enabled.")]
    Disabled,
    /// No server may be called that.
    #[error(
        "Invalid server_name: {0:?}. Use up to 30 lower-case letters, digits and single dashes, and begin with a letter."
    )]
    BadName(String),
    /// Nor be shown as that.
    #[error("Invalid display_name: use 1 to 255 characters, none of them a control character.")]
    BadDisplayName,
    /// The user has as many as they may.
    #[error("{0}")]
    TooMany(String),
    /// There is one already.
    #[error("User {} already has server {}", .0.user(), .0.server())]
    Exists(ServerKey),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether the server of `key` may be started: the default one, one that there is,
/// or one that might be made. Makes nothing.
pub(crate) async fn check_named(
    hub: &Hub,
    key: &ServerKey,
    display_name: Option<&str>,
) -> Result<Option<ServerRecord>, NamedError> {
    if !key.server().is_default() && !hub.live().limits.named.allowed {
        return Err(NamedError::Disabled);
    }
    let record = hub.store.servers().get(key).await?;
    // Old names go on working.
    if record.is_none() && !key.server().is_default() {
        check_name(key.server())?;
        let limit = hub.live().limits.named.limit_per_user;
        let named = hub.store.servers().of_user(key.user()).await?;
        let count = named.iter().filter(|one| !one.key.server().is_default()).count();
        if limit.is_some_and(|limit| u64::try_from(count).unwrap_or(u64::MAX) >= limit) {
            return Err(NamedError::TooMany(too_many(key, limit)));
        }
    }
    if let Some(text) = display_name {
        check_display_name(text)?;
    }
    Ok(record)
}

/// Makes a named server that is not there yet.
pub(crate) async fn add(
    hub: &Hub,
    key: &ServerKey,
    display_name: Option<&str>,
    options: Option<&Value>,
) -> Result<(), NamedError> {
    match check_named(hub, key, display_name).await? {
        Some(_) => return Err(NamedError::Exists(key.clone())),
        None if key.server().is_default() => return Err(NamedError::Exists(key.clone())),
        None => {}
    }
    let limit = hub.live().limits.named.limit_per_user;
    let (servers, now) = (hub.store.servers(), hub.clock.now());
    match servers.add_named(key, display_name, options, limit, now).await? {
        Addition::Done => {
            tracing::info!(server = %key, "server added");
            Ok(())
        }
        Addition::Exists => Err(NamedError::Exists(key.clone())),
        Addition::Full => Err(NamedError::TooMany(too_many(key, limit))),
    }
}

/// Makes sure that the server of `key` is there to be started, with this name for
/// people if it is given.
pub(crate) async fn ensure(
    hub: &Hub,
    key: &ServerKey,
    display_name: Option<&str>,
) -> Result<(), NamedError> {
    let record = check_named(hub, key, display_name).await?;
    if key.server().is_default() {
        return Ok(());
    }
    match (record, display_name) {
        (None, _) => match add(hub, key, display_name, None).await {
            // Somebody was faster, which is as good.
            Ok(()) | Err(NamedError::Exists(_)) => Ok(()),
            Err(error) => Err(error),
        },
        (Some(record), Some(name)) if record.display_name.as_deref() != Some(name) => {
            Ok(hub.store.servers().describe(key, Some(name), None).await?)
        }
        (Some(_), _) => Ok(()),
    }
}

/// `[a-z][a-z0-9]*(-[a-z0-9]+)*`, at most 30 characters, as JupyterHub 6 asks of
/// new names: they are part of addresses and of containers' names.
pub(crate) fn check_name(name: &ServerName) -> Result<(), NamedError> {
    let text = name.as_str();
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let fits = text.len() <= LONGEST
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.split('-').all(is_part);
    match fits {
        true => Ok(()),
        false => Err(NamedError::BadName(text.chars().take(64).collect())),
    }
}

/// What people are shown.
pub(crate) fn check_display_name(text: &str) -> Result<(), NamedError> {
    let fits = !text.trim().is_empty()
        && text.chars().count() <= LONGEST_DISPLAY
        && !text.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(NamedError::BadDisplayName) }
}

impl From<NamedError> for ApiError {
    fn from(error: NamedError) -> Self {
        match error {
            NamedError::Store(error) => error.into(),
            NamedError::Exists(_) => Self::conflict(error.to_string()),
            NamedError::Disabled
            | NamedError::BadName(_)
            | NamedError::BadDisplayName
            | NamedError::TooMany(_) => Self::bad_request(error.to_string()),
        }
    }
}

impl From<NamedError> for PageError {
    fn from(error: NamedError) -> Self {
        match error {
            NamedError::Store(error) => error.into(),
            other => Self::new(StatusCode::BAD_REQUEST, other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_names_are_those_of_jupyterhub_6() {
        let rows = [
            ("lab", true),
            ("a", true),
            ("lab-2-x", true),
            ("a23456789012345678901234567890", true),
            ("a234567890123456789012345678901", false),
            ("Lab", false),
            ("2lab", false),
            ("-lab", false),
            ("lab-", false),
            ("la--b", false),
            ("la_b", false),
            ("la b", false),
            ("läb", false),
            ("la.b", false),
        ];
        for (name, fits) in rows {
            assert_eq!(check_name(&name.parse().unwrap()).is_ok(), fits, "{name}");
        }
    }

    #[test]
    fn names_for_people_are_any_line_of_text() {
        for (name, fits) in
            [("My lab, 2nd try", true), ("Übung", true), (" ", false), ("a\nb", false)]
        {
            assert_eq!(check_display_name(name).is_ok(), fits, "{name:?}");
        }
    }
}
