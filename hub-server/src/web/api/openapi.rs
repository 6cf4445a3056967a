//! The description of the API, as an OpenAPI 3.1 document.
//!
//! A test makes it from the table of endpoints and from the types of what they take
//! and answer, and compares it with the file that the program carries.

#[cfg(test)]
mod bodies;
#[cfg(test)]
mod document;
#[cfg(test)]
mod tests;

use axum::response::IntoResponse;
use http::header;

/// The document. Made anew by `HUB_WRITE_DOCS=1 cargo test -p hub-server openapi`.
const DOCUMENT: &str = include_str!("openapi/openapi.json");

/// `GET /hub/api/openapi.json`
pub(super) async fn show() -> impl IntoResponse {
    let headers =
        [(header::CONTENT_TYPE, "application/json"), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (headers, DOCUMENT)
}
