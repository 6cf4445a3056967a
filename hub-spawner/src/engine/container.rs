//! Containers: find, make, start, stop, look, run something inside.

mod attach;
mod details;
mod fingerprint;
mod recipe;
mod run;
mod spec;
mod update;

use std::time::Duration;

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
    models::{ContainerCreateBody, ContainerInspectResponse},
    query_parameters::{
        CreateContainerOptionsBuilder, InspectContainerOptions, KillContainerOptionsBuilder,
        ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder,
        StartContainerOptions, StopContainerOptionsBuilder,
    },
};
use bytes::Bytes;
use futures_util::StreamExt;

pub use attach::Streams;
pub use details::{ContainerDetails, ContainerMount, ContainerState};
pub use recipe::ContainerRecipe;
pub use run::RunOutput;
pub use spec::{
    ContainerSpec, HealthCheck, Interactive, LogRotation, Mount, MountSource, NetworkEnd,
    PublishedPort, RestartPolicy,
};
pub use update::ContainerLimits;

use super::{CALL_DEADLINE, Engine, EngineError, Labels, dialect, label_filters, transport};

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
    /// What its image was called when it was made.
    pub image: String,
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
    pub state: String,
    /// What it was labelled with.
    pub labels: Labels,
    /// When it was made, in seconds since 1970 by the daemon's clock.
    pub created: i64,
}

/// What a command inside a container left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecOutput {
    /// Its exit code.
    pub code: i64,
    /// What it printed to either stream.
    pub output: String,
}

impl Engine {
    /// All containers, also stopped ones, that carry every one of `labels`.
    pub async fn containers(&self, labels: &Labels) -> Result<Vec<ContainerSummary>, EngineError> {
        const ACTION: &str = "list containers";
        let filters = label_filters(labels);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.read(ACTION, || self.docker.list_containers(Some(options.clone()))).await;
        let found = match found {
            Err(error) if error.is_unreadable() => {
                // The labels are looked at here as well.
                let answer = self.answer(ACTION, "/containers/json?all=true").await?;
                dialect::list(&answer).map_err(|_| error)?
            }
            other => other?,
        };
        let has = |one: &ContainerSummary| dialect::carries(&one.labels, labels);
        Ok(found.into_iter().map(summary).filter(has).collect())
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
        match self.signal(id, "SIGKILL").await {
            Ok(()) | Err(EngineError::NotFound { .. } | EngineError::Conflict { .. }) => Ok(()),
            Err(EngineError::Refused { text, .. }) if dialect::is_not_running(&text) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends a container's process a signal, such as `SIGHUP`.
    ///
    /// # Errors
    ///
    /// [`EngineError::NotFound`] if there is no such container,
    /// [`EngineError::Conflict`] if it does not run.
    pub async fn signal(&self, id: &str, signal: &str) -> Result<(), EngineError> {
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        let call = self.docker.kill_container(id, Some(options));
        self.once("signal a container", CALL_DEADLINE, call).await
    }

    /// Asks a container's process to end, and ends it after `grace`. Succeeds if
    /// it does not run.
    pub async fn stop_container(&self, id: &str, grace: Duration) -> Result<(), EngineError> {
        match self.stop_once(id, grace).await {
            Err(EngineError::Refused { text, .. }) if dialect::is_paused(&text) => {
                let call = self.docker.unpause_container(id);
                match self.once("let a paused container go on", CALL_DEADLINE, call).await {
                    Ok(()) | Err(EngineError::NotFound { .. }) => self.stop_once(id, grace).await,
                    Err(error) => Err(error),
                }
            }
            answer => answer,
        }
    }

    async fn stop_once(&self, id: &str, grace: Duration) -> Result<(), EngineError> {
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

    /// Makes a container as `spec` wants it, in all its networks, and returns its
    /// id. It is not started.
    ///
    /// # Errors
    ///
    /// [`EngineError::NotFound`] if the image or a network is missing,
    /// [`EngineError::Conflict`] if the name is taken. Nothing is left behind,
    /// except after [`EngineError::TimedOut`] and its like: then it was looked for
    /// once, but the daemon may still be at work (API-5).
    pub async fn create_container_from(&self, spec: &ContainerSpec) -> Result<String, EngineError> {
        // Boxed: the wire model's body would make callers' futures large.
        Box::pin(self.create_and_connect(spec)).await
    }

    async fn create_and_connect(&self, spec: &ContainerSpec) -> Result<String, EngineError> {
        // A daemon that does not tell keeps its own way.
        let log_driver = match spec.log {
            Some(_) => self.info().await.map(|info| info.log_driver).unwrap_or_default(),
            None => String::new(),
        };
        let id = match self.create_container(&spec.name, spec.body(&log_driver)).await {
            Err(error) if error.is_uncertain() => match self.made_after_all(spec).await {
                Some(id) => id,
                None => return Err(error),
            },
            answer => answer?,
        };
        // Before API 1.44 a container is created in one network at most.
        for end in spec.networks.iter().skip(1) {
            if let Err(error) = self.connect_network(&end.network, &id, &end.aliases).await {
                let _ = self.remove_container(&id, true).await;
                return Err(error);
            }
        }
        Ok(id)
    }

    /// The container of `spec`, if the daemon made it and only its answer was lost.
    async fn made_after_all(&self, spec: &ContainerSpec) -> Option<String> {
        if spec.name.is_empty() {
            return None;
        }
        let found = self.inspect(&spec.name).await.ok()??;
        let ours = dialect::carries(&found.labels, &spec.labels);
        (ours && found.state == ContainerState::Created).then_some(found.id)
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
    pub async fn start_container(&self, id: &str) -> Result<(), EngineError> {
        let call = self.docker.start_container(id, None::<StartContainerOptions>);
        self.change("start a container", call).await
    }

    /// Gives a container another name; it may run.
    ///
    /// # Errors
    ///
    /// [`EngineError::Conflict`] if the name is taken.
    pub async fn rename_container(&self, id: &str, name: &str) -> Result<(), EngineError> {
        let options = RenameContainerOptionsBuilder::new().name(name).build();
        self.change("rename a container", self.docker.rename_container(id, options)).await
    }

    /// Looks at a container by id or name; `None` if there is none.
    pub async fn inspect(&self, id: &str) -> Result<Option<ContainerDetails>, EngineError> {
        Ok(self.inspection(id).await?.map(details::details))
    }

    /// All that the daemon tells of a container, or as much as can be read.
    async fn inspection(&self, id: &str) -> Result<Option<ContainerInspectResponse>, EngineError> {
        const ACTION: &str = "look at a container";
        let call = || self.docker.inspect_container(id, None::<InspectContainerOptions>);
        match self.read(ACTION, call).await {
            Ok(found) => Ok(Some(found)),
            Err(EngineError::NotFound { .. }) => Ok(None),
            Err(error) if error.is_unreadable() => {
                let answer = self.answer(ACTION, &format!("/containers/{id}/json")).await?;
                dialect::inspection(&answer).map(Some).map_err(|_| error)
            }
            Err(error) => Err(error),
        }
    }

    /// What the daemon says to `GET path`, as it stands (API-3).
    async fn answer(&self, action: &'static str, path: &str) -> Result<Bytes, EngineError> {
        let broken = |source| EngineError::Broken { action, source };
        let host = self.shared.host.as_ref().ok_or_else(|| broken("no address".into()))?;
        match tokio::time::timeout(CALL_DEADLINE, transport::get(host, path)).await {
            Ok(answer) => answer.map_err(broken),
            Err(_) => Err(EngineError::TimedOut { action, after: CALL_DEADLINE }),
        }
    }
}

fn summary(found: bollard::models::ContainerSummary) -> ContainerSummary {
    let name = found.names.and_then(|names| names.into_iter().next()).unwrap_or_default();
    ContainerSummary {
        id: found.id.unwrap_or_default(),
        name: name.trim_start_matches('/').to_owned(),
        image: found.image.unwrap_or_default(),
        state: found.state.map(|state| state.to_string()).unwrap_or_default(),
        labels: found.labels.unwrap_or_default().into_iter().collect(),
        created: found.created.unwrap_or_default(),
    }
}
