//! What others want of this process.

use std::{collections::VecDeque, io};

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
    /// What came while only the end was waited for, in that order and each once.
    passed_over: VecDeque<Wish>,
}

impl Signals {
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            upgrade: signal(SignalKind::user_defined2())?,
            child: signal(SignalKind::child())?,
            passed_over: VecDeque::new(),
        })
    }

    /// The next one, those first that were [passed over](Self::stop). Safe to cancel.
    pub(super) async fn next(&mut self) -> Wish {
        match self.passed_over.pop_front() {
            Some(wish) => wish,
            None => self.received().await,
        }
    }

    async fn received(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Wish::Stop("SIGINT"),
            _ = self.hangup.recv() => Wish::Reload,
            _ = self.upgrade.recv() => Wish::Upgrade,
            _ = self.child.recv() => Wish::Reap,
        }
    }

    /// Waits until the process is asked to end; all else comes [next](Self::next). Safe to
    /// cancel.
    pub(super) async fn stop(&mut self) -> &'static str {
        loop {
            match self.received().await {
                Wish::Stop(name) => return name,
                wish if self.passed_over.contains(&wish) => {}
                wish => self.passed_over.push_back(wish),
            }
        }
    }
}
