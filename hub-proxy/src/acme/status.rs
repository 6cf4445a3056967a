//! How automatic certificates are doing, for a status page or a check.

use jiff::Timestamp;

use super::AcmeProblem;

/// What is served and what happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcmeStatus {
    /// When the certificate in use expires; `None` while one signed by itself
    /// stands in for it.
    pub not_after: Option<Timestamp>,
    /// What happens next.
    pub state: AcmeState,
}

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcmeState {
    /// [`Acme::run`](crate::Acme::run) has not begun.
    NotRunning,
    /// An order is under way.
    Ordering,
    /// All is well.
    Waiting {
        /// When somebody looks again.
        next_check: Timestamp,
    },
    /// The last order failed; what was served before still is.
    Failed {
        /// Orders that failed in a row.
        failures: u32,
        /// When the last one did.
        failed_at: Timestamp,
        /// Why the last one did.
        problem: AcmeProblem,
        /// What to do about it.
        advice: String,
        /// When it is tried again.
        next_attempt: Timestamp,
    },
}
