//! A user's tokens: list, make, revoke.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use hub_auth::{Access, ApiToken, Owner, ScopeName, ScopeSet};
use hub_store::{NewToken, TokenOwner, TokenRecord, User};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::model::time;
use crate::{
    access::{Caller, bearer},
    hub::Hub,
    web::{
        error::ApiError,
        request::{self, user_name},
    },
};

/// Longest life of a token that is given one: ten years.
const LONGEST_SECONDS: i64 = 10 * 366 * 86_400;
/// Longest note, in characters.
const NOTE_LEN: usize = 1023;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTokenBody {
    note: Option<String>,
    expires_in: Option<i64>,
    scopes: Option<Vec<String>>,
    roles: Option<Vec<String>>,
}

/// `GET /hub/api/users/{user}/tokens`
pub(super) async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(user): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let user = owner(&hub, &caller, &user).await?;
    let tokens = hub.store.tokens().of_user(user.id, hub.clock.now()).await?;
    let mut bodies = Vec::new();
    for token in &tokens {
        bodies.push(body(&hub, &user, token).await?);
    }
    Ok(Json(json!({ "api_tokens": bodies })))
}

/// `POST /hub/api/users/{user}/tokens`
pub(super) async fn create(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(user): Path<String>,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    let user = owner(&hub, &caller, &user).await?;
    let wanted: NewTokenBody = request::json(&bytes)?.unwrap_or_default();
    if wanted.roles.is_some() {
        return Err(ApiError::bad_request("roles are not given to tokens; name scopes instead"));
    }
    let scopes = wanted.scopes.unwrap_or_else(|| vec!["inherit".to_owned()]);
    require_coverage(&hub, &caller, &user, &scopes).await?;
    let now = hub.clock.now();
    let expires_at = match wanted.expires_in {
        None | Some(0) => None,
        Some(seconds @ 1..=LONGEST_SECONDS) => Some(now + SignedDuration::from_secs(seconds)),
        Some(_) => {
            return Err(ApiError::bad_request(format!(
                "expires_in must be from 1 to {LONGEST_SECONDS} seconds"
            )));
        }
    };
    let note =
        wanted.note.unwrap_or_else(|| match caller.user().is_some_and(|own| own.id == user.id) {
            true => "Requested via api".to_owned(),
            false => format!("Requested via api by {}", caller.describe()),
        });
    let token = ApiToken::generate();
    let record = hub
        .store
        .tokens()
        .issue(&NewToken {
            owner: TokenOwner::User(user.id),
            hash: *token.hash().as_bytes(),
            client_id: None,
            session_id: None,
            note: note.chars().take(NOTE_LEN).collect(),
            scopes,
            created: now,
            expires_at,
        })
        .await?;
    tracing::info!(user = %user.name, token = record.id.get(), by = %caller.describe(), "token made");
    let mut made = body(&hub, &user, &record).await?;
    made["token"] = json!(token.expose());
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// `GET /hub/api/users/{user}/tokens/{id}`
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path((user, id)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let user = owner(&hub, &caller, &user).await?;
    let token = find(&hub, &user, &id).await?;
    Ok(Json(body(&hub, &user, &token).await?))
}

/// `DELETE /hub/api/users/{user}/tokens/{id}`. One token of an OAuth client stands
/// for the person's whole consent: the others of that client go with it.
pub(super) async fn revoke(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path((user, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let user = owner(&hub, &caller, &user).await?;
    let token = find(&hub, &user, &id).await?;
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
    Ok(StatusCode::NO_CONTENT)
}

/// A new token may do what its owner may *and* what the token that asks for it
/// may, nothing else (security B3).
async fn require_coverage(
    hub: &Hub,
    caller: &Caller,
    user: &User,
    scopes: &[String],
) -> Result<(), ApiError> {
    let held = hub.scopes_of_user(user).await?;
    let owner = Owner::User(user.name.clone());
    let live = hub.live();
    let raw = scopes
        .iter()
        .map(|text| {
            live.roles.scope(text).map_err(|error| ApiError::bad_request(error.to_string()))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let asked = match raw.iter().any(|scope| scope.name == ScopeName::Inherit) {
        true => held.clone(),
        false => ScopeSet::expand(live.roles.spell_out(raw), &owner, None),
    };
    let groups = hub.groups_behind(&[&asked, &held, &caller.scopes]).await?;
    if !asked.is_within(&held, &groups) {
        return Err(ApiError::bad_request(format!(
            "Not assigning requested scopes {} not held by User {}",
            scopes.join(","),
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

async fn owner(hub: &Hub, caller: &Caller, name: &str) -> Result<User, ApiError> {
    let name = user_name(name)?;
    caller.allow_user(hub, &name).await?;
    hub.store.users().by_name(&name).await?.ok_or_else(ApiError::not_found)
}

async fn find(hub: &Hub, user: &User, id: &str) -> Result<TokenRecord, ApiError> {
    let missing = || ApiError::new(StatusCode::NOT_FOUND, format!("No such token: {id}"));
    let number: i64 =
        id.strip_prefix('a').and_then(|text| text.parse().ok()).ok_or_else(missing)?;
    let tokens = hub.store.tokens().of_user(user.id, hub.clock.now()).await?;
    tokens.into_iter().find(|token| token.id.get() == number).ok_or_else(missing)
}

async fn body(hub: &Hub, user: &User, token: &TokenRecord) -> Result<Value, ApiError> {
    let client = match &token.client_id {
        Some(id) => hub.store.oauth().client(id).await?,
        None => None,
    };
    let held = hub.scopes_of_user(user).await?;
    let owner = Owner::User(user.name.clone());
    let scopes = bearer::scopes(hub, token, &owner, &held).await?;
    Ok(json!({
        "user": user.name,
        "id": format!("a{}", token.id.get()),
        "kind": "api_token",
        "roles": [],
        "scopes": scopes.to_strings(),
        "created": time(Some(token.created)),
        "last_activity": time(token.last_activity),
        "expires_at": time(token.expires_at),
        "note": token.note,
        "session_id": token.session_id,
        "oauth_client": client.map_or_else(|| "JupyterHub".to_owned(), |client| client.description),
    }))
}
