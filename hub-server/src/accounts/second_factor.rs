//! The second factor of accounts with the hub itself: `hub-auth`'s rules over rows of
//! `hub-store`, with the secret sealed by a key made from the cookie secret, which every
//! hub has and no database holds.

use std::time::Duration;

use hub_auth::{
    AuthError, Claims,
    local::{
        Asked, FactorAccepted, Purpose, RecoveryCodes, SecondFactor, SecondFactorMode, TotpSecret,
        TryLimit, second_factor_key,
    },
};
use hub_store::{NewSecondFactor, SecondFactorRow, StoreError, User};
use serde::{Deserialize, Serialize};

use super::{PROVIDER, count};
use crate::{hub::Hub, keys::Keys, live::Live, sign_in::SignInError};

/// How long somebody has for the code, or to set an app up.
pub(crate) const TIME: Duration = Duration::from_secs(600);

/// What the seal of a secret that nobody has confirmed yet is for.
const OFFER: &str = "second factor to be";

/// What stands between a right password and a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needed {
    /// Whose password it was.
    pub(crate) account_id: String,
    /// What is missing.
    pub(crate) asked: Asked,
    /// How often its owner had been signed out everywhere before it was looked at.
    pub(crate) sign_outs: Option<u64>,
}

/// What a code was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It was right, and is used up.
    Right,
    /// It was not, or was used before.
    Wrong,
    /// It was not looked at.
    Wait(Duration),
}

/// A secret for an app, and the same for the form that confirms it.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) secret: TotpSecret,
    pub(crate) sealed: String,
}

#[derive(Serialize, Deserialize)]
struct Offered {
    account_id: String,
    secret: String,
    expires: i64,
}

/// Lets a sign-in with the right password go on, if nothing else is asked for or `code`
/// is right. `before` is the account's owner as it was before the password was looked at.
pub(crate) async fn pass(
    hub: &Hub,
    live: &Live,
    claims: &Claims,
    before: Option<&User>,
    code: Option<&str>,
) -> Result<(), SignInError> {
    if claims.provider != PROVIDER {
        return Ok(());
    }
    let account_id = &claims.subject;
    let has_one = hub.store.second_factors().get(account_id).await?.is_some();
    let mode = live.local.map_or(SecondFactorMode::Off, |local| local.second_factor);
    match (mode.asks(has_one), code) {
        (None, _) => Ok(()),
        (Some(Asked::Code), Some(code)) => match check(hub, account_id, code, None).await? {
            Checked::Right => Ok(()),
            Checked::Wrong => Err(AuthError::BadCredentials.into()),
            Checked::Wait(retry_after) => Err(AuthError::TooManyTries { retry_after }.into()),
        },
        (Some(asked), _) => {
            let sign_outs = before.map(|owner| owner.sign_outs);
            Err(SignInError::SecondFactor(Needed {
                account_id: account_id.clone(),
                asked,
                sign_outs,
            }))
        }
    }
}

/// Whether the code is right; then it and the ticket, if one is given, are used up.
///
/// # Errors
///
/// [`StoreError::Missing`] if the ticket is gone.
pub(crate) async fn check(
    hub: &Hub,
    account_id: &str,
    given: &str,
    ticket: Option<&[u8; 32]>,
) -> Result<Checked, StoreError> {
    let limit = hub.live().local.map_or(TryLimit::ACCOUNT, |local| local.account_limit);
    let (key, now) = (second_factor_key(account_id), hub.clock.now());
    // Counted as failed before it is looked at, as a password is.
    if let Err(wait) = count(&hub.store, &key, &limit, now).await? {
        return Ok(Checked::Wait(wait));
    }
    let factors = hub.store.second_factors();
    let Some(row) = factors.get(account_id).await? else { return Ok(Checked::Wrong) };
    let factor = SecondFactor {
        secret: opened(&hub.keys, &row),
        last_step: row.last_step,
        recovery: row.recovery.clone(),
    };
    let is_accepted = match factor.check(account_id, given, now.into()) {
        None => false,
        Some(FactorAccepted::Step(step)) => {
            factors.accept_step(account_id, step, ticket, now).await?
        }
        Some(FactorAccepted::Recovery(left)) => {
            tracing::info!(account = account_id, left = left.len(), "a recovery code was used");
            factors.replace_recovery(account_id, &row.recovery, &left, ticket, now).await?
        }
    };
    if !is_accepted {
        return Ok(Checked::Wrong);
    }
    hub.store.login_tries().forget(&key).await?;
    Ok(Checked::Right)
}

/// A new secret for the account's owner to put into an app. `None` when the system has no
/// randomness to give.
pub(crate) fn offer(hub: &Hub, account_id: &str) -> Option<Offer> {
    let secret = TotpSecret::generate();
    let time = i64::try_from(TIME.as_secs()).unwrap_or(0);
    let offered = Offered {
        account_id: account_id.to_owned(),
        secret: secret.to_base32(),
        expires: hub.clock.now().as_second().saturating_add(time),
    };
    let sealed = hub.keys.seal(OFFER, &offered)?;
    Some(Offer { secret, sealed })
}

/// The secret that was offered to the account's owner a while ago.
pub(crate) fn offered(hub: &Hub, account_id: &str, sealed: &str) -> Option<Offer> {
    let offered: Offered = hub.keys.open(OFFER, sealed)?;
    if offered.account_id != account_id || offered.expires <= hub.clock.now().as_second() {
        return None;
    }
    let secret = TotpSecret::parse(&offered.secret).ok()?;
    Some(Offer { secret, sealed: sealed.to_owned() })
}

/// Turns the second factor on, if `code` is what an app with the secret shows; the recovery
/// codes, which are told once. `None` if it is not. Uses up the ticket, if one is given.
///
/// # Errors
///
/// [`StoreError::Conflict`] if the account has one, [`StoreError::Missing`] if the account
/// or the ticket is gone.
pub(crate) async fn enrol(
    hub: &Hub,
    account_id: &str,
    secret: TotpSecret,
    code: &str,
    ticket: Option<&[u8; 32]>,
) -> Result<Option<Vec<String>>, StoreError> {
    let now = hub.clock.now();
    let sealed = sealed(&hub.keys, account_id, &secret);
    let to_be = SecondFactor { secret: Some(secret), last_step: 0, recovery: Vec::new() };
    let Some(FactorAccepted::Step(last_step)) = to_be.check(account_id, code, now.into()) else {
        return Ok(None);
    };
    let Some(sealed) = sealed else { return Ok(None) };
    let RecoveryCodes { codes, hashes } = RecoveryCodes::generate(account_id);
    let new =
        NewSecondFactor { account_id: account_id.to_owned(), sealed, last_step, recovery: hashes };
    hub.store.second_factors().add(&new, ticket, now).await?;
    tracing::info!(account = account_id, "second factor turned on");
    Ok(Some(codes))
}

/// New recovery codes in place of those that are left; `None` if there is no second factor
/// any more, or one of them was used in between.
pub(crate) async fn new_codes(
    hub: &Hub,
    account_id: &str,
) -> Result<Option<Vec<String>>, StoreError> {
    let factors = hub.store.second_factors();
    let Some(row) = factors.get(account_id).await? else { return Ok(None) };
    let RecoveryCodes { codes, hashes } = RecoveryCodes::generate(account_id);
    let now = hub.clock.now();
    let done = factors.replace_recovery(account_id, &row.recovery, &hashes, None, now).await?;
    Ok(done.then_some(codes))
}

/// What a sign-in that goes on after the password is known by.
pub(crate) fn ticket_for(needed: &Needed) -> Purpose {
    let &Needed { ref account_id, asked, sign_outs } = needed;
    Purpose::SecondFactor { account_id: account_id.clone(), asked, sign_outs }
}

/// The secret of an app as the store keeps it.
pub(super) fn sealed(keys: &Keys, account_id: &str, secret: &TotpSecret) -> Option<String> {
    keys.seal(&purpose(account_id), &secret.to_base32())
}

/// What only that account's row opens with.
fn purpose(account_id: &str) -> String {
    format!("second factor of {account_id}")
}

fn opened(keys: &Keys, row: &SecondFactorRow) -> Option<TotpSecret> {
    let text: Option<String> = keys.open(&purpose(&row.account_id), &row.sealed);
    let secret = text.and_then(|text| TotpSecret::parse(&text).ok());
    if secret.is_none() {
        tracing::error!(
            account = row.account_id,
            "a second factor cannot be read: the cookie secret is another one than when it was turned on; recovery codes are still good, and administrators can remove it on the page of accounts"
        );
    }
    secret
}
