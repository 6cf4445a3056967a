//! Long lists in pages (hub-contract 5.1).

use axum::{
    Json,
    http::Uri,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use serde::Serialize;

use crate::{
    access::browser::Browser,
    web::{error::ApiError, request::Fields},
};

/// `Accept` of clients that want pages with a word about the next one.
const ENVELOPE: &str = "application/jupyterhub-pagination+json";
/// Page size for those clients.
const DEFAULT_LIMIT: u64 = 50;
/// Page size for all others, and the largest of all.
const MAX_LIMIT: u64 = 200;

/// Which part of a list was asked for, and in which form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    /// How many entries come before it.
    pub(super) offset: u64,
    /// How many entries it has at most.
    pub(super) limit: u64,
    enveloped: bool,
}

impl Paging {
    /// What the request asks for.
    ///
    /// # Errors
    ///
    /// When `offset` or `limit` is no whole number.
    pub(super) fn of(uri: &Uri, headers: &HeaderMap) -> Result<Self, ApiError> {
        let enveloped = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|line| line.split(','))
            .any(|one| one.trim() == ENVELOPE);
        let default = if enveloped { DEFAULT_LIMIT } else { MAX_LIMIT };
        let query = Fields::of_query(uri);
        Ok(Self {
            offset: number(&query, "offset")?.unwrap_or(0),
            limit: number(&query, "limit")?.unwrap_or(default).clamp(1, MAX_LIMIT),
            enveloped,
        })
    }

    /// The same for a list that always says what comes next.
    pub(super) fn enveloped(self) -> Self {
        Self { enveloped: true, ..self }
    }

    /// The part of `all` that was asked for, and how many there are in all.
    pub(super) fn cut<T>(&self, all: Vec<T>) -> (Vec<T>, u64) {
        let total = all.len() as u64;
        let skip = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let take = usize::try_from(self.limit).unwrap_or(usize::MAX);
        (all.into_iter().skip(skip).take(take).collect(), total)
    }

    /// The answer with `items`, a list or a map, that stand for `shown` of `total`
    /// entries.
    pub(super) fn answer<T: Serialize>(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        items: T,
        shown: u64,
        total: u64,
    ) -> Response {
        if !self.enveloped {
            return Json(items).into_response();
        }
        let more = shown > 0 && self.offset.saturating_add(shown) < total;
        let next = more.then(|| {
            let offset = self.offset + self.limit;
            let url = page_url(uri, headers, offset, self.limit);
            NextPage { offset, limit: self.limit, url }
        });
        let pagination = Pagination { offset: self.offset, limit: self.limit, total, next };
        Json(Page { items, pagination }).into_response()
    }
}

/// A part of a list, and where the next one is.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Page<T> {
    items: T,
    #[serde(rename = "_pagination")]
    pagination: Pagination,
}

/// Which part of how much it is.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Pagination {
    offset: u64,
    limit: u64,
    total: u64,
    next: Option<NextPage>,
}

/// Where the next part is.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct NextPage {
    offset: u64,
    limit: u64,
    url: String,
}

/// The same request for another page, as a client outside would write it.
fn page_url(uri: &Uri, headers: &HeaderMap, offset: u64, limit: u64) -> String {
    let browser = Browser::from_headers(headers);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in Fields::of_query(uri).pairs() {
        if key != "offset" && key != "limit" {
            query.append_pair(key, value);
        }
    }
    query.append_pair("offset", &offset.to_string()).append_pair("limit", &limit.to_string());
    format!("{}://{}{}?{}", browser.proto, browser.host, uri.path(), query.finish())
}

fn number(query: &Fields, name: &str) -> Result<Option<u64>, ApiError> {
    let Some(text) = query.get(name) else { return Ok(None) };
    let number: i64 = text.parse().map_err(|_| {
        ApiError::bad_request(format!("Invalid argument type, {name} must be an integer"))
    })?;
    Ok(Some(number.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paging(query: &str, accept: &str) -> Option<(u64, u64, bool)> {
        let uri: Uri = format!("/hub/api/users{query}").parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        let paging = Paging::of(&uri, &headers).ok()?;
        Some((paging.offset, paging.limit, paging.enveloped))
    }

    #[test]
    fn a_page_is_asked_for_as_in_jupyterhub() {
        let envelope = format!("application/json, {ENVELOPE}");
        for (query, accept, expected) in [
            ("", "*/*", Some((0, 200, false))),
            ("", envelope.as_str(), Some((0, 50, true))),
            ("?limit=0&offset=-3", "*/*", Some((3, 1, false))),
            ("?limit=-7", ENVELOPE, Some((0, 7, true))),
            ("?limit=1000", ENVELOPE, Some((0, 200, true))),
            ("?limit=x", ENVELOPE, None),
            ("?offset=1.5", "*/*", None),
        ] {
            assert_eq!(paging(query, accept), expected, "{query} {accept}");
        }
    }
}
