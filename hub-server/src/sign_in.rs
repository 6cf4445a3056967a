//! From what a provider says about a person to an account of this hub.
//!
//! One pipeline for every way of signing in (deployment-contract 3.1):
//! authenticate, normalise and check the name, apply the rules of admission, tie
//! the account to the provider's unchangeable id, remember.

use hub_auth::{Answer, AuthError, Authenticator, Identity};
use hub_store::{StoreError, User};
use tokio::time::Instant;

use crate::{hub::Hub, live::Live};

/// Why a sign-in did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    /// The provider or the rules say no.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The name belongs to somebody else, there or here (security A6).
    #[error("the account {account} belongs to somebody else than this {provider} account")]
    OtherPerson { account: String, provider: String },
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Finishes a sign-in; the account of whoever it is.
pub(crate) async fn finish(
    hub: &Hub,
    authenticator: &dyn Authenticator,
    answer: Answer,
) -> Result<User, SignInError> {
    let began = Instant::now();
    let finished = account(hub, authenticator, answer).await;
    hub.metrics.login(finished.is_ok(), began.elapsed());
    finished
}

async fn account(
    hub: &Hub,
    authenticator: &dyn Authenticator,
    answer: Answer,
) -> Result<User, SignInError> {
    let claims = authenticator.finish(answer).await?;
    let users = hub.store.users();
    let live = hub.live();
    // Whoever is known by the provider's id keeps the account, under whatever name
    // they go at the provider today.
    let (identity, account) = match users.by_identity(&claims.provider, &claims.subject).await? {
        Some(user) => (live.policy.admit_account(user.name.clone(), &claims, true)?, Some(user)),
        None => {
            let account = match live.policy.normalise(&claims.login) {
                Ok(name) => users.by_name(&name).await?,
                Err(_) => None,
            };
            (live.policy.admit(&claims, account.is_some())?, account)
        }
    };
    let mut user = match account {
        Some(user) => user,
        None => users.ensure(&identity.name, hub.clock.now()).await?.0,
    };
    bind(hub, &live, &user, &identity).await?;
    if identity.admin && !user.admin {
        users.set_admin(user.id, true).await?;
        user.admin = true;
    }
    Ok(user)
}

/// Ties the account to the provider's id, or checks that it is. A login name that
/// was given up and taken by somebody else opens nobody's account, and neither
/// does the same name at another provider.
async fn bind(hub: &Hub, live: &Live, user: &User, identity: &Identity) -> Result<(), SignInError> {
    let users = hub.store.users();
    let other_person = || SignInError::OtherPerson {
        account: user.name.to_string(),
        provider: identity.provider.clone(),
    };
    if let Some(subject) = users.subject_of(user.id, &identity.provider).await? {
        return if subject == identity.subject { Ok(()) } else { Err(other_person()) };
    }
    for other in live.authenticators.iter().filter(|one| one.provider() != identity.provider) {
        // An account of the configuration has an owner before its first sign-in.
        let is_theirs =
            other.owns(&user.name) || users.subject_of(user.id, other.provider()).await?.is_some();
        if is_theirs {
            return Err(other_person());
        }
    }
    let now = hub.clock.now();
    Ok(users.bind_identity(user.id, &identity.provider, &identity.subject, now).await?)
}
