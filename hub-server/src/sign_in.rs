//! From what a provider says about a person to an account of this hub.
//!
//! One pipeline for every way of signing in (deployment-contract 3.1):
//! authenticate, ask the store what it remembers, apply the rules in their order, tie
//! the account to the provider's unchangeable id, remember.

mod before;
mod known;

use std::collections::BTreeSet;

use hub_auth::{
    AccessPolicy, AdminRight, Answer, AuthError, Authenticator, Claims, Identity, IdentityKey,
    Outcome, local::LocalAccount,
};
use hub_store::{StoreError, User};
use secrecy::SecretString;
use tokio::time::Instant;

pub(crate) use self::known::known;
use crate::{
    access::attempts,
    accounts::{
        MOST_WAIT, PROVIDER,
        second_factor::{self, Needed},
    },
    auth_state,
    hub::Hub,
    live::Live,
};

/// Why a sign-in did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    /// The provider or the rules say no.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The password was right, and is not enough.
    #[error("a second factor is needed")]
    SecondFactor(Needed),
}

/// Finishes a sign-in; the account of whoever it is. `code` is that of a second factor, if
/// one came along with the password.
pub(crate) async fn finish(
    hub: &Hub,
    authenticator: &dyn Authenticator,
    answer: Answer,
    code: Option<&str>,
) -> Result<User, SignInError> {
    let began = Instant::now();
    let finished = async {
        let before = before::named(&hub.store, &answer).await?;
        let claims = authenticator.finish(answer).await?;
        let live = hub.live();
        second_factor::pass(hub, &live, &claims, before.as_ref(), code).await?;
        let user = admit(hub, &live, &claims).await?;
        Ok(before::since(before.as_ref(), user)?)
    };
    let finished = finished.await;
    // One that goes on is counted when it is over.
    if !matches!(finished, Err(SignInError::SecondFactor(_))) {
        hub.metrics.login(finished.is_ok(), began.elapsed());
    }
    finished
}

/// Finishes a sign-in to an account with the hub itself, whose password and second factor
/// were right. `before` is its owner as it was before the second was looked at.
pub(crate) async fn finish_second(
    hub: &Hub,
    account: &LocalAccount,
    before: Option<&User>,
) -> Result<User, SignInError> {
    let began = Instant::now();
    let claims = Claims::new(PROVIDER, account.id.as_str(), account.name.as_str());
    let finished = async {
        let user = admit(hub, &hub.live(), &claims).await?;
        Ok(before::since(before, user)?)
    };
    let finished = finished.await;
    hub.metrics.login(finished.is_ok(), began.elapsed());
    finished
}

/// A name and a password from a form or a script.
pub(crate) struct Tried<'t> {
    /// The address they came from, as text.
    pub(crate) remote: &'t str,
    pub(crate) username: &'t str,
    pub(crate) password: SecretString,
    /// Of a second factor, where it came with the password.
    pub(crate) code: Option<&'t str>,
}

/// Finishes a sign-in by name and password; the account of whoever it is.
///
/// Whether the address has failed too often is asked when it is this one's turn to be
/// looked at: of many tries at the same moment no more get an answer than of as many one
/// after the other, but for those that are looked at together, one on each processor.
pub(crate) async fn with_password(
    hub: &Hub,
    authenticator: &dyn Authenticator,
    tried: Tried<'_>,
) -> Result<User, SignInError> {
    let Tried { remote, username, password, code } = tried;
    let busy = || AuthError::Busy { retry_after: MOST_WAIT };
    let _turn = hub.accounts.turn().await.ok_or_else(busy)?;
    if let Some(retry_after) = attempts::wait(hub, remote).await? {
        return Err(AuthError::TooManyTries { retry_after }.into());
    }
    let answer = Answer::Form { username: username.to_owned(), password };
    let finished = finish(hub, authenticator, answer, code).await;
    if let Err(SignInError::Auth(AuthError::BadCredentials | AuthError::TooManyTries { .. })) =
        &finished
    {
        attempts::failed(hub, remote).await?;
    }
    finished
}

/// Applies the rules to what a provider has confirmed at a sign-in, does what follows for
/// the account, and keeps what the provider has handed over.
async fn admit(hub: &Hub, live: &Live, claims: &Claims) -> Result<User, SignInError> {
    let user = apply(hub, live, claims).await?;
    // A form hands nothing over; what a provider has handed over elsewhere is still good.
    if let Some(config) = &live.auth_state
        && !live.is_form(&claims.provider)
    {
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
    if !outcome.admits() {
        withdraw(hub, &outcome).await?;
    }
    let groups = outcome.groups.clone();
    let identity = outcome.into_identity(claims)?;
    let mut user = account(hub, &live.policy, &identity).await?;
    if identity.admin || identity.admin_withdrawn {
        set_admin(hub, &mut user, identity.admin).await?;
    }
    replace_groups(hub, &user, groups).await?;
    Ok(user)
}

/// Takes from somebody who is refused what their provider says that they have no more.
async fn withdraw(hub: &Hub, outcome: &Outcome) -> Result<(), StoreError> {
    let Outcome { account: Some(name), admin, groups, .. } = outcome else { return Ok(()) };
    if *admin == AdminRight::Unchanged && groups.is_none() {
        return Ok(());
    }
    let Some(mut user) = hub.store.users().by_name(name).await? else { return Ok(()) };
    if *admin == AdminRight::Withdrawn {
        set_admin(hub, &mut user, false).await?;
    }
    replace_groups(hub, &user, groups.clone()).await
}

async fn set_admin(hub: &Hub, user: &mut User, admin: bool) -> Result<(), StoreError> {
    if user.admin != admin {
        hub.store.users().set_admin(user.id, admin).await?;
        user.admin = admin;
        tracing::info!(user = %user.name, admin, "the provider's word changed this");
    }
    Ok(())
}

async fn replace_groups(
    hub: &Hub,
    user: &User,
    groups: Option<BTreeSet<String>>,
) -> Result<(), StoreError> {
    let Some(groups) = groups else { return Ok(()) };
    let groups: Vec<String> = groups.into_iter().collect();
    hub.store.groups().replace_of_user(user.id, &groups).await
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

/// The account, tied to the provider's id. Where names are enough, one that is tied to
/// somebody already stays so.
async fn account(
    hub: &Hub,
    policy: &AccessPolicy,
    identity: &Identity,
) -> Result<User, SignInError> {
    let Identity { name, provider, subject, .. } = identity;
    let (users, now) = (hub.store.users(), hub.clock.now());
    match policy.rules().identity_key {
        IdentityKey::Login => {
            let (user, _) = users.ensure(name, now).await?;
            match users.bind_identity(user.id, provider, subject, now).await {
                Ok(()) | Err(StoreError::Conflict { .. }) => Ok(user),
                Err(error) => Err(error.into()),
            }
        }
        IdentityKey::Id => match users.claim(name, provider, subject, now).await {
            Ok(user) => Ok(user),
            // Somebody else was faster by a moment.
            Err(StoreError::Conflict { .. }) => Err(AuthError::OtherPerson {
                account: name.to_string(),
                provider: provider.clone(),
            }
            .into()),
            Err(error) => Err(error.into()),
        },
    }
}
