//! Named volumes: find, make, fill, remove.

mod transfer;

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
};

use bollard::{
    models::VolumeCreateRequest,
    query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions},
};
use tokio::sync::MutexGuard;

pub use transfer::VolumeArchive;

use super::{Engine, EngineError, Labels, dialect, label_filters};

/// A named volume of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSummary {
    /// Its name, unique at the daemon.
    pub name: String,
    /// What it was labelled with.
    pub labels: Labels,
}

impl Engine {
    /// All volumes that carry every one of `labels`.
    pub async fn volumes(&self, labels: &Labels) -> Result<Vec<VolumeSummary>, EngineError> {
        let options = ListVolumesOptionsBuilder::new().filters(&label_filters(labels)).build();
        let found =
            self.read("list volumes", || self.docker.list_volumes(Some(options.clone()))).await?;
        let has = |one: &VolumeSummary| dialect::carries(&one.labels, labels);
        Ok(found.volumes.unwrap_or_default().into_iter().map(summary).filter(has).collect())
    }

    /// The volume called `name`, if there is one.
    pub async fn volume(&self, name: &str) -> Result<Option<VolumeSummary>, EngineError> {
        match self.read("look at a volume", || self.docker.inspect_volume(name)).await {
            Ok(found) => Ok(Some(summary(found))),
            Err(EngineError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes sure that a volume is called `name` and returns it: an existing one
    /// with the labels it has, else a new one with these.
    pub async fn ensure_volume(
        &self,
        name: &str,
        labels: &Labels,
    ) -> Result<VolumeSummary, EngineError> {
        self.ensure_volume_by(name, labels, None).await
    }

    /// As [`Engine::ensure_volume`], but a new volume is made by `driver`, with these
    /// options of it.
    pub async fn ensure_volume_by(
        &self,
        name: &str,
        labels: &Labels,
        driver: Option<(&str, &BTreeMap<String, String>)>,
    ) -> Result<VolumeSummary, EngineError> {
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels.clone().into_iter().collect()),
            driver: driver.map(|(driver, _)| driver.to_owned()),
            driver_opts: driver.map(|(_, options)| options.clone().into_iter().collect()),
            ..VolumeCreateRequest::default()
        };
        // Creating a volume that exists answers with the existing one.
        self.change("create a volume", self.docker.create_volume(request)).await.map(summary)
    }

    /// Waits until nobody else of this process holds the volume called `name`.
    pub(crate) async fn hold_volume(&self, name: &str) -> MutexGuard<'_, ()> {
        let all = &self.shared.volumes;
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
        all[hash as usize % all.len()].lock().await
    }

    /// Removes a volume and what is in it. Succeeds if there is none.
    ///
    /// # Errors
    ///
    /// [`EngineError::Conflict`] while a container uses it.
    pub async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        let call = self.docker.remove_volume(name, None::<RemoveVolumeOptions>);
        match self.change("remove a volume", call).await {
            Ok(()) | Err(EngineError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn summary(found: bollard::models::Volume) -> VolumeSummary {
    VolumeSummary { name: found.name, labels: found.labels.into_iter().collect() }
}
