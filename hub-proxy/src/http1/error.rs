//! What goes wrong on a connection.

use std::io;

use crate::BoxError;

/// Why an exchange did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Http1Error {
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("the connection ended in the middle of a message")]
    Incomplete,
    /// With what is wrong with it.
    #[error("the message is malformed: {0}")]
    Malformed(&'static str),
    /// What was to be sent ended with an error.
    #[error("the body broke off")]
    Body(#[source] BoxError),
}
