//! A container comes into being: what it is made of, and the call that makes it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bollard::models::ContainerCreateBody;
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use hub_names::ServerKey;

use super::{
    DockerSpawner,
    assignment::Assigned,
    blueprint::Blueprint,
    container::{self, Parts},
    error::{image_error, spawn_error},
    hook, identity, isolation, labels,
    reuse::Fate,
    system_users, volume,
};
use crate::{
    Environment, Progress, SavedState, SpawnError, StartRequest, Started,
    engine::{Engine, EngineError},
    log_text,
};

/// The calls under way that make containers.
///
/// One whose start was given up goes on here: whoever stops the server, or starts it
/// again, waits for its end, so that no container appears behind their back (SPN-34).
#[derive(Debug, Default)]
pub(super) struct Creations(Mutex<BTreeMap<ServerKey, Creation>>);

type Creation = Shared<BoxFuture<'static, Result<String, Arc<EngineError>>>>;

impl Creations {
    /// Makes a container and returns its id.
    async fn create(
        &self,
        engine: &Engine,
        key: &ServerKey,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<String, EngineError> {
        let (engine, name) = (engine.clone(), name.to_owned());
        self.run(key, async move { engine.create_container(&name, body).await }).await
    }

    /// Makes something for `key` by `call`, and returns its id.
    pub(super) async fn run(
        &self,
        key: &ServerKey,
        call: impl Future<Output = Result<String, EngineError>> + Send + 'static,
    ) -> Result<String, EngineError> {
        let call: Creation = call.map(|made| made.map_err(Arc::new)).boxed().shared();
        self.calls().insert(key.clone(), call.clone());
        let outcome = call.await;
        self.calls().remove(key);
        outcome.map_err(|error| Arc::try_unwrap(error).unwrap_or_else(|shared| shared.retold()))
    }

    /// Waits for the end of the call that makes the container of `key`, if there is one.
    pub(super) async fn settle(&self, key: &ServerKey) {
        let call = self.calls().get(key).cloned();
        if let Some(call) = call {
            let _ = call.await;
            self.calls().remove(key);
        }
    }

    fn calls(&self) -> MutexGuard<'_, BTreeMap<ServerKey, Creation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A container that is to be.
struct Draft {
    body: ContainerCreateBody,
    spec_hash: String,
    /// Whom it runs as on the host, where that is to be remembered.
    numbers: SavedState,
}

/// A container that is there.
struct Created {
    id: String,
    name: String,
    spec_hash: String,
    /// Whether it was kept from before.
    is_reused: bool,
}

impl DockerSpawner {
    /// Starts the server of `request`: in the container that was kept of it, or in a
    /// new one.
    pub(super) async fn start_once(
        &self,
        blueprint: &Blueprint,
        request: &StartRequest,
        progress: &Progress,
    ) -> Result<Started, SpawnError> {
        let key = &request.key;
        self.creations.settle(key).await;
        let there = self.find(key).await?;
        isolation::ensure(&self.engine, blueprint, key.user()).await?;
        let reservation = self.assignments.reserve(&self.engine, blueprint, key).await?;
        let draft = Box::pin(self.draft(blueprint, request, &reservation.assigned)).await?;
        let numbers = draft.numbers.clone();
        let created = match self.kept(there, blueprint, request, &draft, progress).await? {
            Some(created) => created,
            None => {
                progress.report(60, "Creating the container");
                self.create(blueprint, request, draft).await?
            }
        };
        drop(reservation);
        progress.report(70, "Starting the container");
        let launched = async {
            if !created.is_reused {
                isolation::join(&self.engine, blueprint, &created.id).await?;
            }
            let url = self.launch(&created.id).await?;
            hook::run(&self.engine, blueprint, &created.id, progress).await?;
            Ok(url)
        };
        match launched.await {
            Ok(url) => {
                progress.report(80, "The container runs; waiting for the server in it");
                let state = identity::state(&created.id, &created.name, Some(&created.spec_hash));
                let state = state.and(numbers);
                Ok(Started { url, state, resumed: created.is_reused })
            }
            Err(error) => {
                let error = self.with_last_words(&created.id, error).await;
                // The first error is the one to tell. What cannot be removed
                // now is found by its labels and replaced by the next start.
                let _ = match created.is_reused {
                    // It may hold work of the user's.
                    true => {
                        self.engine.kill(&created.id).await.map_err(|e| spawn_error("end it", e))
                    }
                    false => self.remove(&created.id).await,
                };
                Err(error)
            }
        }
    }

    /// `error` with what the server printed before it is ended for that (SPN-33).
    async fn with_last_words(&self, id: &str, error: SpawnError) -> SpawnError {
        if let SpawnError::Exited(_) = error {
            return error;
        }
        let log = self.engine.logs(id, log_text::TAIL_LINES).await.ok().flatten();
        let log = log.unwrap_or_default();
        let log_tail = log_text::tail(&log, log_text::TAIL_LINES, log_text::TAIL_BYTES);
        match log_tail.trim().is_empty() {
            true => error,
            false => SpawnError::GivenUp { log_tail, source: Box::new(error) },
        }
    }

    /// The container that was kept of a server, if it is started again. All others that
    /// are `there` are removed (SPN-11).
    async fn kept(
        &self,
        there: Vec<String>,
        blueprint: &Blueprint,
        request: &StartRequest,
        draft: &Draft,
        progress: &Progress,
    ) -> Result<Option<Created>, SpawnError> {
        let mut kept = None;
        for id in there {
            let Some(found) = self.inspect(&id).await? else { continue };
            // What it would be given may belong to somebody else by now.
            let may_be = !blueprint.remove
                && blueprint.gpu_pool.is_empty()
                && blueprint.host_ports.is_none()
                && kept.is_none();
            let fate = match may_be {
                true => {
                    let recipe = self.engine.recipe(&id).await;
                    let recipe =
                        recipe.map_err(|error| spawn_error("look at the server", error))?;
                    let recipe = recipe.unwrap_or_default();
                    let token = Environment::api_token(&recipe.environment);
                    let valid = request.kept_token.as_ref();
                    blueprint.reuse.decide(&found, token, &draft.spec_hash, valid)
                }
                false => Fate::Replaced("containers are not kept"),
            };
            match fate {
                Fate::Reused => {
                    progress.report(60, "Taking the container that was kept");
                    let hash = labels::spec_hash(&found.labels).unwrap_or_default().to_owned();
                    let name = found.name;
                    kept = Some(Created { id, name, spec_hash: hash, is_reused: true });
                }
                Fate::Replaced(why) => {
                    let message = format!("Removing a container that was left over: {why}");
                    progress.report(55, message);
                    self.remove(&id).await?;
                }
            }
        }
        Ok(kept)
    }

    /// What the container of `request` is made of. Its volumes are there afterwards.
    async fn draft(
        &self,
        blueprint: &Blueprint,
        request: &StartRequest,
        assigned: &Assigned,
    ) -> Result<Draft, SpawnError> {
        let (key, preset) = (&request.key, &request.preset);
        let account = match &blueprint.system_users {
            Some(users) => Some(users.account(key.user(), preset, &request.state).await?),
            None => None,
        };
        let numbers = system_users::remembered(blueprint, account.as_ref());
        let mounts = volume::ensure(&self.engine, blueprint, key, &preset.groups).await?;
        let command = self.command(blueprint).await?;
        let machine = self.machine().await?;
        let image_id = match blueprint.remove {
            true => None,
            false => self.image_id(blueprint).await?,
        };
        let parts = Parts { mounts, command, account, image_id, assigned };
        let (body, spec_hash) = container::create_body(blueprint, machine, request, parts)?;
        Ok(Draft { body, spec_hash, numbers })
    }

    /// Makes the container.
    async fn create(
        &self,
        blueprint: &Blueprint,
        request: &StartRequest,
        draft: Draft,
    ) -> Result<Created, SpawnError> {
        let key = &request.key;
        let Draft { body, spec_hash, .. } = draft;
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
        let made = match self.creations.create(&self.engine, key, &name, body.clone()).await {
            Err(error) if error.is_uncertain() => self.create_again(key, &name, body).await?,
            answer => answer,
        };
        match made {
            Ok(id) => Ok(Created { id, name, spec_hash, is_reused: false }),
            Err(EngineError::Conflict { .. }) => Err(SpawnError::NameTaken { name }),
            Err(error @ EngineError::NotFound { .. }) => Err(match error.text() {
                Some(text) if text.contains("network") => {
                    spawn_error("create the container", error)
                }
                // Only the image can be missing else.
                _ => image_error(&blueprint.image.to_string(), error),
            }),
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
        match self.creations.create(&self.engine, key, name, body).await {
            Err(error @ EngineError::Conflict { .. }) => {
                Ok(self.find(key).await?.into_iter().next().ok_or(error))
            }
            answer => Ok(answer),
        }
    }

    /// The id of the image, if the daemon tells: a filter before its socket may forbid
    /// the question.
    async fn image_id(&self, blueprint: &Blueprint) -> Result<Option<String>, SpawnError> {
        match self.engine.image_id(&blueprint.image.to_string()).await {
            Err(EngineError::Forbidden { .. } | EngineError::Refused { .. }) => Ok(None),
            answer => answer.map_err(|error| spawn_error("look at the image", error)),
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
}
