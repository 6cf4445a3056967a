//! The process of a service that the hub runs: started, started again when it ends,
//! and ended with the hub.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    pin::Pin,
    process::{ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::account::{Account, AccountError};
use crate::tasks::Tasks;

/// First pause before a program that has ended is started again; doubles up to
/// [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause before a program that has ended is started again.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// A program that ran for so long is not one that cannot start.
const STEADY: Duration = Duration::from_secs(60);
/// How long a program may take to end when it is asked to; less than the hub waits
/// for its own tasks.
pub(super) const GRACE: Duration = Duration::from_secs(3);
/// How long the last lines of a program that has ended are waited for: a child of its
/// own may hold the pipe.
const LAST_LINES: Duration = Duration::from_millis(500);
/// Longest piece of a line in the log, in bytes.
const LINE: u64 = 4096;

/// How a program is run.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    /// The service's name.
    pub(super) name: String,
    pub(super) command: Vec<String>,
    /// What it is given of the hub's own variables.
    pub(super) inherited: BTreeMap<String, String>,
    /// What it is told.
    pub(super) environment: BTreeMap<String, SecretString>,
    pub(super) cwd: Option<PathBuf>,
    /// The account it is run as, if not the hub's.
    pub(super) user: Option<String>,
    /// How long it may take to end when it is asked to.
    pub(super) grace: Duration,
}

/// A program that is kept running. It goes on until it is told to stop.
#[derive(Debug)]
pub(super) struct Program {
    stop: CancellationToken,
    ended: CancellationToken,
    /// Zero while it does not run.
    pid: Arc<AtomicU32>,
}

/// Is cancelled when a program has ended that was told to stop.
#[derive(Debug)]
pub(super) struct Ended(CancellationToken);

/// Why a program could not be started.
#[derive(Debug, thiserror::Error)]
enum LaunchError {
    /// There is nothing to run.
    #[error("the command is empty")]
    NoCommand,
    /// The account.
    #[error("user")]
    Account(#[from] AccountError),
    /// The system.
    #[error("command {0:?}")]
    Spawn(String, #[source] std::io::Error),
}

impl Recipe {
    /// Whether a program of one need not be replaced by one of the other.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let environment = |recipe: &Self| -> Vec<(String, String)> {
            let shown = recipe.environment.iter();
            shown.map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect()
        };
        self.command == other.command
            && self.cwd == other.cwd
            && self.user == other.user
            && environment(self) == environment(other)
    }

    fn launch(&self) -> Result<Child, LaunchError> {
        let (program, arguments) = self.command.split_first().ok_or(LaunchError::NoCommand)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(&self.inherited)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Signals for the hub are not for it, and those for it reach its children.
            .process_group(0)
            .kill_on_drop(true);
        if let Some(user) = &self.user {
            let account = Account::to_become(user)?;
            command.envs(account.variables());
            if rustix::process::geteuid().is_root() {
                command.uid(account.uid).gid(account.gid);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value.expose_secret())));
        if let Some(dir) = &self.cwd {
            command.current_dir(dir);
        }
        command.spawn().map_err(|error| LaunchError::Spawn(program.clone(), error))
    }
}

impl Program {
    /// Keeps the program running, once the one `before` has ended.
    pub(super) fn start(tasks: &Tasks, recipe: Recipe, before: Option<Ended>) -> Self {
        let program = Self {
            stop: CancellationToken::new(),
            ended: CancellationToken::new(),
            pid: Arc::default(),
        };
        let (own_stop, pid) = (program.stop.clone(), Arc::clone(&program.pid));
        let ended = program.ended.clone().drop_guard();
        tasks.spawn(|hub_stops| async move {
            let _ended = ended;
            if let Some(Ended(before)) = before {
                before.cancelled().await;
            }
            let stopped = async {
                tokio::select! {
                    () = hub_stops.cancelled() => {}
                    () = own_stop.cancelled() => {}
                }
            };
            keep(&recipe, &pid, stopped).await;
        });
        program
    }

    /// Ends it for good, soon.
    pub(super) fn stop(self) -> Ended {
        self.stop.cancel();
        Ended(self.ended)
    }

    /// Its process id, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        Some(self.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }
}

/// Runs the program again and again until `stopped`.
async fn keep(recipe: &Recipe, pid: &AtomicU32, stopped: impl Future<Output = ()>) {
    tokio::pin!(stopped);
    let mut pause = MIN_PAUSE;
    loop {
        let begun = Instant::now();
        match recipe.launch() {
            Ok(mut child) => {
                pid.store(child.id().unwrap_or_default(), Ordering::Relaxed);
                tracing::info!(service = %recipe.name, pid = child.id(), "service started");
                let group = child.id();
                let running = run(&recipe.name, &mut child);
                tokio::pin!(running);
                let status = tokio::select! {
                    status = &mut running => status,
                    () = &mut stopped => {
                        end(recipe, group, running).await;
                        pid.store(0, Ordering::Relaxed);
                        return;
                    }
                };
                pid.store(0, Ordering::Relaxed);
                if begun.elapsed() >= STEADY {
                    pause = MIN_PAUSE;
                }
                tell_end(recipe, status, pause);
            }
            Err(error) => tracing::error!(
                service = %recipe.name,
                error = &error as &(dyn std::error::Error + 'static),
                "the service could not be started; see services.{}. Trying again in {} s",
                recipe.name,
                pause.as_secs()
            ),
        }
        tokio::select! {
            () = &mut stopped => return,
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// Waits for the end and puts into the log what the program says.
async fn run(name: &str, child: &mut Child) -> std::io::Result<ExitStatus> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let said = async { tokio::join!(log(name, out), log(name, err)) };
    tokio::pin!(said);
    let status = tokio::select! {
        status = child.wait() => status,
        // Whoever closes both goes on silently.
        _ = &mut said => return child.wait().await,
    };
    // What is left in the pipes; if time runs out, somebody else holds them open.
    let _ = timeout(LAST_LINES, said).await;
    status
}

/// Asks the program to end, and ends it if it does not. What it says until then is
/// still put into the log: whoever writes to nobody is killed for that.
async fn end(
    recipe: &Recipe,
    group: Option<u32>,
    mut running: Pin<&mut impl Future<Output = std::io::Result<ExitStatus>>>,
) {
    signal(group, Signal::TERM);
    if timeout(recipe.grace, &mut running).await.is_err() {
        tracing::warn!(service = %recipe.name, "does not end when asked; it is killed");
        signal(group, Signal::KILL);
        if let Err(error) = running.await {
            tracing::error!(service = %recipe.name, %error, "cannot be waited for");
        }
    }
    tracing::info!(service = %recipe.name, "service stopped");
}

/// Sends a signal to the program and its children.
fn signal(group: Option<u32>, signal: Signal) {
    let group = group.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    // Fails when all of them have ended, which is what is wanted.
    if let Some(group) = group {
        let _ = kill_process_group(group, signal);
    }
}

fn tell_end(recipe: &Recipe, status: std::io::Result<ExitStatus>, pause: Duration) {
    let how = match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::error!(
        service = %recipe.name, how, "the service has ended; it is started again in {} s",
        pause.as_secs()
    );
}

/// Puts every line into the hub's log, a long one in pieces.
async fn log(name: &str, stream: Option<impl AsyncRead + Unpin>) {
    let Some(stream) = stream else { return };
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut stream).take(LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = printable(&line);
                if !text.is_empty() {
                    tracing::info!(service = %name, "{text}");
                }
            }
        }
    }
}

/// What a program said, so that it cannot pass for a line of the hub's.
fn printable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.trim_end()
        .chars()
        .map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(script: &str) -> Recipe {
        Recipe {
            name: "x".to_owned(),
            command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            inherited: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            environment: BTreeMap::from([("WORD".to_owned(), "told".into())]),
            cwd: None,
            user: None,
            grace: Duration::from_secs(60),
        }
    }

    async fn until(path: &std::path::Path, wanted: impl Fn(&str) -> bool) -> String {
        let reached = async {
            loop {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                if wanted(&text) {
                    return text;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(60), reached).await.expect("never happened")
    }

    #[tokio::test]
    async fn a_program_is_told_its_variables_and_no_others_and_ends_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out");
        let script = format!(
            "trap 'echo bye >> {0}; exit' TERM; cd /; echo \"$WORD $HOME $PWD\" > {0}; while :; do sleep 0.05; done",
            file.display()
        );
        let tasks = Tasks::default();
        let program = Program::start(&tasks, recipe(&script), None);
        let said = until(&file, |text| text.ends_with('\n')).await;
        assert_eq!(said, "told  /\n");
        assert!(program.pid().is_some());
        program.stop().0.cancelled().await;
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "told  /\nbye\n");
        assert_eq!(tasks.stop(Duration::from_secs(60)).await, 0);
    }

    #[tokio::test]
    async fn a_program_that_ends_is_started_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out");
        let tasks = Tasks::default();
        let program =
            Program::start(&tasks, recipe(&format!("echo . >> {}", file.display())), None);
        until(&file, |text| text.lines().count() >= 2).await;
        drop(program.stop());
        assert_eq!(tasks.stop(Duration::from_secs(60)).await, 0);
    }

    #[tokio::test]
    async fn the_end_of_the_hub_ends_a_program_that_does_not_listen() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out");
        let script =
            format!("trap '' TERM; echo up > {}; while :; do sleep 0.05; done", file.display());
        let tasks = Tasks::default();
        let recipe = Recipe { grace: Duration::from_millis(100), ..recipe(&script) };
        let program = Program::start(&tasks, recipe, None);
        until(&file, |text| text.ends_with('\n')).await;
        assert_eq!(tasks.stop(Duration::from_secs(60)).await, 0);
        assert_eq!(program.pid(), None);
    }

    #[test]
    fn a_program_that_cannot_be_run_says_why() {
        let missing = Recipe { command: vec!["/no/such/program".to_owned()], ..recipe("") };
        let error = crate::chain(&missing.launch().unwrap_err());
        assert!(error.contains("/no/such/program") && error.contains("No such file"), "{error}");
        let nobody = Recipe { user: Some("no such account".to_owned()), ..recipe("") };
        let error = crate::chain(&nobody.launch().unwrap_err());
        assert!(error.contains("no such account"), "{error}");
    }

    #[tokio::test]
    async fn a_program_runs_as_the_account_that_is_named_and_with_no_other_rights() {
        use std::os::unix::fs::PermissionsExt;

        let as_nobody = |script: &str| Recipe { user: Some("nobody".to_owned()), ..recipe(script) };
        if !rustix::process::geteuid().is_root() {
            let error = crate::chain(&as_nobody("").launch().unwrap_err());
            assert!(error.contains("does not run as root"), "{error}");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let file = dir.path().join("out");
        let script = format!("echo \"$(id -un) $USER $(id -G)\" > {}; sleep 600", file.display());
        let tasks = Tasks::default();
        let program = Program::start(&tasks, as_nobody(&script), None);
        let said = until(&file, |text| text.ends_with('\n')).await;
        let words: Vec<&str> = said.split_whitespace().collect();
        let Account { gid, .. } = Account::to_become("nobody").unwrap();
        assert_eq!(words, ["nobody", "nobody", gid.to_string().as_str()], "{said}");
        drop(program.stop());
        assert_eq!(tasks.stop(Duration::from_secs(60)).await, 0);
    }

    #[test]
    fn only_what_a_program_sees_makes_it_another() {
        let same = recipe("a");
        assert!(same.is_same(&recipe("a")));
        assert!(!same.is_same(&recipe("b")));
        let told = BTreeMap::from([("WORD".to_owned(), "other".into())]);
        assert!(!same.is_same(&Recipe { environment: told, ..recipe("a") }));
    }

    #[test]
    fn a_line_cannot_pass_for_one_of_the_hubs() {
        assert_eq!(printable(b"a\tb\x1b[31m\r\n"), "a\tb\u{fffd}[31m");
    }
}
