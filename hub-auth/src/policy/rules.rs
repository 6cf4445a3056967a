//! The rules of admission as the operator wrote them.

use std::collections::{BTreeMap, BTreeSet};

use hub_names::UserName;
use regex_lite::Regex;

use crate::InvalidConfig;

/// The rules as the operator wrote them. With nothing set nobody is let in.
///
/// What lets people in (`allowed`, `admins`, `allow_all`, `allow_existing`, and the
/// groups, scopes and claims of their provider) adds up: one of them is enough
/// (AUT-2). What they must fulfil (`required_claims`) and who is kept out
/// (`blocked`) is not changed by any of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessRules {
    /// People who are let in.
    pub allowed: BTreeSet<UserName>,
    /// People who are let in and made administrators.
    pub admins: BTreeSet<UserName>,
    /// People who are kept out, whatever else is said of them.
    pub blocked: BTreeSet<UserName>,
    /// Whether everybody is let in whom a provider knows.
    pub allow_all: bool,
    /// Whether everybody is let in who has an account already.
    pub allow_existing: bool,
    /// Login name, in lower case, to account name.
    pub username_map: BTreeMap<String, String>,
    /// What counts of what one provider says, by
    /// [its id](crate::Authenticator::provider). Never what another says: anybody
    /// can found an organization at GitHub that is called like a group elsewhere.
    pub providers: BTreeMap<String, ProviderRules>,
    /// A regular expression that the whole account name has to match, as
    /// `username_pattern` of JupyterHub, which looks at its beginning only.
    pub username_pattern: Option<String>,
    /// Whether the provider's groups replace those of the account
    /// (`manage_groups`). Done only if the provider told all of them.
    pub manage_groups: bool,
    /// What an account belongs to.
    pub identity_key: IdentityKey,
}

/// The rules about what one provider says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderRules {
    /// Whether everybody is let in whom this provider knows. For the hub's own
    /// accounts that is usual: whoever has one was approved or invited.
    pub allow_all: bool,
    /// Groups whose members are let in, as the provider writes them; GitHub's
    /// organizations and teams as `org` and `org:team` in lower case.
    pub allowed_groups: BTreeSet<String>,
    /// Groups whose members are let in and are administrators as long as they are
    /// members.
    pub admin_groups: BTreeSet<String>,
    /// OAuth scopes that let in whoever granted *all* of them; empty lets in nobody.
    pub allowed_scopes: BTreeSet<String>,
    /// What has to be said of everybody: dotted path into
    /// [`Claims::attributes`](crate::Claims::attributes) to the values that are
    /// good, such as `hd` to `example.org`. A list there must hold one of them.
    pub required_claims: BTreeMap<String, BTreeSet<String>>,
    /// What is said of administrators: dotted path to the values that make one, such
    /// as `realm_access.roles` to `hub-admin`. They are let in, and are
    /// administrators as long as it is said.
    pub admin_claims: BTreeMap<String, BTreeSet<String>>,
}

/// What an account belongs to (GH-3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdentityKey {
    /// The provider's immutable id: a renamed person keeps the account, and who
    /// takes the old name does not get it.
    #[default]
    Id,
    /// The login name, as in JupyterHub: whoever has the name has the account.
    Login,
}

impl AccessRules {
    /// Looks for entries that can never take effect, so that they are found at
    /// start and not when somebody is refused.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::Setting`] for a mapping to something that is no account
    /// name, for two mappings of one login, for a pattern that is no regular
    /// expression, and for a claim without a value.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let mut seen = BTreeMap::new();
        for (login, name) in &self.username_map {
            if let Err(error) = name.parse::<UserName>() {
                let reason = format!("{login:?} is mapped to {name:?}: {error}");
                return Err(InvalidConfig::setting("username_map", reason));
            }
            if seen.insert(super::fold(login), name).is_some_and(|other| other != name) {
                let reason =
                    format!("{login:?} is mapped twice; upper and lower case are the same");
                return Err(InvalidConfig::setting("username_map", reason));
            }
        }
        if let Some(pattern) = &self.username_pattern {
            whole(pattern).map_err(|error| {
                InvalidConfig::setting("username_pattern", format!("{pattern:?}: {error}"))
            })?;
        }
        for (provider, rules) in &self.providers {
            let claims = [
                ("required_claims", &rules.required_claims),
                ("admin_claims", &rules.admin_claims),
            ];
            for (key, claims) in claims {
                if let Some((path, _)) = claims.iter().find(|(_, values)| values.is_empty()) {
                    return Err(InvalidConfig::setting(
                        format!("{provider}.{key}.{path}"),
                        "has no value, so nobody could match; name one or remove the key",
                    ));
                }
            }
        }
        Ok(())
    }

    /// What is allowed but rarely meant, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let lists = [
            ("allowed_users", &self.allowed),
            ("admin_users", &self.admins),
            ("blocked_users", &self.blocked),
        ];
        let short = lists.into_iter().flat_map(|(key, names)| {
            let single = names.iter().filter(|name| name.as_str().chars().count() == 1);
            single.map(move |name| {
                format!("{key} has the name {:?} of one character; was a text written instead of a list?", name.as_str())
            })
        });
        let mut warnings: Vec<String> = short.collect();
        let in_vain = |rules: &ProviderRules| {
            !(rules.allowed_groups.is_empty() && rules.allowed_scopes.is_empty())
        };
        let providers = self.providers.iter().filter(|(_, rules)| self.allow_all && in_vain(rules));
        warnings.extend(providers.map(|(provider, _)| {
            format!(
                "allow_all lets everybody in, so allowed_groups and allowed_scopes of {provider} \
                 change nothing"
            )
        }));
        warnings
    }
}

impl ProviderRules {
    /// Whether anybody could be let in by these.
    pub fn lets_in(&self) -> bool {
        let Self { allow_all, allowed_groups, admin_groups, allowed_scopes, admin_claims, .. } =
            self;
        let mut lists = [allowed_groups, admin_groups, allowed_scopes].into_iter();
        *allow_all || lists.any(|list| !list.is_empty()) || !admin_claims.is_empty()
    }
}

/// `pattern` for a whole name.
pub(super) fn whole(pattern: &str) -> Result<Regex, regex_lite::Error> {
    // By itself first: `a)|(b` must not become valid by what is put around it.
    Regex::new(pattern)?;
    Regex::new(&format!("^(?:{pattern})$"))
}
