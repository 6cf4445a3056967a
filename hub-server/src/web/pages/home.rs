//! The home page: one's servers, to start, open and stop.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use hub_names::ServerKey;
use hub_spawner::Health;
use hub_store::ServerRecord;
use minijinja::{Value, context};

use super::{services, shared, spawn_options::OptionsForm};
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
    let records = hub.store.servers().of_user(&user.name).await?;
    let named = &hub.live().limits.named;
    let default = ServerKey::default_of(user.name.clone());
    let record = records.iter().find(|record| record.key == default);
    let mut servers = vec![row(&hub, &default, &hub.servers.view(&default).await?, record)];
    let mut count = 0;
    for record in records.iter().filter(|record| record.key != default) {
        count += 1;
        let view = hub.servers.view(&record.key).await?;
        // Those that are left over from when there were named ones can be stopped.
        if named.allowed || view.phase.is_active() {
            servers.push(row(&hub, &record.key, &view, Some(record)));
        }
    }
    let page = context! {
        servers => servers,
        asks_first => OptionsForm::of(&hub, &default).await?.is_some(),
        allow_named_servers => named.allowed,
        named_server_limit_per_user => named.limit_per_user,
        named_servers_full => named.limit_per_user.is_some_and(|limit| count >= limit),
        add_action => hub.paths.add_server(),
        services => services::of(&hub, user).await?,
        shared => shared::with(&hub, user).await?,
    };
    Ok(visitor.page(StatusCode::OK, "home.html", page))
}

fn row(hub: &Hub, key: &ServerKey, view: &View, record: Option<&ServerRecord>) -> Value {
    let state = match view.phase {
        Phase::Stopped { .. } => "stopped",
        Phase::Checking { .. } | Phase::Starting { .. } => "starting",
        Phase::Ready { .. } => "ready",
        Phase::Stopping { .. } => "stopping",
    };
    let display_name = match (record.and_then(|record| record.display_name.as_deref()), key) {
        (Some(name), _) => name,
        (None, key) if key.server().is_default() => "My server",
        (None, key) => key.server().as_str(),
    };
    let last_activity = record.and_then(|record| record.last_activity);
    context! {
        name => key.server().as_str(),
        display_name => display_name,
        state => state,
        url => hub.paths.server(key),
        start_url => hub.paths.spawn(key, None),
        pending_url => hub.paths.spawn_pending(key, None),
        stop_action => hub.paths.stop(key),
        remove_action => (!key.server().is_default()).then(|| hub.paths.remove(key)),
        started => view.started().map(|at| at.to_string()),
        last_activity => last_activity.map(|at| at.to_string()),
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
        ended => failure.ended().map(|at| at.to_string()),
        oom => exit.is_some_and(|exit| exit.oom_killed),
        log => log.filter(|log| !log.trim().is_empty()),
        log_url => hub.paths.log(key),
    }
}
