//! Servers as Docker containers on one host.
//!
//! [`DockerSpawner`] tells the story; the decisions are in the files below:
//! what a container is called, what it is made of, how it is reached.

mod address;
mod allowed_images;
mod blueprint;
mod command;
mod config;
mod container;
mod error;
mod identity;
mod image;
pub mod inventory;
mod labels;
mod machine;
mod object_name;
mod of_user;
mod older_name;
mod plan;
mod volume;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bollard::models::ContainerCreateBody;
use futures_util::StreamExt;
use hub_names::ServerKey;
use tokio::{
    sync::{OnceCell, mpsc},
    time::Instant,
};
use url::Url;

pub use allowed_images::AllowedImages;
pub use command::{CommandLine, InvalidCommand};
pub use config::{DockerConfig, PullPolicy};
pub use plan::DockerPlan;

use crate::{
    Choice, Exit, Found, InvalidConfig, Liveness, Progress, SavedState, SpawnError, Spawner,
    StartRequest, Started, StopMode,
    engine::{ContainerDetails, ContainerState, DockerHost, Engine, EngineError, EngineInfo},
    exit::KILLED,
    log_text,
};
use blueprint::{Blueprint, Reach};
use error::{image_error, spawn_error};
use image::Images;

/// How long a container may be without an address after its start (SPN-19).
const ADDRESS_DEADLINE: Duration = Duration::from_secs(5);

/// How long a removed container may still be there (SPN-23).
const GONE_DEADLINE: Duration = Duration::from_secs(30);

/// Pause between two looks at a container that is about to change.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// The events that end a server, or may have, and changes of its health.
const NOTICED: &[&str] = &["die", "oom", "destroy", "stop", "kill", "health_status"];

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
    /// What the daemon told about its machine.
    machine: OnceCell<EngineInfo>,
    /// The last event seen, in the daemon's time; the next watch begins there.
    seen: AtomicI64,
}

impl DockerSpawner {
    /// Connects to the daemon and makes sure that the servers' network is there.
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
        if blueprint.has_own_network() {
            let labels = labels::of_network(&blueprint.deployment);
            engine
                .ensure_network(&blueprint.network, &labels)
                .await
                .map_err(|error| spawn_error("find or make the network", error))?;
        }
        let blueprint = ArcSwap::from_pointee(blueprint);
        Ok(Self {
            engine,
            blueprint,
            images: Images::default(),
            machine: OnceCell::new(),
            seen: AtomicI64::new(0),
        })
    }

    /// The connection it works with.
    pub fn engine(&self) -> &Engine {
        &self.engine
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
            Err(EngineError::Refused { text, .. }) => {
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

    /// Makes the container for `request` and returns its id, name and hash.
    async fn create(
        &self,
        blueprint: &Blueprint,
        request: &StartRequest,
    ) -> Result<Created, SpawnError> {
        let key = &request.key;
        let binds = volume::ensure(&self.engine, blueprint, key).await?;
        let command = self.command(blueprint).await?;
        let machine = self.machine().await?;
        let (body, spec_hash) =
            container::create_body(blueprint, machine, request, binds, command)?;

        let mut name = blueprint.names.container(key);
        if let Some(there) = self.inspect(&name).await? {
            if !labels::is_of_deployment(&there.labels, &blueprint.deployment) {
                return Err(SpawnError::NameTaken { name });
            }
            if !labels::is_of_server(&there.labels, &blueprint.deployment, key) {
                // Names of servers are lower-cased (SPN-6), so `Lab` and `lab`
                // would meet here.
                name = blueprint.names.unmistakable(key);
            }
        }
        let made = match self.engine.create_container(&name, body.clone()).await {
            Err(error) if error.is_uncertain() => self.create_again(key, &name, body).await?,
            answer => answer,
        };
        match made {
            Ok(id) => Ok(Created { id, name, spec_hash }),
            Err(EngineError::Conflict { .. }) => Err(SpawnError::NameTaken { name }),
            // Only the image can be missing here.
            Err(error @ EngineError::NotFound { .. }) => {
                Err(image_error(&blueprint.image.to_string(), error))
            }
            Err(error) => Err(spawn_error("create the container", error)),
        }
    }

    /// A second try at creating, after one whose outcome is unknown: looks before
    /// it, and once more if the first took effect in between (API-5).
    async fn create_again(
        &self,
        key: &ServerKey,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<Result<String, EngineError>, SpawnError> {
        if let Some(id) = self.find(key).await?.into_iter().next() {
            return Ok(Ok(id));
        }
        match self.engine.create_container(name, body).await {
            Err(error @ EngineError::Conflict { .. }) => {
                Ok(self.find(key).await?.into_iter().next().ok_or(error))
            }
            answer => Ok(answer),
        }
    }

    /// What to run, where the image alone does not say it (SPN-16).
    async fn command(&self, blueprint: &Blueprint) -> Result<Option<Vec<String>>, SpawnError> {
        let mut command = match (&blueprint.command, blueprint.args.as_slice()) {
            (None, []) => return Ok(None),
            (Some(command), _) => command.clone(),
            (None, _) => {
                let image = blueprint.image.to_string();
                let command = self
                    .engine
                    .image_command(&image)
                    .await
                    .map_err(|error| spawn_error("look at the image", error))?;
                if command.is_empty() {
                    return Err(SpawnError::Rejected {
                        what: "args without cmd".to_owned(),
                        reason: format!("the image {image} has no command to add them to"),
                    });
                }
                command
            }
        };
        command.extend(blueprint.args.iter().cloned());
        Ok(Some(command))
    }

    /// Starts a container and waits until it has an address.
    async fn launch(&self, id: &str) -> Result<Url, SpawnError> {
        self.engine
            .start_container(id)
            .await
            .map_err(|error| spawn_error("start the container", error))?;
        self.address(id).await
    }

    /// Where a running container is reached. The address may be missing for a
    /// moment after the start (SPN-19).
    async fn address(&self, id: &str) -> Result<Url, SpawnError> {
        let blueprint = self.blueprint();
        let deadline = Instant::now() + ADDRESS_DEADLINE;
        loop {
            let Some(found) = self.inspect(id).await? else {
                return Err(SpawnError::Backend {
                    action: "keep the container",
                    hint: Some("the container was removed while it was starting"),
                    source: "the container is gone".into(),
                });
            };
            if let ContainerState::Exited { .. } = found.state {
                return Err(SpawnError::Exited(self.exit(&found).await?));
            }
            match address::of(&found, &blueprint) {
                Ok(url) => return Ok(url),
                Err(error) if Instant::now() >= deadline => {
                    return Err(SpawnError::Backend {
                        action: "find the container's address",
                        hint: Some(match blueprint.reach {
                            Reach::Network => "the container got no address in its network",
                            Reach::Published(_) | Reach::Host(_) => {
                                "the container's port was not published"
                            }
                        }),
                        source: error.into(),
                    });
                }
                Err(_) => tokio::time::sleep(LOOK_PAUSE).await,
            }
        }
    }

    /// How a container ended, with its last words.
    async fn exit(&self, found: &ContainerDetails) -> Result<Exit, SpawnError> {
        let (code, oom_killed, error) = match &found.state {
            ContainerState::Exited { code, oom_killed, error } => {
                let may_be = *code == KILLED && found.memory_limit.is_some();
                let oom_killed = *oom_killed
                    || may_be
                        && self
                            .engine
                            .reported_out_of_memory(&found.id)
                            .await
                            .map_err(|error| spawn_error("look for reports", error))?;
                (*code, oom_killed, error.clone())
            }
            ContainerState::Created => (0, false, Some("it was never started".to_owned())),
            ContainerState::Running | ContainerState::Removing => (0, false, None),
        };
        let log = self
            .engine
            .logs(&found.id, log_text::TAIL_LINES)
            .await
            .map_err(|error| spawn_error("read the log", error))?
            .unwrap_or_default();
        Ok(Exit {
            code,
            oom_killed,
            error,
            log_tail: log_text::tail(&log, log_text::TAIL_LINES, log_text::TAIL_BYTES),
            memory_limit: found.memory_limit,
        })
    }

    /// Ids of the containers of `key`. More than one only if a hub was killed at
    /// a bad moment.
    async fn find(&self, key: &ServerKey) -> Result<Vec<String>, SpawnError> {
        let labels = labels::of_server(&self.blueprint().deployment, key);
        let found = self
            .engine
            .containers(&labels)
            .await
            .map_err(|error| spawn_error("look for the server", error))?;
        Ok(found.into_iter().map(|container| container.id).collect())
    }

    /// The container of `key`: the remembered one if it is still there and
    /// theirs, else the one that carries their labels.
    async fn current(
        &self,
        key: &ServerKey,
        state: &SavedState,
    ) -> Result<Option<ContainerDetails>, SpawnError> {
        if let Some(id) = state.text(identity::OBJECT_ID)
            && let Some(found) = self.inspect(id).await?
            && labels::is_of_server(&found.labels, &self.blueprint().deployment, key)
        {
            return Ok(Some(found));
        }
        match self.find(key).await?.first() {
            Some(id) => self.inspect(id).await,
            None => Ok(None),
        }
    }

    async fn inspect(&self, id: &str) -> Result<Option<ContainerDetails>, SpawnError> {
        self.engine.inspect(id).await.map_err(|error| spawn_error("look at the server", error))
    }

    /// Removes a container and waits until its name is free (SPN-23).
    async fn remove(&self, id: &str) -> Result<(), SpawnError> {
        let failed = |error| spawn_error("remove the container", error);
        let deadline = Instant::now() + GONE_DEADLINE;
        self.engine.remove_container(id, true).await.map_err(failed)?;
        while self.engine.inspect(id).await.map_err(failed)?.is_some() {
            if Instant::now() >= deadline {
                let what = "removing the container";
                return Err(SpawnError::TimedOut { what, after: GONE_DEADLINE });
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        Ok(())
    }
}

struct Created {
    id: String,
    name: String,
    spec_hash: String,
}

#[async_trait]
impl Spawner for DockerSpawner {
    async fn prepare(&self, request: &StartRequest, progress: &Progress) -> Result<(), SpawnError> {
        let blueprint = self.blueprint_for(request)?;
        self.images.ensure(&self.engine, &blueprint, progress).await
    }

    async fn start(
        &self,
        request: &StartRequest,
        progress: &Progress,
    ) -> Result<Started, SpawnError> {
        let blueprint = self.blueprint_for(request)?;
        for leftover in self.find(&request.key).await? {
            progress.report(55, "Removing a container that was left over");
            self.remove(&leftover).await?;
        }
        progress.report(60, "Creating the container");
        let created = self.create(&blueprint, request).await?;
        progress.report(70, "Starting the container");
        match self.launch(&created.id).await {
            Ok(url) => {
                progress.report(80, "The container runs; waiting for the server in it");
                let state = identity::state(&created.id, &created.name, Some(&created.spec_hash));
                Ok(Started { url, state })
            }
            Err(error) => {
                // The first error is the one to tell. What cannot be removed
                // now is found by its labels and replaced by the next start.
                let _ = self.remove(&created.id).await;
                Err(error)
            }
        }
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
        // By labels alone: all containers of the server have to go, not only
        // the remembered one.
        for id in self.find(key).await? {
            let ended = match mode {
                StopMode::Graceful => {
                    self.engine.stop_container(&id, self.blueprint().stop_timeout).await
                }
                StopMode::Now => self.engine.kill(&id).await,
            };
            ended.map_err(|error| spawn_error("stop the container", error))?;
            if self.blueprint().remove {
                self.remove(&id).await?;
            }
        }
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
        loop {
            let next = tokio::select! {
                () = notices.closed() => return Ok(()),
                next = happenings.next() => next,
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

    fn choices(&self) -> Vec<Choice> {
        let blueprint = self.blueprint();
        blueprint.allowed_images.choices(blueprint.settings.image.as_deref().unwrap_or_default())
    }

    fn kind(&self) -> &'static str {
        "docker"
    }
}
