//! Users: list, add, change, remove.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::Uri,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use hub_auth::{Access, Role, ScopeName, Target};
use hub_names::UserName;
use hub_store::{User, UserFilter, UserOrder};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::model;
use crate::{
    access::{Caller, browser::Browser},
    hub::Hub,
    web::{
        error::ApiError,
        request::{self, Fields, user_name},
    },
};

/// `Accept` of clients that want pages.
const PAGED: &str = "application/jupyterhub-pagination+json";
/// Page size for those clients.
const DEFAULT_LIMIT: u64 = 50;
/// Page size for all others, and the largest of all.
const MAX_LIMIT: u64 = 200;

/// The order that `sort` asks for.
fn order(sort: Option<&str>) -> Result<UserOrder, ApiError> {
    match sort.unwrap_or_default() {
        "" | "id" => Ok(UserOrder::Added),
        "-id" => Ok(UserOrder::AddedLast),
        "name" => Ok(UserOrder::Name),
        "-name" => Ok(UserOrder::NameLast),
        "last_activity" => Ok(UserOrder::Seen),
        "-last_activity" => Ok(UserOrder::SeenLast),
        other => Err(ApiError::bad_request(format!(
            "sort: {other:?} is not an order; use id, name or last_activity, with - in front for \
             the other way round"
        ))),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUsers {
    #[serde(default)]
    usernames: Vec<String>,
    #[serde(default)]
    admin: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    #[serde(default)]
    admin: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    admin: Option<bool>,
}

/// `GET /hub/api/users`
pub(super) async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let visible = match caller.scopes.access(ScopeName::ListUsers) {
        Access::None => return Err(ApiError::missing_scope(ScopeName::ListUsers.as_str())),
        Access::All => None,
        Access::Filtered(filters) => Some(filters.users().iter().cloned().collect::<Vec<_>>()),
    };
    let query = Fields::of_query(&uri);
    let paged = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|one| one.trim() == PAGED);
    let offset = number(&query, "offset")?.unwrap_or(0);
    let default = if paged { DEFAULT_LIMIT } else { MAX_LIMIT };
    let limit = number(&query, "limit")?.unwrap_or(default).clamp(1, MAX_LIMIT);
    let wanted = match query.get("state") {
        None | Some("") => None,
        Some(state @ ("active" | "ready" | "inactive")) => Some(state),
        Some(other) => {
            return Err(ApiError::bad_request(format!(
                "Unrecognized state filter: {other:?}; use active, ready or inactive"
            )));
        }
    };
    let with_stopped =
        query.get("include_stopped_servers").is_some_and(|value| !matches!(value, "0" | "false"));
    let order = order(query.get("sort"))?;
    let name_contains = query.get("name_filter").filter(|text| !text.is_empty()).map(str::to_owned);

    let (users, total) = match (&visible, wanted) {
        // Few enough to be looked at one by one.
        (Some(names), _) => {
            let mut users = Vec::new();
            for name in names {
                users.extend(hub.store.users().by_name(name).await?);
            }
            slice(users, &hub, wanted, name_contains.as_deref(), offset, limit)
        }
        (None, Some(_)) => {
            let filter = UserFilter {
                name_contains: name_contains.clone(),
                offset: 0,
                limit: u64::from(u32::MAX),
                order,
            };
            let users = hub.store.users().page(&filter).await?;
            slice(users, &hub, wanted, None, offset, limit)
        }
        (None, None) => {
            let filter = UserFilter { name_contains: name_contains.clone(), offset, limit, order };
            let users = hub.store.users().page(&filter).await?;
            (users, hub.store.users().count(name_contains.as_deref()).await?)
        }
    };
    let shown = users.len() as u64;
    let mut items = Vec::new();
    for user in &users {
        items.extend(model::user(&hub, user, &caller, with_stopped).await?);
    }
    if !paged {
        return Ok(Json(items).into_response());
    }
    let next = (offset + shown < total && shown > 0).then(|| {
        let offset = offset + limit;
        json!({ "offset": offset, "limit": limit, "url": page_url(&hub, &uri, &headers, offset, limit) })
    });
    let body = json!({
        "items": items,
        "_pagination": { "offset": offset, "limit": limit, "total": total, "next": next },
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], Json(body)).into_response())
}

/// `POST /hub/api/users`
pub(super) async fn create_many(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    body: Bytes,
) -> Result<Response, ApiError> {
    caller.require(ScopeName::AdminUsers, &Target::whole_hub())?;
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
    let mut created = Vec::new();
    for name in names {
        let user = hub.store.users().create(&name, admin, hub.clock.now()).await?;
        tracing::info!(user = %user.name, admin, by = %caller.describe(), "user added");
        created.extend(model::user(&hub, &user, &caller, false).await?);
    }
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

/// `GET /hub/api/users/{user}`
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<Value>, ApiError> {
    let name = user_name(&name)?;
    caller.require_any(
        &[
            ScopeName::ReadUsers,
            ScopeName::ReadUsersName,
            ScopeName::ReadServers,
            ScopeName::ReadUsersGroups,
            ScopeName::ReadUsersActivity,
            ScopeName::ReadRolesUsers,
        ],
        &Target::user(&name),
    )?;
    let user = existing(&hub, &name).await?;
    let with_stopped = Fields::of_query(&uri)
        .get("include_stopped_servers")
        .is_some_and(|value| !matches!(value, "0" | "false"));
    let body =
        model::user(&hub, &user, &caller, with_stopped).await?.ok_or_else(ApiError::not_found)?;
    Ok(Json(body))
}

/// `POST /hub/api/users/{user}`
pub(super) async fn create(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let name = new_name(&hub, &name)?;
    caller.require(ScopeName::AdminUsers, &Target::user(&name))?;
    let NewUser { admin } = request::json(&body)?.unwrap_or_default();
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
) -> Result<Json<Value>, ApiError> {
    let name = user_name(&name)?;
    caller.require(ScopeName::AdminUsers, &Target::user(&name))?;
    let user = existing(&hub, &name).await?;
    let change: Change = request::json(&body)?
        .ok_or_else(|| ApiError::bad_request("The body must name what to change: name or admin"))?;
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
            hub.store.users().rename(user.id, &new).await?;
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

/// `DELETE /hub/api/users/{user}`: the account, its tokens and sessions. Volumes
/// are kept.
pub(super) async fn delete(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let name = user_name(&name)?;
    caller.require(ScopeName::DeleteUsers, &Target::user(&name))?;
    let user = existing(&hub, &name).await?;
    if caller.user().is_some_and(|own| own.id == user.id) {
        return Err(ApiError::bad_request("Cannot delete yourself!"));
    }
    if user.admin && !holds_every_admin_scope(&caller) {
        return Err(ApiError::forbidden("Only an administrator may delete an administrator"));
    }
    stop_servers(&hub, &name).await?;
    hub.store.users().delete(user.id).await?;
    // A start that slipped in between belongs to nobody now.
    for key in hub.servers.active_of(&name) {
        hub.servers.stop(&key).await;
    }
    tracing::info!(user = %name, by = %caller.describe(), "user deleted");
    Ok(StatusCode::NO_CONTENT)
}

/// Stops the user's servers and waits for it: what must not happen is an account
/// that is gone while its server runs.
async fn stop_servers(hub: &Hub, name: &UserName) -> Result<(), ApiError> {
    for key in hub.servers.active_of(name) {
        hub.servers.stop(&key).await;
        let settled = timeout(hub.slow_stop_timeout(), hub.servers.settled(&key)).await;
        if settled.is_err() || hub.servers.live(&key).is_some_and(|view| view.phase.is_active()) {
            return Err(ApiError::bad_request(format!(
                "{name}'s server is still stopping; the user was not deleted. Try again in a moment"
            )));
        }
    }
    Ok(())
}

fn slice(
    users: Vec<User>,
    hub: &Hub,
    state: Option<&str>,
    name_contains: Option<&str>,
    offset: u64,
    limit: u64,
) -> (Vec<User>, u64) {
    let needle = name_contains.map(str::to_lowercase);
    let users: Vec<User> = users
        .into_iter()
        .filter(|user| {
            needle.as_ref().is_none_or(|text| user.name.as_str().to_lowercase().contains(text))
        })
        .filter(|user| {
            let keys = hub.servers.active_of(&user.name);
            match state {
                Some("active") => !keys.is_empty(),
                Some("inactive") => keys.is_empty(),
                Some("ready") => keys
                    .iter()
                    .any(|key| hub.servers.live(key).is_some_and(|view| view.phase.is_ready())),
                _ => true,
            }
        })
        .collect();
    let total = users.len() as u64;
    let skip = usize::try_from(offset).unwrap_or(usize::MAX);
    let take = usize::try_from(limit).unwrap_or(usize::MAX);
    (users.into_iter().skip(skip).take(take).collect(), total)
}

fn page_url(hub: &Hub, uri: &Uri, headers: &HeaderMap, offset: u64, limit: u64) -> String {
    let browser = Browser::from_headers(headers);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in Fields::of_query(uri).pairs() {
        if key != "offset" && key != "limit" {
            query.append_pair(key, value);
        }
    }
    query.append_pair("offset", &offset.to_string()).append_pair("limit", &limit.to_string());
    format!(
        "{}://{}{}?{}",
        browser.proto,
        browser.host,
        hub.paths.in_hub("api/users"),
        query.finish()
    )
}

fn number(query: &Fields, name: &str) -> Result<Option<u64>, ApiError> {
    let Some(text) = query.get(name) else { return Ok(None) };
    let number: i64 = text.parse().map_err(|_| {
        ApiError::bad_request(format!("Invalid argument type, {name} must be an integer"))
    })?;
    Ok(Some(number.unsigned_abs()))
}

async fn existing(hub: &Hub, name: &UserName) -> Result<User, ApiError> {
    hub.store.users().by_name(name).await?.ok_or_else(ApiError::not_found)
}

fn new_name(hub: &Hub, raw: &str) -> Result<UserName, ApiError> {
    hub.normalise(raw)
        .map_err(|error| ApiError::bad_request(format!("Invalid username: {raw:?}: {error}")))
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
    Role::Admin.scopes().iter().all(|scope| caller.scopes.has(scope.name, &Target::whole_hub()))
}
