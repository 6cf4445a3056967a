//! The JSON of users and servers (hub-contract 5.2).

use std::collections::BTreeMap;

use axum::http::Uri;
use hub_auth::{Access, ScopeName, Target};
use hub_names::{ServerKey, ServerName, UserName};
use hub_store::{ServerRecord, StoreError, User, UserId};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::{
    access::{Caller, held},
    auth_state,
    hub::Hub,
    servers::{Outcome, View},
    web::request::Fields,
};

/// A point in time as JupyterHub writes it: UTC, microseconds unless zero, `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Moment(#[cfg_attr(test, schemars(with = "String"))] pub(super) Timestamp);

/// A user; what the caller may not see is left out.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "User"))]
pub(super) struct UserModel {
    /// `user`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) name: Option<UserName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) admin: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) roles: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) groups: Option<Vec<String>>,
    /// The path of the default server, when it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server: Option<Option<String>>,
    /// What the default server is about to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pending: Option<Option<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_activity: Option<Option<Moment>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<BTreeMap<String, ServerModel>>"))]
    pub(super) servers: Option<BTreeMap<ServerName, ServerModel>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<serde_json::Map<String, Value>>"))]
    pub(super) user_info: Option<Value>,
    /// What the sign-in provider handed over; never in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<serde_json::Map<String, Value>>"))]
    pub(super) auth_state: Option<Value>,
}

/// A server.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Server"))]
pub(super) struct ServerModel {
    #[cfg_attr(test, schemars(with = "String"))]
    pub(super) name: ServerName,
    pub(super) display_name: String,
    /// `user/name`
    pub(super) full_name: String,
    pub(super) last_activity: Option<Moment>,
    pub(super) started: Option<Moment>,
    /// What it is about to do.
    pub(super) pending: Option<&'static str>,
    pub(super) ready: bool,
    pub(super) stopped: bool,
    pub(super) url: String,
    pub(super) full_url: Option<String>,
    #[cfg_attr(test, schemars(with = "serde_json::Map<String, Value>"))]
    pub(super) user_options: Value,
    pub(super) progress_url: String,
    pub(super) full_progress_url: Option<String>,
    /// What its spawner remembers, for those who may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<serde_json::Map<String, Value>>"))]
    pub(super) state: Option<Value>,
    /// Ours: what is odd about a server that is up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) warning: Option<WarningModel>,
    /// Ours: what the image's own check says of it (NBI-8), or that it is paused or restarting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) health: Option<&'static str>,
    /// Ours: when the hub will stop it by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stops_at: Option<Moment>,
    /// Ours: why, `idle` or `age`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stops_because: Option<&'static str>,
    /// Ours: why the hub stopped it by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_stop: Option<StopModel>,
    /// Ours: how the last run ended, for those who look after other people's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_failure: Option<FailureModel>,
}

/// What is odd about a server that is up.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct WarningModel {
    pub(super) message: String,
    pub(super) hint: String,
}

/// How a run ended that the hub ended by itself.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct StopModel {
    pub(super) message: String,
}

/// How a run ended that nobody ended.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct FailureModel {
    pub(super) message: String,
    pub(super) exit_code: Option<i64>,
    pub(super) oom_killed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finished_at: Option<Moment>,
}

/// What a caller may see of a user.
struct Sight {
    target: Target,
    read: bool,
    name: bool,
    roles: bool,
    groups: bool,
    activity: bool,
    servers: bool,
    auth_state: bool,
}

impl Sight {
    /// `None` when it is nothing.
    async fn of(hub: &Hub, user: &User, caller: &Caller) -> Result<Option<Self>, StoreError> {
        let target = hub.user_target(&caller.scopes, &user.name).await?;
        let may = |scope: ScopeName| caller.scopes.has(scope, &target);
        let read = may(ScopeName::ReadUsers);
        let sight = Self {
            read,
            name: read || may(ScopeName::ReadUsersName),
            roles: read || may(ScopeName::ReadRolesUsers),
            groups: read || may(ScopeName::ReadUsersGroups),
            activity: read || may(ScopeName::ReadUsersActivity),
            servers: may(ScopeName::ReadServers) || sees_a_server(caller, &user.name),
            auth_state: may(ScopeName::AdminAuthState),
            target,
        };
        let Self { name, roles, groups, activity, servers, auth_state, .. } = sight;
        let anything = name || roles || groups || activity || servers || auth_state;
        Ok(anything.then_some(sight))
    }
}

/// These users as `caller` may see them, without those of whom they may see nothing.
/// Whoever may see anything of somebody is told the name with it (hub-contract 5.2).
pub(super) async fn users(
    hub: &Hub,
    users: &[User],
    caller: &Caller,
    with_stopped: bool,
) -> Result<Vec<UserModel>, StoreError> {
    let mut seen = Vec::with_capacity(users.len());
    for user in users {
        seen.extend(Sight::of(hub, user, caller).await?.map(|sight| (user, sight)));
    }
    // One question for all of them.
    let ids: Vec<UserId> = seen
        .iter()
        .filter(|(_, sight)| sight.groups || sight.roles)
        .map(|(user, _)| user.id)
        .collect();
    let mut memberships = hub.memberships(&ids).await?;
    let mut bodies = Vec::with_capacity(seen.len());
    for (user, sight) in seen {
        let membership = memberships.remove(&user.id).unwrap_or_default();
        let mut body = UserModel {
            kind: Some("user"),
            name: Some(user.name.clone()),
            admin: (sight.name || sight.roles).then_some(user.admin),
            user_info: sight.name.then_some(Value::Null),
            last_activity: sight.activity.then(|| user.last_activity.map(Moment)),
            auth_state: sight.auth_state.then_some(Value::Null),
            groups: sight.groups.then_some(membership.groups),
            roles: sight.roles.then(|| held::roles_of(user, membership.roles)),
            ..UserModel::default()
        };
        if sight.read {
            let key = ServerKey::default_of(user.name.clone());
            let live = hub.servers.live(&key);
            let ready = live.as_ref().is_some_and(|view| view.phase.is_ready());
            body.created = Some(Moment(user.created));
            body.server = Some(ready.then(|| hub.paths.server(&key)));
            body.pending = Some(live.and_then(|view| view.phase.pending()));
        }
        if sight.servers {
            body.servers = Some(servers(hub, user, caller, &sight.target, with_stopped).await?);
        }
        bodies.push(body);
    }
    Ok(bodies)
}

/// As [`users`], of one.
pub(super) async fn user(
    hub: &Hub,
    user: &User,
    caller: &Caller,
    with_stopped: bool,
) -> Result<Option<UserModel>, StoreError> {
    Ok(users(hub, std::slice::from_ref(user), caller, with_stopped).await?.pop())
}

/// Whether `caller` may see single servers of the user's.
fn sees_a_server(caller: &Caller, user: &UserName) -> bool {
    match caller.scopes.access(ScopeName::ReadServers) {
        Access::Filtered(filters) => filters.servers().iter().any(|key| key.user() == user),
        Access::None | Access::All => false,
    }
}

/// What a token may always know about its own owner: the name and the groups,
/// whether or not its scopes list that.
pub(super) async fn own(hub: &Hub, user: &User, caller: &Caller) -> Result<UserModel, StoreError> {
    let mut body = self::user(hub, user, caller, false).await?.unwrap_or_default();
    body.named(user);
    body.open_auth_state(hub, user).await?;
    if body.groups.is_none() {
        body.groups = Some(hub.store.groups().of_user(user.id).await?);
    }
    Ok(body)
}

impl UserModel {
    /// Puts in what is kept of the user's sign-in, for those who may see it. Only where
    /// one user is asked about, as in JupyterHub.
    pub(super) async fn open_auth_state(
        &mut self,
        hub: &Hub,
        user: &User,
    ) -> Result<(), StoreError> {
        let live = hub.live();
        if let (Some(shown), Some(config)) = (&mut self.auth_state, &live.auth_state)
            && let Some(opened) = auth_state::of(&hub.store, config, user.id).await?
        {
            *shown = Value::Object(opened.state.into_fields());
        }
        Ok(())
    }

    /// Says who it is.
    fn named(&mut self, user: &User) {
        self.kind = Some("user");
        self.name = Some(user.name.clone());
        self.admin = Some(user.admin);
        self.user_info = Some(Value::Null);
    }
}

/// A server.
pub(super) fn server(
    hub: &Hub,
    key: &ServerKey,
    view: &View,
    record: Option<&ServerRecord>,
    may_see_state: bool,
) -> ServerModel {
    // While its name changes there is nothing else to say of it.
    let pending = match hub.servers.is_reserved(key) {
        true => Some("rename"),
        false => view.phase.pending(),
    };
    let public = |path: &str| {
        hub.public_url.as_ref().map(|_| hub.paths.absolute(hub.public_url.as_ref(), path))
    };
    let url = hub.paths.server(key);
    let progress_url = hub.paths.progress(key);
    let started = view.started();
    let display_name = record.and_then(|record| record.display_name.as_deref());
    let state = || record.map_or_else(|| json!({}), |record| record.state.clone());
    let notice = view.phase.is_ready().then(|| hub.notices.of(key)).flatten();
    ServerModel {
        name: key.server().clone(),
        display_name: display_name.unwrap_or(key.server().as_str()).to_owned(),
        full_name: key.to_string(),
        last_activity: record.and_then(|record| record.last_activity).or(started).map(Moment),
        started: started.map(Moment),
        pending,
        ready: view.phase.is_ready(),
        stopped: !view.phase.is_active() && pending.is_none(),
        full_url: public(&url),
        full_progress_url: public(&progress_url),
        url,
        user_options: record.map_or_else(|| json!({}), |record| record.options.clone()),
        progress_url,
        state: may_see_state.then(state),
        warning: view.phase.remark().map(|remark| WarningModel {
            message: remark.message.clone(),
            hint: remark.hint.to_owned(),
        }),
        health: view.phase.health().map(|health| health.as_str()),
        stops_at: notice.map(|notice| Moment(notice.at)),
        stops_because: notice.map(|notice| notice.why.as_str()),
        last_stop: view.phase.last().and_then(Outcome::notice).map(|message| StopModel { message }),
        last_failure: view.phase.last().and_then(Outcome::as_failure).map(|failure| FailureModel {
            exit_code: failure.exit.as_ref().map(|exit| exit.code),
            oom_killed: failure.exit.as_ref().is_some_and(|exit| exit.oom_killed),
            finished_at: failure.ended().map(Moment),
            message: failure.message,
        }),
    }
}

/// Whether servers that are not up are asked for. An empty value counts as yes, as
/// in JupyterHub.
pub(super) fn with_stopped(uri: &Uri) -> bool {
    Fields::of_query(uri)
        .get("include_stopped_servers")
        .is_some_and(|value| !matches!(value, "0" | "false"))
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = match self.0.subsec_nanosecond() / 1000 {
            0 => self.0.strftime("%Y-%m-%dT%H:%M:%SZ"),
            _ => self.0.strftime("%Y-%m-%dT%H:%M:%S.%6fZ"),
        };
        serializer.collect_str(&text)
    }
}

/// The user's servers that `caller` may see.
async fn servers(
    hub: &Hub,
    user: &User,
    caller: &Caller,
    target: &Target,
    with_stopped: bool,
) -> Result<BTreeMap<ServerName, ServerModel>, StoreError> {
    let active = hub.servers.active_of(&user.name);
    let mut bodies = BTreeMap::new();
    // Nothing of a user without servers needs the database.
    if active.is_empty() && !with_stopped {
        return Ok(bodies);
    }
    let all = caller.scopes.has(ScopeName::ReadServers, target);
    // Everybody has a default server, also before its first start.
    let default = ServerKey::default_of(user.name.clone());
    if with_stopped && (all || caller.scopes.has(ScopeName::ReadServers, &Target::server(&default)))
    {
        let never = View::stopped();
        bodies.insert(ServerName::default(), server(hub, &default, &never, None, false));
    }
    let all_states = caller.scopes.has(ScopeName::AdminServerState, target);
    for record in hub.store.servers().of_user(&user.name).await? {
        if !all && !caller.scopes.has(ScopeName::ReadServers, &Target::server(&record.key)) {
            continue;
        }
        let view = match hub.servers.live(&record.key) {
            Some(view) => view,
            None if with_stopped => hub.servers.view(&record.key).await?,
            None => continue,
        };
        if !view.phase.is_active() && !with_stopped {
            continue;
        }
        let may_see_state = all_states
            || caller.scopes.has(ScopeName::AdminServerState, &Target::server(&record.key));
        let name = record.key.server().clone();
        bodies.insert(name, server(hub, &record.key, &view, Some(&record), may_see_state));
    }
    Ok(bodies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_microseconds_unless_they_are_zero() {
        let whole: Timestamp = "2026-11-22T22:18:34Z".parse().unwrap();
        assert_eq!(json!(Moment(whole)), json!("2026-11-22T22:18:34Z"));
        let fine: Timestamp = "2026-11-22T22:18:34.0616Z".parse().unwrap();
        assert_eq!(json!(Moment(fine)), json!("2026-11-22T22:18:34.061600Z"));
    }
}
