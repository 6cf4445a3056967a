//! Users: add, show, change, remove.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::Uri,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use hub_auth::{InvalidName, Role, ScopeName, Target};
use hub_names::UserName;
use hub_store::User;
use serde::Deserialize;
use serde_json::Value;

use super::model::{self, UserModel};
use crate::{
    access::Caller,
    hub::Hub,
    servers::ServersError,
    web::{
        error::ApiError,
        request::{self, user_name},
    },
};

/// What makes several users.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct NewUsers {
    #[serde(default)]
    usernames: Vec<String>,
    #[serde(default)]
    admin: bool,
}

/// What makes one.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct NewUser {
    /// The path says it.
    #[serde(default, rename = "name")]
    _name: Option<String>,
    #[serde(default)]
    admin: bool,
}

/// What to change about a user.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "UserChange"))]
pub(super) struct Change {
    name: Option<String>,
    admin: Option<bool>,
    groups: Option<Value>,
    roles: Option<Value>,
    auth_state: Option<Value>,
}

impl Change {
    /// Refuses what JupyterHub lets through and then trips over.
    fn refuse_what_is_done_elsewhere(&self) -> Result<(), ApiError> {
        if self.groups.is_some() {
            return Err(ApiError::bad_request(
                "The groups of a user are not changed here; add to a group with POST /groups/GROUP/users and take out with DELETE",
            ));
        }
        if self.roles.is_some() {
            return Err(ApiError::bad_request(
                "The roles of a user are not changed here; they are given by [[roles]] in the hub's configuration, and admin by the key admin",
            ));
        }
        if self.auth_state.is_some() {
            return Err(ApiError::bad_request(
                "auth_state is what the sign-in provider hands over, and comes with a sign-in only; leave it out, or set it to null",
            ));
        }
        Ok(())
    }
}

/// `POST /hub/api/users`
pub(super) async fn create_many(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    body: Bytes,
) -> Result<Response, ApiError> {
    caller.allow(&Target::whole_hub())?;
    let NewUsers { usernames, admin } = request::json(&body)?
        .ok_or_else(|| ApiError::bad_request("Must specify at least one user to create"))?;
    if usernames.is_empty() {
        return Err(ApiError::bad_request("Must specify at least one user to create"));
    }
    may_make_admins(&caller, admin)?;
    // Every name is checked before the first account is made.
    let mut names: Vec<UserName> = Vec::new();
    for raw in &usernames {
        let name = new_name(&hub, raw)?;
        if hub.store.users().by_name(&name).await?.is_none() && !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Err(ApiError::conflict(format!("All {} users already exist", usernames.len())));
    }
    let created = hub.store.users().create_all(&names, admin, hub.clock.now()).await?;
    for user in &created {
        tracing::info!(user = %user.name, admin, by = %caller.describe(), "user added");
    }
    let created = model::users(&hub, &created, &caller, false).await?;
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

/// `GET /hub/api/users/{user}`
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<UserModel>, ApiError> {
    let name = user_name(&name)?;
    caller.allow_user(&hub, &name).await?;
    let user = existing(&hub, &name).await?;
    let with_stopped = model::with_stopped(&uri);
    let mut body =
        model::user(&hub, &user, &caller, with_stopped).await?.ok_or_else(ApiError::not_found)?;
    body.open_auth_state(&hub, &user).await?;
    Ok(Json(body))
}

/// `POST /hub/api/users/{user}`. The name is taken as it is written, as in JupyterHub.
pub(super) async fn create(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let name: UserName = name.parse().map_err(|error| invalid(&name, &error))?;
    caller.allow_user(&hub, &name).await?;
    let NewUser { admin, .. } = request::json(&body)?.unwrap_or_default();
    may_make_admins(&caller, admin)?;
    if hub.store.users().by_name(&name).await?.is_some() {
        return Err(ApiError::conflict(format!("User {name} already exists")));
    }
    let user = hub.store.users().create(&name, admin, hub.clock.now()).await?;
    tracing::info!(user = %user.name, admin, by = %caller.describe(), "user added");
    let body = model::user(&hub, &user, &caller, false).await?;
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// `PATCH /hub/api/users/{user}`
pub(super) async fn change(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<UserModel>, ApiError> {
    let name = user_name(&name)?;
    caller.allow_user(&hub, &name).await?;
    let user = existing(&hub, &name).await?;
    let change: Change = request::json(&body)?
        .ok_or_else(|| ApiError::bad_request("The body must name what to change: name or admin"))?;
    change.refuse_what_is_done_elsewhere()?;
    if (user.admin || change.admin == Some(true)) && !holds_every_admin_scope(&caller) {
        return Err(ApiError::forbidden(
            "Only an administrator may change an administrator or make one",
        ));
    }
    if let Some(raw) = change.name {
        let new = new_name(&hub, &raw)?;
        if new != user.name {
            if !hub.servers.active_of(&user.name).is_empty() {
                return Err(ApiError::bad_request(format!(
                    "{} has a running server; stop it before the user is renamed",
                    user.name
                )));
            }
            if hub.store.users().by_name(&new).await?.is_some() {
                return Err(ApiError::bad_request(format!(
                    "User {new} already exists, username must be unique"
                )));
            }
            hub.servers.rename_user(&user, &new).await?;
            tracing::info!(user = %user.name, new = %new, by = %caller.describe(), "user renamed");
        }
    }
    if let Some(admin) = change.admin {
        hub.store.users().set_admin(user.id, admin).await?;
        tracing::info!(user = %user.name, admin, by = %caller.describe(), "admin flag set");
    }
    let user = hub.store.users().by_id(user.id).await?.ok_or_else(ApiError::not_found)?;
    let body = model::user(&hub, &user, &caller, false).await?.ok_or_else(ApiError::not_found)?;
    Ok(Json(body))
}

/// `POST /hub/api/users/{user}/admin-access`, which old administrators' pages call
/// before they open somebody's server.
pub(super) async fn admin_access(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let name = user_name(&name)?;
    caller.allow_user(&hub, &name).await?;
    existing(&hub, &name).await?;
    let target = hub.user_target(&caller.scopes, &name).await?;
    match caller.scopes.has(ScopeName::AccessServers, &target) {
        true => Ok(StatusCode::OK),
        false => Err(ApiError::forbidden("admin access to user servers disabled")),
    }
}

/// `DELETE /hub/api/users/{user}`: the account, its tokens and sessions. Volumes
/// are kept unless the operator wants otherwise (SPN-30).
pub(super) async fn delete(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let name = user_name(&name)?;
    caller.allow_user(&hub, &name).await?;
    let user = existing(&hub, &name).await?;
    if caller.user().is_some_and(|own| own.id == user.id) {
        return Err(ApiError::bad_request("Cannot delete yourself!"));
    }
    if user.admin && !holds_every_admin_scope(&caller) {
        return Err(ApiError::forbidden("Only an administrator may delete an administrator"));
    }
    tracing::info!(user = %name, by = %caller.describe(), "the user is to be deleted");
    hub.servers.delete_user(&user, hub.slow_stop_timeout()).await.map_err(|error| match error {
        ServersError::Left(error) => {
            tracing::warn!(
                user = %name, error = &error as &(dyn std::error::Error + 'static),
                "what belongs to a user who is to be deleted could not be removed"
            );
            ApiError::unavailable(format!(
                "What belongs to {name} could not be removed, so the account is still there; \
                 delete it again. {}",
                error.user_message()
            ))
        }
        other => other.into(),
    })?;
    Ok(StatusCode::NO_CONTENT)
}

async fn existing(hub: &Hub, name: &UserName) -> Result<User, ApiError> {
    hub.store.users().by_name(name).await?.ok_or_else(ApiError::not_found)
}

fn new_name(hub: &Hub, raw: &str) -> Result<UserName, ApiError> {
    hub.normalise(raw).map_err(|error| invalid(raw, &error))
}

fn invalid(raw: &str, error: &InvalidName) -> ApiError {
    ApiError::bad_request(format!("Invalid username: {raw:?}: {error}"))
}

fn may_make_admins(caller: &Caller, admin: bool) -> Result<(), ApiError> {
    if admin && !holds_every_admin_scope(caller) {
        return Err(ApiError::forbidden("Only an administrator may make an administrator"));
    }
    Ok(())
}

/// Making an administrator hands out every scope of the role, so it takes all of
/// them, in the token that is used and not only in its owner (security B3).
fn holds_every_admin_scope(caller: &Caller) -> bool {
    Role::Admin
        .scopes()
        .iter()
        .all(|scope| caller.scopes.has(scope.name.clone(), &Target::whole_hub()))
}
