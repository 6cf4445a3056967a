//! Containers that are there: launched, found, looked at, removed.

use std::time::Duration;

use hub_names::ServerKey;
use tokio::time::Instant;
use url::Url;

use super::{DockerSpawner, address, blueprint::Reach, error::spawn_error, identity, labels};
use crate::{
    Exit, SavedState, SpawnError,
    engine::{ContainerDetails, ContainerState},
    exit::KILLED,
    log_text,
};

/// How long a container may be without an address after its start (SPN-19).
const ADDRESS_DEADLINE: Duration = Duration::from_secs(5);

/// How long a removed container may still be there (SPN-23).
const GONE_DEADLINE: Duration = Duration::from_secs(30);

/// Pause between two looks at a container that is about to change.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

impl DockerSpawner {
    /// Starts a container and waits until it has an address.
    pub(super) async fn launch(&self, id: &str) -> Result<Url, SpawnError> {
        self.engine
            .start_container(id)
            .await
            .map_err(|error| spawn_error("start the container", error))?;
        self.address(id).await
    }

    /// Where a running container is reached. The address may be missing for a
    /// moment after the start (SPN-19).
    pub(super) async fn address(&self, id: &str) -> Result<Url, SpawnError> {
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
                            Reach::Network | Reach::Name => {
                                "the container got no address in its network"
                            }
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
    pub(super) async fn exit(&self, found: &ContainerDetails) -> Result<Exit, SpawnError> {
        let (code, oom_killed, error, finished_at) = match &found.state {
            ContainerState::Exited { code, oom_killed, error, finished_at } => {
                let may_be = *code == KILLED && found.memory_limit.is_some();
                let oom_killed = *oom_killed
                    || may_be
                        && self
                            .engine
                            .reported_out_of_memory(&found.id)
                            .await
                            .map_err(|error| spawn_error("look for reports", error))?;
                (*code, oom_killed, error.clone(), finished_at.clone())
            }
            ContainerState::Created => (0, false, Some("it was never started".to_owned()), None),
            ContainerState::Running | ContainerState::Removing => (0, false, None, None),
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
            finished_at,
            log_tail: log_text::tail(&log, log_text::TAIL_LINES, log_text::TAIL_BYTES),
            memory_limit: found.memory_limit,
        })
    }

    /// Ids of the containers of `key`. More than one only if a hub was killed at
    /// a bad moment.
    pub(super) async fn find(&self, key: &ServerKey) -> Result<Vec<String>, SpawnError> {
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
    pub(super) async fn current(
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

    pub(super) async fn inspect(&self, id: &str) -> Result<Option<ContainerDetails>, SpawnError> {
        self.engine.inspect(id).await.map_err(|error| spawn_error("look at the server", error))
    }

    /// Removes a container and waits until its name is free (SPN-23).
    pub(super) async fn remove(&self, id: &str) -> Result<(), SpawnError> {
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
