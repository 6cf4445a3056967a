//! Share codes: whoever has one may exchange it for a share.

use axum::{Json, body::Bytes, extract::State, http::Uri, response::IntoResponse};
use http::{HeaderMap, StatusCode};
use hub_auth::{ApiToken, random_code};
use hub_store::NewShareCode;
use jiff::SignedDuration;
use serde::Deserialize;

use super::{
    ApiResult, HubState, remember_server,
    request::{self, Owner, Shared, grantable},
    require_server,
    view::{self, NewShareCodeModel, ShareCodeModel},
};
use crate::{
    access::Caller,
    web::{api::paging::Paging, error::ApiError, request::Fields},
};

/// Life of a code that does not say, in seconds.
const ONE_DAY: i64 = 24 * 60 * 60;
/// The shortest and the longest life.
const LIFE: std::ops::RangeInclusive<i64> = 60..=365 * ONE_DAY;

/// For what, and for how long.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ShareCodeRequest"))]
pub(in crate::web::api) struct CodeRequest {
    scopes: Option<Vec<String>>,
    /// Seconds, from 60 to 31536000.
    expires_in: Option<i64>,
}

/// `GET /hub/api/share-codes/{owner}`
pub(super) async fn of_owner(
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
    let codes = hub.store.share_codes().of_owner(&owner, hub.clock.now()).await?;
    let paging = Paging::of(&uri, &headers)?;
    Ok(view::page(&paging, &uri, &headers, codes, |one| ShareCodeModel::of(&hub, one)))
}

/// `GET /hub/api/share-codes/{owner}/{server}`
pub(super) async fn of_server(
    State(hub): HubState,
    caller: Caller,
    Shared(key): Shared,
    uri: Uri,
    headers: HeaderMap,
) -> ApiResult {
    caller.allow_server(&hub, &key).await?;
    require_server(&hub, &key).await?;
    let codes = hub.store.share_codes().of_server(&key, hub.clock.now()).await?;
    let paging = Paging::of(&uri, &headers)?;
    Ok(view::page(&paging, &uri, &headers, codes, |one| ShareCodeModel::of(&hub, one)))
}

/// `POST /hub/api/share-codes/{owner}/{server}`
pub(super) async fn create(
    State(hub): HubState,
    caller: Caller,
    Shared(key): Shared,
    body: Bytes,
) -> ApiResult {
    caller.allow_server(&hub, &key).await?;
    let request = crate::web::request::json::<CodeRequest>(&body)?.unwrap_or_default();
    let life = request.expires_in.unwrap_or(ONE_DAY);
    if !LIFE.contains(&life) {
        return Err(ApiError::bad_request(format!(
            "expires_in must be from {} to {} seconds",
            LIFE.start(),
            LIFE.end()
        )));
    }
    let scopes = request::scopes(&hub, &key, request.scopes.as_deref())?;
    require_server(&hub, &key).await?;
    grantable(&hub, &caller, &key, &scopes).await?;
    remember_server(&hub, &key).await?;
    let text = random_code();
    let Some(secret) = ApiToken::from_text(&text) else { return Err(ApiError::not_found()) };
    let now = hub.clock.now();
    let code = NewShareCode {
        server: key.clone(),
        hash: *secret.hash().as_bytes(),
        scopes: scopes.iter().map(ToString::to_string).collect(),
        created: now,
        expires_at: now + SignedDuration::from_secs(life),
    };
    let code = hub.store.share_codes().create(&code).await?;
    tracing::info!(server = %key, id = %view::id(&code), by = %caller.describe(), "share code made");
    let accept_url = hub.paths.accept_share(&text);
    let public = hub.public_url.as_ref();
    Ok(Json(NewShareCodeModel {
        shown: ShareCodeModel::of(&hub, &code),
        code: text,
        full_accept_url: public.map(|public| hub.paths.absolute(Some(public), &accept_url)),
        accept_url,
    })
    .into_response())
}

/// `DELETE /hub/api/share-codes/{owner}/{server}`: one, by `code` or `id`, or all.
pub(super) async fn revoke(
    State(hub): HubState,
    caller: Caller,
    Shared(key): Shared,
    uri: Uri,
) -> ApiResult {
    caller.allow_server(&hub, &key).await?;
    require_server(&hub, &key).await?;
    let (codes, now) = (hub.store.share_codes(), hub.clock.now());
    let missing = |text: String| ApiError::new(StatusCode::NOT_FOUND, text);
    let query = Fields::of_query(&uri);
    let named = |name| query.get(name).filter(|text| !text.is_empty());
    if let Some(text) = named("code") {
        let found = match ApiToken::from_text(text) {
            Some(secret) => codes.by_hash(secret.hash().as_bytes(), now).await?,
            None => None,
        };
        let code = found
            .filter(|code| code.server == key)
            .ok_or_else(|| missing("No matching code found".to_owned()))?;
        codes.revoke(code.id).await?;
    } else if let Some(id) = named("id") {
        let all = codes.of_server(&key, now).await?;
        let code = all
            .iter()
            .find(|code| view::id(code) == id)
            .ok_or_else(|| missing(format!("No code found matching id={id}")))?;
        codes.revoke(code.id).await?;
    } else {
        codes.revoke_all(&key).await?;
    }
    tracing::info!(server = %key, by = %caller.describe(), "share codes revoked");
    Ok(StatusCode::NO_CONTENT.into_response())
}
