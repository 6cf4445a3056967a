//! Reading what came with a request: forms, queries, JSON bodies, names.

use axum::body::Bytes;
use http::StatusCode;
use hub_names::{ServerKey, ServerName, UserName};
use serde::de::DeserializeOwned;

use super::error::{ApiError, PageError};

/// Most fields of a form or query.
const MOST_FIELDS: usize = 100;

/// The fields of a form or query, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded` text.
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().take(MOST_FIELDS).collect())
    }

    /// The query of `uri`.
    pub(crate) fn of_query(uri: &http::Uri) -> Self {
        Self::parse(uri.query().unwrap_or_default().as_bytes())
    }

    /// The first field called `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All fields called `name`.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All of them.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// All of them, to keep.
    pub(crate) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}

/// A JSON body, whatever its content type says; `None` when it is empty.
pub(crate) fn json<T: DeserializeOwned>(body: &Bytes) -> Result<Option<T>, ApiError> {
    if body.is_empty() {
        return Ok(None);
    }
    // Two steps, so that the two kinds of error have their own texts.
    let value: serde_json::Value = serde_json::from_slice(body)
        .map_err(|_| ApiError::bad_request("Invalid JSON in body of request"))?;
    serde_json::from_value(value)
        .map(Some)
        .map_err(|error| ApiError::bad_request(format!("Invalid JSON keys: {error}")))
}

/// A user name from a URL of the API; what is no name cannot exist.
pub(crate) fn user_name(text: &str) -> Result<UserName, ApiError> {
    text.parse().map_err(|_| ApiError::not_found())
}

/// The key of a server from a URL of the API.
pub(crate) fn server_key(user: &str, server: &str) -> Result<ServerKey, ApiError> {
    let server: ServerName = server.parse().map_err(|_| ApiError::not_found())?;
    if !server.is_default() {
        return Err(ApiError::bad_request("Named servers are not enabled."));
    }
    Ok(ServerKey::new(user_name(user)?, server))
}

/// The key of a server from a page's URL.
pub(crate) fn page_key(user: &str, server: &str) -> Result<ServerKey, PageError> {
    let user: UserName = user.parse().map_err(|_| PageError::not_found())?;
    let server: ServerName = server.parse().map_err(|_| PageError::not_found())?;
    if !server.is_default() {
        return Err(PageError::new(StatusCode::BAD_REQUEST, "Named servers are not enabled."));
    }
    Ok(ServerKey::new(user, server))
}
