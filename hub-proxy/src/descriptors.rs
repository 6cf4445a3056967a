//! What is done when the process has no file descriptors left (L-03): connections that are
//! kept for later are closed. A process has one table of descriptors, so all in it hear.

use std::io;

use tokio::sync::Notify;

/// The system has no more, and the process; Linux, the BSDs and macOS agree on these.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

static RAN_OUT: Notify = Notify::const_new();

/// Whether an error says so.
pub(crate) fn are_lacking(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

/// Tells all who keep connections for later.
pub(crate) fn tell_of_lack() {
    RAN_OUT.notify_waiters();
}

/// Ready when somebody tells.
pub(crate) async fn lack() {
    RAN_OUT.notified().await;
}
