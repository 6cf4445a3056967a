//! Groups: who belongs together, and what is kept about them (hub-contract 5.7).

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::Uri,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use hub_auth::{Access, ScopeName, Target};
use hub_names::UserName;
use hub_store::{Group, StoreError, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::paging::Paging;
use crate::{
    access::Caller,
    hub::Hub,
    web::{error::ApiError, request},
};

/// A group; what the caller may not see is left out.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Group"))]
pub(super) struct GroupModel {
    /// `group`
    pub(super) kind: &'static str,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) roles: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<Vec<String>>"))]
    pub(super) users: Option<Vec<UserName>>,
    /// Whatever administrators keep about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<serde_json::Map<String, Value>>"))]
    pub(super) properties: Option<Value>,
}

/// What makes several groups.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct NewGroups {
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    users: Vec<String>,
    /// Old clients send the list of roles; a group's are given by the configuration.
    #[serde(default)]
    roles: Vec<String>,
}

/// What makes one.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct NewGroup {
    /// The path says it.
    #[serde(default, rename = "name")]
    _name: Option<String>,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
}

/// Who is to come or go.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Members {
    users: Option<Vec<String>>,
    #[serde(default, rename = "name")]
    _name: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
}

/// `GET /hub/api/groups`
pub(super) async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let paging = Paging::of(&uri, &headers)?;
    let (groups, total) = match visible(&caller)? {
        None => {
            let groups = hub.store.groups().page(paging.offset, paging.limit).await?;
            (groups, hub.store.groups().count().await?)
        }
        Some(names) => {
            let mut groups = Vec::new();
            for name in names {
                groups.extend(hub.store.groups().by_name(&name).await?);
            }
            groups.sort_by_key(|group| group.id);
            paging.cut(groups)
        }
    };
    let shown = groups.len() as u64;
    let mut items = Vec::new();
    for group in &groups {
        items.extend(model(&hub, group, &caller).await?);
    }
    Ok(paging.answer(&uri, &headers, items, shown, total))
}

/// `POST /hub/api/groups`
pub(super) async fn create_many(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    body: Bytes,
) -> Result<Response, ApiError> {
    caller.allow(&Target::whole_hub())?;
    refuse_managed(&hub)?;
    let none = || ApiError::bad_request("Must specify at least one group to create");
    let NewGroups { groups, users, roles } = request::json(&body)?.ok_or_else(none)?;
    if groups.is_empty() {
        return Err(none());
    }
    refuse_roles(&roles)?;
    let members = members(&hub, &users).await?;
    // Every name is looked at before the first group is made.
    let mut seen = BTreeSet::new();
    for name in &groups {
        check_name(name)?;
        if !seen.insert(name) || hub.store.groups().by_name(name).await?.is_some() {
            return Err(exists(name));
        }
    }
    let mut made = Vec::new();
    for name in &groups {
        let group = add(&hub, &caller, name, &members).await?;
        made.extend(model(&hub, &group, &caller).await?);
    }
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// `GET /hub/api/groups/{group}`
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<GroupModel>, ApiError> {
    caller.allow(&Target::group(&name))?;
    let group = existing(&hub, &name).await?;
    answer(&hub, &group, &caller).await
}

/// `POST /hub/api/groups/{group}`
pub(super) async fn create(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, ApiError> {
    caller.allow(&Target::group(&name))?;
    refuse_managed(&hub)?;
    let NewGroup { users, roles, .. } = request::json(&body)?.unwrap_or_default();
    check_name(&name)?;
    refuse_roles(&roles)?;
    if hub.store.groups().by_name(&name).await?.is_some() {
        return Err(exists(&name));
    }
    let members = members(&hub, &users).await?;
    let group = add(&hub, &caller, &name, &members).await?;
    Ok((StatusCode::CREATED, answer(&hub, &group, &caller).await?).into_response())
}

/// `DELETE /hub/api/groups/{group}`
pub(super) async fn delete(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    caller.allow(&Target::group(&name))?;
    refuse_managed(&hub)?;
    let group = existing(&hub, &name).await?;
    hub.store.groups().delete(group.id).await?;
    tracing::info!(group = name, by = %caller.describe(), "group deleted");
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /hub/api/groups/{group}/users`
pub(super) async fn join(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<GroupModel>, ApiError> {
    caller.allow(&Target::group(&name))?;
    refuse_managed(&hub)?;
    let group = existing(&hub, &name).await?;
    let users = who(&hub, &body, "Must specify users to add").await?;
    hub.store.groups().add(group.id, &users).await?;
    tracing::info!(group = name, users = users.len(), by = %caller.describe(), "members added");
    answer(&hub, &group, &caller).await
}

/// `DELETE /hub/api/groups/{group}/users`
pub(super) async fn leave(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<GroupModel>, ApiError> {
    caller.allow(&Target::group(&name))?;
    refuse_managed(&hub)?;
    let group = existing(&hub, &name).await?;
    let users = who(&hub, &body, "Must specify users to delete").await?;
    hub.store.groups().remove(group.id, &users).await?;
    tracing::info!(group = name, users = users.len(), by = %caller.describe(), "members removed");
    answer(&hub, &group, &caller).await
}

/// `PUT /hub/api/groups/{group}/properties`
pub(super) async fn set_properties(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<GroupModel>, ApiError> {
    caller.allow(&Target::group(&name))?;
    let group = existing(&hub, &name).await?;
    let Some(properties @ Value::Object(_)) = request::json::<Value>(&body)? else {
        return Err(ApiError::bad_request("Must specify properties: a JSON object"));
    };
    hub.store.groups().set_properties(group.id, &properties).await?;
    tracing::info!(group = name, by = %caller.describe(), "properties set");
    let group = existing(&hub, &name).await?;
    answer(&hub, &group, &caller).await
}

/// Who is in which group is the provider's to say (`auth.manage_groups`), so that a
/// change here would be undone at the next sign-in.
fn refuse_managed(hub: &Hub) -> Result<(), ApiError> {
    match hub.live().policy.rules().manage_groups {
        true => Err(ApiError::bad_request("Group management via API is disabled")),
        false => Ok(()),
    }
}

/// Which groups the caller may list; `None` for all.
fn visible(caller: &Caller) -> Result<Option<BTreeSet<String>>, ApiError> {
    match caller.scopes.access(ScopeName::ListGroups) {
        Access::All => Ok(None),
        // A right over a person is none over the groups they are in.
        Access::Filtered(filters) if !filters.groups().is_empty() => {
            Ok(Some(filters.groups().clone()))
        }
        Access::None | Access::Filtered(_) => {
            Err(ApiError::missing_scope(ScopeName::ListGroups.as_str()))
        }
    }
}

/// A group as `caller` may see it; `None` when they may see nothing.
async fn model(
    hub: &Hub,
    group: &Group,
    caller: &Caller,
) -> Result<Option<GroupModel>, StoreError> {
    let target = Target::group(&group.name);
    let may = |scope: ScopeName| caller.scopes.has(scope, &target);
    let (read, roles) = (may(ScopeName::ReadGroups), may(ScopeName::ReadRolesGroups));
    if !read && !roles && !may(ScopeName::ReadGroupsName) {
        return Ok(None);
    }
    let mut body = GroupModel::named(group);
    if read {
        body.users = Some(hub.store.groups().member_names(&group.name).await?);
        body.properties = Some(group.properties.clone());
    }
    if roles {
        body.roles = Some(hub.store.roles().of_group(&group.name).await?);
    }
    Ok(Some(body))
}

impl GroupModel {
    fn named(group: &Group) -> Self {
        let name = group.name.clone();
        Self { kind: "group", name, roles: None, users: None, properties: None }
    }
}

/// The answer to a change. Whoever may change a group may know its name.
async fn answer(hub: &Hub, group: &Group, caller: &Caller) -> Result<Json<GroupModel>, ApiError> {
    let body = model(hub, group, caller).await?;
    Ok(Json(body.unwrap_or_else(|| GroupModel::named(group))))
}

async fn existing(hub: &Hub, name: &str) -> Result<Group, ApiError> {
    let missing = || ApiError::new(StatusCode::NOT_FOUND, format!("No such group: {name}"));
    hub.store.groups().by_name(name).await?.ok_or_else(missing)
}

async fn add(
    hub: &Hub,
    caller: &Caller,
    name: &str,
    members: &[UserId],
) -> Result<Group, ApiError> {
    let group = hub.store.groups().create(name, members).await.map_err(|error| match error {
        // Somebody else was faster.
        StoreError::Conflict { .. } => exists(name),
        other => other.into(),
    })?;
    tracing::info!(group = name, users = members.len(), by = %caller.describe(), "group added");
    Ok(group)
}

fn exists(name: &str) -> ApiError {
    ApiError::conflict(format!("Group {name} already exists"))
}

/// A name has to fit into a scope's filter and into the path of a URL.
fn check_name(name: &str) -> Result<(), ApiError> {
    let good = !name.trim().is_empty() && name.trim() == name && name.chars().count() <= 255;
    match good && !name.contains(char::is_control) {
        true => Ok(()),
        false => Err(ApiError::bad_request(format!(
            "Invalid group name: {name:?}: use 1 to 255 characters without space at either end"
        ))),
    }
}

fn refuse_roles(roles: &[String]) -> Result<(), ApiError> {
    match roles.is_empty() {
        true => Ok(()),
        false => Err(ApiError::bad_request(
            "The roles of a group are given by [[roles]] in the hub's configuration, not here",
        )),
    }
}

async fn who(hub: &Hub, body: &Bytes, missing: &str) -> Result<Vec<UserId>, ApiError> {
    let body: Option<Members> = request::json(body)?;
    let Some(Members { users: Some(users), roles, .. }) = body else {
        return Err(ApiError::bad_request(missing));
    };
    refuse_roles(&roles)?;
    members(hub, &users).await
}

/// The accounts of these names. All of them are looked up before anything is
/// changed.
async fn members(hub: &Hub, names: &[String]) -> Result<Vec<UserId>, ApiError> {
    let mut ids = Vec::new();
    for text in names {
        let unknown = || ApiError::bad_request(format!("No such user: {text}"));
        let name = hub.normalise(text).map_err(|_| unknown())?;
        ids.push(hub.store.users().by_name(&name).await?.ok_or_else(unknown)?.id);
    }
    Ok(ids)
}
