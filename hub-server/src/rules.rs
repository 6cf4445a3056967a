//! What the rules of admission say about somebody, without a sign-in: for an operator who
//! wants to know why, or whom other rules would lock out.
//!
//! Nothing is asked of a provider, and nothing is changed. What is known of people is what
//! the store remembers of their last sign-in.

mod people;

use hub_auth::{
    AccessPolicy, AdminRight, Change, Claims, Comparison, Outcome, Person, ProviderRules, Standing,
};
use hub_store::StoreError;
use serde::Serialize;

use self::people::People;
use crate::{config::Config, startup::StartupError};

/// Why rules cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Startup(#[from] StartupError),
    /// The database cannot be read.
    #[error("store.url: the database cannot be read")]
    Store(#[from] StoreError),
    /// No such way of signing in.
    #[error("there is no way of signing in with the id {id:?}; the configuration has {known}")]
    UnknownProvider {
        /// What was asked for.
        id: String,
        /// What there is.
        known: String,
    },
}

/// What is assumed about somebody, over what is remembered of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assumed {
    /// The provider that they sign in with; without it, the one that the account is
    /// bound to, or every one.
    pub provider: Option<String>,
    /// The provider's number for them.
    pub id: Option<String>,
    /// All groups that they are in.
    pub groups: Option<Vec<String>>,
    /// Scopes that they grant.
    pub scopes: Vec<String>,
    /// What the provider says of them: dotted path and value.
    pub claims: Vec<(String, String)>,
}

/// What the rules say about somebody at one provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Who it is: `github:583231`.
    pub identity: String,
    /// The account.
    pub account: Option<String>,
    /// Whether they are let in.
    pub admitted: bool,
    /// The rule that decided.
    pub rule: String,
    /// Why somebody is kept out.
    pub refusal: Option<String>,
    /// What becomes of the rights of an administrator: `granted`, `withdrawn`,
    /// `unchanged`.
    pub admin: &'static str,
    /// Every rule, in order.
    pub steps: Vec<Step>,
    /// What to bear in mind.
    pub hints: Vec<String>,
    /// All of it for people to read.
    #[serde(skip)]
    pub text: String,
}

/// One rule and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The rule.
    pub rule: &'static str,
    /// What it says.
    pub verdict: String,
    /// Why.
    pub detail: String,
}

/// What other rules would change for the people whom the hub knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// People who are let in now and would not be.
    pub locked_out: Vec<Affected>,
    /// People who are kept out now and would not be.
    pub let_in: Vec<Affected>,
    /// People who would not be made administrators any more.
    pub admin_lost: Vec<Affected>,
    /// People who would be made administrators.
    pub admin_gained: Vec<Affected>,
    /// People of whom the hub does not remember what decides: their groups, say.
    pub unknown: Vec<String>,
    /// How many people stay as they are.
    pub unchanged: usize,
}

/// Somebody for whom something would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Affected {
    /// The account.
    pub who: String,
    /// The rule that decides now.
    pub rule_before: &'static str,
    /// The rule that would decide.
    pub rule_after: &'static str,
    /// Why they would be kept out.
    pub refusal: Option<String>,
}

/// What `config` says about `login`: a name of an account, or a login name at a provider.
///
/// # Errors
///
/// [`RulesError`].
pub async fn explain(
    config: &Config,
    login: &str,
    assumed: &Assumed,
) -> Result<Vec<Explanation>, RulesError> {
    let people = People::open(config).await?;
    let persons = people.called(login, assumed).await?;
    let policy = &config.auth.policy;
    let mut explained = Vec::new();
    for Person { claims, known } in &persons {
        let outcome = policy.decide(claims, known);
        let hints = people.hints(claims, &outcome).await?;
        explained.push(explanation(claims, &outcome, hints));
    }
    Ok(explained)
}

/// What `new` would change against `config`, for everybody in the database of `config`:
/// its rules, its ways of signing in, and how it reads what providers say.
///
/// # Errors
///
/// [`RulesError`].
pub async fn compare(config: &Config, new: &Config) -> Result<Effect, RulesError> {
    let now = People::open(config).await?;
    let then = now.under(new)?;
    let mut comparison = Comparison::default();
    let mut unknown = Vec::new();
    for user in now.all().await? {
        let (before, after) = (now.word(&user).await?, then.word(&user).await?);
        match before.is_sure && after.is_sure {
            true => comparison.add(user.name.to_string(), before.outcome, after.outcome),
            false => unknown.push(user.name.to_string()),
        }
    }
    let Comparison { locked_out, let_in, admin_lost, admin_gained, unchanged } = comparison;
    let affected = |changes: Vec<Change>| changes.into_iter().map(Affected::of).collect();
    Ok(Effect {
        locked_out: affected(locked_out),
        let_in: affected(let_in),
        admin_lost: affected(admin_lost),
        admin_gained: affected(admin_gained),
        unknown,
        unchanged,
    })
}

/// Whether `policy` goes by something of which nobody remembers what the provider said.
fn lacks(policy: &AccessPolicy, claims: &Claims) -> bool {
    let Some(rules) = policy.rules().providers.get(&claims.provider) else { return false };
    let ProviderRules { allowed_groups, admin_groups, allowed_scopes, .. } = rules;
    let mut groups = allowed_groups.union(admin_groups);
    groups.any(|group| *claims.membership.of(group) == Standing::NotAsked)
        || (!allowed_scopes.is_empty() && claims.scopes.is_empty())
        || (!(rules.required_claims.is_empty() && rules.admin_claims.is_empty())
            && claims.attributes.is_empty())
}

fn explanation(claims: &Claims, outcome: &Outcome, hints: Vec<String>) -> Explanation {
    Explanation {
        identity: claims.stable_id().to_string(),
        account: outcome.account.as_ref().map(ToString::to_string),
        admitted: outcome.admits(),
        rule: outcome.rule.key().to_owned(),
        refusal: outcome.decision.as_ref().err().map(ToString::to_string),
        admin: match outcome.admin {
            AdminRight::Granted => "granted",
            AdminRight::Withdrawn => "withdrawn",
            AdminRight::Unchanged => "unchanged",
        },
        steps: outcome
            .trace
            .iter()
            .map(|step| Step {
                rule: step.rule.key(),
                verdict: step.verdict.to_string(),
                detail: step.detail.clone(),
            })
            .collect(),
        hints,
        text: outcome.to_string(),
    }
}

impl Affected {
    fn of(change: Change) -> Self {
        Self {
            who: change.who,
            rule_before: change.before.rule.key(),
            rule_after: change.after.rule.key(),
            refusal: change.after.decision.err().map(|refusal| refusal.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
