//! Watch a server start, or read why it does not run (hub-contract 1.5). Nothing
//! here ever starts one.

use std::sync::Arc;

use axum::{extract::State, http::Uri, response::Response};
use http::{HeaderValue, StatusCode, header};
use hub_auth::ScopeName;
use hub_names::ServerKey;
use minijinja::context;

use super::{home::failure_value, spawn_options::OptionsForm};
use crate::{
    hub::Hub,
    servers::{Failure, Outcome, Phase, View},
    web::{
        error::{PageError, answer_to, redirect},
        request::{Fields, PageKey},
        visitor::Visitor,
    },
};

/// `GET /hub/spawn-pending/{user}` and `/hub/spawn-pending/{user}/{server}`
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
    key: Result<PageKey, PageError>,
    uri: Uri,
) -> Result<Response, PageError> {
    visitor.require_user()?;
    let PageKey(key) = key?;
    let (hub, visitor, key) = (&*hub, &visitor, &key);
    visitor.require_server(ScopeName::Servers, key).await?;
    require_account(hub, key).await?;
    if !key.server().is_default() && hub.store.servers().get(key).await?.is_none() {
        return Err(PageError::not_found());
    }
    let query = Fields::of_query(&uri);
    let next = visitor.next(query.get("next"));
    let view = hub.servers.view(key).await?;
    let server = context! {
        since => view.started().map(|at| at.to_string()),
        ..server_value(hub, visitor, key)
    };
    let start_url = hub.paths.spawn(key, next.as_deref());
    match &view.phase {
        Phase::Ready { .. } => Ok(redirect(&next.unwrap_or_else(|| hub.paths.server(key)))),
        Phase::Stopping { then, .. } if !matches!(then, Outcome::Failed(_)) => {
            let page = context! { server => server, start_url => start_url };
            Ok(visitor.page(StatusCode::OK, "stop_pending.html", page))
        }
        Phase::Checking { .. } | Phase::Starting { .. } | Phase::Stopping { .. } => {
            let page = context! {
                server => server,
                progress_url => hub.paths.progress(key),
                ready_url => next.clone().unwrap_or_else(|| hub.paths.server(key)),
                start_url => start_url,
                asks_first => OptionsForm::of(hub, key).await?.is_some(),
                stop_action => hub.paths.stop(key),
                progress => progress_values(&view),
            };
            Ok(visitor.page(StatusCode::OK, "spawn_pending.html", page))
        }
        Phase::Stopped { last: Some(Outcome::Failed(failure)) } => {
            failed(hub, visitor, key, failure, next.as_deref()).await
        }
        Phase::Stopped { .. } => {
            not_running(hub, visitor, key, &view, &start_url, StatusCode::OK).await
        }
    }
}

/// The page of a start that did not succeed, with what is known about why.
pub(super) async fn failed(
    hub: &Hub,
    visitor: &Visitor,
    key: &ServerKey,
    failure: &Failure,
    next: Option<&str>,
) -> Result<Response, PageError> {
    let page = context! {
        server => server_value(hub, visitor, key),
        start_url => hub.paths.spawn(key, next),
        asks_first => OptionsForm::of(hub, key).await?.is_some(),
        failure => failure_value(hub, key, failure),
    };
    let (status, pause) = answer_to(failure);
    let mut response = visitor.page(status, "spawn_failed.html", page);
    if let Some(seconds) = pause {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(response)
}

/// The page of a server that is not up, with a button to start it.
pub(super) async fn not_running(
    hub: &Hub,
    visitor: &Visitor,
    key: &ServerKey,
    view: &View,
    start_url: &str,
    status: StatusCode,
) -> Result<Response, PageError> {
    let failure = view.phase.last().and_then(Outcome::as_failure);
    // Only where somebody wanted to get to the server, and only what is not known
    // to fail; starting by itself is the page's doing, not the browser's.
    let implicit = hub.live().limits.implicit_spawn.filter(|_| status != StatusCode::OK);
    let page = context! {
        server => server_value(hub, visitor, key),
        start_url => start_url,
        asks_first => OptionsForm::of(hub, key).await?.is_some(),
        implicit_spawn_seconds => implicit.map(|pause| pause.as_secs_f64()),
        failure => failure.as_ref().map(|failure| failure_value(hub, key, failure)),
        notice => view.phase.last().and_then(Outcome::notice),
    };
    Ok(visitor.page(status, "not_running.html", page))
}

/// Servers belong to accounts; an administrator may hold the scope for a name
/// that does not exist.
pub(super) async fn require_account(hub: &Hub, key: &ServerKey) -> Result<(), PageError> {
    match hub.store.users().by_name(key.user()).await? {
        Some(_) => Ok(()),
        None => Err(PageError::not_found()),
    }
}

/// Which server a page is about, and whether it is the visitor's own.
pub(super) fn server_value(hub: &Hub, visitor: &Visitor, key: &ServerKey) -> minijinja::Value {
    let own = visitor.session.as_ref().is_some_and(|session| session.user.name == *key.user());
    context! {
        name => key.server().as_str(),
        user => key.user().as_str(),
        url => hub.paths.server(key),
        own => own,
    }
}

fn progress_values(view: &View) -> Vec<minijinja::Value> {
    view.events
        .iter()
        .map(|event| context! { progress => event.percent, message => event.message.as_str() })
        .collect()
}
