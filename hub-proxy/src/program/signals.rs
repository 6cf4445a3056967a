//! What others want of this process.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A wish, as a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// SIGTERM or SIGINT.
    Stop(&'static str),
    /// SIGHUP.
    Reload,
    /// SIGUSR2.
    Upgrade,
    /// SIGCHLD: a process we started has ended, or one we inherited.
    Reap,
}

/// Receives signals from when it is made.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    upgrade: Signal,
    child: Signal,
}

impl Signals {
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            upgrade: signal(SignalKind::user_defined2())?,
            child: signal(SignalKind::child())?,
        })
    }

    /// The next one. Safe to cancel.
    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Wish::Stop("SIGINT"),
            _ = self.hangup.recv() => Wish::Reload,
            _ = self.upgrade.recv() => Wish::Upgrade,
            _ = self.child.recv() => Wish::Reap,
        }
    }

    /// Waits until the process is asked to end; all else is forgotten.
    pub(super) async fn stop(&mut self) -> &'static str {
        loop {
            if let Wish::Stop(name) = self.next().await {
                return name;
            }
        }
    }
}
