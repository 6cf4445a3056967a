//! Servers as Docker containers on one host.
//!
//! [`DockerSpawner`] tells the story; the decisions are in the files below:
//! what a container is called, what it is made of, how it is reached.

mod address;
mod allowed_images;
mod assignment;
mod blueprint;
mod config;
mod container;
mod creation;
mod deletion;
mod disk;
mod error;
mod extra;
mod gpu;
mod hook;
mod identity;
mod image;
pub mod inventory;
mod isolation;
mod labels;
mod machine;
mod mounts;
mod new_volume;
mod object_name;
mod of_user;
mod older_name;
mod overrides;
mod ownership;
mod plan;
mod reuse;
mod security;
#[cfg(feature = "swarm")]
pub mod swarm;
mod system_users;
mod upkeep;
mod volume;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use futures_util::StreamExt;
use hub_names::{ServerKey, UserName};
use tokio::sync::{OnceCell, mpsc};

pub use allowed_images::AllowedImages;
pub use config::{DockerConfig, PullPolicy};
pub use deletion::OnUserDelete;
pub use gpu::Gpus;
pub use isolation::Isolation;
pub use mounts::{
    DriverConfig, MountConfig, MountKind, Propagation, SharedFolder, SharedMode, VolumeTarget,
};
pub use object_name::Escape;
pub use overrides::GroupOverride;
pub use ownership::{Account, CreateHostDirs};
pub use plan::DockerPlan;
pub use reuse::ReuseStopped;
pub use system_users::SystemUsers;
pub use volume::VolumeMigration;

use crate::{
    Choice, Found, InvalidConfig, Limits, Liveness, MemoryLimit, OnUnhealthy, Preset, Progress,
    SavedState, SpawnError, Spawner, StartRequest, Started, StopMode,
    engine::{
        ContainerDetails, ContainerLimits, ContainerState, DockerHost, Engine, EngineError,
        EngineInfo,
    },
    log_text,
};
pub use crate::{
    command::{CommandLine, InvalidCommand},
    engine::RegistryLogin,
    port_range::PortRange,
};
use assignment::Assignments;
use blueprint::{Blueprint, Reach};
use creation::Creations;
use disk::DiskWatch;
use error::spawn_error;
use image::Images;

/// The events that end a server, or may have, changes of its health, and starts: of
/// one that nobody asked for, or at an address that another one had.
const NOTICED: &[&str] = &["die", "oom", "destroy", "stop", "kill", "health_status", "start"];

/// Runs each server in a container of its own.
///
/// A container that ends is kept until [`Spawner::stop`] removes it: the daemon's
/// `AutoRemove` would take away its last words and the reason of its end
/// (SPN-27, SPN-33).
#[derive(Debug)]
pub struct DockerSpawner {
    engine: Engine,
    /// What servers are made of from now on; see [`adopt`](Self::adopt).
    blueprint: ArcSwap<Blueprint>,
    images: Images,
    /// Containers that are being made.
    creations: Creations,
    /// What servers have for themselves alone.
    assignments: Assignments,
    /// How much users' volumes hold.
    disk: DiskWatch,
    /// What the daemon told about its machine.
    machine: OnceCell<EngineInfo>,
    /// The last event seen, in the daemon's time; the next watch begins there.
    seen: AtomicI64,
}

impl DockerSpawner {
    /// Connects to the daemon and makes sure that the servers' network is there, and
    /// the hub in the networks of users whose servers run.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Rejected`] if the configuration makes no sense or the
    /// network's name is ambiguous (XT-7), [`SpawnError::Unreachable`] with
    /// advice if there is no daemon.
    pub async fn connect(config: DockerConfig) -> Result<Self, SpawnError> {
        let rejected = |error: InvalidConfig| SpawnError::Rejected {
            what: format!("the setting {}", error.key),
            reason: error.reason,
        };
        config.validate().map_err(rejected)?;
        let host = DockerHost::resolve(&config.host_settings()).map_err(rejected)?;
        let machine = machine::find(&host, &config).await.map_err(rejected)?;
        let blueprint = Blueprint::read(&config, machine).map_err(rejected)?;
        let engine =
            Engine::connect_to(&host).await.map_err(|error| spawn_error("connect", error))?;
        let shared = Some(&blueprint.network).filter(|_| blueprint.has_own_network());
        for network in shared.into_iter().chain(&blueprint.networks) {
            let labels = labels::of_network(&blueprint.deployment);
            engine
                .ensure_network(network, &labels)
                .await
                .map_err(|error| spawn_error("find or make the network", error))?;
        }
        isolation::rejoin(&engine, &blueprint).await;
        new_volume::sweep(&engine, &blueprint).await;
        let blueprint = ArcSwap::from_pointee(blueprint);
        Ok(Self {
            engine,
            blueprint,
            images: Images::default(),
            creations: Creations::default(),
            assignments: Assignments::default(),
            disk: DiskWatch::default(),
            machine: OnceCell::new(),
            seen: AtomicI64::new(0),
        })
    }

    /// The connection it works with.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Fetches all images that servers may run from, if `prepull` says so, and returns
    /// those that could not be had with the reason. For a task beside the hub's start.
    pub async fn prepull(&self) -> Vec<(String, SpawnError)> {
        let blueprint = self.blueprint();
        if !blueprint.prepull {
            return Vec::new();
        }
        let mut failed = Vec::new();
        for image in blueprint.all_images() {
            let name = image.to_string();
            let one = Blueprint { image, ..(*blueprint).clone() };
            if let Err(error) = self.images.ensure(&self.engine, &one, &Progress::ignored()).await {
                failed.push((name, error));
            }
        }
        failed
    }

    /// What servers are made of now.
    fn blueprint(&self) -> Arc<Blueprint> {
        self.blueprint.load_full()
    }

    /// The daemon's machine: how much memory it has, where it keeps logs. Neither
    /// changes while the daemon runs. A filter before its socket may forbid the
    /// question.
    async fn machine(&self) -> Result<&EngineInfo, SpawnError> {
        let ask = async || match self.engine.info().await {
            Err(EngineError::Forbidden { text, .. } | EngineError::Refused { text, .. }) => {
                tracing::warn!(
                    "Docker does not tell about its machine ({text}); servers without a mem_limit \
                     of their own have none, and their logs are not rotated: let GET /info through"
                );
                Ok(EngineInfo::default())
            }
            answer => answer,
        };
        let asked = self.machine.get_or_try_init(ask).await;
        asked.map_err(|error| spawn_error("ask about its machine", error))
    }
}

#[async_trait]
impl Spawner for DockerSpawner {
    async fn prepare(&self, request: &StartRequest, progress: &Progress) -> Result<(), SpawnError> {
        let blueprint = self.blueprint_for(request)?;
        self.disk.check(&self.engine, &blueprint, request.key.user(), progress).await?;
        self.images.ensure(&self.engine, &blueprint, progress).await?;
        if blueprint.volume_migration == VolumeMigration::Copy {
            // Copying may take long, and is no part of the start time.
            let groups = &request.preset.groups;
            volume::ensure(&self.engine, &blueprint, &request.key, groups).await?;
        }
        Ok(())
    }

    async fn start(
        &self,
        request: &StartRequest,
        progress: &Progress,
    ) -> Result<Started, SpawnError> {
        let blueprint = self.blueprint_for(request)?;
        // Boxed: the wire model's bodies make these futures large.
        let start = || Box::pin(self.start_once(&blueprint, request, progress));
        let outcome = match start().await {
            // The stop of another server of the user took it away meanwhile.
            Err(error) if error::is_about_missing_network(&error) && !blueprint.is_shared() => {
                start().await
            }
            outcome => outcome,
        };
        if outcome.is_err() {
            isolation::release(&self.engine, &blueprint, request.key.user()).await;
        }
        outcome
    }

    async fn probe(&self, key: &ServerKey, state: &SavedState) -> Result<Liveness, SpawnError> {
        let Some(found) = self.current(key, state).await? else {
            return Ok(Liveness::Missing);
        };
        match found.state {
            ContainerState::Removing => Ok(Liveness::Missing),
            ContainerState::Created | ContainerState::Exited { .. } => {
                Ok(Liveness::Exited(self.exit(&found).await?))
            }
            ContainerState::Running => match self.address(&found.id).await {
                Ok(url) => Ok(Liveness::Running { url, health: found.health }),
                Err(SpawnError::Exited(exit)) => Ok(Liveness::Exited(exit)),
                Err(error) => Err(error),
            },
        }
    }

    async fn stop(
        &self,
        key: &ServerKey,
        _state: &SavedState,
        mode: StopMode,
    ) -> Result<(), SpawnError> {
        // A start that was given up may have left one on its way (SPN-34).
        self.creations.settle(key).await;
        // By labels alone: all containers of the server have to go, not only
        // the remembered one.
        let blueprint = self.blueprint();
        for id in self.find(key).await? {
            let ended = match mode {
                StopMode::Graceful => self.engine.stop_container(&id, blueprint.stop_timeout).await,
                StopMode::Now => self.engine.kill(&id).await,
            };
            ended.map_err(|error| spawn_error("stop the container", error))?;
            if blueprint.remove {
                self.remove(&id).await?;
            }
        }
        isolation::release(&self.engine, &blueprint, key.user()).await;
        Ok(())
    }

    async fn log(
        &self,
        key: &ServerKey,
        state: &SavedState,
        lines: usize,
    ) -> Result<Option<String>, SpawnError> {
        let Some(found) = self.current(key, state).await? else {
            return Ok(None);
        };
        let raw = self
            .engine
            .logs(&found.id, lines)
            .await
            .map_err(|error| spawn_error("read the log", error))?;
        Ok(raw.map(|raw| log_text::tail(&raw, lines, log_text::LOG_BYTES)))
    }

    async fn follow_log(
        &self,
        key: &ServerKey,
        state: &SavedState,
        lines: usize,
        pieces: mpsc::Sender<String>,
    ) -> Result<(), SpawnError> {
        let Some(found) = self.current(key, state).await? else { return Ok(()) };
        let mut printed = std::pin::pin!(self.engine.logs_follow(&found.id, Some(lines), true));
        let mut whole = log_text::Lines::default();
        loop {
            let next = tokio::select! {
                () = pieces.closed() => return Ok(()),
                next = printed.next() => next,
            };
            let (piece, is_last) = match next {
                Some(Ok(bytes)) => (whole.push(&bytes), false),
                Some(Err(error)) => return Err(spawn_error("read the log", error)),
                None => (std::mem::take(&mut whole).rest(), true),
            };
            // Nobody listens any more.
            if !piece.is_empty() && pieces.send(piece).await.is_err() || is_last {
                return Ok(());
            }
        }
    }

    async fn watch(&self, notices: mpsc::Sender<ServerKey>) -> Result<(), SpawnError> {
        let labels = labels::of_servers(&self.blueprint().deployment);
        // One nanosecond later, so that the last event is not told again.
        let since = Some(self.seen.load(Ordering::Relaxed)).filter(|seen| *seen > 0);
        let happenings = self.engine.happenings(NOTICED, &labels, since.map(|seen| seen + 1));
        let mut happenings = std::pin::pin!(happenings);
        let blueprint = self.blueprint();
        let mut joined = std::pin::pin!(isolation::follow(&self.engine, &blueprint));
        loop {
            let next = tokio::select! {
                () = notices.closed() => return Ok(()),
                next = happenings.next() => next,
                end = &mut joined => return end.map_err(|error| spawn_error("report events", error)),
            };
            let Some(happening) = next else { return Ok(()) };
            let happening = happening.map_err(|error| spawn_error("report events", error))?;
            if let Some(key) = labels::server_key(&happening.labels)
                && notices.send(key).await.is_err()
            {
                return Ok(());
            }
            self.seen.fetch_max(happening.at, Ordering::Relaxed);
        }
    }

    async fn host_address(&self) -> Result<Option<IpAddr>, SpawnError> {
        if let Reach::Host(_) = self.blueprint().reach {
            return Ok(Some(Ipv4Addr::LOCALHOST.into()));
        }
        // The gateway is an address of the daemon's host, which is not this one.
        if self.blueprint().daemon.is_some_and(|machine| !machine.is_loopback()) {
            return Ok(None);
        }
        let network = self
            .engine
            .network(&self.blueprint().network)
            .await
            .map_err(|error| spawn_error("look at the network", error))?;
        Ok(network.and_then(|network| network.gateway))
    }

    async fn found(&self) -> Result<Vec<ServerKey>, SpawnError> {
        let labels = labels::of_servers(&self.blueprint().deployment);
        let found = self
            .engine
            .containers(&labels)
            .await
            .map_err(|error| spawn_error("look for servers", error))?;
        let mut keys: Vec<ServerKey> =
            found.iter().filter_map(|container| labels::server_key(&container.labels)).collect();
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    async fn identify(&self, key: &ServerKey) -> Result<Vec<Found>, SpawnError> {
        let failed = |error| spawn_error("look at the server", error);
        let mut all = Vec::new();
        for id in self.find(key).await? {
            let container = self.inspect(&id).await?;
            let recipe = self.engine.recipe(&id).await.map_err(failed)?;
            // It may be gone by now.
            if let (Some(container), Some(recipe)) = (container, recipe) {
                all.push(identity::found(container, &recipe));
            }
        }
        Ok(all)
    }

    async fn rename(&self, from: &ServerKey, to: &ServerKey) -> Result<(), SpawnError> {
        self.check_rename(from, to)?;
        // A container that was kept after its end has the old name in its labels.
        for id in self.find(from).await? {
            self.remove(&id).await?;
        }
        Ok(())
    }

    async fn rename_user(&self, from: &UserName, _to: &UserName) -> Result<(), SpawnError> {
        deletion::refuse_to_leave_volumes(self, from).await?;
        // Containers that were kept have the old name in their labels.
        deletion::remove_containers_of(self, from).await
    }

    async fn set_limits(&self, key: &ServerKey, limits: &Limits) -> Result<(), SpawnError> {
        let rejected = |reason: String| SpawnError::Rejected {
            what: "changing the limits of this server".to_owned(),
            reason,
        };
        if limits.cpus.is_some_and(|count| !(count.is_finite() && count >= 0.01)) {
            return Err(rejected("processors must be at least 0.01".to_owned()));
        }
        let found = self.current(key, &SavedState::default()).await?;
        let Some(found) = found.filter(ContainerDetails::is_running) else {
            return Err(rejected("it does not run".to_owned()));
        };
        let wanted = ContainerLimits {
            memory: limits.memory.map(MemoryLimit::bytes),
            cpus: limits.cpus,
            cpu_period: self.blueprint().extra.cpu_period(),
            pids: None,
        };
        match self.engine.set_limits(&found.id, wanted).await {
            // In other words than the kernel's: less than it uses now.
            Err(EngineError::Refused { text, .. }) if text.contains("busy") => {
                Err(rejected("it uses more memory than that now".to_owned()))
            }
            Err(error) if error.is_no_such_call() => Err(rejected(
                "this engine cannot do that while it runs; they count from its next start on"
                    .to_owned(),
            )),
            outcome => outcome.map_err(|error| spawn_error("change the limits", error)),
        }
    }

    async fn limits(&self, key: &ServerKey, preset: &Preset) -> Result<Option<Limits>, SpawnError> {
        let own = self.blueprint().with(key, preset).map_err(|error| SpawnError::Rejected {
            what: format!("the {} of this user", error.key),
            reason: error.reason,
        })?;
        let memory = own.memory.on_machine(self.machine().await?.memory);
        Ok(Some(Limits { memory, cpus: own.settings.cpu_limit }))
    }

    async fn forget_server(&self, key: &ServerKey) -> Result<(), SpawnError> {
        deletion::forget_server(self, key).await
    }

    async fn forget_user(&self, user: &UserName) -> Result<(), SpawnError> {
        deletion::forget_user(self, user).await
    }

    fn lasting(&self, state: &SavedState) -> SavedState {
        system_users::lasting(state)
    }

    fn will_resume(&self) -> bool {
        let blueprint = self.blueprint();
        !blueprint.remove && blueprint.reuse != ReuseStopped::Never
    }

    fn on_unhealthy(&self) -> OnUnhealthy {
        self.blueprint().on_unhealthy
    }

    fn choices(&self, key: &ServerKey, preset: &Preset) -> Vec<Choice> {
        self.blueprint().choices(key, preset)
    }

    fn kind(&self) -> &'static str {
        "docker"
    }
}
