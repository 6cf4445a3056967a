//! A service comes into being: what it is made of, and the call that makes it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hub_names::ServerKey;
use secrecy::ExposeSecret;

use super::{
    SwarmSpawner,
    machines::{self, Machines},
    spec::{self, Secret, labels_of},
    state,
};
use crate::{
    SavedState, SpawnError, StartRequest,
    docker::{blueprint::Blueprint, error::spawn_error, labels, system_users},
    engine::{Credentials, EngineError},
};

impl SwarmSpawner {
    /// Makes the service of `request`, and returns its id, its name and what is to be
    /// remembered of it.
    pub(super) async fn create(
        &self,
        blueprint: &Blueprint,
        request: &StartRequest,
    ) -> Result<(String, String, SavedState), SpawnError> {
        let key = &request.key;
        let name = self.name(blueprint, key).await?;
        let credentials = Credentials::find(
            &blueprint.image,
            &blueprint.registry_auth,
            blueprint.config_dir.as_deref(),
        );
        let credentials = credentials.await.map_err(|error| SpawnError::Rejected {
            what: format!("the setting {}", error.key),
            reason: error.reason,
        })?;
        let secret = match self.swarm.token_secrets {
            true => Some(self.keep_token(blueprint, request, &name).await?),
            false => None,
        };
        let account = match &blueprint.system_users {
            Some(users) => Some(users.account(key.user(), &request.preset, &request.state).await?),
            None => None,
        };
        let numbers = system_users::remembered(blueprint, account.as_ref());
        let machines = self.machines(blueprint).await?;
        let spec = spec::service(
            blueprint,
            &self.swarm,
            &machines,
            request,
            &name,
            account.as_ref(),
            secret.as_ref(),
        )?;
        let engine = self.engine.clone();
        let call = async move { engine.create_service(spec, credentials).await };
        let id = match self.creations.run(key, call).await {
            Ok(id) => id,
            // Its answer may be all that was lost (API-5).
            Err(error) if error.is_uncertain() => match self.find(key).await?.pop() {
                Some(service) => service.id.unwrap_or_default(),
                None => return Err(spawn_error("create the service", error)),
            },
            Err(EngineError::Conflict { .. }) => return Err(SpawnError::NameTaken { name }),
            Err(error) => return Err(spawn_error("create the service", error)),
        };
        Ok((id.clone(), name.clone(), state(&id, &name).and(numbers)))
    }

    /// What bounds the server by the machines that there are.
    async fn machines(&self, blueprint: &Blueprint) -> Result<Machines, SpawnError> {
        let failed = |error| spawn_error("look at the swarm's machines", error);
        let nodes = self.engine.nodes().await.map_err(failed)?;
        let manager = self.engine.info().await.map_err(failed)?;
        Ok(Machines {
            memory: machines::smallest_memory(&nodes, blueprint, &self.swarm),
            log_driver: manager.log_driver,
        })
    }

    /// What the service is called: names of services are a swarm's alone.
    async fn name(&self, blueprint: &Blueprint, key: &ServerKey) -> Result<String, SpawnError> {
        let name = blueprint.names.container(key);
        let there = self.engine.service(&name).await;
        match there.map_err(|error| spawn_error("look for the service", error))? {
            None => Ok(name),
            Some(other) if !labels::is_of_deployment(&labels_of(&other), &blueprint.deployment) => {
                Err(SpawnError::NameTaken { name })
            }
            Some(_) => Ok(blueprint.names.unmistakable(key)),
        }
    }

    async fn keep_token(
        &self,
        blueprint: &Blueprint,
        request: &StartRequest,
        service: &str,
    ) -> Result<Secret, SpawnError> {
        let failed = |error| spawn_error("keep the token of the server", error);
        let labels = labels::of_secret(&blueprint.deployment, &request.key);
        self.engine.remove_secrets(&labels).await.map_err(failed)?;
        let data = STANDARD.encode(request.api_token.expose_secret());
        let name = format!("{service}-token");
        let id = self.engine.create_secret(&name, &labels, data).await.map_err(failed)?;
        Ok(Secret { id, name })
    }
}
