//! A new volume is given to those who are to write in it, once (SPN-9).
//!
//! A container that is made but never started marks it until then, so that a start that
//! is given up, or a hub that is killed, leaves no volume that stays root's.

use futures_util::stream;

use super::{
    blueprint::Blueprint,
    error::{image_error, spawn_error},
    labels, ownership,
};
use crate::{
    SpawnError,
    engine::{ContainerSpec, ContainerSummary, Engine, EngineError, Labels},
};

/// The kind of a marker.
const KIND: &str = "volume-init";

/// The volume it is for.
const VOLUME: &str = "hub.volume";

/// A volume that may have to be given away.
pub(super) struct NewVolume<'a> {
    pub(super) engine: &'a Engine,
    pub(super) blueprint: &'a Blueprint,
    pub(super) name: &'a str,
    /// Where it is mounted.
    pub(super) target: &'a str,
    /// Whether the daemon takes nothing over from the image.
    pub(super) begins_empty: bool,
}

impl NewVolume<'_> {
    /// Marks a volume that is not made yet. Returns whether it has to be given away:
    /// not if it is root's by choice, and not if the image has a directory at its place,
    /// of which the daemon takes the owner over.
    ///
    /// # Errors
    ///
    /// [`SpawnError::ImageUnavailable`] if the image is gone.
    pub(super) async fn mark(&self) -> Result<bool, SpawnError> {
        if self.is_roots() {
            return Ok(false);
        }
        let marked = match self.try_mark().await {
            // Whether there is a marker now is unknown: first it has to go (API-5).
            Err(error) if error.is_uncertain() => {
                self.unmark().await?;
                self.try_mark().await
            }
            outcome => outcome,
        };
        match marked {
            Ok(is_marked) => Ok(is_marked),
            Err(EngineError::Forbidden { text, .. }) => {
                self.warn(&text);
                self.unmark().await?;
                Ok(false)
            }
            Err(error) => {
                let _ = self.unmark().await;
                Err(self.failure(error))
            }
        }
    }

    async fn try_mark(&self) -> Result<bool, EngineError> {
        let mut labels = labels::of_kind(&self.blueprint.deployment, KIND);
        labels.insert(VOLUME.to_owned(), self.name.to_owned());
        let spec = ContainerSpec {
            labels,
            command: Some(vec!["never-started".to_owned()]),
            ..ContainerSpec::new("", self.blueprint.image.to_string())
        };
        let id = self.engine.create_container_from(&spec).await?;
        let is_in_image = !self.begins_empty && self.engine.has_path(&id, self.target).await?;
        if is_in_image {
            self.engine.remove_container(&id, true).await?;
        }
        Ok(!is_in_image)
    }

    /// Whether somebody began to give away a volume that exists.
    pub(super) async fn is_marked(&self) -> Result<bool, SpawnError> {
        if self.is_roots() {
            return Ok(false);
        }
        let found = self.engine.containers(&self.marks()).await;
        Ok(!found.map_err(|error| spawn_error("look for the volume", error))?.is_empty())
    }

    /// Takes the marks away.
    pub(super) async fn unmark(&self) -> Result<(), SpawnError> {
        let removed = async {
            for mark in self.engine.containers(&self.marks()).await? {
                self.engine.remove_container(&mark.id, true).await?;
            }
            Ok(())
        };
        removed.await.map_err(|error| spawn_error("remove a helper", error))
    }

    /// Gives away a marked volume, unless somebody else just did: servers that start at
    /// once may share it.
    ///
    /// # Errors
    ///
    /// When the daemon fails; the marks stay.
    pub(super) async fn give(&self) -> Result<(), SpawnError> {
        let _alone = self.engine.hold_volume(self.name).await;
        if !self.is_marked().await? {
            return Ok(());
        }
        // A start that was given up may have left its own.
        let failed = |error| spawn_error("remove a helper", error);
        self.engine.remove_volume_helpers(self.name).await.map_err(failed)?;
        let image = self.blueprint.image.to_string();
        let give = || give(self.engine, self.blueprint, self.name, &image);
        let given = match give().await {
            Err(error) if error.is_uncertain() => {
                self.engine.remove_volume_helpers(self.name).await.map_err(failed)?;
                give().await
            }
            outcome => outcome,
        };
        match given {
            Ok(()) => {}
            Err(EngineError::Forbidden { text, .. }) => self.warn(&text),
            Err(error) => return Err(self.failure(error)),
        }
        self.unmark().await
    }

    /// Whether it stays root's by choice.
    fn is_roots(&self) -> bool {
        let owner = self.blueprint.volume_owner;
        owner.uid == 0 && owner.gid == 0
    }

    fn marks(&self) -> Labels {
        let mut labels = labels::all_of_kind(&self.blueprint.deployment, KIND);
        labels.insert(VOLUME.to_owned(), self.name.to_owned());
        labels
    }

    /// A filter before the daemon's socket may forbid it.
    fn warn(&self, text: &str) {
        tracing::warn!(
            volume = self.name,
            "the new volume belongs to root where the image has no directory of its own \
             ({text}): let HEAD and PUT /containers/{{}}/archive through, or set \
             volume_owner = \"\""
        );
    }

    fn failure(&self, error: EngineError) -> SpawnError {
        match error {
            EngineError::NotFound { .. } => image_error(&self.blueprint.image.to_string(), error),
            error => spawn_error("give the volume to its user", error),
        }
    }
}

async fn give(
    engine: &Engine,
    blueprint: &Blueprint,
    volume: &str,
    image: &str,
) -> Result<(), EngineError> {
    let archive = ownership::of_volume(blueprint.volume_owner);
    engine.import_volume(volume, image, stream::iter([Ok(archive)])).await
}

/// Gives away what a hub that was killed did not, and removes the containers that it
/// lent mounts with. What goes wrong is told in the log, and tried again at the next
/// start that needs it.
pub(super) async fn sweep(engine: &Engine, blueprint: &Blueprint) {
    let of_kind = async |kind: &str| {
        let labels = labels::all_of_kind(&blueprint.deployment, kind);
        engine.containers(&labels).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "what a killed hub may have left behind is not looked for");
            Vec::new()
        })
    };
    for mark in of_kind(KIND).await {
        if let Err(error) = finish(engine, blueprint, &mark).await {
            let volume = mark.labels.get(VOLUME);
            tracing::warn!(volume, %error, "a volume is not given to its user yet");
        }
    }
    for helper in of_kind(ownership::HOST_HELPER).await {
        if let Err(error) = engine.remove_container(&helper.id, true).await {
            tracing::warn!(container = helper.id, %error, "a helper is not removed");
        }
    }
}

async fn finish(
    engine: &Engine,
    blueprint: &Blueprint,
    mark: &ContainerSummary,
) -> Result<(), EngineError> {
    if let Some(volume) = mark.labels.get(VOLUME)
        && engine.volume(volume).await?.is_some()
    {
        // Nobody else is at it yet.
        engine.remove_volume_helpers(volume).await?;
        give(engine, blueprint, volume, &mark.image).await?;
    }
    engine.remove_container(&mark.id, true).await
}
