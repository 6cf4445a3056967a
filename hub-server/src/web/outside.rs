//! Requests that no route takes: a stopped server, or nothing at all.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode};

use super::error::{ApiError, PageError, redirect, redirect_with};
use crate::hub::Hub;

/// hub-contract 1.3: a GET outside the hub prefix is sent into it, which is where
/// the page of a stopped server is; anything else is refused.
pub(super) async fn not_routed(State(hub): State<Arc<Hub>>, request: Request) -> Response {
    let uri = request.uri();
    let path = uri.path();
    let hub_prefix = hub.paths.hub();
    // Pages are on the hub's own address only, where that is known.
    let origin = hub.paths.origin(hub.public_url.as_ref());
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    if path.starts_with(&format!("{hub_prefix}api/")) {
        return ApiError::not_found().into_response();
    }
    if path.starts_with(&hub_prefix) {
        return PageError::not_found().action("Home", hub.paths.home()).into_response();
    }
    match *request.method() {
        Method::GET => {}
        Method::HEAD => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
        // A script whose server is gone: it cannot have our XSRF token.
        _ => {
            let message = format!("'_xsrf' argument missing from {}", request.method());
            return PageError::new(StatusCode::FORBIDDEN, message)
                .hint("If this was a notebook's doing: its server is not running.")
                .action("Home", hub.paths.home())
                .into_response();
        }
    }
    if format!("{path}/") == hub_prefix {
        return redirect_with(
            StatusCode::MOVED_PERMANENTLY,
            &format!("{origin}{hub_prefix}{query}"),
        );
    }
    let Some(rest) = path.strip_prefix(hub.paths.base()) else {
        return redirect(&format!("{origin}{hub_prefix}"));
    };
    let segments: Vec<&str> = rest.split('/').collect();
    if let ["user" | "services", name] = segments[..]
        && !name.is_empty()
    {
        return redirect_with(StatusCode::MOVED_PERMANENTLY, &format!("{path}/{query}"));
    }
    redirect(&format!("{origin}{hub_prefix}{}{query}", rest.trim_start_matches('/')))
}
