//! Why a sign-in did not succeed, and why a configuration was refused.

use std::{error::Error, fmt, time::Duration};

use hub_names::InvalidName;

use crate::AuthState;

/// The cause of an error, without the name of the library that found it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Longest piece of foreign text that we repeat in a message.
const EXCERPT_CHARS: usize = 200;

/// Why a person was not signed in.
///
/// Variants are split by what the hub does next: ask again, explain, or call the
/// operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The provider sent the person back with `error=` instead of a code, most
    /// often because they pressed "cancel".
    #[error("the sign-in was refused: {description}")]
    Denied {
        /// What the provider said, cut and free of control characters.
        description: String,
    },

    /// The answer does not belong to a sign-in that this browser began lately.
    /// Starting again helps.
    #[error("this sign-in cannot be finished: {reason}")]
    Stale {
        /// What did not fit.
        reason: &'static str,
    },

    /// No such account, or not its password; deliberately not told apart.
    #[error("invalid username or password")]
    BadCredentials,

    /// Too many failed tries for this account; a correct password is refused too.
    #[error("too many failed tries for this account")]
    TooManyTries {
        /// How long until the next try is looked at.
        retry_after: Duration,
    },

    /// So many passwords are being compared that this one had no turn; worth another try
    /// soon.
    #[error("too many people are signing in at this moment")]
    Busy {
        /// When there may be a turn.
        retry_after: Duration,
    },

    /// The person is who they say, but is not let in.
    #[error("{user} is not allowed to sign in: {reason}")]
    NotAllowed {
        /// The name of the account after normalisation.
        user: String,
        /// The rule that decided, for the person to read.
        reason: String,
    },

    /// The person is who they say, but whether they belong to those who are let
    /// in could not be found out. Worth another try later.
    #[error("could not check whether {user} may sign in, try again: {reason}")]
    Unchecked {
        /// The name of the account after normalisation.
        user: String,
        /// What could not be checked, and why, for the person to read.
        reason: String,
    },

    /// The account belongs to somebody else: the login name was renamed and taken
    /// by another person, or the account to another way of signing in. An
    /// administrator has to decide (security A6).
    #[error("the account {account} belongs to somebody else than this {provider} account")]
    OtherPerson {
        /// The account that the login name leads to.
        account: String,
        /// Who vouches for the person that signed in.
        provider: String,
    },

    /// What was kept of an earlier sign-in is good no longer. Signing in again
    /// helps.
    #[error("{provider} asks you to sign in again: {reason}")]
    SignInAgain {
        /// Whom we asked.
        provider: String,
        /// What happened to the earlier sign-in.
        reason: &'static str,
    },

    /// The provider's login name cannot be the name of an account here.
    #[error("the login name {login:?} cannot be an account name here")]
    InvalidName {
        /// The name as the provider gave it, cut.
        login: String,
        /// The rule that it breaks.
        source: InvalidName,
    },

    /// The provider refused the *hub*; only an operator can help.
    #[error("{provider} refused this hub: {advice}")]
    Misconfigured {
        /// Whom we asked.
        provider: String,
        /// What is wrong and what to do about it.
        advice: String,
    },

    /// The provider could not be asked; worth another try later.
    #[error("{provider} could not be reached")]
    Unreachable {
        /// Whom we asked.
        provider: String,
        /// What went wrong on the way.
        source: BoxError,
    },

    /// The provider takes no more requests for now.
    #[error("{provider} takes no more requests from this hub for now; try again {}", when(*retry_after))]
    RateLimited {
        /// Whom we asked.
        provider: String,
        /// How long until it takes some again, if it said so.
        retry_after: Option<Duration>,
    },

    /// The provider answered with something we cannot use.
    #[error("{provider} gave an unusable answer to the request for {what}")]
    BadAnswer {
        /// Whom we asked.
        provider: String,
        /// What we asked for.
        what: &'static str,
        /// What was wrong with the answer.
        source: BoxError,
    },

    /// A form was sent to a provider that redirects, or the other way round.
    #[error("this is not how {provider} signs people in")]
    WrongAnswer {
        /// Which authenticator was asked.
        provider: String,
    },

    /// Our own side failed.
    #[error("failed to {action}")]
    Internal {
        /// What was being done.
        action: &'static str,
        /// Why it failed.
        source: BoxError,
    },
}

/// Why somebody could not be asked about again.
#[derive(Debug)]
pub struct RefreshError {
    /// What to keep from now on, although nothing is known anew: the tokens of the old
    /// state were exchanged for these, and are used up.
    pub renewed: Option<AuthState>,
    /// Why.
    pub error: AuthError,
}

impl fmt::Display for RefreshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for RefreshError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl From<AuthError> for RefreshError {
    fn from(error: AuthError) -> Self {
        Self { renewed: None, error }
    }
}

/// Why an authenticator could not be built from its configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// A setting that the operator has to change.
    #[error("{key}: {reason}")]
    Setting {
        /// The key within the authenticator's section.
        key: String,
        /// What is wrong with its value.
        reason: String,
    },
    /// The host's certificate store is empty or unreadable, so that no HTTPS
    /// server can be trusted.
    #[error("no trusted certificate authorities found; install the package ca-certificates")]
    TrustStore(#[source] BoxError),
}

impl InvalidConfig {
    pub(crate) fn setting(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Setting { key: key.into(), reason: reason.into() }
    }
}

/// When to try again, in words.
pub(crate) fn when(wait: Option<Duration>) -> String {
    match wait.map(|wait| wait.as_secs()) {
        None => "later".to_owned(),
        Some(seconds @ 0..=90) => format!("in {} s", seconds.max(1)),
        Some(seconds) => format!("in {} min", seconds.div_ceil(60)),
    }
}

/// Foreign text made fit for a page and a log line: control characters become
/// blanks, and what is too long is cut.
pub(crate) fn excerpt(text: &str) -> String {
    let mut chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut cut: String = chars.by_ref().take(EXCERPT_CHARS).collect();
    if chars.next().is_some() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gh_4_a_wait_is_told_in_words() {
        let words = |seconds| when(Some(Duration::from_secs(seconds)));
        assert_eq!(when(None), "later");
        assert_eq!((words(0), words(90)), ("in 1 s".to_owned(), "in 90 s".to_owned()));
        assert_eq!((words(91), words(3600)), ("in 2 min".to_owned(), "in 60 min".to_owned()));
    }

    #[test]
    fn foreign_text_is_cut_and_loses_control_characters() {
        assert_eq!(excerpt("a\r\n\u{1b}[31mb"), "a   [31mb");
        assert_eq!(excerpt(&"é".repeat(200)), "é".repeat(200));
        assert_eq!(excerpt(&"é".repeat(201)), format!("{}…", "é".repeat(200)));
    }
}
