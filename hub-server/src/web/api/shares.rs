//! Shares: who may use a server besides its owner (hub-contract 5.8).

mod codes;
mod request;
pub(super) mod view;
mod with;

use std::sync::Arc;

#[cfg(test)]
pub(super) use self::{codes::CodeRequest, request::ShareRequest as Request};
use self::{
    request::{Owner, ShareRequest, Shared, grantable},
    view::{LeftModel, ShareModel},
};
use super::{
    endpoint::{Endpoint, Needs, Verb},
    paging::Paging,
};
use crate::{
    access::Caller,
    hub::Hub,
    web::{error::ApiError, request::json},
};
use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use hub_auth::{ScopeName, Target};
use hub_names::ServerKey;
use hub_store::Grantee;

type ApiResult = Result<Response, ApiError>;
type HubState = State<Arc<Hub>>;

/// The operations on shares and share codes, for the table of all. A path that ends
/// with `/` means the default server.
pub(super) fn endpoints() -> Vec<Endpoint> {
    use Needs::AnyOf;
    use ScopeName as S;
    use Verb::{Delete, Get, Patch, Post};

    const READ: Needs = AnyOf(&[S::ReadShares]);
    const SHARE: Needs = AnyOf(&[S::Shares]);
    const READ_USERS: Needs = AnyOf(&[S::ReadUsersShares]);
    const READ_GROUPS: Needs = AnyOf(&[S::ReadGroupsShares]);
    let mut all = vec![
        Endpoint::new(
            Get,
            "/shares/{owner}",
            READ,
            "List the shares of a user's servers",
            of_owner,
        ),
        Endpoint::new(
            Get,
            "/share-codes/{owner}",
            READ,
            "List the share codes of a user's servers",
            codes::of_owner,
        ),
        Endpoint::new(
            Get,
            "/users/{user}/shared",
            READ_USERS,
            "List what is shared with a user",
            with::user,
        ),
        Endpoint::new(
            Get,
            "/groups/{group}/shared",
            READ_GROUPS,
            "List what is shared with a group",
            with::group,
        ),
    ];
    for path in ["/shares/{owner}/", "/shares/{owner}/{server}"] {
        all.extend([
            Endpoint::new(Get, path, READ, "List the shares of a server", of_server),
            Endpoint::new(Post, path, SHARE, "Share a server", grant),
            Endpoint::new(Patch, path, SHARE, "Take back a share, or part of it", revoke),
            Endpoint::new(Delete, path, SHARE, "Take back all shares of a server", revoke_all),
        ]);
    }
    for path in ["/share-codes/{owner}/", "/share-codes/{owner}/{server}"] {
        all.extend([
            Endpoint::new(Get, path, READ, "List the share codes of a server", codes::of_server),
            Endpoint::new(Post, path, SHARE, "Make a share code", codes::create),
            Endpoint::new(Delete, path, SHARE, "Revoke share codes", codes::revoke),
        ]);
    }
    for path in ["/users/{user}/shared/{owner}/", "/users/{user}/shared/{owner}/{server}"] {
        all.extend([
            Endpoint::new(Get, path, READ_USERS, "Show a user's share", with::show_users),
            Endpoint::new(
                Delete,
                path,
                AnyOf(&[S::UsersShares]),
                "Leave a share",
                with::leave_users,
            ),
        ]);
    }
    for path in ["/groups/{group}/shared/{owner}/", "/groups/{group}/shared/{owner}/{server}"] {
        all.extend([
            Endpoint::new(Get, path, READ_GROUPS, "Show a group's share", with::show_groups),
            Endpoint::new(
                Delete,
                path,
                AnyOf(&[S::GroupsShares]),
                "Leave a share for a group",
                with::leave_groups,
            ),
        ]);
    }
    all
}

/// `GET /hub/api/shares/{owner}`
async fn of_owner(
    State(hub): HubState,
    caller: Caller,
    Owner(owner): Owner,
    uri: Uri,
    headers: HeaderMap,
) -> ApiResult {
    caller.allow_user(&hub, &owner).await?;
    if hub.store.users().by_name(&owner).await?.is_none() {
        return Err(ApiError::not_found());
    }
    let shares = hub.store.shares().of_owner(&owner).await?;
    Ok(view::page(&Paging::of(&uri, &headers)?, &uri, &headers, shares, |one| {
        ShareModel::of(&hub, one)
    }))
}

/// `GET /hub/api/shares/{owner}/{server}`
async fn of_server(
    State(hub): HubState,
    caller: Caller,
    Shared(key): Shared,
    uri: Uri,
    headers: HeaderMap,
) -> ApiResult {
    caller.allow_server(&hub, &key).await?;
    require_server(&hub, &key).await?;
    let shares = hub.store.shares().of_server(&key).await?;
    Ok(view::page(&Paging::of(&uri, &headers)?, &uri, &headers, shares, |one| {
        ShareModel::of(&hub, one)
    }))
}

/// `POST /hub/api/shares/{owner}/{server}`: share the server with somebody.
async fn grant(
    State(hub): HubState,
    caller: Caller,
    Shared(key): Shared,
    body: Bytes,
) -> ApiResult {
    caller.allow_server(&hub, &key).await?;
    let request = json::<ShareRequest>(&body)?.unwrap_or_default();
    let with = request.with()?;
    let scopes = request::scopes(&hub, &key, request.scopes.as_deref())?;
    require_server(&hub, &key).await?;
    grantable(&hub, &caller, &key, &scopes).await?;
    require_grantee(&hub, &caller, &with).await?;
    remember_server(&hub, &key).await?;
    let names: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    let share = hub.store.shares().grant(&key, &with, &names, hub.clock.now()).await?;
    tracing::info!(server = %key, with = %describe(&with), by = %caller.describe(), "server shared");
    Ok(Json(ShareModel::of(&hub, &share)).into_response())
}

/// `PATCH /hub/api/shares/{owner}/{server}`: take back what somebody may do.
async fn revoke(
    State(hub): HubState,
    caller: Caller,
    Shared(key): Shared,
    body: Bytes,
) -> ApiResult {
    caller.allow_server(&hub, &key).await?;
    let request = json::<ShareRequest>(&body)?.unwrap_or_default();
    let with = request.with()?;
    let scopes = match request.scopes.as_deref() {
        None | Some([]) => None,
        named => Some(request::scopes(&hub, &key, named)?),
    };
    require_server(&hub, &key).await?;
    let names: Option<Vec<String>> =
        scopes.map(|scopes| scopes.iter().map(ToString::to_string).collect());
    let left = hub.store.shares().revoke(&key, &with, names.as_deref()).await?;
    tracing::info!(server = %key, with = %describe(&with), by = %caller.describe(), "share revoked");
    let left = left.map(|share| ShareModel::of(&hub, &share));
    Ok(Json(LeftModel { left }).into_response())
}

/// `DELETE /hub/api/shares/{owner}/{server}`: share the server with nobody.
async fn revoke_all(
    State(hub): HubState,
    caller: Caller,
    Shared(key): Shared,
) -> Result<StatusCode, ApiError> {
    caller.allow_server(&hub, &key).await?;
    require_server(&hub, &key).await?;
    let shares = hub.store.shares().revoke_all(&key).await?;
    tracing::info!(server = %key, shares, by = %caller.describe(), "all shares revoked");
    Ok(StatusCode::NO_CONTENT)
}

/// Everybody with an account has a default server, started or not; others must be
/// there.
async fn require_server(hub: &Hub, key: &ServerKey) -> Result<(), ApiError> {
    let known = match key.server().is_default() {
        true => hub.store.users().by_name(key.user()).await?.is_some(),
        false => hub.store.servers().get(key).await?.is_some(),
    };
    if known {
        return Ok(());
    }
    Err(ApiError::new(StatusCode::NOT_FOUND, format!("No such server: {key}")))
}

/// A default server that was never started may not be in the store yet.
async fn remember_server(hub: &Hub, key: &ServerKey) -> Result<(), ApiError> {
    if key.server().is_default() {
        hub.store.servers().ensure(key, hub.clock.now()).await?;
    }
    Ok(())
}

/// Whoever shares must be allowed to know with whom: otherwise shares would tell
/// who has an account.
async fn require_grantee(hub: &Hub, caller: &Caller, with: &Grantee) -> Result<(), ApiError> {
    match with {
        Grantee::User(name) => {
            let target = hub.user_target(&caller.scopes, name).await?;
            if !caller.scopes.has(ScopeName::ReadUsersName, &target) {
                return Err(ApiError::forbidden(
                    "Need scope 'read:users:name' to share with users by name",
                ));
            }
            match hub.store.users().by_name(name).await? {
                Some(_) => Ok(()),
                None => Err(ApiError::bad_request(format!("No such user: {name}"))),
            }
        }
        Grantee::Group(name) => {
            if !caller.scopes.has(ScopeName::ReadGroupsName, &Target::group(name)) {
                return Err(ApiError::forbidden(
                    "Need scope 'read:groups:name' to share with groups by name",
                ));
            }
            match hub.store.groups().by_name(name).await? {
                Some(_) => Ok(()),
                None => Err(ApiError::bad_request(format!("No such group: {name}"))),
            }
        }
    }
}

fn describe(with: &Grantee) -> String {
    match with {
        Grantee::User(name) => name.to_string(),
        Grantee::Group(name) => format!("group {name}"),
    }
}
