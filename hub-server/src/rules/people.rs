//! The people in the store, as their providers described them last.

use std::sync::Arc;

use hub_auth::{Claims, IdentityKey, Membership, Methods, Outcome, Person};
use hub_names::UserName;
use hub_store::{Store, StoreError, User, UserFilter, UserOrder};

use super::{Assumed, RulesError, lacks};
use crate::{
    accounts::{self, Accounts, with_local},
    auth_state::owner,
    clock::{Clock, SystemClock},
    config::{AuthStateConfig, Config},
    sign_in::known,
    startup,
};

/// How many users are read at once.
const PAGE: u64 = 1000;

/// Stands for the number of somebody who has never signed in.
const NOBODY_YET: &str = "new";

/// Where groups come from that an operator assumes.
const ASSUMED: &str = "what is assumed";

/// The people whom a hub knows.
pub(super) struct People<'a> {
    config: &'a Config,
    /// What opens what is kept of their sign-ins.
    kept: Option<&'a AuthStateConfig>,
    store: Store,
    methods: Methods,
}

/// What the rules say about somebody with an account.
pub(super) struct Word {
    pub(super) outcome: Outcome,
    /// Whether all that decides is known.
    pub(super) is_sure: bool,
}

impl<'a> People<'a> {
    /// Those of the database that `config` names, also while a hub runs on it. One that
    /// is not there yet knows nobody.
    pub(super) async fn open(config: &'a Config) -> Result<Self, RulesError> {
        let is_there = Store::examine(&config.store, hub_store::Depth::Quick).await?.schema;
        let store = match is_there {
            Some(_) => Store::open_read_only(&config.store).await?,
            None => Store::in_memory().await?,
        };
        Self::over(store, config, config.auth.state.as_ref())
    }

    /// The same people as `config` would meet them: by its ways of signing in, with its
    /// reading of what is kept of them.
    pub(super) fn under(&self, config: &'a Config) -> Result<Self, RulesError> {
        Self::over(self.store.clone(), config, self.kept)
    }

    fn over(
        store: Store,
        config: &'a Config,
        kept: Option<&'a AuthStateConfig>,
    ) -> Result<Self, RulesError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let others = startup::sign_in_methods(config)?;
        let all = with_local(others, config, &Accounts::new(store.clone()), &clock, None)?;
        Ok(Self { config, kept, store, methods: startup::methods(all)? })
    }

    /// Whoever signs in as `login`, at each provider in question.
    pub(super) async fn called(
        &self,
        login: &str,
        assumed: &Assumed,
    ) -> Result<Vec<Person>, RulesError> {
        let policy = &self.config.auth.policy;
        let mut persons = Vec::new();
        for (provider, user) in self.meant(login, assumed).await? {
            let subject = match (&assumed.id, &user) {
                (Some(id), _) => Some(id.clone()),
                (None, Some(user)) => self.store.users().subject_of(user.id, &provider).await?,
                (None, None) => None,
            };
            let subject = subject.unwrap_or_else(|| NOBODY_YET.to_owned());
            let mut claims = Claims::new(provider, subject, login);
            if let Some(user) = &user {
                self.recall(user, &mut claims).await?;
            }
            if let Some(groups) = &assumed.groups {
                claims.membership = Membership::complete(groups.iter().cloned(), ASSUMED);
            }
            claims.scopes.extend(assumed.scopes.iter().cloned());
            for (path, value) in &assumed.claims {
                claims.attributes.insert(path.clone(), value.clone().into());
            }
            let known = known(&self.store, policy, &self.methods, &claims).await?;
            persons.push(Person { claims, known });
        }
        Ok(persons)
    }

    /// What somebody who reads an explanation could take for more than it is.
    pub(super) async fn hints(
        &self,
        claims: &Claims,
        outcome: &Outcome,
    ) -> Result<Vec<String>, StoreError> {
        let mut hints = Vec::new();
        if let Some(name) = &outcome.account
            && accounts::OWN[..2].contains(&claims.provider.as_str())
            && !self.has_account(&claims.provider, name).await?
        {
            hints.push(format!(
                "there is no account {name} of this kind, so nobody can sign in like that"
            ));
        }
        let policy = &self.config.auth.policy;
        if !outcome.admits() && !outcome.is_about_the_account() && lacks(policy, claims) {
            hints.push(format!(
                "what {} says of this person is not remembered, and counts as nothing; assume \
                 some of it: --groups A,B, --scopes A,B, --claim NAME=VALUE",
                claims.provider
            ));
        }
        Ok(hints)
    }

    /// Whether somebody can sign in to `name` with a password.
    async fn has_account(&self, provider: &str, name: &UserName) -> Result<bool, StoreError> {
        if provider == accounts::PROVIDER {
            return Ok(self.store.local_accounts().by_name(name).await?.is_some());
        }
        Ok(self.methods.by_id(provider).is_some_and(|method| method.owns(name)))
    }

    /// Everybody with an account.
    pub(super) async fn all(&self) -> Result<Vec<User>, StoreError> {
        let mut all = Vec::new();
        loop {
            let offset = all.len() as u64;
            let filter =
                UserFilter { name_contains: None, offset, limit: PAGE, order: UserOrder::Added };
            let users = self.store.users().page(&filter).await?;
            let is_last = (users.len() as u64) < PAGE;
            all.extend(users);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// What the rules say about somebody at the provider that they are bound to. Whoever
    /// is bound to one that is not configured has no way in, unless names are enough.
    pub(super) async fn word(&self, user: &User) -> Result<Word, StoreError> {
        let policy = &self.config.auth.policy;
        let bound = self.store.users().identities(user.id).await?;
        let mut ways = self.methods.iter().map(|method| method.provider());
        let here = ways.find_map(|way| bound.iter().find(|one| one.provider == way));
        let gone = bound.first().map(|one| one.provider.clone());
        let way = match here {
            Some(one) => Some((one.provider.clone(), one.subject.clone())),
            None if gone.is_some() && policy.rules().identity_key == IdentityKey::Id => None,
            None => self.first_way(user).await?.map(|way| (way, NOBODY_YET.to_owned())),
        };
        let Some((provider, subject)) = way else {
            let outcome = Outcome::without_a_way(user.name.clone(), gone);
            return Ok(Word { outcome, is_sure: true });
        };
        let mut claims = Claims::new(provider, subject, user.name.as_str());
        self.recall(user, &mut claims).await?;
        let known = known(&self.store, policy, &self.methods, &claims).await?;
        let outcome = policy.decide(&claims, &known);
        let is_sure = outcome.admits() || outcome.is_about_the_account() || !lacks(policy, &claims);
        Ok(Word { outcome, is_sure })
    }

    /// Where somebody signs in who has not done so yet: where the account is, or the
    /// first.
    async fn first_way(&self, user: &User) -> Result<Option<String>, StoreError> {
        let local = match self.methods.by_id(accounts::PROVIDER) {
            Some(local) => {
                let account = self.store.local_accounts().by_name(&user.name).await?;
                account.map(|_| local)
            }
            None => None,
        };
        let owner = local.or_else(|| self.methods.iter().find(|method| method.owns(&user.name)));
        let method = owner.or_else(|| self.methods.iter().next());
        Ok(method.map(|method| method.provider().to_owned()))
    }

    /// Adds what the provider said at the last sign-in, if that is kept and opens. A
    /// record of somebody else's says nothing.
    async fn recall(&self, user: &User, claims: &mut Claims) -> Result<(), StoreError> {
        let (Some(config), Some(method)) = (self.kept, self.methods.by_id(&claims.provider)) else {
            return Ok(());
        };
        let Some(kept) = self.store.auth_states().get(user.id).await? else { return Ok(()) };
        let opened = config.keys.open(&kept.sealed, &owner(user.id)).ok();
        let told = opened.and_then(|opened| method.remembered(&opened.state));
        if let Some(told) = told.filter(|told| told.subject == claims.subject) {
            let login = std::mem::take(&mut claims.login);
            *claims = Claims { login, auth_state: None, ..told };
        }
        Ok(())
    }

    /// The providers in question, each with the account that `login` leads to there: the
    /// one that is named, those that the account is bound to, else all.
    async fn meant(
        &self,
        login: &str,
        assumed: &Assumed,
    ) -> Result<Vec<(String, Option<User>)>, RulesError> {
        let users = self.store.users();
        let mut all = Vec::new();
        let mut bound = Vec::new();
        for method in self.methods.iter() {
            let provider = method.provider().to_owned();
            // Not the same account everywhere: the map of names is not for the hub's own.
            let claims = Claims::new(provider.clone(), NOBODY_YET, login);
            let user = match self.config.auth.policy.account_name(&claims) {
                Ok(name) => users.by_name(&name).await?,
                Err(_) => None,
            };
            if let (Some(user), None) = (&user, &assumed.id)
                && users.subject_of(user.id, &provider).await?.is_some()
            {
                bound.push((provider.clone(), Some(user.clone())));
            }
            all.push((provider, user));
        }
        if let Some(id) = &assumed.provider {
            let known: Vec<&str> = all.iter().map(|(provider, _)| provider.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            all.retain(|(provider, _)| provider == id);
            return match all.is_empty() {
                true => Err(RulesError::UnknownProvider { id: id.clone(), known }),
                false => Ok(all),
            };
        }
        Ok(if bound.is_empty() { all } else { bound })
    }
}
