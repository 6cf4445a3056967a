//! The pages: sign in and out, home, start, wait, stopped.

mod home;
mod log;
mod login;
mod oauth_callback;
mod refused;
mod server;
mod spawn;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;
use hub_names::ServerKey;

pub(super) use self::{
    login::FRESH_COOKIE, oauth_callback::COOKIE_PREFIX as PENDING_COOKIE_PREFIX,
};
use super::{
    error::{PageError, redirect},
    visitor::Visitor,
};
use crate::hub::Hub;

pub(super) fn routes(hub: &Hub) -> Router<Arc<Hub>> {
    let at = |path: &str| hub.paths.in_hub(path);
    Router::new()
        .route(&at(""), get(root))
        .route(&at("login"), get(login::show).post(login::submit))
        .route(&at("logout"), get(login::sign_out))
        .route(&at("oauth_login"), get(oauth_callback::begin))
        .route(&at("oauth_callback"), get(oauth_callback::finish))
        .route(&at("home"), get(home::show))
        .route(&at("spawn"), get(spawn::own).post(spawn::own_submit))
        .route(&at("spawn/{user}"), get(spawn::of_key).post(spawn::of_key_submit))
        .route(&at("spawn/{user}/{server}"), get(spawn::of_key).post(spawn::of_key_submit))
        .route(&at("spawn-pending/{user}"), get(spawn::pending))
        .route(&at("spawn-pending/{user}/{server}"), get(spawn::pending))
        .route(&at("stop/{user}"), post(spawn::stop))
        .route(&at("log/{user}"), get(log::show))
        .route(&at("log/{user}/{server}"), get(log::show))
        .route(&at("user/{user}"), axum::routing::any(server::not_running))
        .route(&at("user/{user}/"), axum::routing::any(server::not_running))
        .route(&at("user/{user}/{*rest}"), axum::routing::any(server::not_running))
        .route(&at("user-redirect/{*path}"), get(server::user_redirect))
        .route(&at("security/csp-report"), post(csp_report))
}

/// `/hub/`: on to one's own server, or to the sign-in.
async fn root(State(hub): State<Arc<Hub>>, visitor: Visitor) -> Response {
    match &visitor.session {
        Some(session) => redirect(&default_target(&hub, &session.user.name)),
        None => redirect(&hub.paths.login(Some(&visitor.requested()))),
    }
}

/// Where a person goes who did not say (hub-contract 1.4): the own server when
/// it is up or coming, else its start.
fn default_target(hub: &Hub, user: &hub_names::UserName) -> String {
    let key = ServerKey::default_of(user.clone());
    match hub.servers.live(&key) {
        Some(view) if view.phase.is_active() => hub.paths.server(&key),
        _ => hub.paths.in_hub("spawn"),
    }
}

/// A browser refused something that one of our pages asked for.
async fn csp_report(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
    body: axum::body::Bytes,
) -> Result<Response, PageError> {
    visitor.require_user()?;
    hub.metrics.csp_report();
    let text = String::from_utf8_lossy(&body);
    tracing::warn!(report = %super::layers::printable(&text), "content security policy violation");
    Ok(StatusCode::NO_CONTENT.into_response())
}
