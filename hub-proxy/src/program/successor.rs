//! The process that takes over from us, as our child.

use std::{
    env,
    ffi::OsString,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};

use super::environment::CHOSEN;

/// What a signal adds to the exit code of the process that it ends.
const SIGNALLED: i32 = 128;

/// How to start a process that takes over.
#[derive(Debug)]
pub(super) struct Recipe {
    /// The program this process runs, as found at its start: once the file is
    /// replaced, the system names one that is gone.
    own: PathBuf,
    replacement: Option<PathBuf>,
    args: Vec<OsString>,
}

/// A child that takes over or has done so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Successor(Pid);

impl Recipe {
    /// With the command line of this process; `stays` says that a successor has
    /// to stay as long as its own successor runs, `drain` how long its open connections
    /// may go on after SIGTERM: it cannot ask who has started us.
    pub(super) fn of_this_process(
        replacement: Option<PathBuf>,
        stays: bool,
        drain: Duration,
    ) -> io::Result<Self> {
        let args = args_of_successor(env::args_os().skip(1), stays, drain);
        Ok(Self { own: env::current_exe()?, replacement, args })
    }

    /// The program to run: the replacement, if there is one by now.
    pub(super) fn program(&self) -> &Path {
        self.replacement.as_deref().filter(|path| path.exists()).unwrap_or(&self.own)
    }

    /// Starts it with `link` as standard input.
    pub(super) fn start(&self, link: OwnedFd) -> io::Result<Successor> {
        let child = Command::new(self.program())
            .args(&self.args)
            .arg("--upgrade-from=-")
            .env(CHOSEN, "1")
            .stdin(Stdio::from(link))
            .spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        pid.map(Successor).ok_or_else(|| io::Error::other("the new process has no usable id"))
    }
}

impl Successor {
    /// Passes a signal on. A process that is gone gets none.
    pub(super) fn signal(self, signal: Signal) {
        if let Err(error) = kill_process(self.0, signal) {
            tracing::debug!(%error, "cannot signal the successor");
        }
    }

    /// Ends it for good: it did not take over.
    pub(super) fn kill(self) {
        self.signal(Signal::KILL);
    }
}

/// Collects all children that have ended, inherited ones included; the exit
/// code of `successor` if it is among them.
pub(super) fn reap(successor: Option<Successor>) -> Option<i32> {
    let mut code = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if Some(Successor(pid)) == successor {
            code = Some(exit_code(status));
        }
    }
    code
}

fn exit_code(status: WaitStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => SIGNALLED + signal,
        (None, None) => 1,
    }
}

/// Ours, with what a successor cannot find out by itself.
fn args_of_successor(
    args: impl Iterator<Item = OsString>,
    stays: bool,
    drain: Duration,
) -> Vec<OsString> {
    let mut args = without_upgrade_from(args);
    if stays && !args.iter().any(|arg| arg == "--stay-as-init") {
        args.push("--stay-as-init".into());
    }
    let says_drain = |arg: &OsString| {
        arg == "--drain-timeout" || arg.to_string_lossy().starts_with("--drain-timeout=")
    };
    if !args.iter().any(says_drain) {
        args.push(format!("--drain-timeout={}", drain.as_secs()).into());
    }
    args
}

/// A command line without the flag that says from whom to take over.
fn without_upgrade_from(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut args = args;
    while let Some(arg) = args.next() {
        if arg == "--upgrade-from" {
            args.next();
        } else if !arg.to_string_lossy().starts_with("--upgrade-from=") {
            kept.push(arg);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn z_05_a_successor_is_not_told_of_our_predecessor() {
        let args = ["--port", "1", "--upgrade-from", "/x", "--ip=h", "--upgrade-from=-", "--a"];
        let kept = without_upgrade_from(args.into_iter().map(Into::into));
        assert_eq!(kept, ["--port", "1", "--ip=h", "--a"]);
    }

    #[test]
    fn d_04_z_05_a_successor_ends_as_fast_as_we_would() {
        let of = |args: &[&str], stays| {
            let args = args.iter().map(OsString::from);
            args_of_successor(args, stays, Duration::from_secs(0))
        };
        assert_eq!(of(&["--ip=h"], true), ["--ip=h", "--stay-as-init", "--drain-timeout=0"]);
        assert_eq!(of(&["--stay-as-init"], true), ["--stay-as-init", "--drain-timeout=0"]);
        for said in [&["--drain-timeout", "7"][..], &["--drain-timeout=7"]] {
            assert_eq!(of(said, false), said);
        }
    }
}
