//! New accounts: by sign-up, with an invitation, the first administrator's, and those
//! that administrators make.

use std::time::Duration;

use hub_auth::{
    ApiToken,
    local::{
        AccountStatus, NewAccount, Purpose, SetUp, SignUp, SignUpMode, SignUpRefused, TicketProblem,
    },
};
use hub_names::UserName;
use hub_store::{LocalStatus, NewLocalAccount, StoreError};
use secrecy::SecretString;
use uuid::Uuid;

use super::{AccountsError, PROVIDER, links, links::Presented, set_up, status_row};
use crate::{config::LocalConfig, hub::Hub, live::Live};

/// How long somebody has to choose the first password of an account that an
/// administrator made.
pub(crate) const FIRST_PASSWORD: Duration = Duration::from_secs(7 * 24 * 3600);

/// Why there is no new account.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotMade {
    /// The rules say no. Text for the page.
    #[error(transparent)]
    Refused(#[from] SignUpRefused),
    /// Somebody else was faster with the link.
    #[error(transparent)]
    Ticket(#[from] TicketProblem),
    /// Not their fault.
    #[error(transparent)]
    Failed(#[from] AccountsError),
}

impl From<StoreError> for NotMade {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } => Self::Refused(SignUpRefused::NotAvailable),
            StoreError::Missing { what: "ticket" } => Self::Ticket(TicketProblem::Unknown),
            other => Self::Failed(other.into()),
        }
    }
}

/// What somebody typed to get an account.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) username: String,
    pub(crate) password: SecretString,
    /// The link they came with, if they did.
    pub(crate) ticket: Option<Presented>,
}

/// Makes the account that somebody wishes for, if the rules allow it.
pub(crate) async fn sign_up(
    hub: &Hub,
    live: &Live,
    config: &LocalConfig,
    wish: Wish,
) -> Result<NewAccount, NotMade> {
    let Wish { username, password, ticket } = wish;
    let name = SignUp::name(&username)?;
    let (hash, purpose) = match ticket {
        Some(Presented { purpose, hash }) => (Some(hash), Some(purpose)),
        None => (None, None),
    };
    let rules = config.sign_up;
    let policy = live.policy.clone();
    let new = if let Some(ticket @ Purpose::SetUp { .. }) = purpose {
        let is_taken = hub.store.local_accounts().by_name(&name).await?.is_some();
        let has_admin = set_up::has_admin(&hub.store, live).await?;
        let work = move || {
            let request = SetUp {
                username: &username,
                password: &password,
                ticket: &ticket,
                is_taken,
                has_admin,
            };
            rules.set_up(&policy, &request)
        };
        hub.accounts.hashing(work).await??
    } else {
        // Somebody has looked at who gets this name, or will.
        let is_looked_at = match &purpose {
            Some(Purpose::Invitation { name: Some(only), .. }) => *only == name,
            Some(_) => false,
            None => rules.mode == SignUpMode::Approval,
        };
        let is_taken = is_taken(hub, live, &name, is_looked_at).await?;
        let work = move || {
            let ticket = purpose.as_ref();
            let request = SignUp { username: &username, password: &password, ticket, is_taken };
            rules.sign_up(&policy, &request)
        };
        hub.accounts.hashing(work).await??
    };
    hub.store.local_accounts().create(&row(&new), hash.as_ref(), hub.clock.now()).await?;
    let status = new.account.status;
    tracing::info!(user = %new.account.name, admin = new.admin, ?status, "account made by its owner");
    Ok(new)
}

/// Makes an account in somebody's stead: the secret of the link by which they choose
/// its password. The hub's user of that name becomes its owner, unless they sign in
/// another way.
pub(crate) async fn add(hub: &Hub, username: &str) -> Result<(UserName, ApiToken), NotMade> {
    let name = SignUp::name(username)?;
    let random = SecretString::from(hub_auth::random_code());
    let hash = hub
        .accounts
        .hashing(move || hub_auth::hash_password(&random))
        .await?
        .map_err(SignUpRefused::Password)?;
    let new = NewLocalAccount {
        id: Uuid::new_v4().simple().to_string(),
        name: name.clone(),
        hash,
        status: LocalStatus::Active,
        admin: false,
        groups: Vec::new(),
    };
    hub.store.local_accounts().create(&new, None, hub.clock.now()).await?;
    let account = hub.store.local_accounts().by_id(&new.id).await?;
    let account = account.ok_or(StoreError::Missing { what: "account" })?;
    let purpose = Purpose::reset(&super::rules_of(account));
    let secret = links::issue(hub, purpose, FIRST_PASSWORD, 1).await?;
    Ok((name, secret))
}

/// Whether the name is somebody's. A user of the hub who has not signed in yet in any
/// way gets an account only if somebody looks at who comes for it: the files may be
/// those of a person.
async fn is_taken(
    hub: &Hub,
    live: &Live,
    name: &UserName,
    is_looked_at: bool,
) -> Result<bool, StoreError> {
    if hub.store.local_accounts().by_name(name).await?.is_some() {
        return Ok(true);
    }
    if live.methods.other_owner(PROVIDER, name).is_some() {
        return Ok(true);
    }
    Ok(!is_looked_at && hub.store.users().by_name(name).await?.is_some())
}

fn row(new: &NewAccount) -> NewLocalAccount {
    let is_active = new.account.status == AccountStatus::Active;
    NewLocalAccount {
        id: new.account.id.clone(),
        name: new.account.name.clone(),
        hash: new.account.hash.clone(),
        status: status_row(new.account.status),
        admin: new.admin && is_active,
        groups: new.groups.iter().cloned().collect(),
    }
}
