//! Token to caller.

use std::sync::Arc;

use http::{HeaderMap, header};
use hub_auth::{ApiToken, Owner, Scope, ScopeSet, resolve_token};
use hub_store::{StoreError, TokenOwner, TokenRecord};
use jiff::{SignedDuration, Timestamp};

use super::{Caller, Who, held::issuer, is_vouched_for, recent::Ground};
use crate::{
    auth_state::{refresh, refreshes::Confirmed},
    hub::Hub,
    web::error::ApiError,
};

/// How often a token's time of last use is written down, as JupyterHub's
/// `activity_resolution`.
const RESOLUTION: SignedDuration = SignedDuration::from_secs(30);

/// The caller behind a valid `Authorization` token; `None` when there is no
/// token or it is unknown.
pub(crate) async fn caller(
    hub: &Arc<Hub>,
    headers: &HeaderMap,
) -> Result<Option<Caller>, ApiError> {
    match token(headers) {
        Some(token) => of_token(hub, &token).await,
        None => Ok(None),
    }
}

/// The caller whose token this is, if their provider still vouches for them or need not
/// be asked (`auth_refresh_strict`).
pub(crate) async fn of_token(hub: &Arc<Hub>, token: &ApiToken) -> Result<Option<Caller>, ApiError> {
    let Some(caller) = known(hub, token).await? else { return Ok(None) };
    let confirmed = match caller.user() {
        Some(user) => refresh::confirm_token(hub, user).await?,
        None => Confirmed::Yes,
    };
    Ok(is_vouched_for(confirmed)?.then_some(caller))
}

async fn known(hub: &Hub, token: &ApiToken) -> Result<Option<Caller>, ApiError> {
    let now = hub.clock.now();
    let (ground, hash) = (Ground::now(hub), token.hash());
    if let Some(caller) = hub.recent.caller(&ground, &hash)
        && caller.token.as_ref().is_some_and(|record| is_settled(record, now))
    {
        return Ok(Some(caller));
    }
    let Some(record) = hub.store.tokens().by_hash(hash.as_bytes(), now).await? else {
        return Ok(None);
    };
    let (who, owner, held) = match &record.owner {
        TokenOwner::User(id) => {
            let Some(mut user) = hub.store.users().by_id(*id).await? else { return Ok(None) };
            // What it begins depends on the moment at which the token was found.
            user.sign_outs = record.sign_outs.unwrap_or(user.sign_outs);
            if !hub.live().keeps(&user.name) {
                return Ok(None);
            }
            let held = hub.scopes_of_user(&user).await?;
            (Who::User(user.clone()), Owner::User(user.name), held)
        }
        TokenOwner::Service(name) => {
            let held = hub.scopes_of_service(name).await?;
            (Who::Service(name.clone()), Owner::Service(name.clone()), held)
        }
    };
    if is_stale(record.last_activity, now) {
        hub.notes.settle(hub.store.tokens().touch(record.id, now).await, now);
        // What a server reports about itself is not its user's activity.
        if let Who::User(user) = &who
            && !record.note.starts_with("Server at ")
            && is_stale(user.last_activity, now)
        {
            hub.notes.settle(hub.store.users().touch(user.id, now).await, now);
        }
    }
    let scopes = scopes(hub, &record, &owner, &held).await?;
    let caller = Caller { who, scopes, token: Some(record), provider: None, needed: &[] };
    hub.recent.keep_caller(ground, hash, caller.clone());
    Ok(Some(caller))
}

/// Whether a time of last use is to be written down again.
fn is_stale(last: Option<Timestamp>, now: Timestamp) -> bool {
    last.is_none_or(|last| now.duration_since(last) > RESOLUTION)
}

/// Whether the token is valid at `now`, and its use need not be written down.
fn is_settled(record: &TokenRecord, now: Timestamp) -> bool {
    record.expires_at.is_none_or(|end| end > now) && !is_stale(record.last_activity, now)
}

/// hub-contract 6.5: what the token asks for, cut to what its owner holds now.
pub(crate) async fn scopes(
    hub: &Hub,
    record: &TokenRecord,
    owner: &Owner,
    held: &ScopeSet,
) -> Result<ScopeSet, StoreError> {
    let raw = record.scopes.iter().filter_map(|text| text.parse().ok());
    let raw: Vec<Scope> = hub.live().roles.spell_out(raw);
    let client = match &record.client_id {
        Some(id) => hub.store.oauth().client(id).await?,
        None => None,
    };
    let issuer = client.as_ref().map(issuer);
    let wanted = ScopeSet::expand(raw.iter().cloned(), owner, issuer.as_ref());
    let groups = hub.groups_behind(&[&wanted, held]).await?;
    Ok(resolve_token(&raw, owner, held, issuer.as_ref(), &groups))
}

/// The token in `Authorization: token T` or `bearer T`: two words, the first in any case.
fn token(headers: &HeaderMap) -> Option<ApiToken> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let mut words = value.split_ascii_whitespace();
    let (scheme, token) = (words.next()?, words.next()?);
    let known = scheme.eq_ignore_ascii_case("token") || scheme.eq_ignore_ascii_case("bearer");
    (known && words.next().is_none()).then(|| ApiToken::from_text(token))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schemes_are_understood_in_any_case() {
        for (value, expected) in [
            ("token abcdefgh", Some("abcdefgh")),
            ("Bearer abcdefgh", Some("abcdefgh")),
            ("TOKEN abcdefgh", Some("abcdefgh")),
            ("Basic abcdefgh", None),
            ("token  abcdefgh", Some("abcdefgh")),
            ("token\tabcdefgh", Some("abcdefgh")),
            ("abcdefgh", None),
            ("token ", None),
            ("token abcdefgh ijklmnop", None),
            ("tokens abcdefgh", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(token(&headers).as_ref().map(ApiToken::expose), expected, "{value:?}");
        }
    }
}
