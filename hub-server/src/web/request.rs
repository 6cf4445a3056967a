//! Reading what came with a request: forms, queries, JSON bodies, names.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    extract::{FromRequestParts, Path},
};
use http::{StatusCode, request::Parts};
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

    /// The field called `name`; of several the last, as in JupyterHub.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All fields called `name`.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All of them.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// Adds a field, unless there are too many.
    pub(crate) fn push(&mut self, name: String, value: String) {
        if self.0.len() < MOST_FIELDS {
            self.0.push((name, value));
        }
    }

    /// All of them, to keep.
    pub(crate) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}

/// The object that is a JSON body, whatever its content type says; `None` when the
/// body is empty or `null`.
pub(crate) fn json<T: DeserializeOwned>(body: &Bytes) -> Result<Option<T>, ApiError> {
    if body.is_empty() {
        return Ok(None);
    }
    // Two steps, so that the two kinds of error have their own texts.
    let value: serde_json::Value = serde_json::from_slice(body)
        .map_err(|_| ApiError::bad_request("Invalid JSON in body of request"))?;
    // The library would read a list as an object's values in their order.
    match value {
        serde_json::Value::Null => return Ok(None),
        serde_json::Value::Object(_) => {}
        _ => return Err(ApiError::bad_request("Invalid JSON in body: it must be an object")),
    }
    serde_json::from_value(value)
        .map(Some)
        .map_err(|error| ApiError::bad_request(format!("Invalid JSON keys: {error}")))
}

/// A user name from a URL of the API; what is no name cannot exist.
pub(crate) fn user_name(text: &str) -> Result<UserName, ApiError> {
    text.parse().map_err(|_| ApiError::not_found())
}

/// The server that a URL of the API names: `{user}`, and `{server}` if the route
/// has it.
#[derive(Clone, Debug)]
pub(crate) struct ApiKey(pub(crate) ServerKey);

/// The server that a page's URL names.
#[derive(Clone, Debug)]
pub(crate) struct PageKey(pub(crate) ServerKey);

/// What is wrong with the names in a path.
enum BadKey {
    /// No user is called that, so it cannot exist.
    User,
    /// No server may be called that.
    Server(String),
}

impl<S: Send + Sync> FromRequestParts<S> for ApiKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        key_of(parts, state).await.map(Self).map_err(|bad| match bad {
            BadKey::User => ApiError::not_found(),
            BadKey::Server(message) => ApiError::bad_request(message),
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PageKey {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        key_of(parts, state).await.map(Self).map_err(|bad| match bad {
            BadKey::User => PageError::not_found(),
            BadKey::Server(message) => PageError::new(StatusCode::BAD_REQUEST, message),
        })
    }
}

async fn key_of<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<ServerKey, BadKey> {
    let Path(names) = Path::<BTreeMap<String, String>>::from_request_parts(parts, state)
        .await
        .map_err(|_| BadKey::User)?;
    let name = |key: &str| names.get(key).map(String::as_str).unwrap_or_default();
    let user: UserName = name("user").parse().map_err(|_| BadKey::User)?;
    let server: ServerName = name("server")
        .parse()
        .map_err(|error| BadKey::Server(format!("Invalid server_name: {error}")))?;
    Ok(ServerKey::new(user, server))
}
