//! The hub as a child process.

use std::{
    fs::{self, File},
    process::{ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::process::Signal;
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

use super::state::State;
use crate::{process, step::Step, surroundings, workspace};

/// The program's name, also in the process list.
pub(super) const PROGRAM: &str = "hub-server";

/// How long the hub may take until it answers.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// How long one look at it may take, and the pause before the next.
const ASK_DEADLINE: Duration = Duration::from_secs(2);
const ASK_PAUSE: Duration = Duration::from_millis(100);

/// Variables that the hub is started with. Not all of ours: in the hub's
/// configuration the environment wins over the file, and the demo's is the file.
const PASSED_ON: [&str; 14] = [
    "PATH",
    "HOME",
    "LANG",
    "TZ",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Lines of the hub's log that explain why it did not start.
const LOG_LINES: usize = 30;

/// A hub that answers. Ends with this value unless it has been waited for.
#[derive(Debug)]
pub(super) struct HubProcess {
    child: Child,
    pid: u32,
    pid_file: std::path::PathBuf,
}

/// The process id of a demo that runs already.
pub(super) fn running(state: &State) -> Option<u32> {
    let pid = fs::read_to_string(state.pid_file()).ok()?.trim().parse().ok()?;
    process::is_running(pid, PROGRAM).then_some(pid)
}

impl HubProcess {
    /// Starts the hub and waits until `url` answers.
    pub(super) async fn start(
        state: &State,
        url: &str,
        ca_file: Option<&str>,
    ) -> anyhow::Result<Self> {
        let step = Step::begin("starting the hub");
        let log = File::create(state.log())?;
        let mut command = Command::new(workspace::binary(PROGRAM));
        command
            .arg("--config")
            .arg(state.config())
            .env_clear()
            .envs(PASSED_ON.iter().filter_map(|name| Some((name, surroundings::variable(name)?))))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C reaches us, and we hand it on once, in our words.
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn().context("cannot start the hub")?;
        let pid = child.id().context("the hub ended at once")?;
        fs::write(state.pid_file(), pid.to_string())?;
        let mut hub = Self { child, pid, pid_file: state.pid_file() };
        let outcome = tokio::select! {
            status = hub.child.wait() => status.map_err(Into::into).and_then(|status| {
                bail!("the hub ended with {status} while it started")
            }),
            outcome = answer(url, ca_file) => outcome,
        };
        if let Err(error) = outcome {
            let text = fs::read_to_string(state.log()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            lines.iter().skip(lines.len().saturating_sub(LOG_LINES)).for_each(|l| step.line(l));
            return Err(error);
        }
        step.done("");
        Ok(hub)
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for the hub's end, and hands on the signals that ask for it.
    pub(super) async fn wait(mut self) -> anyhow::Result<ExitCode> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut asked = false;
        let status = loop {
            let handed_on = tokio::select! {
                status = self.child.wait() => break status?,
                _ = interrupt.recv() => Signal::INT,
                _ = terminate.recv() => Signal::TERM,
            };
            if !asked {
                eprintln!("stopping the hub; notebook servers go on ...");
            }
            asked = true;
            process::signal(self.pid, handed_on);
        };
        if status.success() || asked {
            return Ok(ExitCode::SUCCESS);
        }
        bail!("the hub ended with {status}; its log says why")
    }
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        // Nothing to do if it cannot be removed: a stale one is recognised.
        let _ = fs::remove_file(&self.pid_file);
    }
}

/// Returns when the hub says that it is well.
async fn answer(url: &str, ca_file: Option<&str>) -> anyhow::Result<()> {
    let mut client = reqwest::Client::builder().timeout(ASK_DEADLINE);
    if let Some(file) = ca_file {
        client = client.tls_certs_only([reqwest::Certificate::from_pem(&fs::read(file)?)?]);
    }
    let client = client.build()?;
    let health = format!("{url}/hub/health");
    let mut last = "nothing yet".to_owned();
    let ask = async {
        loop {
            match client.get(&health).send().await {
                Ok(answer) if answer.status().is_success() => return,
                Ok(answer) => last = format!("status {}", answer.status()),
                Err(error) => last = format!("{:#}", anyhow::Error::from(error)),
            }
            tokio::time::sleep(ASK_PAUSE).await;
        }
    };
    if tokio::time::timeout(READY_DEADLINE, ask).await.is_err() {
        bail!("{health} did not answer within {} s; last: {last}", READY_DEADLINE.as_secs());
    }
    Ok(())
}
