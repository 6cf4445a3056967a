//! Servers as services of a Docker swarm: for those who outgrow one machine.
//!
//! What a server is made of, `[spawner.docker]` says as for one machine; [`SwarmConfig`]
//! has what a swarm adds. The daemon that is asked has to manage the swarm. Volumes are
//! those of the machine a server lands on: either keep servers at one by `constraints`,
//! or use a `volume_driver` whose files are everywhere.

mod config;
mod creation;
mod extra;
mod fetching;
pub mod inventory;
mod machines;
mod network;
mod spec;
mod task;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bollard::models::Service;
use futures_util::StreamExt;
use hub_names::{ServerKey, UserName};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use url::Url;

pub use config::{Publish, Restart, SwarmConfig};

use super::{
    DockerConfig, DockerPlan,
    blueprint::Blueprint,
    creation::Creations,
    error::{image_error, spawn_error},
    labels, machine, plan, system_users,
};
use crate::{
    Choice, Environment, Exit, Found, InvalidConfig, Liveness, Preset, Progress, SavedState,
    SpawnError, Spawner, StartRequest, Started, StopMode,
    alive::Alive,
    engine::{DockerHost, Engine, EngineError, Labels},
    log_text,
};
use fetching::{Fetch, Fetches};
use spec::{labels_of, name_of};
use task::{Doing, Seen};

/// Pause between two looks at a task that is about to change.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// Pause between two looks at all tasks: a swarm tells of no task's end.
const WATCH_PAUSE: Duration = Duration::from_millis(1000);

/// How much longer than its grace period the end of a task may take.
const GONE_SLACK: Duration = Duration::from_secs(30);

/// Runs each server as a service with one task.
#[derive(Debug)]
pub struct SwarmSpawner {
    engine: Engine,
    blueprint: ArcSwap<Blueprint>,
    swarm: SwarmConfig,
    creations: Creations,
    alive: Alive,
    fetches: Fetches,
}

impl SwarmSpawner {
    /// Connects to a manager of a swarm and makes sure that the servers' network is
    /// there.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Rejected`] if the configuration makes no sense or the daemon
    /// manages no swarm, [`SpawnError::Unreachable`] if there is no daemon.
    pub async fn connect(docker: DockerConfig, swarm: SwarmConfig) -> Result<Self, SpawnError> {
        let rejected = |error: InvalidConfig| SpawnError::Rejected {
            what: format!("the setting {}", error.key),
            reason: error.reason,
        };
        docker.validate().and_then(|()| swarm.validate(&docker)).map_err(rejected)?;
        let host = DockerHost::resolve(&docker.host_settings()).map_err(rejected)?;
        let machine = machine::find(&host, &docker).await.map_err(rejected)?;
        let blueprint = Blueprint::read(&docker, machine).map_err(rejected)?;
        let engine =
            Engine::connect_to(&host).await.map_err(|error| spawn_error("connect", error))?;
        let failed = |error| spawn_error("look at the swarm", error);
        if !engine.is_swarm_manager().await.map_err(failed)? {
            return Err(SpawnError::Rejected {
                what: "running servers in a swarm".to_owned(),
                reason: format!(
                    "the Docker at {} manages none; use a manager's address, or docker swarm init",
                    engine.endpoint()
                ),
            });
        }
        network::ensure(&engine, &blueprint).await?;
        let spawner = Self {
            engine,
            blueprint: ArcSwap::from_pointee(blueprint),
            swarm,
            creations: Creations::default(),
            alive: Alive::default(),
            fetches: Fetches::default(),
        };
        spawner.alive.renew(spawner.running().await?);
        Ok(spawner)
    }

    /// As [`DockerSpawner::plan`](crate::docker::DockerSpawner::plan).
    ///
    /// # Errors
    ///
    /// The first setting that makes no sense, or cannot change while servers run.
    pub fn plan(&self, docker: &DockerConfig) -> Result<DockerPlan, InvalidConfig> {
        self.swarm.validate(docker)?;
        plan::next(&self.blueprint(), docker).map(DockerPlan)
    }

    /// Makes servers as `plan` says from now on. Those that run stay as they are.
    pub fn adopt(&self, plan: DockerPlan) {
        self.blueprint.store(Arc::new(plan.0));
    }

    fn blueprint(&self) -> Arc<Blueprint> {
        self.blueprint.load_full()
    }

    async fn find(&self, key: &ServerKey) -> Result<Vec<Service>, SpawnError> {
        self.services(&labels::of_server(&self.blueprint().deployment, key)).await
    }

    async fn services(&self, labels: &Labels) -> Result<Vec<Service>, SpawnError> {
        let found = self.engine.services(labels).await;
        found.map_err(|error| spawn_error("look for servers", error))
    }

    /// What the task of a service does.
    async fn look(&self, service: &str) -> Result<Seen, SpawnError> {
        let failed = |error| spawn_error("look at the server", error);
        let tasks = self.engine.tasks_of(service).await.map_err(failed)?;
        let nodes = self.engine.nodes().await.map_err(failed)?;
        Ok(task::seen(&tasks, &nodes))
    }

    /// The servers whose tasks run, or are about to.
    async fn running(&self) -> Result<BTreeSet<ServerKey>, SpawnError> {
        let failed = |error| spawn_error("look at the servers", error);
        let services = self.services(&labels::of_servers(&self.blueprint().deployment)).await?;
        let nodes = self.engine.nodes().await.map_err(failed)?;
        let mut tasks: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for task in self.engine.tasks().await.map_err(failed)? {
            tasks.entry(task.service_id.clone().unwrap_or_default()).or_default().push(task);
        }
        let running = services.iter().filter(|service| {
            let own = tasks.get(service.id.as_deref().unwrap_or_default());
            let seen = task::seen(own.map(Vec::as_slice).unwrap_or_default(), &nodes);
            !matches!(seen.doing, Doing::Ended { .. })
        });
        Ok(running.filter_map(|service| labels::server_key(&labels_of(service))).collect())
    }

    /// Waits until the task of a service runs, and returns where it is reached.
    async fn started(
        &self,
        blueprint: &Blueprint,
        key: &ServerKey,
        (id, name): (&str, &str),
        progress: &Progress,
    ) -> Result<Url, SpawnError> {
        let pending_deadline =
            Instant::now() + Duration::from_secs(self.swarm.pending_timeout_seconds);
        let mut fetch: Option<Fetch<'_>> = None;
        let mut told = String::new();
        loop {
            let seen = self.look(id).await?;
            fetch = match seen.doing {
                Doing::Preparing { .. } => fetch.or_else(|| Some(self.fetches.begin(key))),
                _ => None,
            };
            match seen.doing {
                Doing::Running => {
                    if let Some(url) = self.url(blueprint, name, &seen)? {
                        return Ok(url);
                    }
                }
                Doing::Waiting { ref why } if Instant::now() >= pending_deadline => {
                    return Err(SpawnError::NoCapacity {
                        reason: "no machine of the swarm takes the server",
                        source: why.clone().into(),
                    });
                }
                Doing::Preparing { ref why }
                    if fetch.as_ref().is_some_and(|one| one.is_late(blueprint)) =>
                {
                    return Err(fetching::failure(blueprint, why));
                }
                Doing::Waiting { why } | Doing::Preparing { why } | Doing::Starting { why } => {
                    if !why.is_empty() && why != told {
                        progress.report(75, format!("The swarm says: {why}"));
                        told = why;
                    }
                }
                Doing::Ended { ref error, .. } => {
                    let text = error.clone().unwrap_or_default();
                    if text.contains("No such image") {
                        let image = blueprint.image.to_string();
                        let cause = EngineError::Refused { action: "fetch the image", text };
                        return Err(image_error(&image, cause));
                    }
                    return Err(SpawnError::Exited(self.exit(blueprint, id, &seen).await));
                }
            }
            sleep(LOOK_PAUSE).await;
        }
    }

    /// Where a running task is reached; `None` while that is not known.
    fn url(
        &self,
        blueprint: &Blueprint,
        name: &str,
        seen: &Seen,
    ) -> Result<Option<Url>, SpawnError> {
        let (host, port) = match self.swarm.publish {
            Publish::None => (Some(name.to_owned()), Some(blueprint.settings.port)),
            Publish::Host => (seen.address.map(literal), seen.port),
            Publish::Ingress => (self.swarm.host_ip.or(seen.address).map(literal), seen.port),
        };
        let Some((host, port)) = host.zip(port) else { return Ok(None) };
        let url = Url::parse(&format!("http://{host}:{port}"));
        url.map(Some).map_err(|error| SpawnError::Backend {
            action: "tell the server's address",
            hint: None,
            source: error.into(),
        })
    }

    async fn exit(&self, blueprint: &Blueprint, id: &str, seen: &Seen) -> Exit {
        let (code, error, finished_at) = match &seen.doing {
            Doing::Ended { code, error, finished_at } => {
                (*code, error.clone(), finished_at.clone())
            }
            Doing::Running
            | Doing::Waiting { .. }
            | Doing::Preparing { .. }
            | Doing::Starting { .. } => (0, None, None),
        };
        // A machine that is gone keeps its logs to itself.
        let log = match seen.is_lost {
            true => String::new(),
            false => self.engine.service_log(id, log_text::TAIL_LINES).await,
        };
        Exit {
            code,
            error,
            finished_at,
            log_tail: log_text::tail(&log, log_text::TAIL_LINES, log_text::TAIL_BYTES),
            memory_limit: blueprint.settings.memory_limit,
            ..Exit::default()
        }
    }

    /// Removes a service, and waits until its tasks are gone from machines that answer.
    async fn remove(&self, id: &str, grace: Duration) -> Result<(), SpawnError> {
        let failed = |error| spawn_error("remove the service", error);
        self.engine.remove_service(id).await.map_err(failed)?;
        let deadline = Instant::now() + grace + GONE_SLACK;
        loop {
            let tasks = self.engine.tasks_of(id).await.map_err(failed)?;
            let nodes = self.engine.nodes().await.map_err(failed)?;
            if !task::any_left(&tasks, &nodes) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let what = "removing the service";
                return Err(SpawnError::TimedOut { what, after: grace + GONE_SLACK });
            }
            sleep(LOOK_PAUSE).await;
        }
    }

    async fn clear(&self, key: &ServerKey, grace: Duration) -> Result<(), SpawnError> {
        let services = self.clear_services(key, grace).await;
        if !self.swarm.token_secrets {
            return services;
        }
        // A service that is told to go holds its secret no longer, also where nobody
        // can tell whether its tasks have ended.
        let labels = labels::of_secret(&self.blueprint().deployment, key);
        let secrets = self.engine.remove_secrets(&labels).await;
        services?;
        secrets.map_err(|error| spawn_error("remove the token of the server", error))
    }

    async fn clear_services(&self, key: &ServerKey, grace: Duration) -> Result<(), SpawnError> {
        for service in self.find(key).await? {
            self.remove(service.id.as_deref().unwrap_or_default(), grace).await?;
        }
        Ok(())
    }

    /// The service of a server, with its id.
    async fn current(&self, key: &ServerKey) -> Result<Option<(String, Service)>, SpawnError> {
        let service = self.find(key).await?.into_iter().next();
        Ok(service.and_then(|service| Some((service.id.clone()?, service))))
    }
}

#[async_trait]
impl Spawner for SwarmSpawner {
    async fn start(
        &self,
        request: &StartRequest,
        progress: &Progress,
    ) -> Result<Started, SpawnError> {
        let key = &request.key;
        let blueprint = self.blueprint().for_request(request)?;
        self.creations.settle(key).await;
        self.clear(key, Duration::ZERO).await?;
        progress.report(60, "Creating the service");
        let outcome = async {
            let (id, name, state) = Box::pin(self.create(&blueprint, request)).await?;
            progress.report(70, "Waiting for a machine of the swarm");
            let url = self.started(&blueprint, key, (&id, &name), progress).await?;
            progress.report(80, "The container runs; waiting for the server in it");
            self.alive.insert(key);
            Ok(Started { url, state, resumed: false })
        };
        let outcome = outcome.await;
        if outcome.is_err() {
            // The first error is the one to tell.
            let _ = self.clear(key, Duration::ZERO).await;
        }
        outcome
    }

    async fn probe(&self, key: &ServerKey, _: &SavedState) -> Result<Liveness, SpawnError> {
        let blueprint = self.blueprint();
        let Some((id, service)) = self.current(key).await? else { return Ok(Liveness::Missing) };
        let seen = self.look(&id).await?;
        if let Doing::Ended { .. } = seen.doing {
            return Ok(Liveness::Exited(self.exit(&blueprint, &id, &seen).await));
        }
        match self.url(&blueprint, &name_of(&service), &seen)? {
            Some(url) => Ok(Liveness::Running { url, health: None }),
            None => Err(SpawnError::Backend {
                action: "find the server's address",
                hint: Some("the task has no port yet"),
                source: "no port status".into(),
            }),
        }
    }

    async fn stop(
        &self,
        key: &ServerKey,
        _: &SavedState,
        mode: StopMode,
    ) -> Result<(), SpawnError> {
        self.creations.settle(key).await;
        let grace = match mode {
            // A swarm ends tasks in one way: asked, and after the grace period ended.
            StopMode::Graceful | StopMode::Now => self.blueprint().stop_timeout,
        };
        self.clear(key, grace).await
    }

    async fn log(
        &self,
        key: &ServerKey,
        _: &SavedState,
        lines: usize,
    ) -> Result<Option<String>, SpawnError> {
        let Some((id, _)) = self.current(key).await? else { return Ok(None) };
        let log = self.engine.service_log(&id, lines).await;
        Ok(Some(log_text::tail(&log, lines, log_text::LOG_BYTES)))
    }

    async fn follow_log(
        &self,
        key: &ServerKey,
        _: &SavedState,
        lines: usize,
        pieces: mpsc::Sender<String>,
    ) -> Result<(), SpawnError> {
        let Some((id, _)) = self.current(key).await? else { return Ok(()) };
        let mut printed = std::pin::pin!(self.engine.service_log_follow(&id, lines, true));
        let mut whole = log_text::Lines::default();
        loop {
            let next = tokio::select! {
                biased;
                () = pieces.closed() => return Ok(()),
                next = printed.next() => next,
                // The log of a service has no end: its task has.
                () = sleep(WATCH_PAUSE) => {
                    match self.look(&id).await?.doing {
                        Doing::Ended { .. } => None,
                        _ => continue,
                    }
                }
            };
            let (piece, is_last) = match next {
                Some(Ok(bytes)) => (whole.push(&bytes), false),
                Some(Err(_)) | None => (std::mem::take(&mut whole).rest(), true),
            };
            if !piece.is_empty() && pieces.send(piece).await.is_err() || is_last {
                return Ok(());
            }
        }
    }

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

    /// Not known: a server's machine may be any.
    async fn host_address(&self) -> Result<Option<IpAddr>, SpawnError> {
        Ok(None)
    }

    async fn found(&self) -> Result<Vec<ServerKey>, SpawnError> {
        let services = self.services(&labels::of_servers(&self.blueprint().deployment)).await?;
        let mut keys: Vec<ServerKey> =
            services.iter().filter_map(|service| labels::server_key(&labels_of(service))).collect();
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    async fn identify(&self, key: &ServerKey) -> Result<Vec<Found>, SpawnError> {
        let mut all = Vec::new();
        for service in self.find(key).await? {
            let id = service.id.clone().unwrap_or_default();
            let name = name_of(&service);
            let seen = self.look(&id).await?;
            all.push(Found {
                state: state(&id, &name),
                is_running: !matches!(seen.doing, Doing::Ended { .. }),
                // One that is kept as a secret is told to nobody.
                api_token: Environment::api_token(&spec::variables(&service)).cloned(),
                name,
            });
        }
        Ok(all)
    }

    async fn rename(&self, from: &ServerKey, to: &ServerKey) -> Result<(), SpawnError> {
        self.blueprint().check_rename(from, to)?;
        self.clear(from, Duration::ZERO).await
    }

    /// Nobody can tell which volumes there are on machines that run nothing.
    async fn rename_user(&self, from: &UserName, to: &UserName) -> Result<(), SpawnError> {
        let key = |user: &UserName| ServerKey::default_of(user.clone());
        let renamed = self.blueprint().check_rename(&key(from), &key(to));
        renamed.map_err(|_| SpawnError::Rejected {
            what: "renaming this user".to_owned(),
            reason: "volumes of the swarm's machines have the user's name in their own, and would \
                     stay behind"
                .to_owned(),
        })?;
        for server in self.found().await?.iter().filter(|server| server.user() == from) {
            self.clear(server, Duration::ZERO).await?;
        }
        Ok(())
    }

    fn choices(&self, key: &ServerKey, preset: &Preset) -> Vec<Choice> {
        self.blueprint().choices(key, preset)
    }

    fn lasting(&self, state: &SavedState) -> SavedState {
        system_users::lasting(state)
    }

    fn is_fetching(&self, key: &ServerKey) -> bool {
        self.fetches.contains(key)
    }

    fn kind(&self) -> &'static str {
        "swarm"
    }
}

fn state(id: &str, name: &str) -> SavedState {
    SavedState::default().with("object_id", id).with("object_name", name)
}

/// An address as a part of a URL.
fn literal(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}
