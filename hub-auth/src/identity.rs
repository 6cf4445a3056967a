//! What a provider claims about a person, and whom we take them for.

mod membership;
mod subject;

use std::collections::BTreeSet;

use hub_names::UserName;
use serde_json::{Map, Value};

pub use self::{
    membership::{Membership, Standing},
    subject::{InvalidSubject, Subject},
};
use crate::AuthState;

/// What a provider says about the person who signed in. Nobody is let in on
/// claims alone: see [`AccessPolicy::decide`](crate::AccessPolicy::decide).
///
/// Made with [`Claims::new`]; the fields that a provider knows nothing about keep
/// their empty values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Who says so: [`Authenticator::provider`](crate::Authenticator::provider).
    pub provider: String,
    /// The provider's immutable name for the person, such as GitHub's numeric
    /// id. A login name can be renamed and then taken by somebody else.
    pub subject: String,
    /// The login name, as the provider spells it.
    pub login: String,
    /// The person's name for display.
    pub display_name: Option<String>,
    /// A mail address that the provider has verified. Never used to decide who
    /// somebody is.
    pub email: Option<String>,
    /// Which groups, organizations or teams they are in, as far as was asked.
    pub membership: Membership,
    /// The OAuth scopes that the person granted, perhaps fewer than were asked for.
    pub scopes: BTreeSet<String>,
    /// All that the provider tells about them: GitHub's `/user`, or the claims of
    /// an ID token and of the user info. Required claims are looked up here.
    pub attributes: Map<String, Value>,
    /// The provider's tokens, for whoever keeps them (deployment-contract 3.8).
    pub auth_state: Option<AuthState>,
}

/// A person who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account's name.
    pub name: UserName,
    /// True if a rule makes this person an administrator; false leaves the
    /// account's flag as it is (taking a name off the list demotes nobody).
    pub admin: bool,
    /// True if this person is an administrator no longer: they left the groups
    /// that make administrators, and no list names them.
    pub admin_withdrawn: bool,
    /// The groups that replace those of the account; `None` leaves them alone.
    pub groups: Option<BTreeSet<String>>,
    /// Who vouched for them.
    pub provider: String,
    /// The provider's immutable name for them.
    pub subject: String,
}

impl Claims {
    /// Somebody of whom a provider tells the immutable `subject` and the `login`
    /// name, and nothing else.
    pub fn new(
        provider: impl Into<String>,
        subject: impl Into<String>,
        login: impl Into<String>,
    ) -> Self {
        Self {
            provider: provider.into(),
            subject: subject.into(),
            login: login.into(),
            ..Self::default()
        }
    }

    /// Who this is, whatever they are called today: `github:583231`.
    pub fn stable_id(&self) -> Subject {
        Subject { provider: self.provider.clone(), id: self.subject.clone() }
    }
}
