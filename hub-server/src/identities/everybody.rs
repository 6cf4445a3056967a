//! The same for all accounts at once: who belongs to whom, and what to do when a provider
//! has another id in the configuration, or knows its people by other numbers.

use std::collections::{BTreeMap, BTreeSet};

use hub_names::UserName;
use hub_store::{BoundIdentity, Store, User};
use serde::Serialize;

use super::{IdentitiesError, ways};
use crate::{accounts, config::Config};

/// Whose an account is to one provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// The account.
    pub user: UserName,
    /// The id of the way of signing in: `github`.
    pub provider: String,
    /// The provider's unchangeable id of the person.
    pub subject: String,
    /// Since when.
    pub since: String,
}

/// What is known of all accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Everybody {
    /// Who belongs to whom, by account and then by provider.
    pub bound: Vec<Bound>,
    /// Ids of ways of signing in that nobody can use, as the configuration has none of
    /// them.
    pub gone: BTreeSet<String>,
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only tell what would change; a hub may run on the database.
    DryRun,
    /// Change it.
    ForReal,
}

/// Who belongs to whom, also while a hub runs on the database. `provider`: only there.
///
/// # Errors
///
/// [`IdentitiesError`].
pub async fn list_all(
    config: &Config,
    provider: Option<&str>,
) -> Result<Everybody, IdentitiesError> {
    let ways = ways(config)?;
    let all = read_only(config).await?;
    let gone = all.iter().map(|(_, one)| &one.provider).filter(|id| !ways.contains(id));
    let gone = gone.cloned().collect();
    let bound = all.into_iter().filter(|(_, one)| provider.is_none_or(|id| id == one.provider));
    Ok(Everybody { bound: bound.map(Bound::from).collect(), gone })
}

/// Gives everybody who is known at `from` to `to`, the new id of the same provider. They
/// stay who they are: nobody is signed out. Returns who is meant.
///
/// # Errors
///
/// [`IdentitiesError`]; nothing is changed then. `to` has to be a way of signing in at
/// another site and `from` must be none, or those people could not sign in any more; and
/// nobody may be known at `to` in a way that stands against it.
pub async fn move_all(
    config: &Config,
    from: &str,
    to: &str,
    mode: Mode,
) -> Result<Vec<Bound>, IdentitiesError> {
    let ways = ways(config)?;
    if let Some(id) = [from, to].into_iter().find(|id| accounts::OWN.contains(id)) {
        return Err(IdentitiesError::Own { id: id.to_owned() });
    }
    super::check_provider(&ways, to)?;
    if ways.iter().any(|way| way == from) {
        return Err(IdentitiesError::StillThere { id: from.to_owned() });
    }
    let all = match mode {
        Mode::DryRun => read_only(config).await?,
        Mode::ForReal => {
            let store = Store::open(&config.store).await?;
            let moved = moved(&store, from, to).await;
            store.close().await;
            moved?
        }
    };
    movable(&all, from, to)?;
    meant(all, from)
}

async fn moved(
    store: &Store,
    from: &str,
    to: &str,
) -> Result<Vec<(User, BoundIdentity)>, IdentitiesError> {
    let all = store.users().all_identities().await?;
    movable(&all, from, to)?;
    store.users().move_identities(from, to).await?;
    Ok(all)
}

/// Lets all accounts be nobody's at `provider`: whoever signs in there with the name of
/// one gets it. Whoever had one is signed out, and their tokens are void. Returns who is
/// meant.
///
/// # Errors
///
/// [`IdentitiesError`]; nothing is changed then, unless the database fails half-way.
pub async fn forget_all(
    config: &Config,
    provider: &str,
    mode: Mode,
) -> Result<Vec<Bound>, IdentitiesError> {
    if accounts::OWN.contains(&provider) {
        return Err(IdentitiesError::Own { id: provider.to_owned() });
    }
    if mode == Mode::DryRun {
        return meant(read_only(config).await?, provider);
    }
    let store = Store::open(&config.store).await?;
    let forgotten = forgotten(&store, provider).await;
    store.close().await;
    forgotten
}

async fn forgotten(store: &Store, provider: &str) -> Result<Vec<Bound>, IdentitiesError> {
    let all = store.users().all_identities().await?;
    for (user, _) in at(&all, provider) {
        super::sign_out(store, user.id).await?;
        store.users().forget_identity(user.id, provider).await?;
    }
    meant(all, provider)
}

async fn read_only(config: &Config) -> Result<Vec<(User, BoundIdentity)>, IdentitiesError> {
    let store = Store::open_read_only(&config.store).await?;
    let all = store.users().all_identities().await;
    store.close().await;
    Ok(all?)
}

/// Those of them who are known at `provider`.
fn meant(all: Vec<(User, BoundIdentity)>, provider: &str) -> Result<Vec<Bound>, IdentitiesError> {
    let there: BTreeSet<String> = all.iter().map(|(_, one)| one.provider.clone()).collect();
    let bound: Vec<Bound> =
        all.into_iter().filter(|(_, one)| one.provider == provider).map(Bound::from).collect();
    match bound.is_empty() {
        true => Err(IdentitiesError::NobodyThere {
            provider: provider.to_owned(),
            known: super::listed(there),
        }),
        false => Ok(bound),
    }
}

fn at<'a>(
    all: &'a [(User, BoundIdentity)],
    provider: &'a str,
) -> impl Iterator<Item = &'a (User, BoundIdentity)> {
    all.iter().filter(move |(_, one)| one.provider == provider)
}

/// Whether nobody is known at `to` already who stands in the way.
fn movable(all: &[(User, BoundIdentity)], from: &str, to: &str) -> Result<(), IdentitiesError> {
    let persons: BTreeMap<&str, &User> =
        at(all, to).map(|(user, one)| (one.subject.as_str(), user)).collect();
    let accounts: BTreeSet<_> = at(all, to).map(|(user, _)| user.id).collect();
    let stands = |(user, one): &&(User, BoundIdentity)| {
        accounts.contains(&user.id) || persons.contains_key(one.subject.as_str())
    };
    let in_the_way: BTreeSet<String> =
        at(all, from).filter(stands).map(|(user, _)| user.name.to_string()).collect();
    match in_the_way.is_empty() {
        true => Ok(()),
        false => Err(IdentitiesError::InTheWay {
            from: from.to_owned(),
            to: to.to_owned(),
            users: super::listed(in_the_way),
        }),
    }
}

impl From<(User, BoundIdentity)> for Bound {
    fn from((user, row): (User, BoundIdentity)) -> Self {
        Self {
            user: user.name,
            provider: row.provider,
            subject: row.subject,
            since: row.created.to_string(),
        }
    }
}
