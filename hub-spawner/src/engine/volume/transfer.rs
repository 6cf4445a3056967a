//! What is in a volume, out of it and into it, as a tar archive.
//!
//! A container that is made but never started lends its mount: it works for
//! remote daemons, runs nothing of the image and needs nothing in it.

mod root;

use std::{io, pin::Pin};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use root::FirstBlock;

use crate::engine::{ContainerSpec, Engine, EngineError, Labels, Mount};

/// Marks the containers made here.
const HELPER: (&str, &str) = ("hub.kind", "volume-helper");

/// The volume a helper is for.
const FOR_VOLUME: &str = "hub.helper-volume";

/// The directory below the root at which a helper mounts the volume. No image
/// has it, so that the daemon copies nothing into an empty volume.
const DIRECTORY: &str = "hub-volume-helper";

/// A helper that is older than a new one by so many seconds was left behind by a
/// process that was killed. That process cannot be looked for: it may have run
/// on another machine.
const STALE: i64 = 24 * 60 * 60;

/// The archive of a volume, on its way.
pub type VolumeArchive = Pin<Box<dyn Stream<Item = Result<Bytes, EngineError>> + Send>>;

impl Engine {
    /// What is in `volume`, as a tar archive with names that begin with `./`.
    /// The volume is mounted read-only.
    ///
    /// `image` is any image the daemon has; nothing of it runs. The container
    /// that lends the mount is removed at the end of the stream, also after an
    /// error. After dropping the stream half-way call
    /// [`Engine::remove_volume_helpers`].
    ///
    /// # Errors
    ///
    /// [`EngineError::NotFound`] if there is no such volume or image.
    pub async fn export_volume(
        &self,
        volume: &str,
        image: &str,
    ) -> Result<VolumeArchive, EngineError> {
        let mount = Mount::volume(volume, format!("/{DIRECTORY}")).read_only();
        let id = self.volume_helper(volume, image, mount).await?;
        let content = self.get_archive(&id, &format!("/{DIRECTORY}/."));
        let engine = self.clone();
        // The stream's last act, before it says that it is at its end.
        let farewell =
            stream::once(async move { engine.remove_container(&id, true).await.err().map(Err) });
        Ok(Box::pin(content.chain(farewell.filter_map(std::future::ready))))
    }

    /// Unpacks a tar archive into `volume`, which has to exist. What is there
    /// and in the archive is replaced, the rest stays. If the archive begins
    /// with the directory `./`, the volume's own gets its owner and mode.
    ///
    /// # Cancellation
    ///
    /// After dropping the future call [`Engine::remove_volume_helpers`].
    ///
    /// # Errors
    ///
    /// As [`Engine::put_archive`]; [`EngineError::NotFound`] if there is no such
    /// volume or image.
    pub async fn import_volume(
        &self,
        volume: &str,
        image: &str,
        archive: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), EngineError> {
        let mount = Mount::volume(volume, format!("/{DIRECTORY}"));
        let id = self.volume_helper(volume, image, mount).await?;
        let outcome = self.unpack(&id, archive).await;
        let removed = self.remove_container(&id, true).await;
        outcome.and(removed)
    }

    /// Removes the containers through which archives of `volume` were moved and
    /// that nobody removed, because the one who made them was interrupted.
    /// Transfers of the volume that are under way fail.
    pub async fn remove_volume_helpers(&self, volume: &str) -> Result<(), EngineError> {
        for helper in self.containers(&helpers_of(volume)).await? {
            self.remove_container(&helper.id, true).await?;
        }
        Ok(())
    }

    /// The labels by which [`Engine::remove_volume_helpers`] finds what it removes:
    /// for containers that do something else to a volume.
    pub fn volume_helper_labels(volume: &str) -> Labels {
        helpers_of(volume)
    }

    async fn unpack(
        &self,
        helper: &str,
        archive: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), EngineError> {
        let first = FirstBlock::default();
        self.put_archive(helper, &format!("/{DIRECTORY}"), first.of(archive)).await?;
        match first.as_archive(DIRECTORY) {
            Some(root) => self.put_archive(helper, "/", stream::iter([Ok(root)])).await,
            None => Ok(()),
        }
    }

    async fn volume_helper(
        &self,
        volume: &str,
        image: &str,
        mount: Mount,
    ) -> Result<String, EngineError> {
        // The daemon would make a missing one, empty and without labels.
        if self.volume(volume).await?.is_none() {
            let text = format!("there is no volume {volume}");
            return Err(EngineError::NotFound { action: "mount a volume", text });
        }
        let spec = ContainerSpec {
            labels: helpers_of(volume),
            mounts: vec![mount],
            // An image may come without; a container may not.
            command: Some(vec!["never-started".to_owned()]),
            ..ContainerSpec::new("", image)
        };
        let id = self.create_container_from(&spec).await?;
        match self.remove_stale_helpers(volume, &id).await {
            Ok(()) => Ok(id),
            Err(error) => {
                let _ = self.remove_container(&id, true).await;
                Err(error)
            }
        }
    }

    async fn remove_stale_helpers(&self, volume: &str, newest: &str) -> Result<(), EngineError> {
        let all = self.containers(&helpers_of(volume)).await?;
        let made = all.iter().find(|helper| helper.id == newest).map_or(0, |ours| ours.created);
        for old in all.iter().filter(|helper| made - helper.created > STALE) {
            self.remove_container(&old.id, true).await?;
        }
        Ok(())
    }
}

fn helpers_of(volume: &str) -> Labels {
    let (key, value) = HELPER;
    [(key.to_owned(), value.to_owned()), (FOR_VOLUME.to_owned(), volume.to_owned())].into()
}
