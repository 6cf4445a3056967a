//! What servers are made of from the next start on, and what one of them is made
//! of.

use std::sync::Arc;

use hub_names::ServerKey;

use super::{DockerConfig, DockerSpawner, blueprint::Blueprint};
use crate::{Choice, InvalidConfig, Preset, SpawnError, StartRequest, engine::InvalidReference};

/// A configuration that is known to make sense, for servers that start later.
#[derive(Debug)]
pub struct DockerPlan(pub(super) Blueprint);

#[cfg(feature = "test-util")]
impl DockerConfig {
    /// What [`DockerSpawner::plan`] says of `next` where servers run by this one, for a
    /// daemon that is no other machine.
    ///
    /// # Errors
    ///
    /// The first setting that makes no sense, or that cannot change while servers run.
    pub fn check_next(&self, next: &Self) -> Result<(), InvalidConfig> {
        self::next(&Blueprint::read(self, None)?, next).map(drop)
    }
}

impl DockerSpawner {
    /// Reads a new configuration for servers that start from now on. Nothing
    /// changes until the plan is [adopted](Self::adopt).
    ///
    /// # Errors
    ///
    /// The first setting that makes no sense, or that cannot change while servers
    /// run: where the daemon is, and by which network and label servers are found.
    pub fn plan(&self, config: &DockerConfig) -> Result<DockerPlan, InvalidConfig> {
        next(&self.blueprint(), config).map(DockerPlan)
    }

    /// Makes servers as `plan` says from now on. Those that run keep their image, and
    /// their limits until [`set_limits`](crate::Spawner::set_limits); a start that is under way ends as it began.
    pub fn adopt(&self, plan: DockerPlan) {
        self.blueprint.store(Arc::new(plan.0));
    }

    pub(super) fn blueprint_for(
        &self,
        request: &StartRequest,
    ) -> Result<Arc<Blueprint>, SpawnError> {
        self.blueprint().for_request(request)
    }

    pub(super) fn check_rename(&self, from: &ServerKey, to: &ServerKey) -> Result<(), SpawnError> {
        self.blueprint().check_rename(from, to)
    }
}

/// What `config` makes of servers, if that may follow on what they are made of `now`.
pub(super) fn next(now: &Blueprint, config: &DockerConfig) -> Result<Blueprint, InvalidConfig> {
    let next = Blueprint::read(config, now.daemon)?;
    for (key, is_same) in [
        ("deployment", now.deployment == next.deployment),
        ("network", now.network == next.network),
        ("networks", now.networks == next.networks),
        ("isolation", now.isolation == next.isolation),
        ("host_ip", now.reach == next.reach),
        ("port", now.settings.port == next.settings.port),
    ] {
        if !is_same {
            return Err(InvalidConfig::new(key, "cannot change while the hub runs"));
        }
    }
    Ok(next)
}

impl Blueprint {
    /// What the server of `request` is made of: what all have in common, what the
    /// operator decided for this user, and what the user chose.
    pub(super) fn for_request(
        self: &Arc<Self>,
        request: &StartRequest,
    ) -> Result<Arc<Self>, SpawnError> {
        let own = self.for_user(&request.key, &request.preset)?;
        let chosen = match own.allowed_images.chosen(&request.options, own.offered(self))? {
            Some(image) => image,
            None => return Ok(own),
        };
        // The choice is for this start alone: the blueprint of all stays as it is.
        let mut own = Arc::unwrap_or_clone(own);
        own.image = chosen.parse().map_err(|error: InvalidReference| SpawnError::Rejected {
            what: "this choice of an image".to_owned(),
            reason: error.to_string(),
        })?;
        own.settings.image = Some(chosen);
        Ok(Arc::new(own))
    }

    /// What the servers of a user are made of if the user chooses nothing.
    pub(super) fn for_user(
        self: &Arc<Self>,
        key: &ServerKey,
        preset: &Preset,
    ) -> Result<Arc<Self>, SpawnError> {
        if self.overrides.is_empty() && *preset == Preset::default() {
            return Ok(Arc::clone(self));
        }
        self.with(key, preset).map(Arc::new).map_err(|error| SpawnError::Rejected {
            what: format!("the {} of this user", error.key),
            reason: error.reason,
        })
    }

    /// The image that the operator chose for a user whose blueprint this is, where it
    /// is another one than that of `all`: a form offers it beside those that users may
    /// choose from.
    fn offered(&self, all: &Self) -> Option<&str> {
        self.settings.image.as_deref().filter(|_| self.image != all.image)
    }

    /// What the form before a start shows to a user.
    pub(super) fn choices(self: &Arc<Self>, key: &ServerKey, preset: &Preset) -> Vec<Choice> {
        // What is wrong with it the start will say.
        let own = self.for_user(key, preset).unwrap_or_else(|_| Arc::clone(self));
        let default = own.settings.image.as_deref().unwrap_or_default();
        own.allowed_images.choices(default, own.offered(self))
    }

    /// Refuses a rename by which files would be lost from sight: those in a volume
    /// or directory that is named after the server.
    pub(super) fn check_rename(&self, from: &ServerKey, to: &ServerKey) -> Result<(), SpawnError> {
        let blueprint = self;
        let place = |key| {
            let names = &blueprint.names;
            let volumes = blueprint.volumes.iter().map(|one| one.render(names, key));
            let mounts = blueprint.mounts.iter().map(|one| one.render(names, key));
            (volumes.collect::<Vec<_>>(), mounts.collect::<Vec<_>>())
        };
        if place(from) == place(to) {
            return Ok(());
        }
        Err(SpawnError::Rejected {
            what: "renaming this server".to_owned(),
            reason: "its files are in a volume that has the server's name in its own, and would \
                     stay behind; change the display name instead"
                .to_owned(),
        })
    }
}
