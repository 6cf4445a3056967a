//! Servers as processes of this machine: for development without Docker.
//!
//! All servers run as the user the hub runs as, and may do what that user may: this
//! keeps nobody from anybody. What is kept apart is what makes them servers: each has
//! its own process group, port, directory and environment, and goes on when the hub
//! ends. A hub that starts again knows them by process id and start time.

mod config;
mod proc;
mod run_dir;
mod signals;

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use hub_names::{ServerKey, UserName};
use secrecy::ExposeSecret;
use tokio::{
    net::TcpListener,
    process::Command,
    sync::{Mutex, mpsc},
    time::{Instant, sleep},
};
use url::Url;

pub use crate::{
    command::{CommandLine, InvalidCommand},
    port_range::PortRange,
};
pub use config::ProcessConfig;

use crate::{
    Environment, Exit, Found, InvalidConfig, Liveness, Progress, SavedState, SpawnError, Spawner,
    StartRequest, Started, StopMode, alive::Alive, environment, log_text,
};
use run_dir::{RunDir, RunDirs, ServerFile};

/// Pause between two looks at a process.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// Pause between two looks at all processes.
const WATCH_PAUSE: Duration = Duration::from_millis(500);

/// How long a process may take to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(10);

/// How long a killed process may still be there.
const GONE_DEADLINE: Duration = Duration::from_secs(30);

/// Runs the server as a child, so that its exit code is known also to a hub that was
/// not there: the script says who it is, waits, and writes the code down. The trap is
/// for signals to the group, which are meant for the server.
const SCRIPT: &str = r#"trap : TERM INT HUP
cat "/proc/$$/stat" >"$0/process.part" && mv "$0/process.part" "$0/process" || exit 125
"$@"
code=$?
echo "$code" >"$0/exit.part" && mv "$0/exit.part" "$0/exit"
exit "$code"
"#;

/// The variable by which all processes of a server are found, those in other groups
/// too. Its value is the server's run directory.
const MARK: &str = "HUB_SERVER_RUN_DIR";

/// A configuration that is known to make sense, for servers that start later.
#[derive(Debug)]
pub struct ProcessPlan(ProcessConfig);

/// Runs each server as a process of its own.
#[derive(Debug)]
pub struct ProcessSpawner {
    /// What servers are made of from now on; see [`adopt`](Self::adopt).
    config: ArcSwap<ProcessConfig>,
    dirs: RunDirs,
    /// Servers that ran when they were last looked at.
    alive: Alive,
    /// Held from the choice of a port until it is written down, so that no two servers
    /// get one (SPN-21).
    choosing: Mutex<()>,
}

impl ProcessSpawner {
    /// A spawner whose directories are there.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Rejected`] if the configuration makes no sense, or its directory
    /// cannot be made.
    pub async fn open(config: ProcessConfig) -> Result<Self, SpawnError> {
        let rejected = |error: InvalidConfig| SpawnError::Rejected {
            what: format!("the setting {}", error.key),
            reason: error.reason,
        };
        config.validate().map_err(rejected)?;
        let dirs = RunDirs::open(&config.dir).await.map_err(|error| SpawnError::Rejected {
            what: "the setting dir".to_owned(),
            reason: format!("{} cannot be used: {error}", config.dir.display()),
        })?;
        let spawner = Self {
            config: ArcSwap::from_pointee(config),
            dirs,
            alive: Alive::default(),
            choosing: Mutex::default(),
        };
        spawner.forget_unborn().await?;
        spawner.alive.renew(spawner.running().await?);
        Ok(spawner)
    }

    /// Reads a new configuration for servers that start from now on. Nothing changes
    /// until the plan is [adopted](Self::adopt).
    ///
    /// # Errors
    ///
    /// The first setting that makes no sense, or that cannot change while servers run.
    pub fn plan(&self, config: &ProcessConfig) -> Result<ProcessPlan, InvalidConfig> {
        config.validate()?;
        let now = self.config.load();
        for (key, is_same) in [("dir", now.dir == config.dir), ("ip", now.ip == config.ip)] {
            if !is_same {
                return Err(InvalidConfig::new(key, "cannot change while the hub runs"));
            }
        }
        Ok(ProcessPlan(config.clone()))
    }

    /// Makes servers as `plan` says from now on. Those that run stay as they are.
    pub fn adopt(&self, plan: ProcessPlan) {
        self.config.store(Arc::new(plan.0));
    }

    fn config(&self) -> Arc<ProcessConfig> {
        self.config.load_full()
    }

    async fn running(&self) -> Result<BTreeSet<ServerKey>, SpawnError> {
        let mut running = BTreeSet::new();
        for key in self.dirs.all().await.map_err(|error| failed("look for servers", error))? {
            if self.dirs.of(&key).process().await.is_some() {
                running.insert(key);
            }
        }
        Ok(running)
    }

    /// Takes away what a hub that was killed wrote down of servers whose process it did
    /// not begin any more: their ports would stay theirs.
    async fn forget_unborn(&self) -> Result<(), SpawnError> {
        for key in self.found().await? {
            let dir = self.dirs.of(&key);
            // One that has begun may be about to say who it is.
            if dir.process_id().await.is_none() && proc::marked(MARK, dir.path()).await.is_empty() {
                dir.remove().await.map_err(|error| failed("remove a server's directory", error))?;
            }
        }
        Ok(())
    }

    /// A port that nobody listens on now, and that no other server than `key` is about
    /// to.
    async fn free_port(&self, key: &ServerKey) -> Result<u16, SpawnError> {
        let no_port = |error: io::Error| SpawnError::NoCapacity {
            reason: "no port is free",
            source: error.into(),
        };
        let config = self.config();
        let mut taken = BTreeSet::new();
        for other in self.found().await?.iter().filter(|other| *other != key) {
            taken.extend(self.dirs.of(other).held_port().await);
        }
        let Some(range) = config.ports else {
            // The kernel seldom gives a port again at once.
            loop {
                let listener = TcpListener::bind((config.ip, 0)).await.map_err(no_port)?;
                let port = listener.local_addr().map_err(no_port)?.port();
                if !taken.contains(&port) {
                    return Ok(port);
                }
            }
        };
        loop {
            let port = range.assign(&taken)?;
            match TcpListener::bind((config.ip, port)).await {
                Ok(_) => return Ok(port),
                Err(_) => taken.insert(port),
            };
        }
    }

    fn command(
        &self,
        request: &StartRequest,
        dir: &RunDir,
        port: u16,
    ) -> Result<Command, SpawnError> {
        let config = self.config();
        let settings = config.settings(port);
        let variables =
            Environment::variables(request, &settings).map_err(|error| SpawnError::Rejected {
                what: format!("the setting {}", error.key),
                reason: error.reason,
            })?;
        let home = self.home(&request.key, &request.links.service_prefix)?;
        std::fs::create_dir_all(&home)
            .map_err(|error| failed("make the user's directory", error))?;
        let mut options = std::fs::OpenOptions::new();
        let log = options.create(true).write(true).truncate(true).mode(0o600).open(dir.log());
        let log = log.map_err(|error| failed("open the server's log", error))?;
        let errors = log.try_clone().map_err(|error| failed("open the server's log", error))?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT])
            .arg(dir.path())
            .args(config.cmd.words())
            .args(config.args.words())
            // Nothing of the hub's own environment (C11).
            .env_clear()
            .env("PATH", &config.path)
            .env("HOME", &home)
            .env("USER", request.key.user().as_str())
            .env("LANG", "C.UTF-8")
            .env(MARK, dir.path())
            .envs(variables.iter().map(|(name, value)| (name, value.expose_secret())))
            .current_dir(&home)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(false);
        Ok(command)
    }

    /// Where a user's files are.
    fn home(&self, key: &ServerKey, prefix: &str) -> Result<PathBuf, SpawnError> {
        let text = self.config().notebook_dir();
        let template = environment::check_path("notebook_dir", &text).map_err(|error| {
            SpawnError::Rejected {
                what: "the setting notebook_dir".to_owned(),
                reason: error.reason,
            }
        })?;
        let path = environment::render_path(&template, key, prefix);
        match path.split('/').any(|part| part == "..") {
            true => Err(SpawnError::Rejected {
                what: "this user's directory".to_owned(),
                reason: format!("{path} leads elsewhere"),
            }),
            false => Ok(path.into()),
        }
    }

    /// Waits until the process has said who it is.
    async fn introduced(&self, dir: &RunDir) -> Result<SavedState, SpawnError> {
        let deadline = Instant::now() + INTRODUCTION;
        loop {
            if let Some(id) = dir.process_id().await {
                return Ok(dir.state(id));
            }
            if Instant::now() >= deadline {
                return Err(SpawnError::TimedOut {
                    what: "starting the process",
                    after: INTRODUCTION,
                });
            }
            sleep(LOOK_PAUSE).await;
        }
    }

    async fn exit(&self, dir: &RunDir) -> Exit {
        let log = dir.printed(log_text::TAIL_BYTES * 2).await;
        Exit {
            // Whoever kills the script as well leaves no code.
            code: dir.exit_code().await.unwrap_or(crate::exit::KILLED),
            log_tail: log_text::tail(&log, log_text::TAIL_LINES, log_text::TAIL_BYTES),
            ..Exit::default()
        }
    }

    /// Ends all processes of a server and waits until they are gone.
    async fn end(&self, dir: &RunDir, mode: StopMode) -> Result<(), SpawnError> {
        if mode == StopMode::Graceful
            && let Some(process) = dir.process().await
        {
            signals::ask_group(process.id);
            let deadline = Instant::now() + Duration::from_secs(self.config().stop_timeout_seconds);
            while Instant::now() < deadline && dir.process().await.is_some() {
                sleep(LOOK_PAUSE).await;
            }
        }
        let deadline = Instant::now() + GONE_DEADLINE;
        loop {
            // Kernels have groups of their own, and may outlive their server.
            let left = proc::marked(MARK, dir.path()).await;
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let what = "ending the processes of the server";
                return Err(SpawnError::TimedOut { what, after: GONE_DEADLINE });
            }
            left.into_iter().for_each(signals::end);
            sleep(LOOK_PAUSE).await;
        }
    }
}

fn failed(action: &'static str, error: io::Error) -> SpawnError {
    SpawnError::Backend { action, hint: None, source: error.into() }
}

#[async_trait]
impl Spawner for ProcessSpawner {
    async fn start(
        &self,
        request: &StartRequest,
        progress: &Progress,
    ) -> Result<Started, SpawnError> {
        let key = &request.key;
        let dir = self.dirs.of(key);
        self.stop(key, &SavedState::default(), StopMode::Now).await?;
        progress.report(50, "Starting the process");
        let choosing = self.choosing.lock().await;
        let port = self.free_port(key).await?;
        let file = ServerFile::new(key, port);
        dir.make(&file).await.map_err(|error| failed("make the server's directory", error))?;
        drop(choosing);
        let launched = async {
            let mut child = self
                .command(request, &dir, port)?
                .spawn()
                .map_err(|error| failed("start the process", error))?;
            let state = tokio::select! {
                state = self.introduced(&dir) => state?,
                _ = child.wait() => return Err(SpawnError::Exited(self.exit(&dir).await)),
            };
            Ok(state)
        };
        match launched.await {
            Ok(state) => {
                self.alive.insert(key);
                progress.report(80, "The process runs; waiting for the server in it");
                Ok(Started { url: url(self.config().ip, port)?, state, resumed: false })
            }
            Err(error) => {
                // The first error is the one to tell.
                let _ = self.stop(key, &SavedState::default(), StopMode::Now).await;
                Err(error)
            }
        }
    }

    async fn probe(&self, key: &ServerKey, _: &SavedState) -> Result<Liveness, SpawnError> {
        let dir = self.dirs.of(key);
        let Some(file) = dir.file().await else { return Ok(Liveness::Missing) };
        match dir.process().await {
            Some(_) => {
                Ok(Liveness::Running { url: url(self.config().ip, file.port)?, health: None })
            }
            None => Ok(Liveness::Exited(self.exit(&dir).await)),
        }
    }

    async fn stop(
        &self,
        key: &ServerKey,
        _: &SavedState,
        mode: StopMode,
    ) -> Result<(), SpawnError> {
        let dir = self.dirs.of(key);
        self.end(&dir, mode).await?;
        dir.remove().await.map_err(|error| failed("remove the server's directory", error))
    }

    async fn log(
        &self,
        key: &ServerKey,
        _: &SavedState,
        lines: usize,
    ) -> Result<Option<String>, SpawnError> {
        let dir = self.dirs.of(key);
        if dir.file().await.is_none() {
            return Ok(None);
        }
        let printed = dir.printed(log_text::LOG_BYTES).await;
        Ok(Some(log_text::tail(&printed, lines, log_text::LOG_BYTES)))
    }

    async fn follow_log(
        &self,
        key: &ServerKey,
        state: &SavedState,
        lines: usize,
        pieces: mpsc::Sender<String>,
    ) -> Result<(), SpawnError> {
        let dir = self.dirs.of(key);
        let mut told = dir.log_length().await;
        let mut piece = self.log(key, state, lines).await?.unwrap_or_default();
        let mut whole = log_text::Lines::default();
        loop {
            if !piece.is_empty() && pieces.send(std::mem::take(&mut piece)).await.is_err() {
                return Ok(());
            }
            // In this order, so that last words are not lost.
            let is_over = dir.process().await.is_none();
            let bytes = dir.printed_from(told).await;
            told += bytes.len() as u64;
            piece = whole.push(&bytes);
            if bytes.is_empty() && is_over {
                let rest = std::mem::take(&mut whole).rest();
                if !rest.is_empty() {
                    let _ = pieces.send(rest).await;
                }
                return Ok(());
            }
            if bytes.is_empty() {
                tokio::select! {
                    () = pieces.closed() => return Ok(()),
                    () = sleep(LOOK_PAUSE) => {}
                }
            }
        }
    }

    /// Nobody tells of the end of a process that is not our child: they are looked at.
    async fn watch(&self, notices: mpsc::Sender<ServerKey>) -> Result<(), SpawnError> {
        loop {
            for key in self.alive.renew(self.running().await?) {
                if notices.send(key).await.is_err() {
                    return Ok(());
                }
            }
            tokio::select! {
                () = notices.closed() => return Ok(()),
                () = sleep(WATCH_PAUSE) => {}
            }
        }
    }

    async fn host_address(&self) -> Result<Option<IpAddr>, SpawnError> {
        Ok(Some(self.config().ip))
    }

    async fn found(&self) -> Result<Vec<ServerKey>, SpawnError> {
        self.dirs.all().await.map_err(|error| failed("look for servers", error))
    }

    async fn identify(&self, key: &ServerKey) -> Result<Vec<Found>, SpawnError> {
        let dir = self.dirs.of(key);
        let Some(id) = dir.process_id().await.filter(|_| dir.is_there()) else {
            return Ok(Vec::new());
        };
        let process = dir.process().await;
        let environment = match &process {
            Some(process) => proc::environment(process.id).await,
            None => Default::default(),
        };
        Ok(vec![Found {
            name: format!("process {id}"),
            is_running: process.is_some(),
            api_token: Environment::api_token(&environment).cloned(),
            state: dir.state(id),
        }])
    }

    async fn rename(&self, from: &ServerKey, _: &ServerKey) -> Result<(), SpawnError> {
        // Files are the user's, not the server's; what is left of an end is not kept.
        self.stop(from, &SavedState::default(), StopMode::Now).await
    }

    async fn rename_user(&self, from: &UserName, to: &UserName) -> Result<(), SpawnError> {
        let home = |user: &UserName| self.home(&ServerKey::default_of(user.clone()), "");
        let old = home(from)?;
        if old != home(to)? && tokio::fs::try_exists(&old).await.unwrap_or(true) {
            return Err(SpawnError::Rejected {
                what: "renaming this user".to_owned(),
                reason: format!("the files in {} would stay behind", old.display()),
            });
        }
        for key in self.found().await?.iter().filter(|key| key.user() == from) {
            self.stop(key, &SavedState::default(), StopMode::Now).await?;
        }
        Ok(())
    }

    fn kind(&self) -> &'static str {
        "process"
    }
}

fn url(ip: IpAddr, port: u16) -> Result<Url, SpawnError> {
    let address = SocketAddr::new(ip, port);
    Url::parse(&format!("http://{address}")).map_err(|error| SpawnError::Backend {
        action: "tell the server's address",
        hint: None,
        source: error.into(),
    })
}
