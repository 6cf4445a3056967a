//! What a server's own health check says.

/// The verdict of a health check that came with the image. It is told, and
/// nothing follows from it: a server with a busy kernel may fail its check, and
/// somebody's work is in it (NBI-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It has not succeeded yet, nor failed often enough.
    Starting,
    /// It succeeded last time.
    Healthy,
    /// It failed as often as it may.
    Unhealthy,
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
