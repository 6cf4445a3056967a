//! How a server that runs is doing.

use serde::Deserialize;

/// How a server that runs is doing: the verdict of a health check that came with the
/// image, or that it does not get on at all. It is told, and unless the operator wants
/// more ([`OnUnhealthy`]) nothing follows from it: a server with a busy kernel may fail
/// its check, one that is paused may go on, and somebody's work is in it (NBI-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It has not succeeded yet, nor failed often enough.
    Starting,
    /// It succeeded last time.
    Healthy,
    /// It failed as often as it may.
    Unhealthy,
    /// Somebody has halted the server at the backend, and may let it go on (SPN-26).
    Paused,
    /// The server has ended, and the backend is about to start it again (SPN-26).
    Restarting,
}

/// What a hub does with a server whose own health check fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnhealthy {
    /// It is shown.
    #[default]
    Show,
    /// The server is stopped and started again.
    Restart,
    /// The server is stopped.
    Stop,
}

impl Health {
    /// Docker's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
        }
    }
}
