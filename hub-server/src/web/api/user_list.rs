//! The list of users: who is on it, in which order.

use std::{collections::HashSet, sync::Arc};

use axum::{extract::State, http::Uri, response::Response};
use http::HeaderMap;
use hub_auth::{Access, Filters, ScopeName};
use hub_names::UserName;
use hub_store::{UserFilter, UserOrder};

use super::{model, paging::Paging};
use crate::{
    access::Caller,
    hub::Hub,
    web::{error::ApiError, request::Fields},
};

/// Which users are asked for by what their servers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServersDo {
    Active,
    Ready,
    Inactive,
}

/// `GET /hub/api/users`
pub(super) async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let paging = Paging::of(&uri, &headers)?;
    let query = Fields::of_query(&uri);
    let wanted = state(query.get("state"))?;
    let order = order(query.get("sort"))?;
    let with_stopped = model::with_stopped(&uri);
    let name_contains = query.get("name_filter").filter(|text| !text.is_empty()).map(str::to_owned);
    let visible = visible(&hub, &caller).await?;

    let (users, total) = if visible.is_none() && wanted.is_none() {
        let (offset, limit) = (paging.offset, paging.limit);
        let filter = UserFilter { name_contains: name_contains.clone(), offset, limit, order };
        let users = hub.store.users().page(&filter).await?;
        let total = match name_contains {
            None => hub.count_users().await?,
            Some(text) => hub.store.users().count(Some(&text)).await?,
        };
        (users, total)
    } else {
        let limit = u64::from(u32::MAX);
        let filter = UserFilter { name_contains, offset: 0, limit, order };
        let mut users = hub.store.users().page(&filter).await?;
        users.retain(|user| visible.as_ref().is_none_or(|names| names.contains(&user.name)));
        if let Some(wanted) = wanted {
            let (active, ready) = hub.servers.users_by_state();
            users.retain(|user| match wanted {
                ServersDo::Active => active.contains(&user.name),
                ServersDo::Ready => ready.contains(&user.name),
                ServersDo::Inactive => !active.contains(&user.name),
            });
        }
        paging.cut(users)
    };
    let shown = users.len() as u64;
    let items = model::users(&hub, &users, &caller, with_stopped).await?;
    Ok(paging.answer(&uri, &headers, items, shown, total))
}

/// Whom the caller may list; `None` for everybody.
async fn visible(hub: &Hub, caller: &Caller) -> Result<Option<HashSet<UserName>>, ApiError> {
    let filters: &Filters = match caller.scopes.access(ScopeName::ListUsers) {
        Access::None => return Err(ApiError::missing_scope(ScopeName::ListUsers.as_str())),
        Access::All => return Ok(None),
        Access::Filtered(filters) => filters,
    };
    // A right over a server is none over its user's account.
    if filters.users().is_empty() && filters.groups().is_empty() {
        return Err(ApiError::missing_scope(ScopeName::ListUsers.as_str()));
    }
    let mut names: HashSet<UserName> = filters.users().iter().cloned().collect();
    for group in filters.groups() {
        names.extend(hub.store.groups().member_names(group).await?);
    }
    Ok(Some(names))
}

fn state(text: Option<&str>) -> Result<Option<ServersDo>, ApiError> {
    match text.unwrap_or_default() {
        "" => Ok(None),
        "active" => Ok(Some(ServersDo::Active)),
        "ready" => Ok(Some(ServersDo::Ready)),
        "inactive" => Ok(Some(ServersDo::Inactive)),
        other => Err(ApiError::bad_request(format!(
            "Unrecognized state filter: {other:?}; use active, ready or inactive"
        ))),
    }
}

/// The order that `sort` asks for.
fn order(sort: Option<&str>) -> Result<UserOrder, ApiError> {
    match sort.unwrap_or("id") {
        "id" => Ok(UserOrder::Added),
        "-id" => Ok(UserOrder::AddedLast),
        "name" => Ok(UserOrder::Name),
        "-name" => Ok(UserOrder::NameLast),
        "last_activity" => Ok(UserOrder::Seen),
        "-last_activity" => Ok(UserOrder::SeenLast),
        other => Err(ApiError::bad_request(format!(
            "sort: {other:?} is no order; use id, name or last_activity, with - in front for the \
             other way round"
        ))),
    }
}
