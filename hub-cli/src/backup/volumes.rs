//! Users' volumes at the Docker engine, whether or not a hub runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    time::Duration,
};

use anyhow::{Context, bail};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use hub_spawner::{
    docker::DockerConfig,
    engine::{ContainerSpec, ContainerSummary, Engine, EngineError, Mount, VolumeArchive},
};
use hub_store::UserName;

use super::{
    attributes::{self, Attributes, Unread},
    progress::Progress,
    volume_index::Index,
    volume_stream,
};
use crate::{args::UsageError, configuration, interrupt};

/// Where a volume is mounted to be emptied.
const WIPED: &str = "/hub-wipe";
/// How long it may take to remove a user's files.
const WIPE_DEADLINE: Duration = Duration::from_secs(60 * 60);
/// What tells that a volume has something in it: its own directory, and one more.
const FULL: usize = 2;

/// The engine that the hub's servers run at.
#[derive(Clone, Debug)]
pub(crate) struct Volumes {
    engine: Engine,
    config: DockerConfig,
}

impl Volumes {
    /// Connects to the engine that the configuration names.
    pub(crate) async fn connect(config: DockerConfig) -> anyhow::Result<Self> {
        Ok(Self::new(configuration::engine(&config).await?, config))
    }

    /// The volumes of users at an engine, by a hub's configuration.
    pub(crate) fn new(engine: Engine, config: DockerConfig) -> Self {
        Self { engine, config }
    }

    /// The names of a user's volumes: those that are labelled as such, and those
    /// that the configuration means and that exist.
    pub(crate) async fn of_user(&self, user: &UserName) -> anyhow::Result<BTreeSet<String>> {
        let labelled = self.engine.volumes(&self.config.volume_labels_of(user)).await?;
        let mut names: BTreeSet<String> = labelled.into_iter().map(|found| found.name).collect();
        let configured = self.config.volume_names_with_older_of(user).context("spawner.docker")?;
        for (name, older) in configured {
            if !names.contains(&name)
                && let Some(found) = self.first_of(user, &name, &older).await?
            {
                names.insert(found);
            }
        }
        Ok(names)
    }

    /// The volume that a server gets: the one called `name`, or without it the
    /// first that an older spawner has left.
    async fn first_of(
        &self,
        user: &UserName,
        name: &str,
        older: &[String],
    ) -> anyhow::Result<Option<String>> {
        if let Some(found) = self.engine.volume(name).await? {
            let fits = self.config.may_be_volume_of(&found.labels, user);
            return Ok(fits.then_some(found.name));
        }
        for name in older {
            if let Some(found) = self.engine.volume(name).await?
                && self.config.may_be_volume_of(&found.labels, user)
            {
                return Ok(Some(found.name));
            }
        }
        Ok(None)
    }

    /// The volumes of all users whom labels name.
    pub(crate) async fn of_all(&self) -> anyhow::Result<BTreeMap<UserName, BTreeSet<String>>> {
        let mut all: BTreeMap<UserName, BTreeSet<String>> = BTreeMap::new();
        for found in self.engine.volumes(&self.config.volume_labels()).await? {
            if let Some(owner) = DockerConfig::volume_owner(&found.labels)
                && let Ok(user) = owner.parse()
            {
                all.entry(user).or_default().insert(found.name);
            }
        }
        Ok(all)
    }

    /// The one volume that is meant: `wanted` if it is the user's, else the only
    /// one there is.
    pub(crate) async fn one_of(
        &self,
        user: &UserName,
        wanted: Option<&str>,
    ) -> anyhow::Result<Option<String>> {
        let names = self.of_user(user).await?;
        if let Some(wanted) = wanted {
            return match names.contains(wanted) {
                true => Ok(Some(wanted.to_owned())),
                false => Err(not_one_of(user, wanted, &names).into()),
            };
        }
        if names.len() > 1 {
            let error = UsageError {
                message: format!("{user} has {} volumes: {}", names.len(), listed(&names)),
                hint: "say which one with --volume".to_owned(),
            };
            return Err(error.into());
        }
        Ok(names.into_iter().next())
    }

    /// The volume to restore to, which is made if the user has none.
    pub(crate) async fn ensure_one_of(
        &self,
        user: &UserName,
        wanted: Option<&str>,
    ) -> anyhow::Result<String> {
        if wanted.is_none_or(|wanted| !self.configured(user).is_ok_and(|all| all.contains(wanted)))
            && let Some(name) = self.one_of(user, wanted).await?
        {
            return Ok(name);
        }
        let configured = self.configured(user)?;
        let name = match wanted {
            Some(wanted) => wanted.to_owned(),
            None if configured.len() > 1 => {
                let error = UsageError {
                    message: format!(
                        "{user} has {} volumes by the configuration: {}",
                        configured.len(),
                        listed(&configured)
                    ),
                    hint: "say which one with --volume".to_owned(),
                };
                return Err(error.into());
            }
            None => configured.into_iter().next().with_context(|| {
                format!("spawner.docker.volumes has no named volume that is {user}'s alone")
            })?,
        };
        let found = self.engine.ensure_volume(&name, &self.config.new_volume_labels(user)).await?;
        if !self.config.may_be_volume_of(&found.labels, user) {
            bail!("the volume {name} belongs to another user or hub");
        }
        Ok(name)
    }

    /// The containers of a user's servers.
    pub(crate) async fn servers(&self, user: &UserName) -> anyhow::Result<Vec<ContainerSummary>> {
        Ok(self.engine.containers(&self.config.server_labels_of(user)).await?)
    }

    /// Ends a server as the hub does.
    pub(crate) async fn stop(&self, server: &ContainerSummary) -> anyhow::Result<()> {
        let grace = Duration::from_secs(self.config.stop_timeout_seconds);
        Ok(self.engine.stop_container(&server.id, grace).await?)
    }

    /// Removes a server that does not run.
    pub(crate) async fn remove_server(&self, server: &ContainerSummary) -> anyhow::Result<()> {
        Ok(self.engine.remove_container(&server.id, false).await?)
    }

    /// The image through which volumes are reached: the one of the servers.
    pub(crate) fn image(&self) -> &str {
        &self.config.image
    }

    /// The attributes that the engine leaves out of a volume's archive. Why there
    /// are none is for whoever asked: an archive without them is better than none.
    pub(crate) async fn attributes(
        &self,
        volume: &str,
    ) -> anyhow::Result<Result<Attributes, Unread>> {
        self.ensure_image().await?;
        let list = attributes::list(&self.engine, &self.config.image, volume);
        self.undisturbed(volume, async { Ok(Box::pin(list).await) }).await
    }

    /// Writes what is in a volume to `out`, as a tar archive.
    pub(crate) async fn export(
        &self,
        volume: &str,
        attributes: Attributes,
        out: &mut impl Write,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let archive = self.archive(volume).await?;
        // Without any, no byte is touched.
        let outcome = match attributes.is_empty() {
            true => self.undisturbed(volume, copy(archive, out, progress)).await,
            false => {
                let archive = Box::pin(volume_stream::with_attributes(archive, attributes));
                self.undisturbed(volume, copy(archive, out, progress)).await
            }
        };
        if outcome.is_err() {
            self.tidy(volume).await;
        }
        outcome
    }

    /// Unpacks the archive that `open` opens into a volume.
    pub(crate) async fn import<R: Read>(
        &self,
        volume: &str,
        index: Index,
        open: impl FnOnce() -> anyhow::Result<R> + Send + 'static,
    ) -> anyhow::Result<()> {
        self.ensure_image().await?;
        let archive = volume_stream::stream(open, index);
        let import = Box::pin(self.engine.import_volume(volume, &self.config.image, archive));
        self.undisturbed(volume, async { Ok(import.await?) }).await
    }

    /// Whether a volume has nothing in it.
    pub(crate) async fn is_empty(&self, volume: &str) -> anyhow::Result<bool> {
        let mut archive = self.archive(volume).await?;
        let mut begin = Vec::new();
        while headers(&begin) < FULL {
            match archive.next().await {
                Some(part) => begin.extend_from_slice(&part?),
                None => return Ok(true),
            }
        }
        drop(archive);
        self.tidy(volume).await;
        Ok(false)
    }

    /// Removes everything in a volume. The volume itself stays, with its options
    /// and labels.
    pub(crate) async fn wipe(&self, volume: &str) -> anyhow::Result<()> {
        self.ensure_image().await?;
        let command = ["find", WIPED, "-mindepth", "1", "-delete"];
        let spec = ContainerSpec {
            command: Some(command.map(str::to_owned).to_vec()),
            entrypoint: Some(Vec::new()),
            user: Some("0".to_owned()),
            working_dir: Some("/".to_owned()),
            mounts: vec![Mount::volume(volume, WIPED)],
            // By which an interrupted one is found: a helper like the others.
            labels: Engine::volume_helper_labels(volume),
            ..ContainerSpec::new("", &self.config.image)
        };
        let run = Box::pin(async { Ok(self.engine.run_to_end(&spec, WIPE_DEADLINE).await?) });
        let done = self.undisturbed(volume, run).await?;
        if done.code != 0 {
            bail!(
                "the volume {volume} could not be emptied; the image {} says: {}",
                self.config.image,
                done.output.trim()
            );
        }
        Ok(())
    }

    /// Removes a volume and all that is in it.
    pub(crate) async fn remove(&self, volume: &str) -> anyhow::Result<()> {
        match self.engine.remove_volume(volume).await {
            Err(error @ EngineError::Conflict { .. }) => Err(anyhow::Error::new(error).context(
                format!("the volume {volume} is in use; remove the container that has it first"),
            )),
            other => Ok(other?),
        }
    }

    fn configured(&self, user: &UserName) -> anyhow::Result<BTreeSet<String>> {
        self.config.volume_names_of(user).context("spawner.docker")
    }

    async fn archive(&self, volume: &str) -> anyhow::Result<VolumeArchive> {
        self.ensure_image().await?;
        Ok(self.engine.export_volume(volume, &self.config.image).await?)
    }

    /// The image whose container lends its mount: the one of the servers.
    async fn ensure_image(&self) -> anyhow::Result<()> {
        let image = &self.config.image;
        if self.engine.image_exists(image).await? {
            return Ok(());
        }
        let reference = image.parse().context("spawner.docker.image")?;
        interrupt::until(Box::pin(self.engine.pull(&reference, |_| {}))).await?.with_context(|| {
            format!("volumes are reached through the image {image}, which is not there")
        })
    }

    /// Lets `work` go on until it is done or somebody presses Ctrl-C.
    async fn undisturbed<T>(
        &self,
        volume: &str,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        match interrupt::until(Box::pin(work)).await {
            Ok(done) => done,
            Err(interrupted) => {
                self.tidy(volume).await;
                Err(interrupted.into())
            }
        }
    }

    /// Removes the helper of a transfer that was given up. What cannot be removed
    /// now is removed by a later transfer.
    async fn tidy(&self, volume: &str) {
        let _ = self.engine.remove_volume_helpers(volume).await;
    }
}

/// Whether a container in this state may write.
pub(crate) fn is_alive(state: &str) -> bool {
    matches!(state, "running" | "paused" | "restarting")
}

async fn copy<E: Into<anyhow::Error>>(
    mut archive: impl Stream<Item = Result<Bytes, E>> + Unpin,
    out: &mut impl Write,
    progress: &Progress,
) -> anyhow::Result<()> {
    while let Some(part) = archive.next().await {
        let part = part.map_err(Into::into)?;
        out.write_all(&part)?;
        progress.add(part.len());
    }
    Ok(())
}

/// How many members of an archive begin in its first bytes, as far as that
/// matters.
fn headers(begin: &[u8]) -> usize {
    match tar::Archive::new(begin).entries() {
        Ok(entries) => entries.take(FULL).take_while(Result::is_ok).count(),
        Err(_) => 0,
    }
}

fn not_one_of(user: &UserName, wanted: &str, names: &BTreeSet<String>) -> UsageError {
    UsageError {
        message: format!("{user} has no volume {wanted}"),
        hint: match names.is_empty() {
            true => format!("{user} has no volume at all"),
            false => format!("{user} has: {}", listed(names)),
        },
    }
}

fn listed(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
