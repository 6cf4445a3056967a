//! The people in the store, as their providers described them last.

use hub_auth::{Claims, Membership, Methods, Person};
use hub_store::{Store, StoreError, User, UserFilter, UserOrder};

use super::{Assumed, RulesError};
use crate::{auth_state::owner, config::Config, sign_in::known, startup};

/// How many users are read at once.
const PAGE: u64 = 1000;

/// Stands for the number of somebody who has never signed in.
const NOBODY_YET: &str = "new";

/// Where groups come from that an operator assumes.
const ASSUMED: &str = "what is assumed";

/// The people whom a hub knows.
pub(super) struct People<'a> {
    config: &'a Config,
    store: Store,
    methods: Methods,
}

impl<'a> People<'a> {
    /// Those of the database that `config` names, also while a hub runs on it. One that
    /// is not there yet knows nobody.
    pub(super) async fn open(config: &'a Config) -> Result<Self, RulesError> {
        let methods = startup::methods(startup::sign_in_methods(config)?)?;
        let is_there = Store::examine(&config.store, hub_store::Depth::Quick).await?.schema;
        let store = match is_there {
            Some(_) => Store::open_read_only(&config.store).await?,
            None => Store::in_memory().await?,
        };
        Ok(Self { config, store, methods })
    }

    /// Whoever signs in as `login`, at each provider in question.
    pub(super) async fn called(
        &self,
        login: &str,
        assumed: &Assumed,
    ) -> Result<Vec<Person>, RulesError> {
        let policy = &self.config.auth.policy;
        let user = match policy.normalise(login) {
            Ok(name) => self.store.users().by_name(&name).await?,
            Err(_) => None,
        };
        let mut persons = Vec::new();
        for provider in self.providers(user.as_ref(), assumed).await? {
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

    /// Everybody, at the provider that they are bound to; whoever has never signed in
    /// at the one whose account it is, or the first.
    pub(super) async fn all(&self) -> Result<Vec<Person>, RulesError> {
        let mut persons = Vec::new();
        let mut offset = 0;
        loop {
            let filter =
                UserFilter { name_contains: None, offset, limit: PAGE, order: UserOrder::Added };
            let users = self.store.users().page(&filter).await?;
            for user in &users {
                persons.push(self.person(user).await?);
            }
            offset += PAGE;
            if (users.len() as u64) < PAGE {
                return Ok(persons);
            }
        }
    }

    async fn person(&self, user: &User) -> Result<Person, StoreError> {
        let mut bound = None;
        for method in self.methods.iter() {
            let provider = method.provider();
            if let Some(subject) = self.store.users().subject_of(user.id, provider).await? {
                bound = Some((provider, subject));
                break;
            }
        }
        let (provider, subject) = bound.unwrap_or_else(|| {
            let owner = self.methods.iter().find(|method| method.owns(&user.name));
            let method = owner.or_else(|| self.methods.iter().next());
            (method.map_or("", |method| method.provider()), NOBODY_YET.to_owned())
        });
        let mut claims = Claims::new(provider, subject, user.name.as_str());
        self.recall(user, &mut claims).await?;
        let known = known(&self.store, &self.config.auth.policy, &self.methods, &claims).await?;
        Ok(Person { claims, known })
    }

    /// Adds what the provider said at the last sign-in, if that is kept and opens. A
    /// record of somebody else's says nothing.
    async fn recall(&self, user: &User, claims: &mut Claims) -> Result<(), StoreError> {
        let (Some(config), Some(method)) =
            (&self.config.auth.state, self.methods.by_id(&claims.provider))
        else {
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

    /// The providers in question: the one that is named, those that the account is bound
    /// to, else all.
    async fn providers(
        &self,
        user: Option<&User>,
        assumed: &Assumed,
    ) -> Result<Vec<String>, RulesError> {
        let all: Vec<String> =
            self.methods.iter().map(|method| method.provider().to_owned()).collect();
        if let Some(id) = &assumed.provider {
            return match all.contains(id) {
                true => Ok(vec![id.clone()]),
                false => Err(RulesError::UnknownProvider {
                    id: id.clone(),
                    known: if all.is_empty() { "none".to_owned() } else { all.join(", ") },
                }),
            };
        }
        let mut bound = Vec::new();
        if let (Some(user), None) = (user, &assumed.id) {
            for provider in &all {
                if self.store.users().subject_of(user.id, provider).await?.is_some() {
                    bound.push(provider.clone());
                }
            }
        }
        Ok(if bound.is_empty() { all } else { bound })
    }
}
