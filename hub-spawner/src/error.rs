//! Why a server could not be started, looked at or stopped.

use std::time::Duration;

use crate::{BoxError, Exit};

/// Why a server could not be started, looked at or stopped.
///
/// Variants are split by what the hub does next, not by which library failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The request or the configuration asks for something that is not possible
    /// here. Shown to the user as it stands; never retried.
    #[error("{what} is not allowed: {reason}")]
    Rejected {
        /// What was asked for.
        what: String,
        /// Why not.
        reason: String,
    },
    /// The image is absent and could not be fetched.
    #[error("image {image} is not available: {reason}")]
    ImageUnavailable {
        /// The image.
        image: String,
        /// A short reason, fit for the user.
        reason: String,
        /// The cause.
        source: BoxError,
    },
    /// The backend is out of memory, disk, ports or addresses; worth another try
    /// later.
    #[error("there is no room for another server: {reason}")]
    NoCapacity {
        /// What has run out.
        reason: &'static str,
        /// The cause.
        source: BoxError,
    },
    /// Something that does not belong to this hub has the name the server needs.
    #[error("the name {name} is taken by a container of somebody else")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The server ended while it was starting.
    #[error("the server ended while it was starting (exit code {})", .0.code)]
    Exited(Exit),
    /// The server ran, something else in its start failed, and it was ended for that.
    #[error("the server was ended while it was starting")]
    GivenUp {
        /// The last lines it printed.
        log_tail: String,
        /// What failed.
        source: Box<Self>,
    },
    /// The backend did not answer as it should.
    #[error("the container service failed to {action}")]
    Backend {
        /// What was tried.
        action: &'static str,
        /// What is probably wrong and what to do, if that can be told.
        hint: Option<&'static str>,
        /// The cause.
        source: BoxError,
    },
    /// The backend is not there.
    #[error("the container service at {endpoint} cannot be reached: {advice}")]
    Unreachable {
        /// Where it was looked for.
        endpoint: String,
        /// What an operator can do about it.
        advice: String,
        /// The cause.
        source: BoxError,
    },
    /// Something took longer than it may.
    #[error("{what} took more than {} s", after.as_secs())]
    TimedOut {
        /// What took too long.
        what: &'static str,
        /// How long it may take.
        after: Duration,
    },
}

impl SpawnError {
    /// Whether the same request may succeed later without anyone changing it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NoCapacity { .. }
            | Self::Backend { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. } => true,
            Self::Rejected { .. }
            | Self::ImageUnavailable { .. }
            | Self::NameTaken { .. }
            | Self::Exited(_) => false,
            Self::GivenUp { source, .. } => source.is_transient(),
        }
    }

    /// What the user is told. Contains no cause, no address and nothing that a
    /// server printed; the operator's log has those.
    pub fn user_message(&self) -> String {
        match self {
            Self::Rejected { what, reason } => format!("{what} is not allowed: {reason}."),
            Self::ImageUnavailable { image, reason, .. } => {
                format!("The image {image} is not available: {reason}.")
            }
            Self::NoCapacity { reason, .. } => {
                format!("There is no room for another server now: {reason}. Try again later.")
            }
            Self::NameTaken { name } => format!(
                "A container named {name} that does not belong to this hub is in the way. An \
                 administrator has to remove or rename it."
            ),
            Self::Exited(exit) => exit.summary(),
            Self::GivenUp { source, .. } => source.user_message(),
            Self::Backend { hint: Some(hint), .. } => {
                format!("The container service could not do it: {hint}.")
            }
            Self::Backend { hint: None, .. } => {
                "The container service failed. Try again; if it fails again, tell an \
                 administrator."
                    .to_owned()
            }
            Self::Unreachable { .. } => "The container service is not answering; running servers \
                                         may be affected."
                .to_owned(),
            Self::TimedOut { what, after } => {
                format!("It took too long: {what} did not finish within {} s.", after.as_secs())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_not_told_where_the_daemon_is() {
        let error = SpawnError::Unreachable {
            endpoint: "unix:///var/run/docker.sock".to_owned(),
            advice: "permission denied".to_owned(),
            source: "os error 13".into(),
        };
        assert!(error.is_transient());
        assert!(error.to_string().contains("docker.sock"));
        assert!(!error.user_message().contains("docker.sock"));
    }

    #[test]
    fn spn_33_a_server_that_was_given_up_is_explained_by_what_failed() {
        let failed = || SpawnError::Backend {
            action: "run post_start_cmd",
            hint: Some("the command failed"),
            source: "code 3".into(),
        };
        let source = Box::new(failed());
        let error = SpawnError::GivenUp { log_tail: "<script>".to_owned(), source };
        assert_eq!(error.user_message(), failed().user_message());
        assert_eq!(error.is_transient(), failed().is_transient());
    }

    #[test]
    fn an_exit_is_explained_without_the_servers_words() {
        let exit = Exit { code: 3, log_tail: "<script>".to_owned(), ..Exit::default() };
        let error = SpawnError::Exited(exit);
        assert_eq!(error.user_message(), "Your server stopped with exit code 3.");
    }
}
