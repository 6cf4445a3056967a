//! The pages: sign in and out, home, start, wait, stopped, tokens, administration.

mod accept_share;
mod accounts;
mod admin;
mod home;
mod log;
mod login;
mod manage;
mod oauth_callback;
mod refused;
mod server;
mod services;
mod shared;
mod spawn;
mod spawn_options;
mod spawn_pending;
mod token;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{StatusCode, Uri};
use hub_names::ServerKey;

pub(super) use self::{
    accounts::SECOND_STEP_COOKIE,
    login::{FRESH_COOKIE, SIGNED_OUT_COOKIE},
    oauth_callback::COOKIE_PREFIX as PENDING_COOKIE_PREFIX,
};
use super::{
    error::{PageError, redirect},
    request::Fields,
    visitor::Visitor,
};
use crate::{access::xsrf, hub::Hub};

/// Largest form before a start, in bytes: it may bring files along.
const UPLOAD_LIMIT: usize = 16 * 1024 * 1024;

pub(super) fn routes(hub: &Hub) -> Router<Arc<Hub>> {
    let at = |path: &str| hub.paths.in_hub(path);
    let of_key = get(spawn::of_key).post(spawn::of_key_submit).layer(uploads());
    // Who only asks for the head wants no sign-out.
    let no_head = || async { StatusCode::METHOD_NOT_ALLOWED };
    Router::new()
        .route(&at(""), get(root))
        .route(&at("login"), get(login::show).post(login::submit))
        .route(&at("logout"), get(login::sign_out).head(no_head))
        .route(&at("oauth_login"), get(oauth_callback::begin))
        .route(&at("oauth_callback"), get(oauth_callback::finish))
        .route(&at("home"), get(home::show))
        .route(&at("token"), get(token::show).post(token::submit))
        .route(&at("admin"), get(admin::show))
        .route(&at("spawn"), get(spawn::own).post(spawn::own_submit).layer(uploads()))
        .route(&at("spawn/{user}"), of_key.clone())
        .route(&at("spawn/{user}/{server}"), of_key)
        .route(&at("spawn-pending/{user}"), get(spawn_pending::show))
        .route(&at("spawn-pending/{user}/{server}"), get(spawn_pending::show))
        .route(&at("servers"), post(manage::add))
        .route(&at("stop/{user}"), post(manage::stop))
        .route(&at("stop/{user}/{server}"), post(manage::stop))
        .route(&at("remove/{user}/{server}"), post(manage::remove))
        .route(&at("log/{user}"), get(log::show))
        .route(&at("log/{user}/{server}"), get(log::show))
        .route(&at("user/{user}"), axum::routing::any(server::not_running))
        .route(&at("user/{user}/"), axum::routing::any(server::not_running))
        .route(&at("user/{user}/{*rest}"), axum::routing::any(server::not_running))
        .route(&at("user-redirect/"), get(server::user_redirect))
        .route(&at("user-redirect/{*path}"), get(server::user_redirect))
        .route(&at("accept-share"), get(accept_share::show).post(accept_share::accept))
        .merge(accounts::routes(hub))
        .route(&at("security/csp-report"), post(csp_report))
}

/// The form before a start may bring files along.
fn uploads() -> DefaultBodyLimit {
    DefaultBodyLimit::max(UPLOAD_LIMIT)
}

/// `/hub/`: on to one's own server, or to the sign-in.
async fn root(State(hub): State<Arc<Hub>>, visitor: Visitor, uri: Uri) -> Response {
    let landing = hub.live().landing.default_url.clone();
    match (&landing, &visitor.session) {
        (Some(url), _) => redirect(&with_query_of(url, &uri)),
        (None, Some(session)) => {
            let next = visitor.next(Fields::of_query(&uri).get("next"));
            redirect(&next.unwrap_or_else(|| default_target(&hub, &session.user.name, &uri)))
        }
        (None, None) => redirect(&hub.paths.login(Some(&visitor.requested()))),
    }
}

/// Where a person goes who did not say (hub-contract 1.4): where the operator
/// wants them, else to the own server when it is up or coming, else to its start.
fn default_target(hub: &Hub, user: &hub_names::UserName, uri: &Uri) -> String {
    let landing = &hub.live().landing;
    let key = ServerKey::default_of(user.clone());
    let target = match (&landing.default_url, landing.to_server, hub.servers.live(&key)) {
        (Some(url), _, _) => url.clone(),
        (None, false, _) => hub.paths.home(),
        (None, true, Some(view)) if view.phase.is_active() => hub.paths.server(&key),
        (None, true, _) => hub.paths.in_hub("spawn"),
    };
    with_query_of(&target, uri)
}

/// `url` with what else the request's query says.
fn with_query_of(url: &str, uri: &Uri) -> String {
    let fields = uri.query().unwrap_or_default().split('&');
    let is_ours = |field: &&str| {
        let name = field.split('=').next().unwrap_or_default();
        !name.is_empty() && name != "next" && name != xsrf::XSRF
    };
    let kept: Vec<&str> = fields.filter(is_ours).collect();
    match (kept.is_empty(), url.contains('?')) {
        (true, _) => url.to_owned(),
        (false, false) => format!("{url}?{}", kept.join("&")),
        (false, true) => format!("{url}&{}", kept.join("&")),
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
