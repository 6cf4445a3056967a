//! Keeps the hub's pages on the hub's host.
//!
//! Where users have hosts of their own, what runs there must not get a page of the hub's
//! in its own origin: it could read the page, and act on it.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode, header};
use hub_proxy::GatewayFailure;

use super::error::{PageError, redirect};
use crate::hub::Hub;

/// Sends a browser that asks for a page on a user's host to the hub's.
pub(super) async fn keep(State(hub): State<Arc<Hub>>, request: Request, next: Next) -> Response {
    let Some(hosts) = hub.paths.subdomains() else { return next.run(request).await };
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    // A page about a server that does not answer belongs where the server is.
    let is_failure = request.extensions().get::<GatewayFailure>().is_some();
    // A token says who asks, whatever the host.
    let by_token = headers.contains_key(header::AUTHORIZATION);
    let path = request.uri().path();
    if !hosts.is_below(host) || is_failure || by_token || !is_page(&hub, path) {
        return next.run(request).await;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return PageError::new(StatusCode::FORBIDDEN, "The hub is not on this host.")
            .action("Home", format!("{}{}", hub.paths.hub_host(), hub.paths.home()))
            .into_response();
    }
    let asked = request.uri().path_and_query().map_or(path, |asked| asked.as_str());
    redirect(&format!("{}{asked}", hub.paths.hub_host()))
}

/// Whether something personal may be there. Stylesheets and pictures are the same for
/// everybody, and the page about a broken server needs them.
fn is_page(hub: &Hub, path: &str) -> bool {
    let shared = [hub.paths.in_hub("static/"), hub.paths.in_hub("logo")];
    path.starts_with(&hub.paths.hub()) && !shared.iter().any(|start| path.starts_with(start))
}
