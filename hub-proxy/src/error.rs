//! What goes wrong between a client and a target, and the status that says so.
//!
//! All decisions about the gateway's status codes are in this file.

use std::{
    error::Error as StdError,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use http::StatusCode;

use crate::{BadPath, http1::Http1Error};

/// A cause whose type is nobody's business.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a request got no answer from its target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The path can be read in two ways or not at all; 400.
    #[error("the request path is refused")]
    BadPath(#[source] BadPath),
    /// No connection to the target could be made; 503, and worth another try
    /// soon: the server may just be starting.
    #[error("no connection to the target")]
    Refused(#[source] BoxError),
    /// The target has as many requests as it may have; 503, and worth another try.
    #[error("the target has too many requests at once")]
    Busy,
    /// A deadline passed before the target answered; 503.
    #[error("the target did not answer within the time limit")]
    TimedOut,
    /// The connection ended before an answer; 503.
    #[error("the target closed the connection without an answer")]
    NoAnswer(#[source] BoxError),
    /// The client broke off its own request, so nobody waits for the status
    /// (E-07).
    #[error("the client broke off its request")]
    ClientGone(#[source] BoxError),
    /// The answer is not HTTP that may be passed on; 503.
    #[error("the answer of the target is not usable: {0}")]
    BadAnswer(&'static str),
}

/// Asks the fallback to render a page for a failed exchange.
///
/// A request extension. When a target fails, the proxy sends its fallback a
/// `GET` for the original URI with an empty body, the original headers less
/// those about a body, and this. Whatever the fallback answers, the client
/// gets [`status`](Self::status).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayFailure {
    /// The status the client will get.
    pub status: StatusCode,
    /// Path and query as the client sent them, still escaped.
    pub path: String,
}

/// Why a listener could not be bound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Somebody else listens there.
    #[error(
        "address {addr} is already in use; stop the program that listens there (`ss -ltnp` shows \
         it) or choose another address"
    )]
    InUse {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The port needs a privilege this process does not have.
    #[error(
        "no permission to listen on {addr}; ports below 1024 need root or the capability \
         CAP_NET_BIND_SERVICE"
    )]
    Permission {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// Anything else, such as an address this host does not have.
    #[error("cannot listen on {addr}")]
    Other {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        #[source]
        source: BoxError,
    },
    /// Somebody else listens at this Unix socket.
    #[error(
        "somebody listens at {} already; stop the program that does (`ss -lxp` shows it) or choose \
         another path", path.display()
    )]
    PathInUse {
        /// The path asked for.
        path: PathBuf,
    },
    /// There is a file that is no socket, which may be worth something.
    #[error("{} is there and no socket; remove it or choose another path", path.display())]
    NoSocket {
        /// The path asked for.
        path: PathBuf,
    },
    /// A Unix socket cannot be made there, for instance because its directory is
    /// missing or not ours, or because the path is too long.
    #[error("cannot listen at the Unix socket {}", path.display())]
    Path {
        /// The path asked for.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: BoxError,
    },
}

impl ProxyError {
    /// The status the client gets. 503 rather than 502 or 504 for whatever the
    /// target did, as configurable-http-proxy does and clients expect.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadPath(_) | Self::ClientGone(_) => StatusCode::BAD_REQUEST,
            Self::Refused(_)
            | Self::Busy
            | Self::TimedOut
            | Self::NoAnswer(_)
            | Self::BadAnswer(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The value of `Retry-After` in seconds, if trying again soon makes sense
    /// (E-08).
    pub(crate) fn retry_after(&self) -> Option<u16> {
        match self {
            Self::Refused(_) | Self::Busy => Some(1),
            Self::BadPath(_)
            | Self::TimedOut
            | Self::NoAnswer(_)
            | Self::ClientGone(_)
            | Self::BadAnswer(_) => None,
        }
    }

    /// Whether nobody listened: a server that is just starting, or none (K-06). A socket
    /// that is missing says the same, a host that is not known does not.
    pub(crate) fn is_refusal(&self) -> bool {
        let Self::Refused(error) = self else { return false };
        let kind = find::<io::Error>(&**error).map(io::Error::kind);
        matches!(kind, Some(io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound))
    }

    /// Sorts a connect error: too slow or not at all.
    pub(crate) fn from_connect(error: BoxError) -> Self {
        let timed_out = |cause: &io::Error| matches!(cause.kind(), io::ErrorKind::TimedOut);
        if find::<io::Error>(&*error).is_some_and(timed_out) {
            return Self::TimedOut;
        }
        Self::Refused(error)
    }

    /// Whether there is no connection because the process has no descriptors left.
    pub(crate) fn lacks_descriptors(&self) -> bool {
        let Self::Refused(error) = self else { return false };
        find::<io::Error>(&**error).is_some_and(crate::descriptors::are_lacking)
    }

    /// Sorts an error of an exchange on a connection that was made.
    pub(crate) fn from_exchange(error: Http1Error) -> Self {
        match error {
            Http1Error::Malformed(what) => Self::BadAnswer(what),
            // The only body we send is the client's.
            Http1Error::Body(error) => Self::ClientGone(error),
            Http1Error::Io(_) | Http1Error::Incomplete => Self::NoAnswer(error.into()),
        }
    }
}

impl ListenError {
    pub(crate) fn new(addr: SocketAddr, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { addr },
            io::ErrorKind::PermissionDenied => Self::Permission { addr },
            _ => Self::Other { addr, source: error.into() },
        }
    }

    pub(crate) fn at_path(path: &Path, error: io::Error) -> Self {
        Self::Path { path: path.to_owned(), source: error.into() }
    }
}

/// The first cause of type `E` in a chain.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |error| (*error).source())
        .find_map(<dyn StdError>::downcast_ref)
}

/// A chain of causes on one line, for the log.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    std::iter::successors(Some(error), |error| (*error).source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
