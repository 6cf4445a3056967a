//! Images: look, pull, build, import, name.

mod details;

use std::{collections::BTreeMap, collections::HashMap, path::Path};

use bollard::{
    models::CreateImageInfo,
    query_parameters::{
        BuildImageOptionsBuilder, CreateImageOptions, CreateImageOptionsBuilder,
        ListImagesOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder,
    },
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio::io::AsyncReadExt;

pub use details::ImageDetails;

use super::{
    Credentials, Engine, EngineError, ImageReference, Labels, PullEvent, dialect, label_filters,
};

/// How much of a file is read at once when it is streamed to the daemon.
const CHUNK_BYTES: usize = 256 * 1024;

/// What older daemons call an image without a name.
const UNNAMED: &str = "<none>:<none>";

/// An image in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSummary {
    /// The daemon's id.
    pub id: String,
    /// What it is called here, `path:tag`; empty if another took its name.
    pub tags: Vec<String>,
    /// What it is labelled with.
    pub labels: Labels,
}

/// What to build and how. `Build::new` is enough for a plain Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// The name the image gets, `path:tag`.
    pub tag: String,
    /// Path of the Dockerfile inside the context.
    pub dockerfile: String,
    /// Values of `ARG`s.
    pub args: BTreeMap<String, String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Network for `RUN` steps; `None` for the daemon's default, `host` to use
    /// the host's.
    pub network: Option<String>,
    /// Whether the base image is looked for in its registry even if present.
    pub pull: bool,
}

impl Build {
    /// A build of the `Dockerfile` in the context's root, named `tag`.
    pub fn new(tag: impl Into<String>) -> Self {
        Self {
            tag: tag.into(),
            dockerfile: "Dockerfile".to_owned(),
            args: BTreeMap::new(),
            labels: BTreeMap::new(),
            network: None,
            pull: false,
        }
    }
}

impl Engine {
    /// Whether the daemon has the image `name`.
    pub async fn image_exists(&self, name: &str) -> Result<bool, EngineError> {
        Ok(self.image_id(name).await?.is_some())
    }

    /// The id of the image called `name`, if the daemon has it.
    pub async fn image_id(&self, name: &str) -> Result<Option<String>, EngineError> {
        Ok(self.image(name).await?.map(|image| image.id))
    }

    /// The command an image runs when no other is given, if it has one.
    pub(crate) async fn image_command(&self, name: &str) -> Result<Vec<String>, EngineError> {
        Ok(self.image(name).await?.map(|image| image.command).unwrap_or_default())
    }

    /// Looks at the image called `name`; `None` if the daemon does not have it.
    pub async fn image(&self, name: &str) -> Result<Option<ImageDetails>, EngineError> {
        match self.read("look at an image", || self.docker.inspect_image(name)).await {
            Ok(image) => Ok(Some(details::details(image))),
            Err(EngineError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All images that carry every one of `labels`.
    pub async fn images(&self, labels: &Labels) -> Result<Vec<ImageSummary>, EngineError> {
        let options = ListImagesOptionsBuilder::new().filters(&label_filters(labels)).build();
        let found =
            self.read("list images", || self.docker.list_images(Some(options.clone()))).await?;
        let has = |one: &ImageSummary| dialect::carries(&one.labels, labels);
        Ok(found.into_iter().map(summary).filter(has).collect())
    }

    /// Fetches the image from its registry and reports on the way.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the pull; layers that are complete stay.
    ///
    /// # Errors
    ///
    /// [`EngineError::Refused`] with the daemon's words also when they come in
    /// the middle of an otherwise successful answer.
    pub async fn pull(
        &self,
        image: &ImageReference,
        on_progress: impl FnMut(PullEvent),
    ) -> Result<(), EngineError> {
        self.pull_as(image, None, on_progress).await
    }

    /// As [`Engine::pull`], with a login for the image's registry.
    pub async fn pull_as(
        &self,
        image: &ImageReference,
        credentials: Option<&Credentials>,
        mut on_progress: impl FnMut(PullEvent),
    ) -> Result<(), EngineError> {
        let credentials = credentials.map(Credentials::to_wire);
        let options =
            CreateImageOptionsBuilder::new().from_image(image.name()).tag(image.version()).build();
        let mut lines = std::pin::pin!(self.docker.create_image(Some(options), None, credentials));
        while let Some(line) = lines.next().await {
            let line = line.map_err(|cause| self.failed("pull an image", cause))?;
            on_progress(progress(line));
        }
        Ok(())
    }

    /// Builds an image from a context, a tar archive, with the daemon's classic
    /// builder, and reports each line it prints.
    pub async fn build(
        &self,
        context: Bytes,
        build: &Build,
        mut on_line: impl FnMut(&str),
    ) -> Result<(), EngineError> {
        let plain = |map: &BTreeMap<String, String>| -> HashMap<String, String> {
            map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let mut options = BuildImageOptionsBuilder::new()
            .t(&build.tag)
            .dockerfile(&build.dockerfile)
            .buildargs(&plain(&build.args))
            .labels(&plain(&build.labels))
            .rm(true)
            .forcerm(true);
        if let Some(network) = &build.network {
            options = options.networkmode(network);
        }
        if build.pull {
            options = options.pull("true");
        }
        let body = bollard::body_full(context);
        let mut lines = std::pin::pin!(self.docker.build_image(options.build(), None, Some(body)));
        while let Some(line) = lines.next().await {
            let line = line.map_err(|cause| self.failed("build an image", cause))?;
            let text = line.stream.or(line.status).unwrap_or_default();
            for text in text.lines().filter(|text| !text.trim().is_empty()) {
                on_line(text);
            }
        }
        Ok(())
    }

    /// Makes an image of one layer from a tar archive of a root file system.
    ///
    /// `changes` are Dockerfile lines applied on top, such as `CMD ["/serve"]`.
    pub async fn import(
        &self,
        root: Bytes,
        tag: &str,
        changes: &[&str],
    ) -> Result<(), EngineError> {
        self.import_stream(stream::once(std::future::ready(Ok(root))), tag, changes).await
    }

    /// As [`Engine::import`], from a file that is streamed.
    ///
    /// # Errors
    ///
    /// Also [`EngineError::Broken`] if the file cannot be read.
    pub async fn import_file(
        &self,
        root: &Path,
        tag: &str,
        changes: &[&str],
    ) -> Result<(), EngineError> {
        let file = tokio::fs::File::open(root).await.map_err(|cause| EngineError::Broken {
            action: "import an image",
            source: cause.into(),
        })?;
        self.import_stream(chunks(file), tag, changes).await
    }

    async fn import_stream(
        &self,
        root: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
        tag: &str,
        changes: &[&str],
    ) -> Result<(), EngineError> {
        let options: CreateImageOptions = CreateImageOptionsBuilder::new()
            .from_src("-")
            // Both in one: Podman does not look at a tag beside it.
            .repo(tag)
            .changes(changes.iter().map(|&line| line.to_owned()).collect())
            .build();
        self.docker
            .create_image(Some(options), Some(bollard::body_try_stream(root)), None)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await
            .map_err(|cause| self.failed("import an image", cause))
    }

    /// Gives the image `source` the further name `target`, `path:tag`.
    pub async fn tag(&self, source: &str, target: &str) -> Result<(), EngineError> {
        let (repo, tag) = split_tag(target);
        let options = TagImageOptionsBuilder::new().repo(repo).tag(tag).build();
        self.change("name an image", self.docker.tag_image(source, Some(options))).await
    }

    /// Takes a name away from an image, and with its last name the image; an image
    /// without a name is removed by its id. Succeeds if there is none.
    ///
    /// # Errors
    ///
    /// [`EngineError::Conflict`] if a container uses it.
    pub async fn remove_image(&self, name: &str) -> Result<(), EngineError> {
        let call = self.docker.remove_image(name, None::<RemoveImageOptions>, None);
        match self.change("remove an image", call).await {
            Ok(_) | Err(EngineError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn summary(found: bollard::models::ImageSummary) -> ImageSummary {
    ImageSummary {
        id: found.id,
        tags: found.repo_tags.into_iter().filter(|tag| tag != UNNAMED).collect(),
        labels: found.labels.into_iter().collect(),
    }
}

fn progress(line: CreateImageInfo) -> PullEvent {
    let detail = line.progress_detail.unwrap_or_default();
    let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
    PullEvent {
        layer: line.id,
        status: line.status.unwrap_or_default(),
        current: bytes(detail.current),
        total: bytes(detail.total),
    }
}

/// `path:tag` taken apart; the colon of a registry's port is not a tag's.
fn split_tag(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((repo, tag)) if !tag.contains('/') => (repo, tag),
        _ => (name, "latest"),
    }
}

fn chunks(file: tokio::fs::File) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    stream::try_unfold(file, async |mut file| {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let read = file.read_buf(&mut chunk).await?;
        Ok((read > 0).then(|| (Bytes::from(chunk), file)))
    })
}
