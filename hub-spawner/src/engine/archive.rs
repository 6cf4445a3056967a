//! Files in and out of containers, as tar archives.
//!
//! Both ways stream: the daemon is read from, and written to, no faster than
//! the other side keeps up, and nothing is collected in memory. A container
//! need not run, nor ever have run: the daemon mounts its volumes for the
//! moment. The archives hold numeric owners, modes, times, links and file
//! capabilities; attributes of the kind `user.*` are left out by the daemon.

use std::io;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use super::{Engine, EngineError, Labels};

impl Engine {
    /// Unpacks a tar archive below the directory `path` of a container. What is
    /// there and in the archive is replaced; a directory never by a file.
    ///
    /// # Errors
    ///
    /// [`EngineError::NotFound`] if there is no such container or directory,
    /// [`EngineError::Refused`] if the archive is damaged, `path` is mounted
    /// read-only or the disk is full. What was unpacked before stays.
    /// [`EngineError::Broken`] with the cause if `archive` ends with an error.
    pub async fn put_archive(
        &self,
        id: &str,
        path: &str,
        archive: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), EngineError> {
        let options = UploadToContainerOptionsBuilder::new()
            .path(path)
            .no_overwrite_dir_non_dir("true")
            .build();
        let body = bollard::body_try_stream(archive);
        self.docker
            .upload_to_container(id, Some(options), body)
            .await
            .map_err(|cause| self.failed("unpack an archive", cause))
    }

    /// Whether there is a file or directory `path` in a container, its mounts included.
    ///
    /// # Errors
    ///
    /// When the daemon cannot be asked. No container is no path.
    pub async fn has_path(&self, id: &str, path: &str) -> Result<bool, EngineError> {
        let options = ContainerArchiveInfoOptionsBuilder::new().path(path).build();
        let call = || self.docker.get_container_archive_info(id, Some(options.clone()));
        match self.read("look for a path in a container", call).await {
            Ok(_) => Ok(true),
            Err(EngineError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A container that is never started and lends the host directory `path`, which the
    /// daemon makes if it has to, at `/{directory}`.
    pub(crate) async fn host_helper(
        &self,
        image: &str,
        path: &str,
        directory: &str,
        labels: &Labels,
    ) -> Result<String, EngineError> {
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            cmd: Some(vec!["never-started".to_owned()]),
            labels: Some(labels.clone().into_iter().collect()),
            host_config: Some(HostConfig {
                binds: Some(vec![format!("{path}:/{directory}:rw")]),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        self.create_container("", body).await
    }

    /// The file or directory `path` of a container as a tar archive. Names in it
    /// begin with the last part of `path`; end it with `/.` to have the names
    /// begin with `./`.
    ///
    /// # Errors
    ///
    /// The first item is [`EngineError::NotFound`] if there is no such container
    /// or path. After any error the archive is worthless.
    pub fn get_archive(
        &self,
        id: &str,
        path: &str,
    ) -> impl Stream<Item = Result<Bytes, EngineError>> + Send + Unpin + use<> {
        let engine = self.clone();
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        self.docker
            .download_from_container(id, Some(options))
            .map(move |part| part.map_err(|cause| engine.failed("pack an archive", cause)))
    }
}
