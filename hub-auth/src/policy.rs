//! Who is let in, and who is an administrator by rule.

mod compare;
mod decide;
mod outcome;
mod rules;

use std::collections::BTreeSet;

use hub_names::{InvalidName, UserName};
use regex_lite::Regex;
use unicode_normalization::UnicodeNormalization;

pub use self::{
    compare::{Change, Comparison, Person},
    outcome::{AdminRight, Known, Outcome, Refusal, Rule, Step, Verdict},
    rules::{AccessRules, IdentityKey, ProviderRules},
};
use crate::{AuthError, Claims, Identity};

/// The provider of the hub's own accounts.
pub(crate) const LOCAL: &str = "local";

/// Decides who is let in.
///
/// Names are compared after normalisation, so it does not matter in which case
/// the rules are written (a list compared with raw names has let people take
/// over accounts elsewhere, CVE-2021-41194).
#[derive(Clone, Debug, Default)]
pub struct AccessPolicy {
    rules: AccessRules,
    /// `None` with a pattern in the rules: it is no regular expression, and fits
    /// nobody.
    pattern: Option<Regex>,
}

impl AccessPolicy {
    /// The policy that `rules` describe. Rules that [`AccessRules::check`] refuses
    /// let in fewer people, never more.
    pub fn new(rules: AccessRules) -> Self {
        let map = rules.username_map.iter().map(|(k, v)| (fold(k), v.clone())).collect();
        let pattern = rules.username_pattern.as_deref().and_then(|text| rules::whole(text).ok());
        let mut policy = Self { rules: AccessRules { username_map: map, ..rules }, pattern };
        policy.rules.allowed = policy.normalise_all(&policy.rules.allowed);
        policy.rules.admins = policy.normalise_all(&policy.rules.admins);
        policy.rules.blocked = policy.normalise_all(&policy.rules.blocked);
        policy
    }

    /// The account name that belongs to a login name: Unicode's compatibility
    /// form in lower case, then through the operator's map, then checked.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the result cannot be the name of an account.
    pub fn normalise(&self, login: &str) -> Result<UserName, InvalidName> {
        let lower = fold(login);
        self.rules.username_map.get(&lower).unwrap_or(&lower).parse()
    }

    /// The account name that belongs to the login name of `claims`. The operator's map
    /// is for names that others give out: an account of the hub's own has the name that
    /// it was made with, and nobody becomes another by signing up under a mapped one.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the result cannot be the name of an account.
    pub fn account_name(&self, claims: &Claims) -> Result<UserName, InvalidName> {
        match claims.provider == LOCAL {
            true => fold(&claims.login).parse(),
            false => self.normalise(&claims.login),
        }
    }

    /// As [`decide`](Self::decide), for a caller that only wants the person.
    /// `exists`: whether the account that the login name leads to is there already.
    ///
    /// # Errors
    ///
    /// Those of [`Outcome::into_identity`].
    pub fn admit(&self, claims: &Claims, exists: bool) -> Result<Identity, AuthError> {
        let known = Known { exists, ..Known::default() };
        self.decide(claims, &known).into_identity(claims)
    }

    /// As [`admit`](Self::admit), for somebody whose account is known already by
    /// the provider's id: the login name, and what it is mapped to, do not matter.
    ///
    /// # Errors
    ///
    /// Those of [`Outcome::into_identity`].
    pub fn admit_account(
        &self,
        name: UserName,
        claims: &Claims,
        exists: bool,
    ) -> Result<Identity, AuthError> {
        let known = Known { own_account: Some(name), exists, ..Known::default() };
        self.decide(claims, &known).into_identity(claims)
    }

    /// The rules, with names normalised.
    pub fn rules(&self) -> &AccessRules {
        &self.rules
    }

    /// Whether these rules let in whoever any provider knows.
    pub fn admits_everybody(&self) -> bool {
        self.rules.allow_all
    }

    /// Whether somebody with an account keeps it: they are not blocked, and named
    /// or of a kind that is let in without being named. Groups and scopes are not
    /// known here; who is let in by them is found out by [`decide`](Self::decide).
    pub fn keeps(&self, name: &UserName) -> bool {
        let AccessRules { allowed, admins, blocked, allow_all, allow_existing, .. } = &self.rules;
        !blocked.contains(name)
            && (*allow_all || *allow_existing || allowed.contains(name) || admins.contains(name))
    }

    /// Whether somebody could come to have an account of this name: it is what a login
    /// name becomes, and fits the pattern.
    pub fn can_be_account(&self, name: &UserName) -> bool {
        let is_folded = fold(name.as_str()) == name.as_str();
        let is_mapped = || self.rules.username_map.values().any(|to| to == name.as_str());
        (is_folded || is_mapped()) && self.fits_pattern(name)
    }

    /// Whether somebody is kept out, whatever else is said of them.
    pub fn blocks(&self, name: &UserName) -> bool {
        self.rules.blocked.contains(name)
    }

    /// Whether these rules let in nobody at all, however they sign in (USR-5).
    /// True for a hub whose operator has not named anybody yet: worth a warning
    /// at start.
    pub fn admits_nobody(&self) -> bool {
        let AccessRules { allowed, admins, blocked, allow_all, allow_existing, .. } = &self.rules;
        !allow_all
            && !allow_existing
            && !self.rules.providers.values().any(ProviderRules::lets_in)
            && allowed.union(admins).all(|name| blocked.contains(name))
    }

    /// People who are let in by name, normalised.
    pub fn allowed(&self) -> &BTreeSet<UserName> {
        &self.rules.allowed
    }

    /// People who are made administrators, normalised.
    pub fn admins(&self) -> &BTreeSet<UserName> {
        &self.rules.admins
    }

    fn fits_pattern(&self, name: &UserName) -> bool {
        match (&self.rules.username_pattern, &self.pattern) {
            (None, _) => true,
            (Some(_), pattern) => {
                pattern.as_ref().is_some_and(|pattern| pattern.is_match(name.as_str()))
            }
        }
    }

    /// A name that cannot be normalised is dropped: nobody can sign in under it,
    /// so it neither admits nor blocks anybody.
    fn normalise_all(&self, names: &BTreeSet<UserName>) -> BTreeSet<UserName> {
        names.iter().filter_map(|name| self.normalise(name.as_str()).ok()).collect()
    }
}

/// Login names that look alike to a person are alike: full-width letters, other
/// codings of accents, and upper case make no other account.
pub(crate) fn fold(login: &str) -> String {
    login.nfkc().collect::<String>().to_lowercase().nfkc().collect()
}

#[cfg(test)]
mod allow_table;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod people;
#[cfg(test)]
mod tests;
