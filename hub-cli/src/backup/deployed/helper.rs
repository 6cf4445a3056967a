//! The container that `hub` runs in beside a deployed one: as the same user, with
//! the same variables, volumes and networks, and nothing else.

use std::{path::Path, time::Duration};

use anyhow::{Context, bail};
use bytes::Bytes;
use futures_util::stream;
use hub_spawner::engine::{
    ContainerDetails, ContainerRecipe, ContainerSpec, Engine, Mount, NetworkEnd,
};

use super::INPUT;
use crate::backup::{
    container_file,
    form::{Compression, Form},
    writer::{self, ArchiveWriter},
};

/// How long saving or restoring a store may take.
const DEADLINE: Duration = Duration::from_secs(60 * 60);
/// How much of what it said is told.
const LINES: usize = 200;
/// The user it runs as, from the label that the deployment gave the hub.
const RUN_AS: &str = "hub.run-as";
const ROOT: u32 = 0;

/// What the container is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Helper<'a> {
    pub(super) engine: &'a Engine,
    pub(super) deployment: &'a str,
    pub(super) hub: &'a ContainerDetails,
    pub(super) recipe: &'a ContainerRecipe,
}

/// What it does.
#[derive(Debug)]
pub(super) struct Job {
    /// The command line of `hub`.
    pub(super) arguments: Vec<String>,
    /// Files that it is given: name and content.
    pub(super) input: Vec<(&'static str, Vec<u8>)>,
    /// The file that it is to leave behind.
    pub(super) output: Option<String>,
    /// Volumes besides the hub's own, to read, and where they are mounted.
    pub(super) also: Vec<(String, String)>,
}

/// Runs a job and brings what it leaves behind to `to`; what it printed.
pub(super) async fn run(helper: &Helper<'_>, job: Job, to: &Path) -> anyhow::Result<String> {
    if job.output.is_some() {
        writer::refuse_existing(to)?;
    }
    let engine = helper.engine;
    let id = Box::pin(engine.create_container_from(&helper.spec(&job)))
        .await
        .context("the container that saves and restores could not be made")?;
    let outcome = tokio::select! {
        outcome = Box::pin(helper.work(&id, job, to)) => outcome,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    let removed = engine.remove_container(&id, true).await;
    let said = outcome?;
    removed?;
    Ok(said)
}

/// The named volumes of a container, and where they are mounted.
pub(super) fn volumes(container: &ContainerDetails) -> Vec<(String, String)> {
    let named = container
        .mounts
        .iter()
        .filter(|mount| !mount.source.is_empty() && !mount.source.starts_with('/'));
    named.map(|mount| (mount.source.clone(), mount.target.clone())).collect()
}

impl Helper<'_> {
    fn spec(&self, job: &Job) -> ContainerSpec {
        let owned = volumes(self.hub).into_iter();
        let mut mounts: Vec<Mount> =
            owned.map(|(name, target)| Mount::volume(name, target)).collect();
        let further = job.also.iter();
        mounts.extend(further.map(|(name, target)| Mount::volume(name, target).read_only()));
        let labels = [("hub.deployment", self.deployment), ("hub.kind", "helper")];
        let mut spec = ContainerSpec::new("", &self.hub.image_id);
        spec.entrypoint = Some(vec!["/usr/bin/hub".to_owned()]);
        spec.command = Some(job.arguments.clone());
        spec.env = self.recipe.environment.clone();
        spec.labels =
            labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect();
        spec.user = Some(format!("{0}:{0}", self.run_as()));
        spec.working_dir = volumes(self.hub).into_iter().next().map(|(_, target)| target);
        spec.mounts = mounts;
        // The store may be a database in one of them.
        spec.networks = self.hub.networks.iter().map(NetworkEnd::new).collect();
        spec.cap_drop = vec!["ALL".to_owned()];
        if self.run_as() == ROOT {
            // To read what is the proxy's.
            spec.cap_add = vec!["DAC_OVERRIDE".to_owned()];
        }
        spec.security_opt = vec!["no-new-privileges".to_owned()];
        spec
    }

    fn run_as(&self) -> u32 {
        self.hub.labels.get(RUN_AS).and_then(|user| user.parse().ok()).unwrap_or(ROOT)
    }

    async fn work(&self, id: &str, job: Job, to: &Path) -> anyhow::Result<String> {
        let engine = self.engine;
        if !job.input.is_empty() {
            let archive = Bytes::from(container_file::pack(&job.input, self.run_as())?);
            let whole = stream::once(std::future::ready(Ok(archive)));
            engine.put_archive(id, INPUT, whole).await?;
        }
        engine.start_container(id).await?;
        let code = tokio::time::timeout(DEADLINE, engine.wait_container(id))
            .await
            .context("the hub's container took too long")??;
        let said = engine.logs(id, LINES).await?.unwrap_or_default();
        if code != 0 {
            bail!("in the deployment {}: {}", self.deployment, said.trim());
        }
        if let Some(path) = &job.output {
            let as_it_is = Form { compression: Compression::None, sealed: false };
            let mut out = ArchiveWriter::create(to, as_it_is, None)?;
            container_file::fetch(engine, id, path, &mut out).await?;
            out.finish()?;
        }
        Ok(said)
    }
}
