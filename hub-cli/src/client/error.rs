//! Why a call failed, and what a person can do about it.

use std::{error::Error, io, time::Duration};

use reqwest::{
    Response, StatusCode,
    header::{LOCATION, RETRY_AFTER},
};
use rustls::CertificateError;
use serde::Deserialize;
use url::Url;

use super::{content_type, tls::CA_AS_SERVER};

/// The hub's words for what is not there or not for the caller.
const NOT_FOUND: &str = "No access to resources or resources not found";
/// The hub's words for a token that it does not know.
const BAD_CREDENTIALS: &str = "Missing or invalid credentials";
/// What stands before the scopes that would have been needed.
const SCOPES_BEFORE: &str = "requires any of [";

/// What to try where plain HTTP is not understood.
const TRY_TLS: &str = "if the hub speaks TLS, its address begins with https://";

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Nobody answered.
    #[error("the hub at {hub} cannot be reached")]
    Unreachable { hub: Url, source: Obstacle },

    /// The answer is not one of a hub's API.
    #[error("what answers at {hub} is not a hub ({status})")]
    NotAHub { hub: Url, status: StatusCode },

    /// The hub is somewhere else.
    #[error("what answers at {hub} sends on to {to}")]
    Moved { hub: Url, to: String },

    /// The hub does not know the token.
    #[error("the hub does not accept the token of {token_source}")]
    Unauthenticated { hub: Url, token_source: String },

    /// The token does not allow this.
    #[error("the token lacks the scope {}", .scopes.join(" or "))]
    MissingScope { scopes: Vec<String> },

    /// There is no such user, or not for this token.
    #[error("there is no user {user}, or the token may not see or change them")]
    NoSuchUser { user: String },

    /// The hub said no.
    #[error("{message}")]
    Refused { message: String },

    /// The hub tried and failed.
    #[error("{message} ({status})")]
    Failed { status: StatusCode, message: String, retry_after: Option<String> },

    /// The answer is JSON, and not what it should be.
    #[error("the answer of the hub at {hub} is not understood")]
    Unreadable { hub: Url, source: serde_json::Error },
}

impl CallError {
    /// Why there was no answer.
    pub(super) fn unreachable(hub: &Url, error: &reqwest::Error, timeout: Duration) -> Self {
        Self::Unreachable { hub: hub.clone(), source: Obstacle::of(error, timeout) }
    }

    /// What an answer that is not a success says. `user` is whom the request was
    /// about.
    pub(super) async fn of_response(
        response: Response,
        hub: &Url,
        user: Option<&str>,
        token_source: Option<&str>,
    ) -> Self {
        let status = response.status();
        let header = |name| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        if status.is_redirection() {
            let moved = header(LOCATION).and_then(|location| hub.join(&location).ok());
            // A hub with a base URL sends whatever lies outside of it to somewhere
            // inside, which tells nothing.
            return match moved.filter(|location| location.origin() != hub.origin()) {
                Some(location) => Self::Moved { hub: hub.clone(), to: hub_of(&location) },
                None => Self::NotAHub { hub: hub.clone(), status },
            };
        }
        let retry_after = header(RETRY_AFTER);
        let is_json = content_type(&response) == "application/json";
        let body = response.bytes().await.unwrap_or_default();
        let message = match is_json {
            true => message_of(&body),
            false => None,
        };
        let hub = hub.clone();
        match (status, message) {
            (StatusCode::FORBIDDEN, Some(message)) if message.starts_with(BAD_CREDENTIALS) => {
                let token_source = token_source.unwrap_or("nobody").to_owned();
                Self::Unauthenticated { hub, token_source }
            }
            (StatusCode::FORBIDDEN, Some(message)) => match missing_scopes(&message) {
                Some(scopes) => Self::MissingScope { scopes },
                None => Self::Refused { message },
            },
            (StatusCode::NOT_FOUND, Some(message)) => match user {
                Some(user) if message == NOT_FOUND => Self::NoSuchUser { user: user.to_owned() },
                _ => Self::Refused { message },
            },
            (status, message) if status.is_server_error() => {
                let message =
                    message.unwrap_or_else(|| "the hub did not manage to do it".to_owned());
                Self::Failed { status, message, retry_after }
            }
            (_, Some(message)) => Self::Refused { message },
            (status, None) => Self::NotAHub { hub, status },
        }
    }

    /// What can be done about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { hub, source } => source.hint(hub),
            Self::NotAHub { hub, status } if hub.scheme() == "http" && *status == StatusCode::BAD_REQUEST => {
                Some(TRY_TLS.to_owned())
            }
            Self::NotAHub { .. } => Some(
                "is the address right? A hub with a base URL has it in its address (--url https://example.org/jupyter)"
                    .to_owned(),
            ),
            Self::Moved { to, .. } => {
                Some(format!("if you trust that, give {to} with --url, or in the variable HUB_URL"))
            }
            Self::Unauthenticated { .. } => Some(
                "it may have expired or been revoked, or its service is no longer in the hub's configuration"
                    .to_owned(),
            ),
            Self::MissingScope { .. } => {
                Some("use the token of an administrator, or one that was made with this scope".to_owned())
            }
            Self::Failed { retry_after: Some(seconds), .. } => Some(format!("try again in {seconds} seconds")),
            Self::Failed { status, .. } if *status == StatusCode::INTERNAL_SERVER_ERROR => {
                Some("the hub's log may tell more".to_owned())
            }
            Self::Unreadable { .. } => {
                Some(format!("this is hub {}; is the hub of another version?", env!("CARGO_PKG_VERSION")))
            }
            Self::NoSuchUser { .. } | Self::Refused { .. } | Self::Failed { .. } => None,
        }
    }
}

/// What stood between us and the hub.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Obstacle {
    #[error("connection refused")]
    Refused,
    #[error("no answer within {seconds} s")]
    TimedOut { seconds: u64 },
    #[error("its certificate was not signed by an authority that this machine trusts")]
    UnknownIssuer,
    #[error("its certificate is for another name")]
    OtherName,
    #[error("its certificate is not valid: {0}")]
    Certificate(String),
    #[error("it does not speak TLS")]
    NoTls,
    #[error("{0}")]
    Other(String),
}

impl Obstacle {
    fn of(error: &reqwest::Error, timeout: Duration) -> Self {
        if let Some(known) = known(error) {
            return known;
        }
        if error.is_timeout() {
            return Self::TimedOut { seconds: timeout.as_secs() };
        }
        // The innermost cause is the one that says something.
        let mut innermost: &dyn Error = error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        Self::Other(innermost.to_string())
    }

    fn hint(&self, hub: &Url) -> Option<String> {
        match self {
            Self::Refused => {
                Some("does the hub run? Its address is given with --url, or in the variable HUB_URL".to_owned())
            }
            Self::UnknownIssuer => Some(
                "if the hub has a certificate of its own making, name it with --ca-file, or in the variable HUB_CA_FILE"
                    .to_owned(),
            ),
            Self::OtherName => {
                Some("use the name that the certificate is for in --url, or in the variable HUB_URL".to_owned())
            }
            Self::NoTls => Some("if it really is a hub without TLS, its address begins with http://".to_owned()),
            Self::Other(_) if hub.scheme() == "http" => {
                Some(TRY_TLS.to_owned())
            }
            Self::TimedOut { .. } | Self::Certificate(_) | Self::Other(_) => None,
        }
    }
}

/// The first cause that there is a better word for.
fn known(error: &(dyn Error + 'static)) -> Option<Obstacle> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return of_tls(error);
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        if error.kind() == io::ErrorKind::ConnectionRefused {
            return Some(Obstacle::Refused);
        }
        // `source` of an I/O error skips what the error is made of.
        if let Some(found) = error.get_ref().and_then(|inner| known(inner)) {
            return Some(found);
        }
    }
    error.source().and_then(known)
}

fn of_tls(error: &rustls::Error) -> Option<Obstacle> {
    match error {
        // A bad signature is that of an authority that was made anew, under the
        // name that the trusted one had.
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => Some(Obstacle::UnknownIssuer),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => Some(Obstacle::OtherName),
        // What `openssl req -x509` makes signs itself, as an authority.
        rustls::Error::InvalidCertificate(CertificateError::Other(other))
            if other.to_string() == CA_AS_SERVER =>
        {
            Some(Obstacle::UnknownIssuer)
        }
        rustls::Error::InvalidCertificate(other) => Some(Obstacle::Certificate(other.to_string())),
        rustls::Error::InvalidMessage(_) => Some(Obstacle::NoTls),
        _ => None,
    }
}

/// The address of the hub that a path of its API is on.
fn hub_of(location: &Url) -> String {
    match location.as_str().split_once("/hub/api") {
        Some((hub, _)) => hub.to_owned(),
        None => location.to_string(),
    }
}

fn message_of(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Told {
        message: String,
    }
    let told: Told = serde_json::from_slice(body).ok()?;
    Some(told.message)
}

fn missing_scopes(message: &str) -> Option<Vec<String>> {
    let (_, rest) = message.split_once(SCOPES_BEFORE)?;
    let (scopes, _) = rest.split_once(']')?;
    Some(scopes.split(',').map(|scope| scope.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_scopes_are_named() {
        let message = "Action is not authorized with current scopes; requires any of [read:users, read:servers]";
        assert_eq!(missing_scopes(message).unwrap(), ["read:users", "read:servers"]);
        assert_eq!(missing_scopes("Only an administrator may make an administrator"), None);
    }

    #[test]
    fn causes_are_found_inside_of_io_errors() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls));
        assert!(matches!(known(&wrapped), Some(Obstacle::UnknownIssuer)));
        let refused = io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert!(matches!(known(&refused), Some(Obstacle::Refused)));
        assert!(known(&io::Error::other("something else")).is_none());
    }
}
