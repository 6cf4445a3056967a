//! What is decided about somebody, by which rule, and why.

use std::{collections::BTreeSet, fmt};

use hub_names::{InvalidName, UserName};

use crate::{AuthError, Claims, Identity, Subject, error::excerpt};

/// What the hub remembers when somebody signs in: the part of a decision that is
/// in its store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The account that this very person, by the provider's id, was bound to at an
    /// earlier sign-in.
    pub own_account: Option<UserName>,
    /// Whether the account that the login name leads to exists.
    pub exists: bool,
    /// Who that account is bound to, at any provider. Empty if nobody signed in to
    /// it yet.
    pub owners: BTreeSet<Subject>,
}

/// The rules in the order in which they are asked. The first that lets in or
/// refuses decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The login name is normalised, mapped, and has to be a name.
    Name,
    /// The account must not belong to somebody else.
    IdentityKey,
    /// Who is blocked is refused.
    BlockedUsers,
    /// Who lacks a required claim is refused.
    RequiredClaims,
    /// Everybody is let in.
    AllowAll,
    /// Administrators by name are let in.
    AdminUsers,
    /// People by name are let in.
    AllowedUsers,
    /// People with an account are let in.
    AllowExistingUsers,
    /// Members of groups are let in.
    AllowedGroups,
    /// Who granted all scopes is let in.
    AllowedScopes,
    /// Members of groups of administrators are let in.
    AdminGroups,
    /// Of whom the provider says that they are administrators is let in.
    AdminClaims,
    /// Nobody else is let in.
    NobodyElse,
}

/// One rule and what it says about somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule.
    pub rule: Rule,
    /// What it says.
    pub verdict: Verdict,
    /// Why, as a fragment: `member of ada-lab, seen in the list of members`.
    pub detail: String,
}

/// What one rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has nothing against this person.
    Passes,
    /// It lets this person in.
    Admits,
    /// It keeps this person out.
    Refuses,
    /// It says nothing about this person.
    NoMatch,
    /// It might let this person in, but that could not be found out.
    Unsure,
    /// It is not configured.
    NotSet,
    /// It was not asked, since an earlier rule refused.
    NotReached,
}

/// What a decision does to somebody's rights of an administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminRight {
    /// They are an administrator.
    Granted,
    /// They are one no longer: neither groups nor claims make
    /// them one any more.
    Withdrawn,
    /// They stay what they are: taking a name off a list demotes nobody.
    Unchanged,
}

/// Why somebody is kept out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The login name cannot be the name of an account.
    #[error("the login name cannot be an account name here: {0}")]
    InvalidName(InvalidName),
    /// The account name does not match `username_pattern`.
    #[error("the account name does not have the form that this hub wants")]
    Pattern,
    /// The account belongs to somebody else.
    #[error("the account belongs to somebody else")]
    OtherPerson,
    /// The account is on the list of the blocked.
    #[error("the account is blocked")]
    Blocked,
    /// A required claim is not there, or has another value.
    #[error("this hub is for people whose {claim} is {wanted}")]
    ClaimMissing {
        /// Dotted path of the claim.
        claim: String,
        /// The values that are good.
        wanted: String,
    },
    /// A membership could not be found out, and nothing else lets them in.
    #[error("{reason}")]
    Unchecked {
        /// What could not be found out, and why.
        reason: String,
    },
    /// The way by which they signed in is there no longer.
    #[error("{}", no_way(.provider.as_deref()))]
    NoWay {
        /// Which it was; `None` if they have never signed in and there is no other.
        provider: Option<String>,
    },
    /// No rule lets them in.
    #[error("the account is not on this hub's list; an administrator can add it{}", joined(.hints))]
    NotNamed {
        /// What the person could do about it.
        hints: Vec<String>,
    },
}

/// All that is decided about somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The account; `None` if the login name cannot be one.
    pub account: Option<UserName>,
    /// `Ok` for whoever is let in.
    pub decision: Result<(), Refusal>,
    /// The rule that decided.
    pub rule: Rule,
    /// What becomes of rights of an administrator. Never granted to whoever is refused, but
    /// they lose what their provider says that they have no more: their tokens go on.
    pub admin: AdminRight,
    /// The groups that replace those of the account, also of whoever is refused; `None`
    /// leaves them alone.
    pub groups: Option<BTreeSet<String>>,
    /// Every rule, in order.
    pub trace: Vec<Step>,
}

impl Rule {
    /// All rules in their order.
    pub const ORDER: [Self; 13] = [
        Self::Name,
        Self::IdentityKey,
        Self::BlockedUsers,
        Self::RequiredClaims,
        Self::AllowAll,
        Self::AdminUsers,
        Self::AllowedUsers,
        Self::AllowExistingUsers,
        Self::AllowedGroups,
        Self::AllowedScopes,
        Self::AdminGroups,
        Self::AdminClaims,
        Self::NobodyElse,
    ];

    /// The rule's name in explanations: the configuration key where it has one.
    pub fn key(self) -> &'static str {
        match self {
            Self::Name => "username",
            Self::IdentityKey => "identity_key",
            Self::BlockedUsers => "blocked_users",
            Self::RequiredClaims => "required_claims",
            Self::AllowAll => "allow_all",
            Self::AdminUsers => "admin_users",
            Self::AllowedUsers => "allowed_users",
            Self::AllowExistingUsers => "allow_existing_users",
            Self::AllowedGroups => "allowed_groups",
            Self::AllowedScopes => "allowed_scopes",
            Self::AdminGroups => "admin_groups",
            Self::AdminClaims => "admin_claims",
            Self::NobodyElse => "nobody else",
        }
    }
}

impl Refusal {
    /// Whether it says something about the person, rather than about who they are or that
    /// something could not be found out.
    pub(super) fn is_clear(&self) -> bool {
        match self {
            Self::Blocked | Self::ClaimMissing { .. } | Self::NotNamed { .. } => true,
            Self::InvalidName(_)
            | Self::Pattern
            | Self::OtherPerson
            | Self::Unchecked { .. }
            | Self::NoWay { .. } => false,
        }
    }
}

impl Outcome {
    /// What becomes of somebody who cannot get as far as to be decided about: they have
    /// only signed in with `provider`, or never, and that is no way of signing in.
    pub fn without_a_way(account: UserName, provider: Option<String>) -> Self {
        Self {
            account: Some(account),
            decision: Err(Refusal::NoWay { provider }),
            rule: Rule::NobodyElse,
            admin: AdminRight::Unchanged,
            groups: None,
            trace: Vec::new(),
        }
    }

    /// Whether a rule decided that goes by the account alone, whatever the provider says
    /// of the person.
    pub fn is_about_the_account(&self) -> bool {
        matches!(self.rule, Rule::Name | Rule::IdentityKey | Rule::BlockedUsers)
    }

    /// Whether the person is let in.
    pub fn admits(&self) -> bool {
        self.decision.is_ok()
    }

    /// The person as an account, or the error for the page.
    ///
    /// # Errors
    ///
    /// [`AuthError::InvalidName`], [`AuthError::OtherPerson`],
    /// [`AuthError::Unchecked`] or [`AuthError::NotAllowed`].
    pub fn into_identity(self, claims: &Claims) -> Result<Identity, AuthError> {
        let login = || excerpt(&claims.login);
        let user = || self.account.as_ref().map_or_else(login, ToString::to_string);
        match (&self.decision, &self.account) {
            (Ok(()), Some(name)) => Ok(Identity {
                name: name.clone(),
                admin: self.admin == AdminRight::Granted,
                admin_withdrawn: self.admin == AdminRight::Withdrawn,
                groups: self.groups.clone(),
                provider: claims.provider.clone(),
                subject: claims.subject.clone(),
            }),
            (Err(Refusal::InvalidName(source)), _) => {
                Err(AuthError::InvalidName { login: login(), source: source.clone() })
            }
            (Err(Refusal::OtherPerson), _) => {
                Err(AuthError::OtherPerson { account: user(), provider: claims.provider.clone() })
            }
            (Err(Refusal::Unchecked { reason }), _) => {
                Err(AuthError::Unchecked { user: user(), reason: reason.clone() })
            }
            (Err(refusal), _) => {
                Err(AuthError::NotAllowed { user: user(), reason: refusal.to_string() })
            }
            // Nobody is let in without a name; refused all the same.
            (Ok(()), None) => {
                Err(AuthError::NotAllowed { user: login(), reason: Refusal::Pattern.to_string() })
            }
        }
    }
}

/// One line for each rule, then the decision: what `hub auth explain` prints.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Step { rule, verdict, detail } in &self.trace {
            let mark = if *rule == self.rule { '>' } else { ' ' };
            let line = format!("{mark} {:<20} {:<11} {detail}", rule.key(), verdict.to_string());
            writeln!(f, "{}", line.trim_end())?;
        }
        let account = self.account.as_ref().map_or("this person", UserName::as_str);
        match &self.decision {
            Ok(()) => write!(f, "{account} is let in by {}", self.rule.key())?,
            Err(refusal) if self.rule == Rule::NobodyElse => {
                write!(f, "{account} is refused, since no rule lets them in: {refusal}")?;
            }
            Err(refusal) => write!(f, "{account} is refused by {}: {refusal}", self.rule.key())?,
        }
        match self.admin {
            AdminRight::Granted => write!(f, ", as an administrator")?,
            AdminRight::Withdrawn => write!(f, ", as an administrator no longer")?,
            AdminRight::Unchanged => {}
        }
        writeln!(f)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passes => "passes",
            Self::Admits => "lets in",
            Self::Refuses => "refuses",
            Self::NoMatch => "no match",
            Self::Unsure => "unsure",
            Self::NotSet => "not set",
            Self::NotReached => "not reached",
        })
    }
}

fn no_way(provider: Option<&str>) -> String {
    match provider {
        Some(provider) => format!("they sign in with {provider}, which is not configured"),
        None => "no way of signing in is configured".to_owned(),
    }
}

fn joined(hints: &[String]) -> String {
    hints.iter().map(|hint| format!("; {hint}")).collect()
}
