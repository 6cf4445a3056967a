//! Containers: find, make, start, stop, look, listen, run something inside.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
    models::{ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum},
    query_parameters::{
        CreateContainerOptionsBuilder, InspectContainerOptions, KillContainerOptions,
        ListContainersOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
        StartContainerOptions, StopContainerOptionsBuilder,
    },
};
use futures_util::StreamExt;

use super::{CALL_DEADLINE, Engine, EngineError, Labels, label_filters};

/// How much longer than its grace period a stop may take.
const STOP_SLACK: Duration = Duration::from_secs(30);

/// How long a command inside a container may run.
const EXEC_DEADLINE: Duration = Duration::from_secs(600);

/// A container in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSummary {
    /// The daemon's id.
    pub id: String,
    /// Its name, without the slash the daemon puts in front.
    pub name: String,
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
    pub state: String,
    /// What it was labelled with.
    pub labels: Labels,
}

/// What a command inside a container left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecOutput {
    /// Its exit code.
    pub code: i64,
    /// What it printed to either stream.
    pub output: String,
}

/// What an inspection told, cut down to what we use (API-2, API-3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inspected {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) labels: Labels,
    pub(crate) state: InspectedState,
    /// Address in each network; absent while there is none.
    pub(crate) addresses: HashMap<String, IpAddr>,
    /// Where each published container port is reached on the host.
    pub(crate) published: HashMap<String, SocketAddr>,
    pub(crate) memory_limit: Option<u64>,
}

/// The state part of [`Inspected`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InspectedState {
    /// Made, but never started.
    Created,
    /// Also paused and restarting: it is there and may go on (SPN-26).
    Running,
    /// Its process ended.
    Exited { code: i64, oom_killed: bool, error: Option<String> },
    /// About to be gone.
    Removing,
}

impl Engine {
    /// All containers, also stopped ones, that carry every one of `labels`.
    pub async fn containers(&self, labels: &Labels) -> Result<Vec<ContainerSummary>, EngineError> {
        let filters = label_filters(labels);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self
            .read("list containers", || self.docker.list_containers(Some(options.clone())))
            .await?;
        Ok(found.into_iter().map(summary).collect())
    }

    /// Removes a container and its anonymous volumes. Succeeds if there is none
    /// or if its removal is under way; `force` ends it first if it runs.
    pub async fn remove_container(&self, id: &str, force: bool) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::new().v(true).force(force).build();
        let call = self.docker.remove_container(id, Some(options));
        match self.once("remove a container", CALL_DEADLINE, call).await {
            Ok(()) | Err(EngineError::NotFound { .. }) => Ok(()),
            // The same status also means "is running"; only the words differ.
            Err(EngineError::Conflict { text, .. }) if text.contains("already in progress") => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Ends a container's process at once. Succeeds if it does not run.
    pub async fn kill(&self, id: &str) -> Result<(), EngineError> {
        let call = self.docker.kill_container(id, None::<KillContainerOptions>);
        match self.once("kill a container", CALL_DEADLINE, call).await {
            Ok(()) | Err(EngineError::NotFound { .. } | EngineError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Asks a container's process to end, and ends it after `grace`. Succeeds if
    /// it does not run.
    pub async fn stop_container(&self, id: &str, grace: Duration) -> Result<(), EngineError> {
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        let call = self.docker.stop_container(id, Some(options));
        // Not counted as a call in flight: it mostly waits, and sixteen slow
        // stops would hold up everybody's start.
        match self.within("stop a container", grace + STOP_SLACK, call).await {
            Ok(()) | Err(EngineError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The last `tail` lines a container printed; `None` if there is no such
    /// container.
    pub async fn logs(&self, id: &str, tail: usize) -> Result<Option<String>, EngineError> {
        let options =
            LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&tail.to_string()).build();
        let lines = async {
            let mut text = Vec::new();
            let mut parts = std::pin::pin!(self.docker.logs(id, Some(options)));
            while let Some(part) = parts.next().await {
                text.extend_from_slice(&part?.into_bytes());
            }
            Ok(String::from_utf8_lossy(&text).into_owned())
        };
        match self.once("read a container's log", CALL_DEADLINE, lines).await {
            Ok(text) => Ok(Some(text)),
            Err(EngineError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Runs a command inside a running container and waits for its end.
    pub async fn exec(&self, id: &str, command: &[&str]) -> Result<ExecOutput, EngineError> {
        let options = CreateExecOptions {
            cmd: Some(command.iter().map(|&word| word.to_owned()).collect()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let run = async {
            let exec = self.docker.create_exec(id, options).await?;
            let started = self.docker.start_exec(&exec.id, None::<StartExecOptions>).await?;
            let mut text = Vec::new();
            if let StartExecResults::Attached { mut output, .. } = started {
                while let Some(part) = output.next().await {
                    text.extend_from_slice(&LogOutput::into_bytes(part?));
                }
            }
            let ended = self.docker.inspect_exec(&exec.id).await?;
            Ok(ExecOutput {
                code: ended.exit_code.unwrap_or(-1),
                output: String::from_utf8_lossy(&text).into_owned(),
            })
        };
        self.within("run a command in a container", EXEC_DEADLINE, run).await
    }

    /// Makes a container and returns its id.
    pub(crate) async fn create_container(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<String, EngineError> {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        // Boxed: the body makes this future larger than all the others together.
        let call = Box::pin(self.docker.create_container(Some(options), body));
        Ok(self.change("create a container", call).await?.id)
    }

    /// Starts a container. Succeeds if it runs.
    pub(crate) async fn start_container(&self, id: &str) -> Result<(), EngineError> {
        let call = self.docker.start_container(id, None::<StartContainerOptions>);
        self.change("start a container", call).await
    }

    /// Looks at a container by id or name; `None` if there is none.
    pub(crate) async fn inspect(&self, id: &str) -> Result<Option<Inspected>, EngineError> {
        let call = || self.docker.inspect_container(id, None::<InspectContainerOptions>);
        match self.read("look at a container", call).await {
            Ok(found) => Ok(Some(inspected(found))),
            Err(EngineError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn summary(found: bollard::models::ContainerSummary) -> ContainerSummary {
    let name = found.names.and_then(|names| names.into_iter().next()).unwrap_or_default();
    ContainerSummary {
        id: found.id.unwrap_or_default(),
        name: name.trim_start_matches('/').to_owned(),
        state: found.state.map(|state| state.to_string()).unwrap_or_default(),
        labels: found.labels.unwrap_or_default().into_iter().collect(),
    }
}

fn inspected(found: ContainerInspectResponse) -> Inspected {
    let settings = found.network_settings.unwrap_or_default();
    let addresses = settings.networks.unwrap_or_default().into_iter();
    let published = settings.ports.unwrap_or_default().into_iter();
    let memory = found.host_config.and_then(|host| host.memory).filter(|bytes| *bytes > 0);
    Inspected {
        id: found.id.unwrap_or_default(),
        name: found.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        labels: found
            .config
            .and_then(|config| config.labels)
            .unwrap_or_default()
            .into_iter()
            .collect(),
        state: state(found.state.unwrap_or_default()),
        addresses: addresses.filter_map(|(network, end)| Some((network, address(end)?))).collect(),
        published: published
            .filter_map(|(port, bindings)| {
                // An IPv4 and an IPv6 binding of the same port may both be there.
                let mut bound: Vec<SocketAddr> =
                    bindings?.into_iter().filter_map(binding).collect();
                bound.sort_by_key(SocketAddr::is_ipv6);
                Some((port, *bound.first()?))
            })
            .collect(),
        memory_limit: memory.and_then(|bytes| u64::try_from(bytes).ok()),
    }
}

fn state(found: bollard::models::ContainerState) -> InspectedState {
    use ContainerStateStatusEnum as Status;
    match found.status {
        Some(Status::CREATED) => InspectedState::Created,
        Some(Status::REMOVING) => InspectedState::Removing,
        Some(Status::RUNNING | Status::PAUSED | Status::RESTARTING | Status::STOPPING) => {
            InspectedState::Running
        }
        None | Some(Status::EMPTY) if found.running == Some(true) => InspectedState::Running,
        None | Some(Status::EMPTY | Status::EXITED | Status::DEAD) => InspectedState::Exited {
            code: found.exit_code.unwrap_or_default(),
            oom_killed: found.oom_killed.unwrap_or_default(),
            error: found.error.filter(|text| !text.is_empty()),
        },
    }
}

fn address(end: bollard::models::EndpointSettings) -> Option<IpAddr> {
    [end.ip_address, end.global_ipv6_address].into_iter().flatten().find_map(|ip| ip.parse().ok())
}

fn binding(found: bollard::models::PortBinding) -> Option<SocketAddr> {
    let ip: IpAddr = found.host_ip?.parse().ok()?;
    Some(SocketAddr::new(ip, found.host_port?.parse().ok()?))
}
