//! Asking a provider again about somebody who signed in before (3.7).
//!
//! Only browsers' sessions depend on it, as in JupyterHub: scripts with tokens go on,
//! unless `auth_refresh_strict` is set.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use hub_auth::{
    AfterFailure, AuthError, AuthState, Authenticator, Freshness, IdentityKey, Offer, Opened,
    RefreshError,
};
use hub_names::UserName;
use hub_store::{Session, StoreError, User};
use jiff::{SignedDuration, Timestamp};

use super::{
    Kept, kept, of,
    refreshes::{Confirmed, Turn},
    system_time,
};
use crate::{
    config::AuthStateConfig,
    hub::Hub,
    live::Live,
    sign_in::{self, SignInError},
};

/// How long what was found to be fresh is not looked at again.
const FRESH_FOR: SignedDuration = SignedDuration::from_secs(5);

/// When somebody's sign-in is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// A request of their browser.
    Request,
    /// A start of their server.
    Spawn,
}

/// Whose browser asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) user: &'a User,
    /// The way of signing in that its session began with, if that is known.
    pub(crate) provider: Option<&'a str>,
}

impl<'a> Asker<'a> {
    pub(crate) fn of(session: &'a Session) -> Self {
        Self { user: &session.user, provider: session.provider.as_deref() }
    }

    /// Whether the session needs nobody else's word: the hub has looked at a password.
    fn is_by_form(&self, live: &Live) -> bool {
        self.provider.is_some_and(|provider| live.is_form(provider))
    }
}

/// Whether what is known of somebody is new enough for their session, if need be after
/// asking their provider.
pub(crate) async fn confirm_session(
    hub: &Arc<Hub>,
    session: &Session,
) -> Result<Confirmed, StoreError> {
    match Asker::of(session).is_by_form(&hub.live()) {
        true => Ok(Confirmed::Yes),
        false => confirm(hub, &session.user, Moment::Request).await,
    }
}

/// Whether what is known of the user is new enough, if need be after asking their
/// provider.
async fn confirm(hub: &Arc<Hub>, user: &User, moment: Moment) -> Result<Confirmed, StoreError> {
    let live = hub.live();
    let now = hub.clock.now();
    let is_fresh = moment == Moment::Request && hub.refreshes.is_fresh(user.id, now);
    match &live.auth_state {
        Some(config) if !is_fresh => look(hub, &live, config, user, moment, now).await,
        _ => Ok(Confirmed::Yes),
    }
}

/// The same for a request with a token of the user's, which only counts if
/// `auth_refresh_strict` is set.
pub(crate) async fn confirm_token(hub: &Arc<Hub>, user: &User) -> Result<Confirmed, StoreError> {
    match hub.live().auth_state.as_ref().is_some_and(|config| config.refresh.strict) {
        true => confirm(hub, user, Moment::Request).await,
        false => Ok(Confirmed::Yes),
    }
}

/// As [`confirm`], where something has to be looked up. Boxed: every page and every
/// endpoint waits for it, and the compiler would go through all of it for each.
fn look<'a>(
    hub: &'a Arc<Hub>,
    live: &'a Live,
    config: &'a AuthStateConfig,
    user: &'a User,
    moment: Moment,
    now: Timestamp,
) -> BoxFuture<'a, Result<Confirmed, StoreError>> {
    Box::pin(looked_up(hub, live, config, user, moment, now))
}

async fn looked_up(
    hub: &Arc<Hub>,
    live: &Live,
    config: &AuthStateConfig,
    user: &User,
    moment: Moment,
    now: Timestamp,
) -> Result<Confirmed, StoreError> {
    if with_tokens(hub, live, user).await?.is_empty() {
        hub.refreshes.fresh_until(user.id, now + FRESH_FOR);
        return Ok(Confirmed::Yes);
    }
    let opened = of(&hub.store, config, user.id).await?;
    match freshness(config, opened.as_ref(), moment, now) {
        Freshness::Fresh => {
            hub.refreshes.fresh_until(user.id, now + FRESH_FOR);
            Ok(Confirmed::Yes)
        }
        Freshness::Due => Ok(ask(hub, user, moment).await),
        Freshness::SignInAgain => Ok(Confirmed::SignInAgain),
    }
}

fn freshness(
    config: &AuthStateConfig,
    opened: Option<&Opened>,
    moment: Moment,
    now: Timestamp,
) -> Freshness {
    let known = opened.map(|opened| (&opened.state, age(opened, now)));
    match moment {
        Moment::Request => config.refresh.freshness(known, system_time(now)),
        Moment::Spawn => config.refresh.freshness_before_spawn(known, system_time(now)),
    }
}

/// Whether a server of `owner` may start, as far as their provider's word goes
/// (`refresh_pre_spawn`). What counts is the word about `owner`, whoever starts it; `by`
/// is the person whose browser asks, who can be sent to the sign-in. Others, and scripts
/// with tokens, are not kept from a start, unless `auth_refresh_strict` is set.
pub(crate) async fn before_spawn(
    hub: &Arc<Hub>,
    owner: &UserName,
    by: Option<Asker<'_>>,
) -> Result<Confirmed, StoreError> {
    let live = hub.live();
    let refresh = live.auth_state.as_ref().map(|config| config.refresh);
    let Some(refresh) = refresh.filter(|refresh| refresh.before_spawn || refresh.strict) else {
        return Ok(Confirmed::Yes);
    };
    let Some(user) = hub.store.users().by_name(owner).await? else { return Ok(Confirmed::Yes) };
    let own = by.filter(|by| by.user.id == user.id);
    if own.is_some_and(|own| own.is_by_form(&live)) {
        return Ok(Confirmed::Yes);
    }
    let confirmed = confirm(hub, &user, Moment::Spawn).await?;
    match own {
        Some(_) => Ok(confirmed),
        _ if refresh.strict => Ok(confirmed),
        _ => {
            if confirmed != Confirmed::Yes {
                tracing::warn!(user = %owner, "the server starts without new tokens of its user");
            }
            Ok(Confirmed::Yes)
        }
    }
}

/// A provider that can be asked, and its id of the person.
type Bound = (Arc<dyn Authenticator>, String);

/// Those that the account is bound to.
async fn with_tokens(hub: &Hub, live: &Live, user: &User) -> Result<Vec<Bound>, StoreError> {
    let mut bound = Vec::new();
    for method in live.methods.iter() {
        if matches!(method.offer(), Offer::Redirect { .. })
            && let Some(subject) = hub.store.users().subject_of(user.id, method.provider()).await?
        {
            bound.push((Arc::clone(method), subject));
        }
    }
    Ok(bound)
}

/// The one of them that `state` is of: others must not get to see its tokens.
fn provider_of(bound: &[Bound], live: &Live, state: &AuthState) -> Option<Arc<dyn Authenticator>> {
    let of = |(method, subject): &&Bound| {
        let last = method.remembered(state);
        last.is_some_and(|last| match live.policy.rules().identity_key {
            IdentityKey::Id => last.subject == *subject,
            // The account stays bound to whoever came first.
            IdentityKey::Login => true,
        })
    };
    bound.iter().find(of).map(|(method, _)| Arc::clone(method))
}

/// Asks, or waits for whoever does already. The asking goes on if the request is given
/// up: a new refresh token must not be lost.
async fn ask(hub: &Arc<Hub>, user: &User, moment: Moment) -> Confirmed {
    let mut answer = match hub.refreshes.turn(user.id) {
        Turn::Wait(answer) => answer,
        Turn::Ask(sender, answer) => {
            let (hub, user) = (Arc::clone(hub), user.clone());
            hub.tasks.clone().spawn(|_stop| async move {
                let (confirmed, until) = asked(&hub, &user, moment).await.unwrap_or_else(|error| {
                    let error = &error as &(dyn std::error::Error + 'static);
                    tracing::error!(user = %user.name, error, "the database failed while a provider was asked");
                    (Confirmed::NotNow, None)
                });
                hub.refreshes.answered(user.id, until);
                sender.send_replace(Some(confirmed));
            });
            answer
        }
    };
    // Without an answer whoever asked has come to grief.
    let answer = answer.wait_for(Option::is_some).await;
    answer.ok().and_then(|answer| *answer).unwrap_or(Confirmed::NotNow)
}

/// What the provider says now, and until when that holds.
async fn asked(
    hub: &Hub,
    user: &User,
    moment: Moment,
) -> Result<(Confirmed, Option<Timestamp>), StoreError> {
    let live = hub.live();
    let Some(config) = &live.auth_state else { return Ok((Confirmed::Yes, None)) };
    let now = hub.clock.now();
    let fresh = (Confirmed::Yes, Some(now + FRESH_FOR));
    // Whoever asked before may have used up the refresh token that was there before this turn.
    let kept = kept(&hub.store, config, user.id).await?;
    let opened = kept.as_ref().map(|kept| &kept.opened);
    let mut kept = match (freshness(config, opened, moment, now), kept) {
        (Freshness::Fresh, _) => return Ok(fresh),
        (Freshness::Due, Some(kept)) => kept,
        _ => return Ok((Confirmed::SignInAgain, None)),
    };
    let bound = with_tokens(hub, &live, user).await?;
    let Some(authenticator) = provider_of(&bound, &live, &kept.opened.state) else {
        tracing::info!(user = %user.name, "what is kept is not of a provider that the account belongs to");
        return Ok((Confirmed::SignInAgain, None));
    };
    let known_for = age(&kept.opened, now);
    let error = match again(hub, &live, config, user, &*authenticator, &mut kept).await {
        Ok(true) => {
            tracing::debug!(user = %user.name, "the provider has confirmed this person");
            return Ok(fresh);
        }
        Ok(false) => return overtaken(hub, config, user).await,
        Err(SignInError::Store(error)) => return Err(error),
        Err(SignInError::Auth(error)) => error,
        // Only a form asks for one.
        Err(SignInError::SecondFactor(_)) => return Ok((Confirmed::SignInAgain, None)),
    };
    match config.refresh.after_failure(&error, known_for) {
        AfterFailure::KeepFor(wait) => {
            let wait = SignedDuration::try_from(wait).unwrap_or(FRESH_FOR);
            tracing::warn!(user = %user.name, seconds = wait.as_secs(), error = cause(&error), "the provider could not be asked; what was known holds for a while");
            Ok((Confirmed::Yes, Some(now.checked_add(wait).unwrap_or(Timestamp::MAX))))
        }
        AfterFailure::RefuseForNow => {
            tracing::warn!(user = %user.name, error = cause(&error), "the provider could not be asked for too long");
            Ok((Confirmed::NotNow, None))
        }
        AfterFailure::SignInAgain => {
            // Not asked about again until then.
            if !kept.replace(&hub.store, config, None, now).await? {
                return overtaken(hub, config, user).await;
            }
            tracing::info!(user = %user.name, error = cause(&error), "has to sign in again");
            Ok((Confirmed::SignInAgain, None))
        }
    }
}

/// The answer where what was asked with is not what is kept any more: a sign-in has ended
/// meanwhile, or was forgotten.
async fn overtaken(
    hub: &Hub,
    config: &AuthStateConfig,
    user: &User,
) -> Result<(Confirmed, Option<Timestamp>), StoreError> {
    let confirmed = match of(&hub.store, config, user.id).await? {
        Some(_) => Confirmed::Yes,
        None => Confirmed::SignInAgain,
    };
    Ok((confirmed, None))
}

/// Asks, keeps the answer, and applies the rules to it; returns whether the answer was
/// about what is kept still. The answer counts as new only once the rules have decided:
/// what could not be checked must not become young by being asked about.
async fn again(
    hub: &Hub,
    live: &Live,
    config: &AuthStateConfig,
    user: &User,
    authenticator: &dyn Authenticator,
    kept: &mut Kept,
) -> Result<bool, SignInError> {
    let before = Timestamp::try_from(kept.opened.sealed_at).unwrap_or(Timestamp::UNIX_EPOCH);
    let claims = match authenticator.refresh(&kept.opened.state).await {
        Ok(claims) => claims,
        Err(RefreshError { renewed, error }) => {
            if renewed.is_some() {
                // The tokens of the old state are used up.
                kept.replace(&hub.store, config, renewed.as_ref(), before).await?;
            }
            return Err(error.into());
        }
    };
    if live.policy.rules().identity_key == IdentityKey::Login
        && !live.policy.account_name(&claims).is_ok_and(|name| name == user.name)
    {
        // Where names are enough, another name is another account.
        let reason = "the login name leads to another account now";
        return Err(AuthError::SignInAgain { provider: claims.provider, reason }.into());
    }
    let expected = match live.policy.rules().identity_key {
        IdentityKey::Id => hub.store.users().subject_of(user.id, &claims.provider).await?,
        // The account stays bound to whoever came first; whoever signed in last is meant.
        IdentityKey::Login => authenticator.remembered(&kept.opened.state).map(|last| last.subject),
    };
    if expected.is_some_and(|expected| expected != claims.subject) {
        let reason = "it speaks of another person now";
        return Err(AuthError::SignInAgain { provider: claims.provider, reason }.into());
    }
    let state = claims.auth_state.as_ref();
    if !kept.replace(&hub.store, config, state, before).await? {
        return Ok(false);
    }
    sign_in::apply(hub, live, &claims).await?;
    kept.replace(&hub.store, config, state, hub.clock.now()).await?;
    Ok(true)
}

/// An error for the log.
fn cause(error: &AuthError) -> &(dyn std::error::Error + 'static) {
    error
}

fn age(opened: &Opened, now: Timestamp) -> Duration {
    system_time(now).duration_since(opened.sealed_at).unwrap_or_default()
}
