//! The page for a server that could not be reached, asked for by a proxy.
//!
//! The embedded proxy asks by a request extension. One elsewhere asks with
//! `GET /hub/error/{status}?url={path}` (E-01), as JupyterHub's does, and takes
//! over our content type and body.

use std::sync::Arc;

use axum::{
    extract::{Path, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, Uri, header};
use hub_names::ServerKey;
use hub_proxy::GatewayFailure;

use super::{
    error::{ApiError, PageError},
    request::Fields,
    visitor::Visitor,
};
use crate::hub::Hub;

/// `GET /hub/error/{status}`: always 200, as JupyterHub answers (hub-contract 1.2).
pub(super) async fn page(
    State(hub): State<Arc<Hub>>,
    Path(status): Path<String>,
    uri: Uri,
    visitor: Visitor,
) -> Response {
    let status = status.parse().ok().and_then(|code: u16| StatusCode::from_u16(code).ok());
    let Some(status) = status.filter(|status| status.is_client_error() || status.is_server_error())
    else {
        return PageError::not_found().action("Home", hub.paths.home()).into_response();
    };
    let query = Fields::of_query(&uri);
    // Anybody may ask with anything, so the link must not lead elsewhere.
    let path = visitor.next(query.get("url"));
    let mut response = failure(&hub, status, path.as_deref(), visitor.headers());
    // The page was found; what it is about is told by the proxy's own status.
    match response.extensions_mut().get_mut::<PageError>() {
        Some(error) => error.answered = Some(StatusCode::OK),
        None => *response.status_mut() = StatusCode::OK,
    }
    response
}

/// What the embedded proxy asks for, whatever the path would mean here: the status is
/// the proxy's, and what is told has to fit it.
pub(super) async fn told(State(hub): State<Arc<Hub>>, request: Request, next: Next) -> Response {
    match request.extensions().get::<GatewayFailure>() {
        Some(asked) => failure(&hub, asked.status, Some(&asked.path), request.headers()),
        None => next.run(request).await,
    }
}

/// Says that the server at `path` could not be reached, to a person or to a
/// script. Nothing here tells whether there is such a server: whoever asks is not
/// known.
pub(super) fn failure(
    hub: &Hub,
    status: StatusCode,
    path: Option<&str>,
    headers: &HeaderMap,
) -> Response {
    let wants_json = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("application/json"));
    let is_service = path.is_some_and(|path| hub.paths.is_in_services(path));
    let message = match status {
        StatusCode::BAD_REQUEST => "The address has characters that do not belong there.",
        StatusCode::NOT_FOUND => "There is nothing at this address.",
        StatusCode::INTERNAL_SERVER_ERROR => "The proxy cannot make sense of this request.",
        _ if is_service => {
            "This service is not answering. It may be starting, or busy, or not running."
        }
        _ => "Your server is not answering. It may be stopping, or busy, or not running.",
    };
    if wants_json {
        return ApiError::new(status, message).into_response();
    }
    let mut page = PageError::new(status, message).without_cookies();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        page = page.hint(match is_service {
            true => "Wait a moment and reload the page. If it stays like this, tell whoever runs this hub.",
            false => "Wait a moment and reload the page. If it stays like this, stop and start the server from your home page.",
        });
        if let Some(path) = path {
            page = page.action("Try again", path);
            if let Some(key) = server_at(hub, path) {
                page = page.action("Start it", hub.paths.spawn(&key, Some(path)));
            }
        }
    }
    page.action("Home", hub.paths.home()).into_response()
}

/// Whose default server a path belongs to.
fn server_at(hub: &Hub, path: &str) -> Option<ServerKey> {
    let path = path.split('?').next().unwrap_or_default();
    let rest = path.strip_prefix(hub.paths.base())?.strip_prefix("user/")?;
    let name = rest.split('/').next().unwrap_or_default();
    let name = percent_encoding::percent_decode_str(name).decode_utf8().ok()?;
    Some(ServerKey::default_of(name.parse().ok()?))
}
