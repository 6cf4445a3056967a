//! The decision itself: every rule in its order, nothing else.

use std::collections::BTreeSet;

use hub_names::UserName;

use super::{
    AccessPolicy, AccessRules, AdminRight, IdentityKey, Known, LOCAL, Outcome, ProviderRules,
    Refusal, Rule, Step, Verdict,
};
use crate::{Claims, Standing, claim, error::excerpt};

/// Most names that an explanation lists.
const LISTED: usize = 5;

/// What a rule says, before it is known whether it was reached.
struct Said {
    verdict: Verdict,
    detail: String,
}

impl AccessPolicy {
    /// Decides about somebody whose claims a provider has confirmed, on what the
    /// hub remembers of them.
    ///
    /// The order is that of [`Rule::ORDER`]: the name, whose account it is, blocked,
    /// required, then whatever lets in (JupyterHub's order, with the account's owner
    /// and required claims put where nothing can switch them off). Pure: the same
    /// rules, claims and memory give the same outcome.
    pub fn decide(&self, claims: &Claims, known: &Known) -> Outcome {
        let none = ProviderRules::default();
        let provider = self.rules.providers.get(&claims.provider).unwrap_or(&none);
        let (account, named) = self.account(claims, known);
        let mut trace = Vec::with_capacity(Rule::ORDER.len());
        let mut decided: Option<(Rule, Result<(), Refusal>)> = None;
        let mut unsure = None;
        let mut hints = Vec::new();
        for rule in Rule::ORDER {
            let refused = decided.as_ref().is_some_and(|(_, decision)| decision.is_err());
            if refused {
                trace.push(Step { rule, verdict: Verdict::NotReached, detail: String::new() });
                continue;
            }
            let (said, refusal) = match (rule, &account) {
                (Rule::Name, _) => (named.said(), named.refusal()),
                (_, None) => (Said::new(Verdict::NotReached, ""), None),
                (Rule::IdentityKey, Some(_)) => self.owner(claims, known),
                (Rule::BlockedUsers, Some(name)) => self.blocked(name, claims),
                (Rule::RequiredClaims, Some(_)) => required(provider, claims),
                (Rule::NobodyElse, Some(_)) if decided.is_some() => {
                    (Said::new(Verdict::NoMatch, "let in already"), None)
                }
                (Rule::NobodyElse, Some(_)) => {
                    let refusal = match unsure.take() {
                        Some(reason) => Refusal::Unchecked { reason },
                        None => Refusal::NotNamed { hints: std::mem::take(&mut hints) },
                    };
                    (Said::new(Verdict::Refuses, "no rule lets in"), Some(refusal))
                }
                (Rule::AllowedGroups, Some(_)) => {
                    (in_groups(&provider.allowed_groups, claims, &mut unsure, &mut hints), None)
                }
                (Rule::AdminGroups, Some(_)) => {
                    (in_groups(&provider.admin_groups, claims, &mut unsure, &mut hints), None)
                }
                (Rule::AllowedScopes, Some(_)) => (has_scopes(provider, claims), None),
                (Rule::AdminClaims, Some(_)) => (is_told_admin(provider, claims), None),
                (_, Some(name)) => (self.allows(rule, name, provider, (claims, known)), None),
            };
            match (said.verdict, refusal) {
                (Verdict::Refuses, Some(refusal)) => decided = Some((rule, Err(refusal))),
                (Verdict::Admits, _) if decided.is_none() => decided = Some((rule, Ok(()))),
                _ => {}
            }
            trace.push(Step { rule, verdict: said.verdict, detail: said.detail });
        }
        let (rule, decision) =
            decided.unwrap_or((Rule::NobodyElse, Err(Refusal::NotNamed { hints: Vec::new() })));
        let right = |name| self.admin_right(name, provider, claims);
        let (admin, is_heard) = match (&decision, &account) {
            (Ok(()), Some(name)) => (right(name), true),
            (Err(refusal), Some(name)) if refusal.is_clear() && Self::is_theirs(claims, known) => {
                // Nobody is made an administrator by being kept out.
                let lost = Some(right(name)).filter(|right| *right == AdminRight::Withdrawn);
                (lost.unwrap_or(AdminRight::Unchanged), true)
            }
            _ => (AdminRight::Unchanged, false),
        };
        let groups = (self.rules.manage_groups && is_heard && claims.membership.is_complete())
            .then(|| claims.membership.groups());
        Outcome { account, decision, rule, admin, groups, trace }
    }

    /// The account that this person means, and what the rule about names says.
    fn account(&self, claims: &Claims, known: &Known) -> (Option<UserName>, Named) {
        if self.rules.identity_key == IdentityKey::Id
            && let Some(name) = &known.own_account
        {
            return (
                Some(name.clone()),
                Named::Remembered(name.clone(), claims.stable_id().to_string()),
            );
        }
        match self.account_name(claims) {
            Err(error) => (None, Named::Invalid(excerpt(&claims.login), error)),
            Ok(name) if claims.provider != LOCAL && !self.fits_pattern(&name) => {
                (None, Named::Unfit(name))
            }
            Ok(name) => (Some(name.clone()), Named::New(name)),
        }
    }

    fn owner(&self, claims: &Claims, known: &Known) -> (Said, Option<Refusal>) {
        if self.rules.identity_key == IdentityKey::Login {
            return (Said::new(Verdict::Passes, "whoever has the name has the account"), None);
        }
        let own = claims.stable_id();
        if known.own_account.is_some() || known.owners.contains(&own) {
            return (Said::new(Verdict::Passes, format!("the account belongs to {own}")), None);
        }
        if known.owners.is_empty() {
            return (Said::new(Verdict::Passes, "the account belongs to nobody yet"), None);
        }
        let owners = listed(known.owners.iter().map(ToString::to_string));
        let detail = format!("the account belongs to {owners}, and this is {own}");
        (Said::new(Verdict::Refuses, detail), Some(Refusal::OtherPerson))
    }

    /// Whether the account is known to be this person's, so that what their provider says
    /// holds for it even if it is not enough to let them in. A name is not enough for that.
    fn is_theirs(claims: &Claims, known: &Known) -> bool {
        known.own_account.is_some() || known.owners.contains(&claims.stable_id())
    }

    /// The account's name and what today's login name leads to: whoever is blocked by either is
    /// meant.
    fn blocked(&self, name: &UserName, claims: &Claims) -> (Said, Option<Refusal>) {
        let AccessRules { blocked, .. } = &self.rules;
        let login = self.account_name(claims).ok();
        match [Some(name), login.as_ref()].into_iter().flatten().find(|one| blocked.contains(one)) {
            Some(one) => {
                let detail = format!("{one} is on the list");
                (Said::new(Verdict::Refuses, detail), Some(Refusal::Blocked))
            }
            None if blocked.is_empty() => (Said::new(Verdict::NotSet, ""), None),
            None => (Said::new(Verdict::Passes, format!("{name} is not on the list")), None),
        }
    }

    /// The rules that let in by name or account.
    fn allows(
        &self,
        rule: Rule,
        name: &UserName,
        provider: &ProviderRules,
        (claims, known): (&Claims, &Known),
    ) -> Said {
        let rules = &self.rules;
        let by_name = |list: &BTreeSet<UserName>| match (list.is_empty(), list.contains(name)) {
            (true, _) => Said::new(Verdict::NotSet, ""),
            (_, true) => Said::new(Verdict::Admits, format!("{name} is on the list")),
            (_, false) => Said::new(Verdict::NoMatch, format!("{name} is not on the list")),
        };
        match rule {
            Rule::AllowAll if rules.allow_all || provider.allow_all => {
                Said::new(Verdict::Admits, format!("everybody whom {} knows", claims.provider))
            }
            Rule::AdminUsers => by_name(&rules.admins),
            Rule::AllowedUsers => by_name(&rules.allowed),
            Rule::AllowExistingUsers if rules.allow_existing => {
                match known.exists || known.own_account.is_some() {
                    true => Said::new(Verdict::Admits, "the account exists"),
                    false => Said::new(Verdict::NoMatch, "there is no such account yet"),
                }
            }
            _ => Said::new(Verdict::NotSet, ""),
        }
    }

    fn admin_right(
        &self,
        name: &UserName,
        provider: &ProviderRules,
        claims: &Claims,
    ) -> AdminRight {
        let ProviderRules { admin_groups, admin_claims, .. } = provider;
        let mut standings = admin_groups.iter().map(|group| claims.membership.of(group));
        let is_member = |standing: &Standing| matches!(standing, Standing::Member { .. });
        let mut told = admin_claims.iter();
        if self.rules.admins.contains(name)
            || standings.clone().any(is_member)
            || told.any(|(path, wanted)| has_claim(claims, path, wanted).is_ok())
        {
            return AdminRight::Granted;
        }
        // Taken away only on a clear "no": about every group.
        let is_out = |standing: &Standing| matches!(standing, Standing::NotMember { .. });
        let is_set = !admin_groups.is_empty() || !admin_claims.is_empty();
        match is_set && standings.all(is_out) {
            true => AdminRight::Withdrawn,
            false => AdminRight::Unchanged,
        }
    }
}

/// Whether all that is required of this provider's people is said.
fn required(provider: &ProviderRules, claims: &Claims) -> (Said, Option<Refusal>) {
    for (path, wanted) in &provider.required_claims {
        if let Err(found) = has_claim(claims, path, wanted) {
            let refusal = Refusal::ClaimMissing {
                claim: path.clone(),
                wanted: listed(wanted.iter().cloned()),
            };
            return (Said::new(Verdict::Refuses, format!("{path} is {found}")), Some(refusal));
        }
    }
    match provider.required_claims.len() {
        0 => (Said::new(Verdict::NotSet, ""), None),
        _ => (Said::new(Verdict::Passes, "all required claims are there"), None),
    }
}

fn has_scopes(provider: &ProviderRules, claims: &Claims) -> Said {
    let ProviderRules { allowed_scopes, .. } = provider;
    let missing: Vec<&String> = allowed_scopes.difference(&claims.scopes).collect();
    if allowed_scopes.is_empty() {
        Said::new(Verdict::NotSet, "")
    } else if missing.is_empty() {
        Said::new(Verdict::Admits, "all scopes were granted")
    } else {
        let missing = listed(missing.into_iter().cloned());
        Said::new(Verdict::NoMatch, format!("not granted: {missing}"))
    }
}

fn is_told_admin(provider: &ProviderRules, claims: &Claims) -> Said {
    let ProviderRules { admin_claims, .. } = provider;
    let is_told =
        |(path, wanted): &(&String, &BTreeSet<String>)| has_claim(claims, path, wanted).is_ok();
    match admin_claims.iter().find(is_told) {
        _ if admin_claims.is_empty() => Said::new(Verdict::NotSet, ""),
        Some((path, _)) => Said::new(Verdict::Admits, format!("{path} says so")),
        None => Said::new(Verdict::NoMatch, "no claim says so"),
    }
}

/// Whether the claim at `path` is, or holds, one of the `wanted` values; otherwise
/// what is there.
fn has_claim(claims: &Claims, path: &str, wanted: &BTreeSet<String>) -> Result<(), String> {
    let value = claim::at(&claims.attributes, path);
    let found = value.and_then(claim::texts).unwrap_or_default();
    // A text is compared whole as well: a value may hold blanks. "Yes" and "no" are
    // written as they are in JSON.
    let yes = |value: &serde_json::Value| value.as_bool().map(|yes| yes.to_string());
    let whole = value.and_then(|value| claim::text(value).or_else(|| yes(value)));
    match found.iter().chain(&whole).any(|value| wanted.contains(value)) {
        true => Ok(()),
        false if found.is_empty() => Err(whole.unwrap_or_else(|| "absent".to_owned())),
        false => Err(listed(found)),
    }
}

/// Whether one of `groups` lets in; what is in doubt and what could help is noted.
fn in_groups(
    groups: &BTreeSet<String>,
    claims: &Claims,
    unsure: &mut Option<String>,
    hints: &mut Vec<String>,
) -> Said {
    if groups.is_empty() {
        return Said::new(Verdict::NotSet, "");
    }
    let mut doubt = None;
    let mut is_known = false;
    for group in groups {
        match claims.membership.of(group) {
            Standing::Member { seen_in } => {
                let detail = format!("member of {group}, seen in {seen_in}");
                return Said::new(Verdict::Admits, detail);
            }
            Standing::Unchecked { reason } => doubt = doubt.or_else(|| Some(reason.clone())),
            Standing::NotMember { hint } => {
                is_known = true;
                hints.extend(hint.clone().filter(|hint| !hints.contains(hint)));
            }
            Standing::NotAsked => {}
        }
    }
    match doubt {
        Some(reason) => {
            unsure.get_or_insert_with(|| reason.clone());
            Said::new(Verdict::Unsure, reason)
        }
        None => {
            let groups = listed(groups.iter().cloned());
            let detail = match is_known {
                true => format!("in none of {groups}"),
                false => format!("it was not asked about {groups}"),
            };
            Said::new(Verdict::NoMatch, detail)
        }
    }
}

/// What the rule about names says.
enum Named {
    Remembered(UserName, String),
    New(UserName),
    Unfit(UserName),
    Invalid(String, hub_names::InvalidName),
}

impl Named {
    fn said(&self) -> Said {
        match self {
            Self::Remembered(name, who) => {
                Said::new(Verdict::Passes, format!("{who} is remembered as {name}"))
            }
            Self::New(name) => Said::new(Verdict::Passes, format!("the account is {name}")),
            Self::Unfit(name) => {
                Said::new(Verdict::Refuses, format!("{name} does not match username_pattern"))
            }
            Self::Invalid(login, error) => {
                Said::new(Verdict::Refuses, format!("{login:?}: {error}"))
            }
        }
    }

    fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Remembered(..) | Self::New(_) => None,
            Self::Unfit(_) => Some(Refusal::Pattern),
            Self::Invalid(_, error) => Some(Refusal::InvalidName(error.clone())),
        }
    }
}

impl Said {
    fn new(verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { verdict, detail: detail.into() }
    }
}

/// Names for a sentence, cut.
fn listed(names: impl IntoIterator<Item = String>) -> String {
    let mut names: Vec<String> = names.into_iter().map(|name| excerpt(&name)).collect();
    if names.len() > LISTED {
        let more = names.len() - LISTED;
        names.truncate(LISTED);
        names.push(format!("{more} more"));
    }
    names.join(", ")
}
