//! Ends processes.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Asks a process group to end. One that is gone needs no asking.
pub(super) fn ask_group(leader: i32) {
    if let Some(group) = Pid::from_raw(leader) {
        let _ = kill_process_group(group, Signal::TERM);
    }
}

/// Ends a process at once.
pub(super) fn end(id: i32) {
    if let Some(process) = Pid::from_raw(id) {
        let _ = kill_process(process, Signal::KILL);
    }
}
