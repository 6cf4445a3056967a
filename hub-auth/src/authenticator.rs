//! The conversation between the hub and whoever knows its users.

mod pending;

use std::fmt;

use async_trait::async_trait;
use hub_names::UserName;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

pub use self::pending::PendingLogin;
use crate::{AuthError, AuthState, Claims, RefreshError, error::excerpt};

/// Finds out who a person is.
///
/// A provider either asks with a form or sends the browser away and gets it back
/// on a callback URL; [`Authenticator::offer`] tells which. Whether a known
/// person is *let in* is not decided here but by
/// [`AccessPolicy`](crate::AccessPolicy).
#[async_trait]
pub trait Authenticator: fmt::Debug + Send + Sync + 'static {
    /// A stable id that is stored with each identity: `github`, `password`.
    fn provider(&self) -> &str;

    /// What the sign-in page offers.
    fn offer(&self) -> Offer;

    /// Whether the account of this name is this provider's from the start, before
    /// its owner has signed in: nobody may take it by another provider.
    fn owns(&self, _account: &UserName) -> bool {
        false
    }

    /// Begins a sign-in: where to send the browser, and what to remember until it
    /// comes back. `None` if this provider asks with a form.
    ///
    /// # Errors
    ///
    /// [`AuthError::Internal`] if the address cannot be made.
    /// As for [`finish`](Self::finish), where the provider has to be asked for its
    /// addresses first.
    async fn begin(&self) -> Result<Option<LoginStart>, AuthError>;

    /// Ends a sign-in: turns the person's answer into what the provider knows
    /// about them.
    ///
    /// # Errors
    ///
    /// [`AuthError::WrongAnswer`] if the answer is of the other kind, otherwise
    /// as the variants say.
    ///
    /// # Cancellation
    ///
    /// May be dropped at any time. A failed try is counted before it is looked
    /// at, so that dropping it does not make it free.
    async fn finish(&self, answer: Answer) -> Result<Claims, AuthError>;

    /// Asks again about somebody who signed in before, with what was kept of that
    /// (deployment-contract 3.7). The claims hold the state to keep from now on.
    ///
    /// # Errors
    ///
    /// [`AuthError::SignInAgain`] if the person has to sign in again, as for every
    /// provider without tokens; for other errors see
    /// [`RefreshPolicy::after_failure`](crate::RefreshPolicy::after_failure). If new
    /// tokens were handed out and a later question failed, the error has a state with
    /// them, which has to be kept as well.
    ///
    /// # Cancellation
    ///
    /// Must not be dropped between the provider's answer and storing the new
    /// state: a refresh token is good for one use.
    async fn refresh(&self, _state: &AuthState) -> Result<Claims, RefreshError> {
        let reason = "this way of signing in cannot be asked again";
        Err(AuthError::SignInAgain { provider: self.provider().to_owned(), reason }.into())
    }

    /// What was known about somebody when this state was kept, without asking
    /// anybody: for explanations, and for comparing rules. `None` if the state does
    /// not tell, or is of another provider. Groups that were not asked about then are
    /// not known.
    fn remembered(&self, _state: &AuthState) -> Option<Claims> {
        None
    }

    /// Where to send the browser to sign out at the provider as well; it comes
    /// back to `then`. `None` if the provider has no such page.
    ///
    /// # Errors
    ///
    /// As for [`begin`](Self::begin).
    async fn sign_out_url(
        &self,
        _state: Option<&AuthState>,
        _then: &Url,
    ) -> Result<Option<Url>, AuthError> {
        Ok(None)
    }
}

/// How a provider wants people to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// A form with name and password.
    Form,
    /// A button that leads to another site.
    Redirect {
        /// The site's name for the button, such as `GitHub`.
        service: String,
    },
}

/// The first half of a sign-in by redirect.
#[derive(Clone, Debug)]
pub struct LoginStart {
    /// Where to send the browser.
    pub redirect: Url,
    /// What the browser has to bring back, encrypted, in a cookie.
    pub pending: PendingLogin,
}

/// What the person, or their browser, sent to end a sign-in.
#[derive(Debug)]
pub enum Answer {
    /// The fields of the form.
    Form {
        /// The name as typed.
        username: String,
        /// The password as typed.
        password: SecretString,
    },
    /// The browser came back from the provider.
    Callback {
        /// What this browser remembered of the sign-in.
        pending: PendingLogin,
        /// The query of the callback.
        callback: Callback,
    },
}

/// The query of the callback URL, RFC 6749 section 4.1.2. Nothing in it can be
/// trusted before its `state` was compared.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Callback {
    /// The one-time code for the token endpoint.
    pub code: Option<SecretString>,
    /// What we sent along, unchanged if all is well.
    pub state: Option<String>,
    /// A code for what went wrong.
    pub error: Option<String>,
    /// The same in words.
    pub error_description: Option<String>,
    /// Who answers, RFC 9207. Where a provider sends it, it has to be the right one.
    pub iss: Option<String>,
}

impl Callback {
    /// The id inside `state`, by which the hub finds the cookie of this sign-in
    /// among several. `None` if the state is absent or not of our making.
    pub fn state_id(&self) -> Option<String> {
        pending::state_id(self.state.as_deref()?)
    }

    /// What the provider complained about, fit to be shown; `None` if it did not.
    pub fn complaint(&self) -> Option<String> {
        let error = self.error.as_deref()?;
        Some(excerpt(self.error_description.as_deref().unwrap_or(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_finds_its_pending_login_by_the_state() {
        let pending = PendingLogin::generate();
        let callback = Callback { state: Some(pending.state()), ..Callback::default() };
        assert_eq!(callback.state_id().as_deref(), Some(pending.state_id()));
        assert_eq!(Callback::default().state_id(), None);
    }

    #[test]
    fn a_complaint_prefers_the_description() {
        let callback = Callback {
            error: Some("access_denied".to_owned()),
            error_description: Some("The user has\ndenied".to_owned()),
            ..Callback::default()
        };
        assert_eq!(callback.complaint().as_deref(), Some("The user has denied"));
        let callback = Callback { error: Some("access_denied".to_owned()), ..Callback::default() };
        assert_eq!(callback.complaint().as_deref(), Some("access_denied"));
        assert_eq!(Callback::default().complaint(), None);
    }
}
