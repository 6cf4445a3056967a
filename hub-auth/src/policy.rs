//! Who is let in, and who is an administrator by rule.

use std::collections::{BTreeMap, BTreeSet};

use hub_names::{InvalidName, UserName};

use crate::{AuthError, Claims, Identity, InvalidConfig, error::excerpt};

/// The rules as the operator wrote them. With nothing set nobody is let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessRules {
    /// People who are let in.
    pub allowed: BTreeSet<UserName>,
    /// People who are let in and made administrators.
    pub admins: BTreeSet<UserName>,
    /// People who are kept out, whatever else is said of them.
    pub blocked: BTreeSet<UserName>,
    /// Whether everybody is let in whom the provider knows.
    pub allow_all: bool,
    /// Whether everybody is let in who has an account already.
    pub allow_existing: bool,
    /// Login name, in lower case, to account name.
    pub username_map: BTreeMap<String, String>,
}

impl AccessRules {
    /// Looks for entries that can never take effect, so that they are found at
    /// start and not when somebody is refused.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::Setting`] for a mapping to something that is no account
    /// name, or for two mappings of one login.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let mut seen = BTreeMap::new();
        for (login, name) in &self.username_map {
            if let Err(error) = name.parse::<UserName>() {
                let reason = format!("{login:?} is mapped to {name:?}: {error}");
                return Err(InvalidConfig::setting("username_map", reason));
            }
            if seen.insert(login.to_lowercase(), name).is_some_and(|other| other != name) {
                let reason =
                    format!("{login:?} is mapped twice; upper and lower case are the same");
                return Err(InvalidConfig::setting("username_map", reason));
            }
        }
        Ok(())
    }
}

/// Decides who is let in.
///
/// Names are compared after normalisation, so it does not matter in which case
/// the rules are written (a list compared with raw names has let people take
/// over accounts elsewhere, CVE-2021-41194).
#[derive(Clone, Debug, Default)]
pub struct AccessPolicy {
    rules: AccessRules,
}

impl AccessPolicy {
    /// The policy that `rules` describe.
    pub fn new(rules: AccessRules) -> Self {
        let map = rules.username_map.iter().map(|(k, v)| (k.to_lowercase(), v.clone())).collect();
        let mut policy = Self { rules: AccessRules { username_map: map, ..rules } };
        policy.rules.allowed = policy.normalise_all(&policy.rules.allowed);
        policy.rules.admins = policy.normalise_all(&policy.rules.admins);
        policy.rules.blocked = policy.normalise_all(&policy.rules.blocked);
        policy
    }

    /// The account name that belongs to a login name: lower case, then through
    /// the operator's map, then checked.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the result cannot be the name of an account.
    pub fn normalise(&self, login: &str) -> Result<UserName, InvalidName> {
        let lower = login.to_lowercase();
        self.rules.username_map.get(&lower).unwrap_or(&lower).parse()
    }

    /// Decides about somebody whose claims a provider has confirmed. `exists`:
    /// whether the account is there already.
    ///
    /// The order is JupyterHub's: normalise, validate, blocked, allowed, admin.
    /// Allowing rules only widen, and blocking always wins (AUT-2); being an
    /// administrator implies being let in.
    ///
    /// # Errors
    ///
    /// [`AuthError::InvalidName`] or [`AuthError::NotAllowed`].
    pub fn admit(&self, claims: &Claims, exists: bool) -> Result<Identity, AuthError> {
        let name = self
            .normalise(&claims.login)
            .map_err(|source| AuthError::InvalidName { login: excerpt(&claims.login), source })?;
        self.admit_account(name, claims, exists)
    }

    /// As [`admit`](Self::admit), for somebody whose account is known already by
    /// the provider's id: the login name, and what it is mapped to, do not matter.
    ///
    /// # Errors
    ///
    /// [`AuthError::NotAllowed`].
    pub fn admit_account(
        &self,
        name: UserName,
        claims: &Claims,
        exists: bool,
    ) -> Result<Identity, AuthError> {
        let refused = |reason: &str| AuthError::NotAllowed {
            user: name.to_string(),
            reason: reason.to_owned(),
        };
        let rules = &self.rules;
        if rules.blocked.contains(&name) {
            return Err(refused("the account is blocked"));
        }
        let admin = rules.admins.contains(&name);
        let allowed = admin
            || rules.allow_all
            || rules.allowed.contains(&name)
            || (rules.allow_existing && exists);
        if !allowed {
            return Err(refused(
                "the account is not on this hub's list; an administrator can add it",
            ));
        }
        Ok(Identity {
            name,
            admin,
            provider: claims.provider.clone(),
            subject: claims.subject.clone(),
        })
    }

    /// Whether these rules let in whoever a provider knows.
    pub fn admits_everybody(&self) -> bool {
        self.rules.allow_all
    }

    /// Whether somebody with an account keeps it: they are not blocked, and named
    /// or of a kind that is let in without being named.
    pub fn keeps(&self, name: &UserName) -> bool {
        let AccessRules { allowed, admins, blocked, allow_all, allow_existing, .. } = &self.rules;
        !blocked.contains(name)
            && (*allow_all || *allow_existing || allowed.contains(name) || admins.contains(name))
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
        !allow_all && !allow_existing && allowed.union(admins).all(|name| blocked.contains(name))
    }

    /// People who are let in by name, normalised.
    pub fn allowed(&self) -> &BTreeSet<UserName> {
        &self.rules.allowed
    }

    /// People who are made administrators, normalised.
    pub fn admins(&self) -> &BTreeSet<UserName> {
        &self.rules.admins
    }

    /// A name that cannot be normalised is dropped: nobody can sign in under it,
    /// so it neither admits nor blocks anybody.
    fn normalise_all(&self, names: &BTreeSet<UserName>) -> BTreeSet<UserName> {
        names.iter().filter_map(|name| self.normalise(name.as_str()).ok()).collect()
    }
}

#[cfg(test)]
mod tests;
