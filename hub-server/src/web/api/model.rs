//! The JSON of users and servers (hub-contract 5.2).

use axum::http::Uri;
use hub_auth::{ScopeName, Target};
use hub_names::ServerKey;
use hub_store::{ServerRecord, StoreError, User};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    access::Caller,
    hub::Hub,
    servers::{Outcome, View},
    web::request::Fields,
};

/// A user as `caller` may see them; `None` when they may see nothing.
pub(super) async fn user(
    hub: &Hub,
    user: &User,
    caller: &Caller,
    with_stopped: bool,
) -> Result<Option<Value>, StoreError> {
    let target = hub.user_target(&caller.scopes, &user.name).await?;
    let may = |scope: ScopeName| caller.scopes.has(scope, &target);
    let read = may(ScopeName::ReadUsers);
    let mut body = Map::new();
    if read || may(ScopeName::ReadUsersName) {
        body.insert("kind".to_owned(), json!("user"));
        body.insert("name".to_owned(), json!(user.name));
        body.insert("admin".to_owned(), json!(user.admin));
        body.insert("user_info".to_owned(), Value::Null);
    }
    if read || may(ScopeName::ReadUsersGroups) {
        body.insert("groups".to_owned(), json!(hub.store.groups().of_user(user.id).await?));
    }
    if read || may(ScopeName::ReadUsersActivity) {
        body.insert("last_activity".to_owned(), time(user.last_activity));
    }
    if read || may(ScopeName::ReadRolesUsers) {
        body.insert("roles".to_owned(), json!(hub.roles_of_user(user).await?));
    }
    let key = ServerKey::default_of(user.name.clone());
    if read {
        let live = hub.servers.live(&key);
        let ready = live.as_ref().is_some_and(|view| view.phase.is_ready());
        body.insert("created".to_owned(), time(Some(user.created)));
        body.insert("server".to_owned(), json!(ready.then(|| hub.paths.server(&key))));
        body.insert("pending".to_owned(), json!(live.and_then(|view| view.phase.pending())));
    }
    if may(ScopeName::ReadServers) {
        body.insert("servers".to_owned(), servers(hub, user, caller, with_stopped).await?);
    }
    if may(ScopeName::AdminAuthState) {
        body.insert("auth_state".to_owned(), Value::Null);
    }
    Ok((!body.is_empty()).then_some(Value::Object(body)))
}

/// What a token may always know about its own owner: the name and the groups,
/// whether or not its scopes list that.
pub(super) async fn own(hub: &Hub, user: &User, caller: &Caller) -> Result<Value, StoreError> {
    let mut body = self::user(hub, user, caller, false).await?.unwrap_or_else(|| json!({}));
    if let Value::Object(fields) = &mut body {
        let always = [
            ("kind", json!("user")),
            ("name", json!(user.name)),
            ("admin", json!(user.admin)),
            ("groups", json!(hub.store.groups().of_user(user.id).await?)),
            ("user_info", Value::Null),
        ];
        for (key, value) in always {
            fields.entry(key).or_insert(value);
        }
    }
    Ok(body)
}

/// A server.
pub(super) fn server(
    hub: &Hub,
    key: &ServerKey,
    view: &View,
    record: Option<&ServerRecord>,
    caller: &Caller,
) -> Value {
    let public = |path: &str| {
        hub.public_url.as_ref().map(|_| hub.paths.absolute(hub.public_url.as_ref(), path))
    };
    let url = hub.paths.server(key);
    let progress_url = hub.paths.progress(key);
    let started = view.started();
    let last_activity = record.and_then(|record| record.last_activity).or(started);
    let mut body = json!({
        "name": key.server(),
        "display_name": record
            .and_then(|record| record.display_name.as_deref())
            .unwrap_or(key.server().as_str()),
        "full_name": key.to_string(),
        "last_activity": time(last_activity),
        "started": time(started),
        "pending": view.phase.pending(),
        "ready": view.phase.is_ready(),
        "stopped": !view.phase.is_active(),
        "full_url": public(&url),
        "full_progress_url": public(&progress_url),
        "url": url,
        "user_options": record.map_or_else(|| json!({}), |record| record.options.clone()),
        "progress_url": progress_url,
    });
    if caller.scopes.has(ScopeName::AdminServerState, &Target::server(key)) {
        body["state"] = record.map_or_else(|| json!({}), |record| record.state.clone());
    }
    // Ours: what is odd about a server that is up.
    if let Some(remark) = view.phase.remark() {
        body["warning"] = json!({ "message": remark.message, "hint": remark.hint });
    }
    // Ours: what the image's own check says of it (NBI-8).
    if let Some(health) = view.phase.health() {
        body["health"] = json!(health.as_str());
    }
    // Ours: how the last run ended, for those who look after other people's.
    if let Some(failure) = view.phase.last().and_then(Outcome::as_failure) {
        body["last_failure"] = json!({
            "message": failure.message,
            "exit_code": failure.exit.as_ref().map(|exit| exit.code),
            "oom_killed": failure.exit.as_ref().is_some_and(|exit| exit.oom_killed),
        });
    }
    body
}

/// Whether servers that are not up are asked for. An empty value counts as yes, as
/// in JupyterHub.
pub(super) fn with_stopped(uri: &Uri) -> bool {
    Fields::of_query(uri)
        .get("include_stopped_servers")
        .is_some_and(|value| !matches!(value, "0" | "false"))
}

/// A point in time as JupyterHub writes it: UTC, microseconds unless zero, `Z`.
pub(super) fn time(at: Option<Timestamp>) -> Value {
    json!(at.map(|at| {
        match at.subsec_nanosecond() / 1000 {
            0 => at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            _ => at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
        }
    }))
}

async fn servers(
    hub: &Hub,
    user: &User,
    caller: &Caller,
    with_stopped: bool,
) -> Result<Value, StoreError> {
    let active = hub.servers.active_of(&user.name);
    // Nothing of a user without servers needs the database.
    if active.is_empty() && !with_stopped {
        return Ok(json!({}));
    }
    let mut bodies = Map::new();
    for record in hub.store.servers().of_user(&user.name).await? {
        let view = match hub.servers.live(&record.key) {
            Some(view) => view,
            None if with_stopped => hub.servers.view(&record.key).await?,
            None => continue,
        };
        if !view.phase.is_active() && !with_stopped {
            continue;
        }
        let name = record.key.server().to_string();
        bodies.insert(name, server(hub, &record.key, &view, Some(&record), caller));
    }
    Ok(Value::Object(bodies))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_microseconds_unless_they_are_zero() {
        let whole: Timestamp = "2026-11-22T22:18:34Z".parse().unwrap();
        assert_eq!(time(Some(whole)), json!("2026-11-22T22:18:34Z"));
        let fine: Timestamp = "2026-11-22T22:18:34.0616Z".parse().unwrap();
        assert_eq!(time(Some(fine)), json!("2026-11-22T22:18:34.061600Z"));
        assert_eq!(time(None), Value::Null);
    }
}
