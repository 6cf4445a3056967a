//! The token of a server that was kept when it was stopped (SPN-12, SPN-25).
//!
//! Its program has the token from its first start on, and nobody can give it another
//! one: it goes on with that, or a new server takes its place.

use hub_auth::ApiToken;
use hub_names::ServerKey;
use hub_store::UserId;

use super::{Shared, adoption};

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
