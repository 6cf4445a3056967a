//! Start a server, watch it start, stop it (hub-contract 1.5).

use std::{sync::Arc, time::Duration};

use axum::{body::Bytes, extract::State, http::Uri, response::Response};
use http::StatusCode;
use hub_auth::ScopeName;
use hub_names::ServerKey;
use minijinja::context;
use tokio::time::timeout;

use super::{home::failure_value, login::FRESH_COOKIE};
use crate::{
    access::{browser::cookies, xsrf},
    hub::Hub,
    servers::{Failure, Outcome, Phase, ServersError, View},
    web::{
        error::{PageError, redirect},
        request::{Fields, PageKey},
        visitor::Visitor,
    },
};

/// How long the start page waits for a start that fails at once.
const AT_ONCE: Duration = Duration::from_secs(1);

type HubState = State<Arc<Hub>>;
type PageResult = Result<Response, PageError>;

/// `GET /hub/spawn`
pub(super) async fn own(hub: HubState, visitor: Visitor, uri: Uri) -> PageResult {
    let key = ServerKey::default_of(visitor.require_user()?.name.clone());
    show(&hub.0, &visitor, &key, &uri).await
}

/// `GET /hub/spawn/{user}`
pub(super) async fn of_key(
    hub: HubState,
    visitor: Visitor,
    PageKey(key): PageKey,
    uri: Uri,
) -> PageResult {
    show(&hub.0, &visitor, &key, &uri).await
}

/// `POST /hub/spawn`
pub(super) async fn own_submit(
    hub: HubState,
    visitor: Visitor,
    uri: Uri,
    body: Bytes,
) -> PageResult {
    let key = ServerKey::default_of(visitor.require_user()?.name.clone());
    submit(&hub.0, &visitor, &key, &uri, &body).await
}

/// `POST /hub/spawn/{user}`
pub(super) async fn of_key_submit(
    hub: HubState,
    visitor: Visitor,
    PageKey(key): PageKey,
    uri: Uri,
    body: Bytes,
) -> PageResult {
    submit(&hub.0, &visitor, &key, &uri, &body).await
}

/// `POST /hub/stop/{user}`: what the stop button does without script.
pub(super) async fn stop(
    State(hub): HubState,
    visitor: Visitor,
    PageKey(key): PageKey,
    uri: Uri,
    body: Bytes,
) -> PageResult {
    visitor.require_server(ScopeName::DeleteServers, &key).await?;
    let fields = Fields::parse(&body);
    let query = Fields::of_query(&uri);
    visitor.require_xsrf(fields.get(xsrf::XSRF).or_else(|| query.get(xsrf::XSRF)))?;
    hub.servers.stop(&key).await;
    // Most stops are over before the page is back; else it shows "stopping".
    let _ = timeout(AT_ONCE, hub.servers.settled(&key)).await;
    Ok(redirect(&hub.paths.home()))
}

async fn show(hub: &Hub, visitor: &Visitor, key: &ServerKey, uri: &Uri) -> PageResult {
    visitor.require_server(ScopeName::StartServers, key).await?;
    require_account(hub, key).await?;
    let query = Fields::of_query(uri);
    let next = visitor.next(query.get("next"));
    let view = hub.servers.view(key).await?;
    if view.phase.is_ready() {
        return Ok(redirect(&next.unwrap_or_else(|| hub.paths.server(key))));
    }
    if view.phase.is_active() {
        return Ok(redirect(&hub.paths.spawn_pending(key, next.as_deref())));
    }
    // A link on another site may lead here, but it takes a person to start a
    // server; coming back from the sign-in service is not such a link.
    let foreign = visitor.headers().get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    if foreign && cookies(visitor.headers(), FRESH_COOKIE).is_empty() {
        return Ok(not_running(hub, visitor, key, &view, next.as_deref(), StatusCode::OK));
    }
    start(hub, key, next.as_deref()).await
}

async fn submit(
    hub: &Hub,
    visitor: &Visitor,
    key: &ServerKey,
    uri: &Uri,
    body: &Bytes,
) -> PageResult {
    visitor.require_server(ScopeName::StartServers, key).await?;
    require_account(hub, key).await?;
    let fields = Fields::parse(body);
    let query = Fields::of_query(uri);
    visitor.require_xsrf(fields.get(xsrf::XSRF).or_else(|| query.get(xsrf::XSRF)))?;
    let next = visitor.next(query.get("next").or_else(|| fields.get("next")));
    start(hub, key, next.as_deref()).await
}

async fn start(hub: &Hub, key: &ServerKey, next: Option<&str>) -> PageResult {
    match hub.servers.start(key, None).await {
        Ok(()) => {}
        // Somebody was faster, in another tab perhaps: watch theirs.
        Err(ServersError::AlreadyRunning(_) | ServersError::Pending { .. }) => {}
        Err(ServersError::ShuttingDown) => {
            return Err(PageError::new(StatusCode::SERVICE_UNAVAILABLE, "The hub is restarting.")
                .hint("Try again in a moment; running servers are not affected.")
                .action("Try again", hub.paths.spawn(key, next)));
        }
        Err(ServersError::Store(error)) => return Err(error.into()),
    }
    // A start that fails at once is told at once.
    let _ = timeout(AT_ONCE, hub.servers.settled(key)).await;
    Ok(redirect(&hub.paths.spawn_pending(key, next)))
}

/// `GET /hub/spawn-pending/{user}`
pub(super) async fn pending(
    State(hub): HubState,
    visitor: Visitor,
    PageKey(key): PageKey,
    uri: Uri,
) -> PageResult {
    let (hub, visitor, key) = (&*hub, &visitor, &key);
    visitor.require_server(ScopeName::ReadServers, key).await?;
    require_account(hub, key).await?;
    let query = Fields::of_query(&uri);
    let next = visitor.next(query.get("next"));
    let view = hub.servers.view(key).await?;
    let server = context! {
        name => key.server().as_str(),
        url => hub.paths.server(key),
        since => view.started().map(|at| at.to_string()),
    };
    match &view.phase {
        Phase::Ready { .. } => Ok(redirect(&next.unwrap_or_else(|| hub.paths.server(key)))),
        Phase::Stopping { then, .. } if !matches!(then, Outcome::Failed(_)) => {
            let page =
                context! { server => server, start_url => hub.paths.spawn(key, next.as_deref()) };
            Ok(visitor.page(StatusCode::OK, "stop_pending.html", page))
        }
        Phase::Checking { .. } | Phase::Starting { .. } | Phase::Stopping { .. } => {
            let page = context! {
                server => server,
                progress_url => hub.paths.progress(key),
                ready_url => next.clone().unwrap_or_else(|| hub.paths.server(key)),
                start_url => hub.paths.spawn(key, next.as_deref()),
                stop_action => hub.paths.stop(key),
                progress => progress_values(&view),
            };
            Ok(visitor.page(StatusCode::OK, "spawn_pending.html", page))
        }
        Phase::Stopped { last: Some(Outcome::Failed(failure)) } => {
            Ok(failed(hub, visitor, key, failure, next.as_deref()))
        }
        Phase::Stopped { .. } => {
            Ok(not_running(hub, visitor, key, &view, next.as_deref(), StatusCode::OK))
        }
    }
}

/// The page of a start that did not succeed, with what is known about why.
fn failed(
    hub: &Hub,
    visitor: &Visitor,
    key: &ServerKey,
    failure: &Failure,
    next: Option<&str>,
) -> Response {
    let page = context! {
        server => context! { name => key.server().as_str(), url => hub.paths.server(key) },
        start_url => hub.paths.spawn(key, next),
        failure => failure_value(hub, key, failure),
    };
    visitor.page(StatusCode::INTERNAL_SERVER_ERROR, "spawn_failed.html", page)
}

/// The page of a server that is not up, with a button to start it.
pub(super) fn not_running(
    hub: &Hub,
    visitor: &Visitor,
    key: &ServerKey,
    view: &View,
    next: Option<&str>,
    status: StatusCode,
) -> Response {
    let failure = view.phase.last().and_then(Outcome::as_failure);
    let page = context! {
        server => context! { name => key.server().as_str(), user => key.user().as_str() },
        start_url => hub.paths.spawn(key, next),
        failure => failure.as_ref().map(|failure| failure_value(hub, key, failure)),
        notice => view.phase.last().and_then(Outcome::notice),
    };
    visitor.page(status, "not_running.html", page)
}

fn progress_values(view: &View) -> Vec<minijinja::Value> {
    view.events
        .iter()
        .map(|event| context! { progress => event.percent, message => event.message.as_str() })
        .collect()
}

/// Servers belong to accounts; an administrator may hold the scope for a name
/// that does not exist.
async fn require_account(hub: &Hub, key: &ServerKey) -> Result<(), PageError> {
    match hub.store.users().by_name(key.user()).await? {
        Some(_) => Ok(()),
        None => Err(PageError::not_found()),
    }
}
