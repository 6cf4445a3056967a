//! Servers that the spawner has and the store does not know to run (RST-3), as
//! after an older state of the store was brought back beside them. One that
//! proves by its token that it is this hub's is adopted; others are told, and
//! left alone.

use std::sync::Arc;

use hub_auth::ApiToken;
use hub_names::ServerKey;
use hub_spawner::{Found, SavedState};
use hub_store::{StoreError, TokenId, TokenOwner, TokenRecord, UserId};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use super::{Shared, compatibility::Remark, phase::Phase};
use crate::web::paths::client_id;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a server is not adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Stranger {
    #[error("it does not run")]
    Ended,
    #[error("the hub has no user of that name")]
    NoUser,
    #[error("it has no token for the hub's API")]
    NoToken,
    #[error("the hub does not know its token")]
    UnknownToken,
    #[error("its token belongs to somebody else")]
    AnothersToken,
}

/// Adopts what is this hub's, and tells of the rest.
pub(super) async fn adopt(shared: &Arc<Shared>) {
    let keys = match shared.spawner.found().await {
        Ok(keys) => keys,
        Err(error) => {
            tracing::warn!(
                error = &error as &(dyn std::error::Error + 'static),
                "the running servers could not be listed"
            );
            return;
        }
    };
    for key in keys {
        // Most are known, and nothing is asked about them.
        if !shared.handles().contains_key(&key)
            && let Err(error) = consider(shared, &key).await
        {
            tracing::warn!(server = %key, error = &*error, "it could not be told whether a server is this hub's; it is left alone");
        }
    }
}

async fn consider(shared: &Arc<Shared>, key: &ServerKey) -> Result<(), BoxError> {
    let store = &shared.store;
    let user = store.users().by_name(key.user()).await?.map(|user| user.id);
    let is_known = store.servers().get(key).await?.is_some();
    for found in shared.spawner.identify(key).await? {
        match judge(key, &found, user, known(shared, &found).await?.as_ref()) {
            Ok(since) => take_up(shared, key, found, since).await?,
            Err(reason) => tell(key, &found, is_known, reason),
        }
    }
    Ok(())
}

/// What a server that is in the store and runs is found to be.
#[derive(Debug)]
pub(super) enum Recognised {
    /// This hub's, with the token and the state of this one.
    Own(OwnServer),
    /// One whose token cannot be told.
    Untold,
    /// One that runs with another token than is in the store: it was started again after
    /// the backup was made which is the store now. It is left alone, since kernels may be
    /// somebody's work.
    Doubtful(Remark),
}

/// A server that runs and has proven to be this hub's.
#[derive(Debug)]
pub(super) struct OwnServer {
    pub(super) user: UserId,
    pub(super) token: ApiToken,
    pub(super) token_id: TokenId,
    pub(super) state: SavedState,
}

/// Compares a server that is in the store and runs with what the store knows of it.
pub(super) async fn recognise(shared: &Shared, key: &ServerKey) -> Result<Recognised, BoxError> {
    let user = shared.store.users().by_name(key.user()).await?.map(|user| user.id);
    let mut doubt = None;
    for found in shared.spawner.identify(key).await? {
        let record = known(shared, &found).await?;
        let judged = judge(key, &found, user, record.as_ref());
        match (judged, user, present(&found), record) {
            (Ok(_), Some(user), Some(token), Some(record)) => {
                let (token_id, state) = (record.id, found.state);
                return Ok(Recognised::Own(OwnServer { user, token, token_id, state }));
            }
            (Ok(_), ..) => {}
            (Err(reason), ..) if !is_doubtful(&found, reason) => {}
            (Err(_), ..) => {
                doubt = Some(Remark {
                    message: "The server runs with a token that the hub does not know, as after \
                              an older state of the hub was restored."
                        .to_owned(),
                    hint: "Nobody can sign in there. Stop it and start it again; files in volumes \
                           stay.",
                });
            }
        }
    }
    Ok(doubt.map_or(Recognised::Untold, Recognised::Doubtful))
}

/// Whether a server that is in the store is told as one with a token of another state
/// of it. Pure.
fn is_doubtful(found: &Found, reason: Stranger) -> bool {
    match reason {
        Stranger::Ended | Stranger::NoUser => false,
        // A swarm's secrets are told to nobody, which says nothing about the token.
        Stranger::NoToken => found.api_token.is_some(),
        Stranger::UnknownToken | Stranger::AnothersToken => true,
    }
}

/// The token of a server, if the store knows it.
async fn known(shared: &Shared, found: &Found) -> Result<Option<TokenRecord>, StoreError> {
    match present(found) {
        Some(token) => {
            shared.store.tokens().by_hash(token.hash().as_bytes(), shared.clock.now()).await
        }
        None => Ok(None),
    }
}

/// The token of a server, if the store knows it as this very server's.
pub(super) async fn token_of(
    shared: &Shared,
    key: &ServerKey,
    found: &Found,
    user: UserId,
) -> Result<Option<ApiToken>, StoreError> {
    let record = known(shared, found).await?;
    let is_its_own = record.is_some_and(|record| is_own(&record, key, user));
    Ok(present(found).filter(|_| is_its_own))
}

fn is_own(token: &TokenRecord, key: &ServerKey, user: UserId) -> bool {
    token.owner == TokenOwner::User(user)
        && token.client_id.as_deref() == Some(client_id(key).as_str())
}

/// Since when the server has been this hub's. Pure.
fn judge(
    key: &ServerKey,
    found: &Found,
    user: Option<UserId>,
    token: Option<&TokenRecord>,
) -> Result<Timestamp, Stranger> {
    if !found.is_running {
        return Err(Stranger::Ended);
    }
    let user = user.ok_or(Stranger::NoUser)?;
    if present(found).is_none() {
        return Err(Stranger::NoToken);
    }
    let token = token.ok_or(Stranger::UnknownToken)?;
    // A server's token is made at its start.
    if is_own(token, key, user) { Ok(token.created) } else { Err(Stranger::AnothersToken) }
}

fn present(found: &Found) -> Option<ApiToken> {
    found.api_token.as_ref().and_then(|text| ApiToken::from_text(text.expose_secret()))
}

/// Writes the server down and gives it a worker, whose first look decides what
/// becomes of it (RST-2). A start that somebody has asked for meanwhile comes
/// first: it writes its own.
async fn take_up(
    shared: &Arc<Shared>,
    key: &ServerKey,
    found: Found,
    since: Timestamp,
) -> Result<(), BoxError> {
    let (name, state) = (found.name, found.state);
    let row = state.clone().into();
    if !shared.store.servers().record_adopted(key, since, &row, shared.clock.now()).await? {
        return Ok(());
    }
    let mut handles = shared.handles();
    if !handles.contains_key(key) {
        shared.routes.keep(key);
        shared.employ(&mut handles, key.clone(), Phase::Checking { since, state });
        tracing::info!(server = %key, container = name, "adopted: it runs with a token of this hub");
    }
    Ok(())
}

fn tell(key: &ServerKey, found: &Found, is_known: bool, reason: Stranger) {
    let container = &found.name;
    match (is_known, reason) {
        // What is left of a server that ended, where containers are kept.
        (true, Stranger::Ended) => {}
        (true, _) => {
            tracing::warn!(server = %key, container, "not adopted: {reason}; it is replaced when its user starts a server");
        }
        (false, _) => {
            tracing::warn!(server = %key, container, "not adopted: {reason}; `hub gc --orphans` removes it");
        }
    }
}

#[cfg(test)]
mod tests {
    use hub_spawner::SavedState;
    use hub_store::{NewToken, Store};

    use super::*;

    const OURS: &str = "0123456789abcdef0123456789abcdef";

    fn key(user: &str, server: &str) -> ServerKey {
        ServerKey::new(user.parse().unwrap(), server.parse().unwrap())
    }

    fn running(token: Option<&str>) -> Found {
        Found {
            name: "jupyter-ada".to_owned(),
            is_running: true,
            api_token: token.map(|text| text.to_owned().into()),
            state: SavedState::default(),
        }
    }

    /// A token as the store has it, made at second 7.
    async fn token(user: &str, client: Option<&str>) -> (UserId, TokenRecord) {
        let (store, at) = (Store::in_memory().await.unwrap(), Timestamp::from_second(7).unwrap());
        for name in ["ada", "bob"] {
            store.users().ensure(&name.parse().unwrap(), at).await.unwrap();
        }
        let owner = store.users().by_name(&user.parse().unwrap()).await.unwrap().unwrap().id;
        let token = NewToken {
            owner: TokenOwner::User(owner),
            hash: *ApiToken::from_text(OURS).unwrap().hash().as_bytes(),
            client_id: client.map(str::to_owned),
            session_id: None,
            note: String::new(),
            scopes: vec![],
            created: at,
            expires_at: None,
        };
        let record = store.tokens().issue(&token).await.unwrap();
        (owner, record)
    }

    #[tokio::test]
    async fn rst_3_a_server_with_its_own_token_is_adopted_since_that_was_made() {
        let (ada, token) = token("ada", Some("jupyterhub-user-ada")).await;
        let judged = judge(&key("ada", ""), &running(Some(OURS)), Some(ada), Some(&token));
        assert_eq!(judged, Ok(Timestamp::from_second(7).unwrap()));
    }

    #[test]
    fn rst_3_a_token_that_cannot_be_told_is_no_token_of_another_state() {
        let doubtful = |token: Option<&str>| {
            let found = running(token);
            let user = Some(UserId::new(1));
            is_doubtful(&found, judge(&key("ada", ""), &found, user, None).unwrap_err())
        };
        assert!(!doubtful(None), "a secret of a swarm");
        assert!(doubtful(Some(OURS)));
        assert!(doubtful(Some("")), "told, and none of ours");
    }

    #[tokio::test]
    async fn rst_3_a_server_without_proof_is_a_stranger() {
        let (ada, its) = token("ada", Some("jupyterhub-user-ada")).await;
        let (bob, bobs) = token("bob", Some("jupyterhub-user-bob")).await;
        let (_, handmade) = token("ada", None).await;
        let here = running(Some(OURS));
        let ended = Found { is_running: false, ..here.clone() };
        let default = key("ada", "");
        assert_ne!(ada, bob);
        for (key, found, user, token, expected) in [
            (&default, &ended, Some(ada), Some(&its), Stranger::Ended),
            (&default, &here, None, Some(&its), Stranger::NoUser),
            (&default, &running(None), Some(ada), None, Stranger::NoToken),
            (&default, &here, Some(ada), None, Stranger::UnknownToken),
            (&default, &here, Some(ada), Some(&bobs), Stranger::AnothersToken),
            // Theirs, but another server's, or one that they made for a script.
            (&key("ada", "lab"), &here, Some(ada), Some(&its), Stranger::AnothersToken),
            (&default, &here, Some(ada), Some(&handmade), Stranger::AnothersToken),
        ] {
            assert_eq!(judge(key, found, user, token), Err(expected), "{key} {found:?}");
        }
    }
}
