//! What the store remembers about somebody: the part of a decision that is not in what
//! their provider says.

use std::collections::BTreeSet;

use hub_auth::{AccessPolicy, Claims, IdentityKey, Known, Methods, Subject};
use hub_store::{Store, StoreError};

/// What is remembered of the person whom `claims` are about.
///
/// Whoever is known by the provider's id keeps the account, under whatever name they go
/// at the provider today. Else it matters whose the account is that the login name leads
/// to: at any provider, also one that nobody can sign in with any more, and by a
/// configuration that gives accounts to a provider before their owners sign in.
pub(crate) async fn known(
    store: &Store,
    policy: &AccessPolicy,
    methods: &Methods,
    claims: &Claims,
) -> Result<Known, StoreError> {
    let users = store.users();
    if policy.rules().identity_key == IdentityKey::Id
        && let Some(user) = users.by_identity(&claims.provider, &claims.subject).await?
    {
        let owners = BTreeSet::from([claims.stable_id()]);
        return Ok(Known { own_account: Some(user.name), exists: true, owners });
    }
    let Ok(name) = policy.account_name(claims) else { return Ok(Known::default()) };
    let mut owners = BTreeSet::new();
    if let Some(other) = methods.other_owner(&claims.provider, &name) {
        owners.insert(Subject { provider: other.to_owned(), id: name.to_string() });
    }
    let account = users.by_name(&name).await?;
    if let Some(user) = &account {
        let bound = users.identities(user.id).await?.into_iter();
        owners.extend(bound.map(|one| Subject { provider: one.provider, id: one.subject }));
    }
    Ok(Known { own_account: None, exists: account.is_some(), owners })
}
