//! The one place of this crate that reads the wall clock.
//!
//! Wall time is only needed to say when a route was last used and whether a
//! certificate is valid today; every deadline uses tokio's monotonic clock.

use jiff::Timestamp;

/// The time now.
#[expect(
    clippy::disallowed_methods,
    reason = "the single reader of the wall clock; a clock parameter on every body frame would cost more than it tests"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
