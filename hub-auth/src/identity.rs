//! What a provider claims about a person, and whom we take them for.

use hub_names::UserName;

/// What a provider says about the person who signed in. Nobody is let in on
/// claims alone: see [`AccessPolicy::admit`](crate::AccessPolicy::admit).
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

/// A person who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account's name.
    pub name: UserName,
    /// True if a rule makes this person an administrator; false leaves the
    /// account's flag as it is (taking a name off the list demotes nobody).
    pub admin: bool,
    /// Who vouched for them.
    pub provider: String,
    /// The provider's immutable name for them.
    pub subject: String,
}
