//! Whom an account belongs to at the ways of signing in, for an operator who decides
//! about somebody that was refused as another person (security A6).

pub mod everybody;

use std::sync::Arc;

pub use hub_auth::Subject;
use hub_names::UserName;
use hub_store::{BoundIdentity, Store, StoreError, User, UserId};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    accounts,
    clock::{Clock as _, SystemClock},
    config::Config,
    startup::{self, StartupError},
};

/// Why identities were not told or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentitiesError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Startup(#[from] StartupError),
    /// The database cannot be used; while a hub runs on it, it is that hub's.
    #[error("store.url: the database cannot be used")]
    Store(#[from] StoreError),
    /// No such account.
    #[error("there is no user {0}")]
    NoUser(UserName),
    /// The account is not bound to that provider.
    #[error("{user} is not bound to {provider:?}; known of this user: {known}")]
    NotBound {
        /// The account.
        user: UserName,
        /// What was to be forgotten.
        provider: String,
        /// What there is.
        known: String,
    },
    /// The account is bound to somebody else at that provider.
    #[error("{user} is bound to {bound} already; add --forget {} to change that", bound.provider)]
    Bound {
        /// The account.
        user: UserName,
        /// To whom.
        bound: Subject,
    },
    /// The account is bound to another provider that people sign in with.
    #[error("an account belongs to one provider, and {user} is bound to {bound}; add --forget {} to change that", bound.provider)]
    BoundElsewhere {
        /// The account.
        user: UserName,
        /// To whom.
        bound: Subject,
    },
    /// The person has another account.
    #[error("{identity} is the user {owner}; take it away there first: hub users identity {owner} --forget {}", identity.provider)]
    Taken {
        /// The person.
        identity: Subject,
        /// Whose identity it is.
        owner: UserName,
    },
    /// Nobody can sign in like that.
    #[error("there is no way of signing in with the id {id:?}; the configuration has {known}")]
    UnknownProvider {
        /// What was given.
        id: String,
        /// What there is.
        known: String,
    },
    /// Nobody is known there.
    #[error("no account is bound to {provider:?}; accounts are bound to: {known}")]
    NobodyThere {
        /// What was given.
        provider: String,
        /// What there is.
        known: String,
    },
    /// The people of the old id can still come in by it.
    #[error(
        "{id:?} is the id of a way of signing in, whose people could not come in any more; first give the provider its new id in the configuration"
    )]
    StillThere {
        /// What was given.
        id: String,
    },
    /// Those accounts are bound to the hub's own.
    #[error(
        "{id:?} are accounts with the hub itself, which are bound to nobody elsewhere; name a provider, such as github"
    )]
    Own {
        /// What was given.
        id: String,
    },
    /// Accounts or persons that are known at the new id already.
    #[error(
        "{to} knows these accounts, or their people under other names, already: {users}; decide about each (hub users identity NAME --forget {from}, or --forget {to})"
    )]
    InTheWay {
        /// The old id.
        from: String,
        /// The new one.
        to: String,
        /// The accounts.
        users: String,
    },
}

/// Who an account is to one provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KnownAs {
    /// The id of the way of signing in: `github`.
    pub provider: String,
    /// The provider's unchangeable id of the person.
    pub subject: String,
    /// Since when.
    pub since: String,
}

/// What to change, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The provider at which the account is to be nobody's.
    pub forget: Option<String>,
    /// To whom the account is to belong.
    pub bind: Option<Subject>,
}

/// What is known after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Who the account is to each provider now.
    pub known: Vec<KnownAs>,
    /// Whether the account is somebody else's now, so that whoever had it is signed out.
    pub changed_hands: bool,
}

/// Who `user` is to each provider, also while a hub runs on the database.
///
/// # Errors
///
/// [`IdentitiesError::Store`] and [`IdentitiesError::NoUser`].
pub async fn list(config: &Config, user: &UserName) -> Result<Vec<KnownAs>, IdentitiesError> {
    let store = Store::open_read_only(&config.store).await?;
    let account = account(&store, user).await;
    let known = match account {
        Ok(account) => known(&store, &account).await,
        Err(error) => Err(error),
    };
    store.close().await;
    Ok(known?.into_iter().map(KnownAs::from).collect())
}

/// Changes to whom `user` belongs, and tells what is known then. Whoever is signed in
/// to the account is signed out, their tokens are worth nothing any more, and what was kept
/// of their sign-in is forgotten. Servers of the account are not stopped: the hub that
/// could is.
///
/// # Errors
///
/// [`IdentitiesError`]; nothing is changed then, unless the database fails half-way.
pub async fn change(
    config: &Config,
    user: &UserName,
    changes: &Changes,
) -> Result<Changed, IdentitiesError> {
    let ways = ways(config)?;
    if let Some(identity) = &changes.bind {
        check_provider(&ways, &identity.provider)?;
    }
    let store = Store::open(&config.store).await?;
    let changed = changed(&store, user, changes, &ways, SystemClock.now()).await;
    store.close().await;
    changed
}

async fn changed(
    store: &Store,
    user: &UserName,
    changes: &Changes,
    ways: &[String],
    now: Timestamp,
) -> Result<Changed, IdentitiesError> {
    let Changes { forget, bind } = changes;
    let users = store.users();
    let account = account(store, user).await?;
    let before = known(store, &account).await?;
    if let Some(provider) = forget
        && !before.iter().any(|one| one.provider == *provider)
    {
        let known = before.iter().map(|one| format!("{}:{}", one.provider, one.subject));
        let known = known.collect::<Vec<_>>().join(", ");
        return Err(IdentitiesError::NotBound {
            user: user.clone(),
            provider: provider.clone(),
            known: if known.is_empty() { "nothing".to_owned() } else { known },
        });
    }
    if let Some(identity) = bind {
        let mut stays = before.iter().filter(|one| forget.as_ref() != Some(&one.provider));
        let in_the_way = |one: &&BoundIdentity| match one.provider == identity.provider {
            true => one.subject != identity.id,
            // Where nobody can sign in any more, nothing is in doubt.
            false => ways.contains(&one.provider),
        };
        if let Some(other) = stays.find(in_the_way) {
            let bound = Subject { provider: other.provider.clone(), id: other.subject.clone() };
            let user = user.clone();
            return Err(match bound.provider == identity.provider {
                true => IdentitiesError::Bound { user, bound },
                false => IdentitiesError::BoundElsewhere { user, bound },
            });
        }
        let owner = users.by_identity(&identity.provider, &identity.id).await?;
        if let Some(owner) = owner.filter(|owner| owner.id != account.id) {
            return Err(IdentitiesError::Taken { identity: identity.clone(), owner: owner.name });
        }
    }
    let is_same = |one: &BoundIdentity, wanted: &Subject| {
        one.provider == wanted.provider && one.subject == wanted.id
    };
    let is_theirs = bind.as_ref().is_some_and(|to| before.iter().any(|one| is_same(one, to)));
    let changed_hands = forget.is_some() || !is_theirs;
    if changed_hands {
        sign_out(store, account.id).await?;
    }
    if let Some(provider) = forget {
        users.forget_identity(account.id, provider).await?;
    }
    if let Some(identity) = bind {
        users.bind_identity(account.id, &identity.provider, &identity.id, now).await?;
    }
    let known = known(store, &account).await?.into_iter().map(KnownAs::from).collect();
    Ok(Changed { known, changed_hands })
}

/// Whoever had the account has nothing more of it.
async fn sign_out(store: &Store, user: UserId) -> Result<(), StoreError> {
    store.auth_states().forget(user).await?;
    store.sessions().delete_of_user(user).await?;
    Ok(())
}

/// The first few of `all`, for a message.
fn listed(all: impl IntoIterator<Item = String>) -> String {
    const SHOWN: usize = 10;
    let all: Vec<String> = all.into_iter().collect();
    match all.len() {
        0 => "none".to_owned(),
        number if number > SHOWN => {
            format!("{} and {} more", all[..SHOWN].join(", "), number - SHOWN)
        }
        _ => all.join(", "),
    }
}

async fn account(store: &Store, user: &UserName) -> Result<User, IdentitiesError> {
    let account = store.users().by_name(user).await?;
    account.ok_or_else(|| IdentitiesError::NoUser(user.clone()))
}

async fn known(store: &Store, account: &User) -> Result<Vec<BoundIdentity>, IdentitiesError> {
    Ok(store.users().identities(account.id).await?)
}

/// The ids of the ways of signing in.
fn ways(config: &Config) -> Result<Vec<String>, StartupError> {
    let methods = startup::sign_in_methods(config)?;
    let local = config.auth.local.is_some().then_some(accounts::PROVIDER);
    let password = config.auth.password.is_some().then_some(accounts::PASSWORD);
    let others = methods.iter().map(|one| Arc::as_ref(one).provider());
    Ok(others.chain(local).chain(password).map(str::to_owned).collect())
}

/// A slip of the pen would bind an account to nobody.
fn check_provider(ways: &[String], id: &str) -> Result<(), IdentitiesError> {
    match ways.iter().any(|way| way == id) {
        true => Ok(()),
        false => Err(IdentitiesError::UnknownProvider {
            id: id.to_owned(),
            known: if ways.is_empty() { "none".to_owned() } else { ways.join(", ") },
        }),
    }
}

impl From<BoundIdentity> for KnownAs {
    fn from(row: BoundIdentity) -> Self {
        Self { provider: row.provider, subject: row.subject, since: row.created.to_string() }
    }
}
