//! What is shared with a user or a group.

use axum::{
    Json,
    extract::{Path, State},
    http::Uri,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use hub_auth::Target;
use hub_names::ServerKey;
use hub_store::{Grantee, Share};

use super::{
    ApiResult, HubState, describe,
    request::{Account, Shared},
    view::{self, ShareModel},
};
use crate::{
    access::Caller,
    hub::Hub,
    web::{api::paging::Paging, error::ApiError},
};

/// `GET /hub/api/users/{user}/shared`: by name and through groups.
pub(super) async fn user(
    State(hub): HubState,
    caller: Caller,
    Account(name): Account,
    uri: Uri,
    headers: HeaderMap,
) -> ApiResult {
    caller.allow_user(&hub, &name).await?;
    let user = hub
        .store
        .users()
        .by_name(&name)
        .await?
        .ok_or_else(|| ApiError::new(StatusCode::NOT_FOUND, format!("No such user: {name}")))?;
    let shares = hub.store.shares().with_user(user.id).await?;
    list(&hub, &uri, &headers, shares)
}

/// `GET /hub/api/groups/{group}/shared`
pub(super) async fn group(
    State(hub): HubState,
    caller: Caller,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> ApiResult {
    caller.allow(&Target::group(&name))?;
    if hub.store.groups().by_name(&name).await?.is_none() {
        return Err(ApiError::new(StatusCode::NOT_FOUND, format!("No such group: {name}")));
    }
    let shares = hub.store.shares().with_group(&name).await?;
    list(&hub, &uri, &headers, shares)
}

/// `GET /hub/api/users/{user}/shared/{owner}/{server}`
pub(super) async fn show_users(
    State(hub): HubState,
    caller: Caller,
    Account(user): Account,
    Shared(key): Shared,
) -> ApiResult {
    caller.allow_user(&hub, &user).await?;
    show(&hub, &key, Grantee::User(user)).await
}

/// `DELETE /hub/api/users/{user}/shared/{owner}/{server}`: do without it.
pub(super) async fn leave_users(
    State(hub): HubState,
    caller: Caller,
    Account(user): Account,
    Shared(key): Shared,
) -> ApiResult {
    caller.allow_user(&hub, &user).await?;
    leave(&hub, &caller, &key, Grantee::User(user)).await
}

/// `GET /hub/api/groups/{group}/shared/{owner}/{server}`
pub(super) async fn show_groups(
    State(hub): HubState,
    caller: Caller,
    Path(names): Path<std::collections::BTreeMap<String, String>>,
    Shared(key): Shared,
) -> ApiResult {
    let group = names.get("group").cloned().unwrap_or_default();
    caller.allow(&Target::group(&group))?;
    show(&hub, &key, Grantee::Group(group)).await
}

/// `DELETE /hub/api/groups/{group}/shared/{owner}/{server}`
pub(super) async fn leave_groups(
    State(hub): HubState,
    caller: Caller,
    Path(names): Path<std::collections::BTreeMap<String, String>>,
    Shared(key): Shared,
) -> ApiResult {
    let group = names.get("group").cloned().unwrap_or_default();
    caller.allow(&Target::group(&group))?;
    leave(&hub, &caller, &key, Grantee::Group(group)).await
}

fn list(hub: &Hub, uri: &Uri, headers: &HeaderMap, shares: Vec<Share>) -> ApiResult {
    let paging = Paging::of(uri, headers)?;
    Ok(view::page(&paging, uri, headers, shares, |one| ShareModel::of(hub, one)))
}

async fn show(hub: &Hub, key: &ServerKey, with: Grantee) -> ApiResult {
    match hub.store.shares().get(key, &with).await? {
        Some(share) => Ok(Json(ShareModel::of(hub, &share)).into_response()),
        None => Err(no_share(key, &with)),
    }
}

async fn leave(hub: &Hub, caller: &Caller, key: &ServerKey, with: Grantee) -> ApiResult {
    if hub.store.shares().get(key, &with).await?.is_none() {
        return Err(no_share(key, &with));
    }
    hub.store.shares().revoke(key, &with, None).await?;
    tracing::info!(server = %key, with = %describe(&with), by = %caller.describe(), "share left");
    Ok::<Response, _>(StatusCode::NO_CONTENT.into_response())
}

fn no_share(key: &ServerKey, with: &Grantee) -> ApiError {
    let (kind, name) = match with {
        Grantee::User(name) => ("user", name.as_str()),
        Grantee::Group(name) => ("group", name.as_str()),
    };
    ApiError::new(StatusCode::NOT_FOUND, format!("No such share for {kind} {name} on {key}"))
}
