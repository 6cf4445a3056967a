//! New passwords for accounts that exist.

use std::time::Duration;

use hub_auth::local::{
    ChangeRefused, LocalAccount, NewHash, Purpose, TicketProblem, TryStore as _, account_key,
    change_password, reset_password,
};
use hub_store::{PasswordChange, Session, StoreError};
use secrecy::SecretString;

use super::{AccountsError, PROVIDER, count, links, links::Presented, rules_of};
use crate::{config::LocalConfig, hub::Hub};

/// How long a link for a new password is good.
pub(crate) const RESET: Duration = Duration::from_secs(24 * 3600);

/// Why a password stays as it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotChanged {
    /// The rules say no. Text for the page.
    #[error(transparent)]
    Refused(#[from] ChangeRefused),
    /// The link was used in between.
    #[error(transparent)]
    Ticket(#[from] TicketProblem),
    /// Too many wrong ones.
    #[error("too many failed tries")]
    Wait(Duration),
    /// Not their fault.
    #[error(transparent)]
    Failed(#[from] AccountsError),
}

impl From<StoreError> for NotChanged {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing { what: "ticket" } => Self::Ticket(TicketProblem::Unknown),
            // It was changed by somebody who was faster.
            StoreError::Missing { .. } => Self::Refused(ChangeRefused::OtherTicket),
            other => Self::Failed(other.into()),
        }
    }
}

/// The account with the hub itself of whoever is signed in, if they have one.
pub(crate) async fn own(hub: &Hub, session: &Session) -> Result<Option<LocalAccount>, StoreError> {
    match hub.store.users().subject_of(session.user.id, PROVIDER).await? {
        Some(id) => Ok(hub.store.local_accounts().by_id(&id).await?.map(rules_of)),
        None => Ok(None),
    }
}

/// The account whose password a link is for.
pub(crate) async fn of_link(
    hub: &Hub,
    ticket: &Presented,
) -> Result<Option<LocalAccount>, StoreError> {
    let Purpose::Reset { account_id, .. } = &ticket.purpose else { return Ok(None) };
    let account = hub.store.local_accounts().by_id(account_id).await?.map(rules_of);
    Ok(account.filter(|account| Purpose::reset(account) == ticket.purpose))
}

/// Changes the password of whoever is signed in and knows it. All their other
/// sessions end.
pub(crate) async fn change(
    hub: &Hub,
    config: &LocalConfig,
    session: &Session,
    account: LocalAccount,
    current: SecretString,
    new: SecretString,
) -> Result<(), NotChanged> {
    // As at a sign-in: somebody may sit at another person's browser.
    let key = account_key(&account.name);
    count(&hub.store, &key, &config.account_limit, hub.clock.now())
        .await?
        .map_err(NotChanged::Wait)?;
    let (id, name) = (account.id.clone(), account.name.clone());
    let rules = config.sign_up.passwords;
    let work = move || change_password(&account, &current, &new, &rules);
    let changed = hub.accounts.hashing(work).await?;
    if !matches!(changed, Err(ChangeRefused::WrongPassword)) {
        // They know it, whatever else is wrong. A failure only leaves a try counted.
        drop(hub.accounts.forgive(&key).await);
    }
    let NewHash { old, new } = changed?;
    let keep_session = Some(session.session_id.clone());
    let change = PasswordChange { account_id: id, old, new, ticket: None, keep_session };
    hub.store.local_accounts().set_password(&change, hub.clock.now()).await?;
    tracing::info!(user = %name, "password changed by its owner; other sessions have ended");
    Ok(())
}

/// Sets the password of whoever came with a link. All their sessions end.
pub(crate) async fn reset(
    hub: &Hub,
    config: &LocalConfig,
    account: LocalAccount,
    ticket: Presented,
    new: SecretString,
) -> Result<(), NotChanged> {
    let (id, name) = (account.id.clone(), account.name.clone());
    let rules = config.sign_up.passwords;
    let Presented { purpose, hash } = ticket;
    let work = move || reset_password(&account, &purpose, &new, &rules);
    let NewHash { old, new } = hub.accounts.hashing(work).await??;
    let change =
        PasswordChange { account_id: id, old, new, ticket: Some(hash), keep_session: None };
    hub.store.local_accounts().set_password(&change, hub.clock.now()).await?;
    // Whoever forgot it has tried before.
    drop(hub.accounts.forgive(&account_key(&name)).await);
    tracing::info!(user = %name, "password set with a link; all sessions have ended");
    Ok(())
}

/// A link by which the owner of the account chooses a new password: its secret.
/// Earlier links are worth nothing any more.
pub(crate) async fn link(
    hub: &Hub,
    account: &LocalAccount,
) -> Result<hub_auth::ApiToken, StoreError> {
    hub.store.tickets().withdraw_of(&account.id).await?;
    links::issue(hub, Purpose::reset(account), RESET, 1).await
}
