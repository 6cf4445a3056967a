//! A user's tokens: list, make, revoke.

mod sign_in;
mod view;
mod wanted;

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use hub_auth::{Access, ApiToken, Owner, Scope, ScopeName, ScopeSet};
use hub_names::UserName;
use hub_store::{Issue, NewToken, TokenOwner, TokenRecord, User};

pub(super) use self::view::{NewTokenModel, TokenModel, TokensModel};
#[cfg(test)]
pub(super) use self::wanted::Body;
use self::wanted::Request;
pub(in crate::web) use self::wanted::Wanted;
use crate::{
    access::{Caller, MaybeCaller, Needed, Who},
    hub::Hub,
    web::{error::ApiError, request::user_name},
};

/// `GET /hub/api/users/{user}/tokens`
pub(super) async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(user): Path<String>,
) -> Result<Json<TokensModel>, ApiError> {
    let user = owner(&hub, &caller, &user).await?;
    // Reading them takes away those that have expired.
    let mut tokens = hub.store.tokens().of_user(user.id, hub.clock.now()).await?;
    tokens.sort_by_key(|token| token.last_activity.unwrap_or(token.created));
    let mut api_tokens = Vec::new();
    for token in &tokens {
        api_tokens.push(TokenModel::of(&hub, &user, token).await?);
    }
    Ok(Json(TokensModel { api_tokens }))
}

/// `POST /hub/api/users/{user}/tokens`. Whoever has no credential yet may show name
/// and password in the body.
pub(super) async fn create(
    State(hub): State<Arc<Hub>>,
    MaybeCaller(caller): MaybeCaller,
    Extension(Needed(needed)): Extension<Needed>,
    Path(user): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    let Request { auth, wanted } = Request::of(&bytes)?;
    let caller = match caller {
        Some(caller) => caller,
        None => sign_in::by_body(&hub, &headers, auth.as_ref()).await?,
    };
    let user = owner_of_new(&hub, &caller, needed, &user).await?;
    let (record, token) = make(&hub, &caller, &user, &wanted).await?;
    let shown = TokenModel::of(&hub, &user, &record).await?;
    let made = NewTokenModel { token: token.expose().to_owned(), shown };
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// Makes a token of `user`, if `caller` may make one like that.
pub(in crate::web) async fn make(
    hub: &Hub,
    caller: &Caller,
    user: &User,
    wanted: &Wanted,
) -> Result<(TokenRecord, ApiToken), ApiError> {
    let live = hub.live();
    let scopes = wanted.scopes(&live.roles)?;
    require_coverage(hub, caller, user, &scopes).await?;
    let now = hub.clock.now();
    let expires_at = wanted.life(live.session.token_max_age)?.map(|life| now + life);
    let own = caller.user().is_some_and(|own| own.id == user.id);
    let note = wanted.note((!own).then_some((caller.kind(), caller.name())));
    let token = ApiToken::generate();
    let new = NewToken {
        owner: TokenOwner::User(user.id),
        hash: *token.hash().as_bytes(),
        client_id: None,
        session_id: None,
        note,
        scopes: scopes.iter().map(ToString::to_string).collect(),
        created: now,
        expires_at,
    };
    let limits = live.session.token_limits;
    let record = match hub.store.tokens().issue_for(caller.user(), &new, &limits).await? {
        Issue::Done(record) => *record,
        Issue::Full => return Err(full(&user.name, limits.per_user)),
        Issue::TooFast => {
            let made = limits.per_minute.unwrap_or_default();
            let text = format!(
                "{made} tokens were made for {} within a minute. Wait a minute, and keep tokens instead of making new ones.",
                user.name
            );
            return Err(ApiError::too_fast(text));
        }
    };
    tracing::info!(user = %user.name, token = record.id.get(), by = %caller.describe(), "token made");
    Ok((record, token))
}

fn full(user: &UserName, limit: Option<u64>) -> ApiError {
    let limit = limit.unwrap_or_default();
    ApiError::bad_request(format!(
        "{user} has {limit} tokens, as many as one may have on this hub. Revoke those that are not used any more, on the token page or with DELETE /users/{user}/tokens/ID, or give tokens an end; whoever runs the hub can raise auth.tokens_per_user."
    ))
}

/// `GET /hub/api/users/{user}/tokens/{id}`
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path((user, id)): Path<(String, String)>,
) -> Result<Json<TokenModel>, ApiError> {
    let user = owner(&hub, &caller, &user).await?;
    let token = find(&hub, &user, &id).await?;
    Ok(Json(TokenModel::of(&hub, &user, &token).await?))
}

/// `DELETE /hub/api/users/{user}/tokens/{id}`
pub(super) async fn revoke(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path((user, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let user = owner(&hub, &caller, &user).await?;
    end(&hub, &caller, &user, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revokes a token. One of an OAuth client stands for the person's whole consent: the
/// others of that client go with it.
pub(in crate::web) async fn end(
    hub: &Hub,
    caller: &Caller,
    user: &User,
    id: &str,
) -> Result<(), ApiError> {
    let token = find(hub, user, id).await?;
    hub.store.tokens().revoke(token.id).await?;
    if let (Some(client), Some(_)) = (&token.client_id, &token.session_id) {
        let now = hub.clock.now();
        for other in hub.store.tokens().of_user(user.id, now).await? {
            if other.client_id.as_ref() == Some(client) && other.session_id.is_some() {
                hub.store.tokens().revoke(other.id).await?;
            }
        }
    }
    tracing::info!(user = %user.name, token = token.id.get(), by = %caller.describe(), "token revoked");
    Ok(())
}

/// A new token may do what its owner may *and* what the token that asks for it
/// may, nothing else (security B3).
async fn require_coverage(
    hub: &Hub,
    caller: &Caller,
    user: &User,
    raw: &[Scope],
) -> Result<(), ApiError> {
    let held = hub.scopes_of_user(user).await?;
    let owner = Owner::User(user.name.clone());
    let live = hub.live();
    let expand = |raw: &[Scope]| match raw.iter().any(|scope| scope.name == ScopeName::Inherit) {
        true => held.clone(),
        false => ScopeSet::expand(live.roles.spell_out(raw.iter().cloned()), &owner, None),
    };
    let asked = expand(raw);
    let groups = hub.groups_behind(&[&asked, &held, &caller.scopes]).await?;
    if !asked.is_within(&held, &groups) {
        let extra: Vec<String> = raw
            .iter()
            .filter(|scope| !expand(std::slice::from_ref(*scope)).is_within(&held, &groups))
            .map(ToString::to_string)
            .collect();
        return Err(ApiError::bad_request(format!(
            "Not assigning requested scopes {} not held by User {}",
            extra.join(","),
            user.name
        )));
    }
    // Whoever administers tokens of others cannot hold their personal scopes: to
    // act as any ordinary user is what `tokens` without a filter means. It does
    // not make an administrator.
    let unfiltered = !user.admin && caller.scopes.access(ScopeName::Tokens) == Access::All;
    if !unfiltered && !asked.is_within(&caller.scopes, &groups) {
        return Err(ApiError::forbidden(
            "The token that asks for this does not hold these scopes itself; name fewer",
        ));
    }
    Ok(())
}

/// Whose token is to be made. Somebody who does not exist and somebody for whom the
/// caller may make none are answered alike.
async fn owner_of_new(
    hub: &Hub,
    caller: &Caller,
    needed: &'static [ScopeName],
    name: &str,
) -> Result<User, ApiError> {
    let refused = || {
        let kind = match caller.who {
            Who::User(_) => "User",
            Who::Service(_) => "Service",
        };
        ApiError::forbidden(format!("{kind} {name} not found or no permissions to generate tokens"))
    };
    let name: UserName = name.parse().map_err(|_| refused())?;
    let target = hub.user_target(&caller.scopes, &name).await?;
    caller.require_any(needed, &target).map_err(|_| refused())?;
    hub.store.users().by_name(&name).await?.ok_or_else(refused)
}

async fn owner(hub: &Hub, caller: &Caller, name: &str) -> Result<User, ApiError> {
    let name = user_name(name)?;
    caller.allow_user(hub, &name).await?;
    let missing = || ApiError::new(StatusCode::NOT_FOUND, format!("No such user: {name}"));
    hub.store.users().by_name(&name).await?.ok_or_else(missing)
}

async fn find(hub: &Hub, user: &User, id: &str) -> Result<TokenRecord, ApiError> {
    let missing = || {
        ApiError::new(StatusCode::NOT_FOUND, format!("No such token {id} for user {}", user.name))
    };
    let number: i64 =
        id.strip_prefix('a').and_then(|text| text.parse().ok()).ok_or_else(missing)?;
    let tokens = hub.store.tokens().of_user(user.id, hub.clock.now()).await?;
    tokens.into_iter().find(|token| token.id.get() == number).ok_or_else(missing)
}
