//! From what a provider says about a person to an account of this hub.
//!
//! One pipeline for every way of signing in (deployment-contract 3.1):
//! authenticate, ask the store what it remembers, apply the rules in their order, tie
//! the account to the provider's unchangeable id, remember.

mod known;

use hub_auth::{
    AccessPolicy, Answer, AuthError, Authenticator, Claims, Identity, IdentityKey, Outcome,
};
use hub_store::{StoreError, User};
use tokio::time::Instant;

pub(crate) use self::known::known;
use crate::{auth_state, hub::Hub, live::Live};

/// Why a sign-in did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    /// The provider or the rules say no.
    #[error(transparent)]
    Auth(#[from] AuthError),
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
    let finished = async {
        let claims = authenticator.finish(answer).await?;
        admit(hub, &hub.live(), &claims).await
    };
    let finished = finished.await;
    hub.metrics.login(finished.is_ok(), began.elapsed());
    finished
}

/// Applies the rules to what a provider has confirmed at a sign-in, does what follows for
/// the account, and keeps what the provider has handed over.
async fn admit(hub: &Hub, live: &Live, claims: &Claims) -> Result<User, SignInError> {
    let user = apply(hub, live, claims).await?;
    if let Some(config) = &live.auth_state {
        let state = claims.auth_state.as_ref();
        auth_state::keep(&hub.store, config, user.id, state, hub.clock.now()).await?;
    }
    Ok(user)
}

/// Applies the rules to what a provider has confirmed, and does what follows for the
/// account.
pub(crate) async fn apply(hub: &Hub, live: &Live, claims: &Claims) -> Result<User, SignInError> {
    let known = known(&hub.store, &live.policy, &live.methods, claims).await?;
    let outcome = live.policy.decide(claims, &known);
    tell(claims, &outcome);
    let identity = outcome.into_identity(claims)?;
    let users = hub.store.users();
    let (mut user, _) = users.ensure(&identity.name, hub.clock.now()).await?;
    bind(hub, &live.policy, &user, &identity).await?;
    if identity.admin != user.admin && (identity.admin || identity.admin_withdrawn) {
        users.set_admin(user.id, identity.admin).await?;
        user.admin = identity.admin;
        tracing::info!(user = %user.name, admin = user.admin, "the provider's word changed this");
    }
    if let Some(groups) = &identity.groups {
        let groups: Vec<String> = groups.iter().cloned().collect();
        hub.store.groups().replace_of_user(user.id, &groups).await?;
    }
    Ok(user)
}

/// Which rule decided, and on what: for members of an organization also which list
/// they were seen in (GH-2).
fn tell(claims: &Claims, outcome: &Outcome) {
    let step = outcome.trace.iter().find(|step| step.rule == outcome.rule);
    tracing::info!(
        identity = %claims.stable_id(),
        user = outcome.account.as_ref().map(|name| name.as_str()),
        admitted = outcome.admits(),
        rule = outcome.rule.key(),
        because = step.map(|step| step.detail.as_str()),
        "decided about a sign-in"
    );
}

/// Ties the account to the provider's id. Where names are enough, an account that is
/// tied to somebody already stays so.
async fn bind(
    hub: &Hub,
    policy: &AccessPolicy,
    user: &User,
    identity: &Identity,
) -> Result<(), SignInError> {
    let Identity { provider, subject, .. } = identity;
    let users = hub.store.users();
    match users.bind_identity(user.id, provider, subject, hub.clock.now()).await {
        Err(StoreError::Conflict { .. }) => match policy.rules().identity_key {
            IdentityKey::Login => Ok(()),
            // Somebody else was faster by a moment.
            IdentityKey::Id => Err(AuthError::OtherPerson {
                account: user.name.to_string(),
                provider: provider.clone(),
            }
            .into()),
        },
        bound => Ok(bound?),
    }
}
