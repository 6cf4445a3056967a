//! What the store remembers about somebody: the part of a decision that is not in what
//! their provider says.

use std::collections::BTreeSet;

use hub_auth::{AccessPolicy, Claims, IdentityKey, Known, Methods, Subject};
use hub_store::{Store, StoreError};

/// What is remembered of the person whom `claims` are about.
///
/// Whoever is known by the provider's id keeps the account, under whatever name they go
/// at the provider today. Else it matters whose the account is that the login name leads
/// to: at any provider that people can sign in with, and by a configuration that gives
/// accounts to a provider before their owners sign in.
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
        for provider in methods.iter().map(|method| method.provider()) {
            let id = users.subject_of(user.id, provider).await?;
            owners.extend(id.map(|id| Subject { provider: provider.to_owned(), id }));
        }
    }
    Ok(Known { own_account: None, exists: account.is_some(), owners })
}
