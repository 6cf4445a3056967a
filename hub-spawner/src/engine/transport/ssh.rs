//! A daemon on another machine, through the program `ssh`.
//!
//! As Docker's own tools do it: each connection is a process that runs
//! `docker system dial-stdio` there. Where no such program is installed, or the
//! address names a socket, one process forwards that socket to one of ours.
//! Keys, hosts and jumps are set up in `ssh`'s own configuration; it never asks.

mod advice;
mod forward;
mod process;

use std::{
    io,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{process::Command, sync::Semaphore};

use super::{Wire, failure::DialFailure};
use crate::engine::host::SshTarget;
use forward::Forward;
use process::Process;

/// Where a daemon listens if nobody says otherwise.
const USUAL_SOCKET: &str = "/var/run/docker.sock";

/// Processes that prove who we are at the same time: by default an `ssh` server
/// refuses some if there are more than ten.
const SHAKING_HANDS: usize = 4;

/// Opens connections to one daemon.
#[derive(Debug)]
pub(super) struct Dialer {
    target: SshTarget,
    forward: Forward,
    /// Whether the machine has no program `docker`. Found out on the way.
    no_program: Arc<AtomicBool>,
    shaking_hands: Arc<Semaphore>,
}

impl Dialer {
    pub(super) fn new(target: SshTarget) -> Self {
        Self {
            target,
            forward: Forward::default(),
            no_program: Arc::default(),
            shaking_hands: Arc::new(Semaphore::new(SHAKING_HANDS)),
        }
    }

    pub(super) async fn dial(&self) -> io::Result<Wire> {
        let socket = match &self.target.socket {
            Some(path) => Some(path.as_str()),
            None => self.no_program.load(Ordering::Relaxed).then_some(USUAL_SOCKET),
        };
        if let Some(path) = socket {
            return self.forward.dial(&self.target, path).await.map(Wire::new);
        }
        let permit = Arc::clone(&self.shaking_hands).acquire_owned().await;
        let mut command = command(&self.target);
        // Forwardings of the user's own would be made with each connection.
        command.args(["-o", "ClearAllForwardings=yes"]);
        command.arg("--").arg(&self.target.host).args(["docker", "system", "dial-stdio"]);
        let process = Process::start(command, permit.ok(), Arc::clone(&self.no_program))?;
        Ok(Wire::new(process))
    }
}

/// `ssh` with all options, but without host and command.
fn command(target: &SshTarget) -> Command {
    let mut command = Command::new("ssh");
    if let Some(file) = &target.config {
        command.arg("-F").arg(file);
    }
    // Without a terminal, nobody could answer a question.
    command.args(["-T", "-x", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]);
    command.args(["-o", "ServerAliveInterval=30"]);
    if let Some(user) = &target.user {
        command.arg("-l").arg(user);
    }
    if let Some(port) = target.port {
        command.arg("-p").arg(port.to_string());
    }
    // Ctrl-C at our terminal is not meant for it.
    command.process_group(0).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Why the program itself could not be started.
fn not_started(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotFound => DialFailure::new(advice::NO_SSH, format!("ssh: {error}")).into(),
        _ => error,
    }
}
