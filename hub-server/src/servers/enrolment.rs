//! What a server is known by: its row, its tokens (hashes only) and its OAuth client.

use hub_auth::ApiToken;
use hub_names::ServerKey;
use hub_spawner::SavedState;
use hub_store::{ClientOf, NewToken, OauthClient, StoreError, TokenId, TokenOwner, UserId};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;

use super::{
    Shared,
    adoption::{self, Recognised},
    compatibility::Remark,
    launch::seen,
    resume,
};
use crate::web::paths::client_id;

/// The tokens of one start, of which the server has one in the end.
pub(super) struct Enrolled {
    /// For a new server.
    pub(super) fresh: Issued,
    /// For the one that was kept, if it goes on.
    pub(super) kept: Option<Issued>,
    pub(super) options: Value,
    /// What outlived the server's last run.
    pub(super) state: SavedState,
}

/// A token that the store knows.
pub(super) struct Issued {
    id: TokenId,
    token: ApiToken,
}

impl Issued {
    /// Its text, as the server gets it.
    pub(super) fn secret(&self) -> SecretString {
        SecretString::from(self.token.expose().to_owned())
    }
}

/// Writes down, before anything runs, what the server needs to be known by: its
/// row, its tokens (hashes only) and its OAuth client. The tokens are noted with the time
/// of the start, `since`, as the row is.
pub(super) async fn enrol(
    shared: &Shared,
    key: &ServerKey,
    since: Timestamp,
    options: Option<Value>,
) -> Result<Enrolled, StoreError> {
    let record = shared.store.servers().ensure(key, since).await?;
    let user = shared
        .store
        .users()
        .by_name(key.user())
        .await?
        .ok_or(StoreError::Missing { what: "user" })?;
    // The row first: what a hub that dies in between leaves behind is looked for where a
    // start is written down.
    shared.store.servers().record_starting(key, since, options.as_ref()).await?;
    let kept = kept(shared, key, user.id).await?;
    match &kept {
        Some(kept) => resume::only(shared, key, user.id, kept.id).await?,
        // Tokens and codes of an earlier run die with its client.
        None => {
            shared.store.oauth().delete_client(&client_id(key)).await?;
        }
    }
    let fresh = ApiToken::generate();
    register(shared, key, kept.as_ref().map_or(&fresh, |kept| &kept.token)).await?;
    let wanted = NewToken {
        owner: TokenOwner::User(user.id),
        hash: *fresh.hash().as_bytes(),
        client_id: Some(client_id(key)),
        session_id: None,
        note: format!("Server at {}", shared.links.paths.server_prefix(key)),
        scopes: hub_auth::role::server_scopes(key),
        created: since,
        expires_at: None,
    };
    let fresh = Issued { id: shared.store.tokens().issue(&wanted).await?.id, token: fresh };
    seen(shared, key).await?;
    let state = shared.spawner.lasting(&SavedState::from(record.state));
    Ok(Enrolled { fresh, kept, options: options.unwrap_or(record.options), state })
}

/// The token of the server that was kept.
async fn kept(
    shared: &Shared,
    key: &ServerKey,
    user: UserId,
) -> Result<Option<Issued>, StoreError> {
    let Some(token) = resume::token(shared, key, user).await else { return Ok(None) };
    let hash = token.hash();
    let record = shared.store.tokens().by_hash(hash.as_bytes(), shared.clock.now()).await?;
    Ok(record.map(|record| Issued { id: record.id, token }))
}

/// Makes the server known as an OAuth client that shows this token.
async fn register(shared: &Shared, key: &ServerKey, token: &ApiToken) -> Result<(), StoreError> {
    let client = OauthClient {
        id: client_id(key),
        description: format!("Server at {}", shared.links.paths.server_prefix(key)),
        secret_hash: *token.hash().as_bytes(),
        redirect_uri: shared.links.paths.server_callback(key),
        allowed_scopes: vec![format!("access:servers!server={key}")],
        of: ClientOf::Server(key.clone()),
    };
    shared.store.oauth().put_client(&client).await
}

/// Leaves the server the one token that it has (SPN-12).
pub(super) async fn settle(
    shared: &Shared,
    key: &ServerKey,
    enrolled: &Enrolled,
    resumed: bool,
) -> Result<(), StoreError> {
    let tokens = shared.store.tokens();
    match &enrolled.kept {
        Some(_) if resumed => tokens.revoke(enrolled.fresh.id).await.map(|_| ()),
        Some(kept) => {
            register(shared, key, &enrolled.fresh.token).await?;
            tokens.revoke(kept.id).await.map(|_| ())
        }
        None => Ok(()),
    }
}

/// Sees to it that people can sign in to a server that was found running: a hub that was
/// killed in the middle of its start may have left it half enrolled. Returns what is odd
/// about it, or could not be looked at, which is also written to the hub's log, and its
/// state, which was `known` to be another.
pub(super) async fn recognise(
    shared: &Shared,
    key: &ServerKey,
    known: SavedState,
) -> (Option<Remark>, SavedState) {
    let recognised = async {
        match adoption::recognise(shared, key).await? {
            Recognised::Own(own) => {
                register(shared, key, &own.token).await?;
                resume::only(shared, key, own.user, own.token_id).await?;
                Ok((None, own.state.and(shared.spawner.lasting(&known))))
            }
            Recognised::Untold => Ok((None, known.clone())),
            Recognised::Doubtful(doubt) => {
                tracing::warn!(server = %key, "{} {}", doubt.message, doubt.hint);
                Ok((Some(doubt), known.clone()))
            }
        }
    };
    let outcome: Result<_, Box<dyn std::error::Error + Send + Sync>> = recognised.await;
    outcome.unwrap_or_else(|error| {
        tracing::warn!(server = %key, error = &*error, "the server's token was not looked at; if nobody can sign in there, stop and start it");
        let message = "The hub could not look at the token that the server runs with.".to_owned();
        let hint = "If nobody can sign in there, stop it and start it again; files in volumes stay.";
        (Some(Remark { message, hint }), known)
    })
}
