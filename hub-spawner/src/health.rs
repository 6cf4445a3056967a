//! What a server's own health check says.

use serde::Deserialize;

/// The verdict of a health check that came with the image. It is told, and unless the
/// operator wants more ([`OnUnhealthy`]) nothing follows from it: a server with a busy
/// kernel may fail its check, and somebody's work is in it (NBI-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It has not succeeded yet, nor failed often enough.
    Starting,
    /// It succeeded last time.
    Healthy,
    /// It failed as often as it may.
    Unhealthy,
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
        }
    }
}
