//! Why a daemon elsewhere could not be talked to, where we know it better than
//! the operating system.

use std::io;

/// A connection that came to nothing, and what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct DialFailure {
    /// What is wrong and what an operator can do about it.
    pub(crate) advice: &'static str,
    /// What the other side, or the program in between, said.
    pub(crate) text: String,
}

impl DialFailure {
    pub(super) fn new(advice: &'static str, text: impl Into<String>) -> Self {
        Self { advice, text: text.into() }
    }
}

impl From<DialFailure> for io::Error {
    fn from(failure: DialFailure) -> Self {
        Self::other(failure)
    }
}
