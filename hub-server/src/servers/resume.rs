//! The token of a server that was kept when it was stopped (SPN-12, SPN-25).
//!
//! Its program has the token from its first start on, and nobody can give it another
//! one: it goes on with that, or a new server takes its place.

use hub_auth::ApiToken;
use hub_names::ServerKey;
use hub_store::{ServerRecord, StoreError, TokenId, TokenRecord, UserId};

use super::{Shared, adoption};
use crate::web::paths::client_id;

/// The token that the server of `key` goes on with, if the spawner has kept the server
/// and the store still knows its token. Whatever is in doubt is a new server.
pub(super) async fn token(shared: &Shared, key: &ServerKey, user: UserId) -> Option<ApiToken> {
    if !shared.spawner.will_resume() {
        return None;
    }
    let found = match shared.spawner.identify(key).await {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!(
                server = %key, error = &error as &(dyn std::error::Error + 'static),
                "what was kept of the server was not looked at"
            );
            return None;
        }
    };
    for one in found.iter().filter(|one| !one.is_running) {
        match adoption::token_of(shared, key, one, user).await {
            Ok(Some(token)) => return Some(token),
            Ok(None) => {}
            Err(error) => tracing::debug!(
                server = %key, error = &error as &(dyn std::error::Error + 'static),
                "the token of what was kept of the server could not be looked up"
            ),
        }
    }
    None
}

/// Takes back what starts that came to nothing have left of the server's own tokens.
pub(super) async fn only(
    shared: &Shared,
    key: &ServerKey,
    user: UserId,
    kept: TokenId,
) -> Result<(), StoreError> {
    for token in own_tokens(shared, key, user).await? {
        if token.id != kept {
            shared.store.tokens().revoke(token.id).await?;
        }
    }
    Ok(())
}

/// Takes back the token that the last start made, which came to nothing. Returns whether
/// the server has one from before, with which what was kept of it may go on.
pub(super) async fn take_back(
    shared: &Shared,
    key: &ServerKey,
    known: Option<&ServerRecord>,
) -> Result<bool, StoreError> {
    let Some(user) = shared.store.users().by_name(key.user()).await? else { return Ok(false) };
    // Both are noted with the time of the start.
    let started = known.and_then(|record| record.started);
    let (fresh, earlier): (Vec<_>, Vec<_>) = own_tokens(shared, key, user.id)
        .await?
        .into_iter()
        .partition(|token| Some(token.created) == started);
    for token in fresh {
        shared.store.tokens().revoke(token.id).await?;
    }
    Ok(!earlier.is_empty())
}

/// The tokens of the server itself; those that its visitors have end with a session.
async fn own_tokens(
    shared: &Shared,
    key: &ServerKey,
    user: UserId,
) -> Result<Vec<TokenRecord>, StoreError> {
    let id = client_id(key);
    let all = shared.store.tokens().of_user(user, shared.clock.now()).await?.into_iter();
    let own =
        |token: &TokenRecord| token.client_id.as_deref() == Some(&id) && token.session_id.is_none();
    Ok(all.filter(own).collect())
}
