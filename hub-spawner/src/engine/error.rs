//! What went wrong between us and the daemon.

use std::{error::Error as StdError, io, time::Duration};

use super::{dialect, transport::DialFailure};
use crate::{BoxError, InvalidConfig};

/// Why a call to the Docker engine failed.
///
/// Split by what a caller can do: show advice, treat a missing object as gone,
/// look for who holds a name, read the daemon's text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// What the operator said about the daemon makes no sense. Found before
    /// anything is asked.
    #[error("cannot tell which Docker to use: {0}")]
    Misconfigured(#[from] InvalidConfig),
    /// Nothing answers at the address, or it may not be used.
    #[error("cannot reach Docker at {endpoint}: {advice}")]
    Unreachable {
        /// The address that was tried.
        endpoint: String,
        /// What is wrong and what an operator can do about it.
        advice: &'static str,
        /// The cause.
        source: BoxError,
    },
    /// The daemon is older than anything we can work with.
    #[error("Docker at {endpoint} speaks API {api}, at least {oldest} (Docker 20.10) is needed")]
    TooOld {
        /// The address that was tried.
        endpoint: String,
        /// The newest API it speaks.
        api: String,
        /// The oldest API we speak.
        oldest: String,
    },
    /// The object that the call names does not exist.
    #[error("docker could not {action}: {text}")]
    NotFound {
        /// What was tried.
        action: &'static str,
        /// The daemon's words.
        text: String,
    },
    /// A name is taken, or the object is in a state that forbids the call.
    #[error("docker could not {action}: {text}")]
    Conflict {
        /// What was tried.
        action: &'static str,
        /// The daemon's words.
        text: String,
    },
    /// The daemon does not do this for us: its socket is behind a filter that keeps the
    /// call back, or something forbids it.
    #[error("docker could not {action}: {text}")]
    Forbidden {
        /// What was tried.
        action: &'static str,
        /// The words of whoever forbids it.
        text: String,
    },
    /// The daemon said no, or failed by itself.
    #[error("docker could not {action}: {text}")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// The daemon's words.
        text: String,
    },
    /// A name that must be unique is not.
    #[error("there is more than one {what} called {name}: {}", ids.join(", "))]
    Ambiguous {
        /// The kind of object.
        what: &'static str,
        /// The name.
        name: String,
        /// All objects of that name.
        ids: Vec<String>,
    },
    /// No answer within the call's deadline. Whether it took effect is unknown.
    #[error("docker did not {action} within {} s", after.as_secs())]
    TimedOut {
        /// What was tried.
        action: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// The connection broke, or the answer could not be understood.
    #[error("docker gave no usable answer when asked to {action}")]
    Broken {
        /// What was tried.
        action: &'static str,
        /// The cause.
        source: BoxError,
    },
}

impl EngineError {
    /// Whether the object named by the call does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the engine has no such call, as Podman lacks some of Docker's.
    pub fn is_no_such_call(&self) -> bool {
        matches!(self, Self::NotFound { text, .. } if dialect::is_no_such_call(text))
    }

    /// Whether a name is taken or the object is busy.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// The daemon's own words, if it answered.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::NotFound { text, .. }
            | Self::Conflict { text, .. }
            | Self::Forbidden { text, .. }
            | Self::Refused { text, .. } => Some(text),
            Self::Misconfigured(_)
            | Self::Unreachable { .. }
            | Self::TooOld { .. }
            | Self::Ambiguous { .. }
            | Self::TimedOut { .. }
            | Self::Broken { .. } => None,
        }
    }

    /// The same error once more, for each of several who waited for one call.
    pub(crate) fn retold(&self) -> Self {
        let text = |text: &String| text.clone();
        match self {
            Self::Misconfigured(error) => Self::Misconfigured(error.clone()),
            Self::Unreachable { endpoint, advice, .. } => Self::Unreachable {
                endpoint: endpoint.clone(),
                advice,
                source: self.to_string().into(),
            },
            Self::TooOld { endpoint, api, oldest } => {
                Self::TooOld { endpoint: text(endpoint), api: text(api), oldest: text(oldest) }
            }
            Self::NotFound { action, text } => Self::NotFound { action, text: text.clone() },
            Self::Conflict { action, text } => Self::Conflict { action, text: text.clone() },
            Self::Forbidden { action, text } => Self::Forbidden { action, text: text.clone() },
            Self::Refused { action, text } => Self::Refused { action, text: text.clone() },
            Self::Ambiguous { what, name, ids } => {
                Self::Ambiguous { what, name: name.clone(), ids: ids.clone() }
            }
            Self::TimedOut { action, after } => Self::TimedOut { action, after: *after },
            Self::Broken { action, source } => {
                Self::Broken { action, source: source.to_string().into() }
            }
        }
    }

    /// Whether the call may not have reached the daemon at all.
    pub(crate) fn is_broken_connection(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Broken { .. })
    }

    /// Whether there was an answer that the client library cannot read.
    pub(crate) fn is_unreadable(&self) -> bool {
        use bollard::errors::Error::JsonDataError;
        matches!(self, Self::Broken { source, .. }
            if matches!(source.downcast_ref(), Some(JsonDataError { .. })))
    }

    /// Whether it is unknown if the call took effect. A connection that ends
    /// without an answer may have carried the request.
    pub(crate) fn is_uncertain(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::Broken { .. } | Self::Unreachable { .. })
    }
}

/// Puts the client library's error into our words.
pub(super) fn classify(
    action: &'static str,
    endpoint: &str,
    cause: bollard::errors::Error,
) -> EngineError {
    use bollard::errors::Error;
    let unreachable = |advice, cause: Error| EngineError::Unreachable {
        endpoint: endpoint.to_owned(),
        advice,
        source: cause.into(),
    };
    match cause {
        Error::DockerResponseServerError { status_code: 404, message } => {
            EngineError::NotFound { action, text: message }
        }
        Error::DockerResponseServerError { status_code: 409, message } => {
            EngineError::Conflict { action, text: message }
        }
        Error::DockerResponseServerError { status_code: 403 | 405 | 501, message } => {
            EngineError::Forbidden { action, text: message }
        }
        Error::DockerResponseServerError { ref message, .. } if message.contains(PLAIN_TO_TLS) => {
            unreachable(WANTS_TLS, cause)
        }
        Error::DockerResponseServerError { message, .. } => {
            EngineError::Refused { action, text: message }
        }
        Error::DockerStreamError { error } => EngineError::Refused { action, text: error },
        Error::SocketNotFoundError(_) => unreachable(NO_SOCKET, cause),
        other => {
            let advice =
                dial_advice(&other).or_else(|| connect_failure(&other).map(connect_advice));
            match advice {
                Some(advice) => unreachable(advice, other),
                None => EngineError::Broken { action, source: other.into() },
            }
        }
    }
}

const NO_SOCKET: &str = "there is no socket; install and start Docker, or set DOCKER_HOST to \
                         where it listens";
const NO_PERMISSION: &str = "permission denied; add the user this process runs as to the group \
                             docker, or set DOCKER_HOST";
const NOBODY: &str = "nothing listens there; start Docker (systemctl start docker), or set \
                      DOCKER_HOST to where it listens";
const SILENT: &str = "the machine does not answer; check the address and the firewalls in between";
const WANTS_TLS: &str = "the daemon wants TLS; set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the \
                         directory with ca.pem, cert.pem and key.pem";
const ELSEWHERE: &str = "the connection failed; check that Docker runs and that DOCKER_HOST is \
                         right";

fn connect_advice(kind: io::ErrorKind) -> &'static str {
    use io::ErrorKind as Kind;
    match kind {
        Kind::PermissionDenied => NO_PERMISSION,
        Kind::NotFound => NO_SOCKET,
        Kind::ConnectionRefused => NOBODY,
        Kind::TimedOut | Kind::HostUnreachable | Kind::NetworkUnreachable => SILENT,
        _ => ELSEWHERE,
    }
}

/// What a daemon with TLS answers one who does not use it.
const PLAIN_TO_TLS: &str = "HTTP request to an HTTPS server";

/// The advice of the transport, if it is what failed.
fn dial_advice(error: &bollard::errors::Error) -> Option<&'static str> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = next {
        let inside = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(failure) = inside.and_then(|inside| inside.downcast_ref::<DialFailure>()) {
            return Some(failure.advice);
        }
        next = cause.source();
    }
    None
}

/// The operating system's reason, if `error` means that no connection was made.
fn connect_failure(error: &bollard::errors::Error) -> Option<io::ErrorKind> {
    let mut connecting = false;
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = next {
        // The client library prints, but does not expose, which step failed.
        connecting |= cause.to_string().contains("(Connect)");
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && connecting
        {
            return Some(io.kind());
        }
        next = cause.source();
    }
    connecting.then_some(io::ErrorKind::Other)
}

#[cfg(test)]
mod tests {
    use bollard::errors::Error;

    use super::*;

    fn answered(status_code: u16) -> EngineError {
        let message = "words".to_owned();
        classify("start", "x", Error::DockerResponseServerError { status_code, message })
    }

    #[test]
    fn status_codes_become_reactions() {
        assert!(answered(404).is_not_found());
        assert!(answered(409).is_conflict());
        assert!(matches!(answered(403), EngineError::Forbidden { .. }));
        assert!(matches!(answered(500), EngineError::Refused { .. }));
        assert_eq!(answered(500).to_string(), "docker could not start: words");
    }

    #[test]
    fn a_connection_that_breaks_later_is_not_an_unreachable_daemon() {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let error = classify("start", "x", Error::IOError { err: reset });
        assert!(error.is_uncertain());
    }
}
