//! The home page: one's servers, to start, open and stop.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use hub_names::ServerKey;
use hub_spawner::Health;
use minijinja::{Value, context};

use crate::{
    hub::Hub,
    servers::{Failure, Outcome, Phase, View},
    web::{error::PageError, visitor::Visitor},
};

/// `GET /hub/home`
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
) -> Result<Response, PageError> {
    let user = visitor.require_user()?;
    let key = ServerKey::default_of(user.name.clone());
    let view = hub.servers.view(&key).await?;
    let record = hub.store.servers().get(&key).await?;
    let last_activity = record.and_then(|record| record.last_activity).map(|at| at.to_string());
    let page = context! { servers => vec![row(&hub, &key, &view, last_activity)] };
    Ok(visitor.page(StatusCode::OK, "home.html", page))
}

fn row(hub: &Hub, key: &ServerKey, view: &View, last_activity: Option<String>) -> Value {
    let state = match view.phase {
        Phase::Stopped { .. } => "stopped",
        Phase::Checking { .. } | Phase::Starting { .. } => "starting",
        Phase::Ready { .. } => "ready",
        Phase::Stopping { .. } => "stopping",
    };
    context! {
        name => key.server().as_str(),
        display_name => if key.server().is_default() { "My server" } else { key.server().as_str() },
        state => state,
        url => hub.paths.server(key),
        start_url => hub.paths.spawn(key, None),
        pending_url => hub.paths.spawn_pending(key, None),
        stop_action => hub.paths.stop(key),
        started => view.started().map(|at| at.to_string()),
        last_activity => last_activity,
        warning => view.phase.remark().map(|remark| context! {
            message => remark.message.as_str(),
            hint => remark.hint,
        }),
        stops_at => view.phase.is_ready().then(|| hub.notices.of(key)).flatten().map(|notice| notice.at.to_string()),
        notice => view.phase.last().and_then(Outcome::notice),
        health => view.phase.health().map(Health::as_str),
        failure => view.phase.last().and_then(Outcome::as_failure).map(|failure| failure_value(hub, key, &failure)),
        log_url => (view.phase.is_active() || view.phase.last().is_some()).then(|| hub.paths.log(key)),
    }
}

/// A failure as templates see it.
pub(super) fn failure_value(hub: &Hub, key: &ServerKey, failure: &Failure) -> Value {
    let exit = failure.exit.as_ref();
    let log = exit.map(|exit| exit.log_tail.clone()).or_else(|| failure.log.clone());
    context! {
        message => failure.message.as_str(),
        hint => failure.hint.as_deref(),
        exit_code => exit.map(|exit| exit.code),
        oom => exit.is_some_and(|exit| exit.oom_killed),
        log => log.filter(|log| !log.trim().is_empty()),
        log_url => hub.paths.log(key),
    }
}
