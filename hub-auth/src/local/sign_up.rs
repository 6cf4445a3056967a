//! Who may make an account, and what becomes of it.

use std::{collections::BTreeSet, fmt};

use hub_names::UserName;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{LocalAccount, Purpose};
use crate::{AccessPolicy, PasswordRules, UnfitPassword, hash_password, random};

/// Who may sign up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignUpMode {
    /// Nobody; administrators make accounts (`enable_signup` off).
    #[default]
    Closed,
    /// Whoever has an invitation.
    Invitation,
    /// Everybody, and an administrator has to approve; an invitation is an approval.
    Approval,
    /// Everybody (`open_signup`).
    Open,
}

/// The rules of signing up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignUpRules {
    /// Who may.
    pub mode: SignUpMode,
    /// Which passwords may be.
    pub passwords: PasswordRules,
}

/// Whether an account may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountStatus {
    /// It may.
    Active,
    /// An administrator has not approved it yet.
    Waiting,
    /// An administrator has closed it.
    Closed,
}

/// What somebody typed into the form.
#[derive(Debug)]
pub struct SignUp<'a> {
    /// The name as typed.
    pub username: &'a str,
    /// The password as typed.
    pub password: &'a SecretString,
    /// The purpose of a ticket that was [redeemed](super::Ticket::redeem), if one
    /// came along.
    pub ticket: Option<&'a Purpose>,
    /// Whether the name, [normalised](SignUp::name), is that of an account: of this
    /// hub, whoever signs in to it.
    pub is_taken: bool,
}

/// The set-up of the first administrator (NAT-1).
#[derive(Debug)]
pub struct SetUp<'a> {
    /// The name as typed.
    pub username: &'a str,
    /// The password as typed.
    pub password: &'a SecretString,
    /// The purpose of the ticket that was [redeemed](super::Ticket::redeem).
    pub ticket: &'a Purpose,
    /// Whether a *local* account of this name exists. One of the hub's, from a list
    /// of administrators, may.
    pub is_taken: bool,
    /// Whether an administrator can sign in already.
    pub has_admin: bool,
}

/// An account to be stored.
#[derive(Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// The account itself.
    pub account: LocalAccount,
    /// Whether its owner is an administrator.
    pub admin: bool,
    /// Groups that it is put into.
    pub groups: BTreeSet<String>,
}

/// Why somebody cannot sign up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignUpRefused {
    /// Nobody can.
    #[error("this hub has no sign-up; ask its administrator for an account")]
    Closed,
    /// Only with an invitation.
    #[error("you need an invitation; ask the administrator of this hub for one")]
    NotInvited,
    /// The ticket is not for this, or for another name.
    #[error("the link is not for this account")]
    OtherTicket,
    /// The name cannot be one. Text for the page.
    #[error("{0}")]
    Name(String),
    /// The name is one that cannot be signed up for: it exists, is an
    /// administrator's, or is blocked; deliberately not told apart.
    #[error("this name is not available")]
    NotAvailable,
    /// An administrator exists already.
    #[error("this hub has an administrator already; ask them for an account")]
    HasAdmin,
    /// The password is no good.
    #[error(transparent)]
    Password(#[from] UnfitPassword),
}

impl AccountStatus {
    /// Why such an account cannot be used; `None` if it can.
    pub fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Active => None,
            Self::Waiting => Some("the account waits for the approval of an administrator"),
            Self::Closed => Some("the account was closed by an administrator"),
        }
    }
}

impl SignUp<'_> {
    /// The account name that belongs to what was typed, to find out whether it is
    /// taken.
    ///
    /// # Errors
    ///
    /// [`SignUpRefused::Name`].
    pub fn name(username: &str) -> Result<UserName, SignUpRefused> {
        normalise(username)
    }
}

impl SignUpRules {
    /// Decides whether somebody gets an account, and makes it. Nothing is stored.
    ///
    /// A name that the rules make an administrator cannot be signed up for: whoever
    /// came first would be one (NAT-1). Names that are merely allowed are approved
    /// like any other.
    ///
    /// Computes a hash if all is well: call it on a thread that may block.
    ///
    /// # Errors
    ///
    /// [`SignUpRefused`], for the page.
    pub fn sign_up(
        &self,
        policy: &AccessPolicy,
        request: &SignUp<'_>,
    ) -> Result<NewAccount, SignUpRefused> {
        let invitation = match request.ticket {
            Some(Purpose::Invitation { name, groups }) => Some((name, groups)),
            Some(_) => return Err(SignUpRefused::OtherTicket),
            None => None,
        };
        let status = match (self.mode, &invitation) {
            (SignUpMode::Closed, _) => return Err(SignUpRefused::Closed),
            (SignUpMode::Invitation, None) => return Err(SignUpRefused::NotInvited),
            (SignUpMode::Approval, None) => AccountStatus::Waiting,
            (SignUpMode::Open, None) | (_, Some(_)) => AccountStatus::Active,
        };
        let name = normalise(request.username)?;
        if invitation.is_some_and(|(only, _)| only.as_ref().is_some_and(|only| *only != name)) {
            return Err(SignUpRefused::OtherTicket);
        }
        if request.is_taken || policy.admins().contains(&name) || policy.blocks(&name) {
            return Err(SignUpRefused::NotAvailable);
        }
        let groups = invitation.map(|(_, groups)| groups.clone()).unwrap_or_default();
        self.account(name, request.password, status, false, groups)
    }

    /// Makes the first administrator's account (NAT-1). The ticket is what
    /// `xtask deploy` or the command line printed.
    ///
    /// Computes a hash if all is well: call it on a thread that may block.
    ///
    /// # Errors
    ///
    /// [`SignUpRefused`], for the page.
    pub fn set_up(
        &self,
        policy: &AccessPolicy,
        request: &SetUp<'_>,
    ) -> Result<NewAccount, SignUpRefused> {
        let Purpose::SetUp { name: only } = request.ticket else {
            return Err(SignUpRefused::OtherTicket);
        };
        if request.has_admin {
            return Err(SignUpRefused::HasAdmin);
        }
        let name = normalise(request.username)?;
        if only.as_ref().is_some_and(|only| *only != name) {
            return Err(SignUpRefused::OtherTicket);
        }
        if request.is_taken || policy.blocks(&name) {
            return Err(SignUpRefused::NotAvailable);
        }
        self.account(name, request.password, AccountStatus::Active, true, BTreeSet::new())
    }

    fn account(
        &self,
        name: UserName,
        password: &SecretString,
        status: AccountStatus,
        admin: bool,
        groups: BTreeSet<String>,
    ) -> Result<NewAccount, SignUpRefused> {
        self.passwords.check(password, &name)?;
        let hash = hash_password(password)?;
        let account = LocalAccount { id: random::hex::<16>(), name, hash, status };
        Ok(NewAccount { account, admin, groups })
    }
}

/// The name in the form in which accounts are looked up. Blanks and commas are
/// refused, as by NativeAuthenticator.
pub(super) fn normalise(username: &str) -> Result<UserName, SignUpRefused> {
    if username.contains([',', ' ', '\t']) {
        return Err(SignUpRefused::Name("a name cannot hold blanks or commas".to_owned()));
    }
    // Rules of the operator's that map names are for other providers' names.
    AccessPolicy::default()
        .normalise(username)
        .map_err(|error| SignUpRefused::Name(error.to_string()))
}

impl fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccount")
            .field("account", &self.account)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}
