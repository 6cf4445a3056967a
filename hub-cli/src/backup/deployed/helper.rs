//! The container that `hub` runs in beside a deployed one: as the same user, with
//! the same variables, volumes and networks, and nothing else.

use std::{path::Path, time::Duration};

use anyhow::{Context, bail};
use hub_spawner::engine::{
    ContainerDetails, ContainerRecipe, ContainerSpec, Engine, Interactive, Mount, NetworkEnd,
    Streams,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::INPUT;
use crate::{
    backup::{
        container_file,
        form::{Compression, Form},
        writer::{self, ArchiveWriter},
    },
    interrupt,
};

/// How long saving or restoring a store may take.
const DEADLINE: Duration = Duration::from_secs(60 * 60);
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
#[derive(Debug, Default)]
pub(super) struct Job<'a> {
    /// The command line of `hub`.
    pub(super) arguments: Vec<String>,
    /// A file that it is given: what it is called there, and where it is here.
    pub(super) archive: Option<(&'static str, &'a Path)>,
    /// What it reads from its standard input.
    pub(super) passphrase: Option<&'a SecretString>,
    /// The file that it is to leave behind.
    pub(super) output: Option<String>,
    /// Volumes besides the hub's own, to read, and where they are mounted.
    pub(super) also: Vec<(String, String)>,
}

/// Runs a job and brings what it leaves behind to `to`; what it printed.
pub(super) async fn run(helper: &Helper<'_>, job: Job<'_>, to: &Path) -> anyhow::Result<String> {
    if job.output.is_some() {
        writer::refuse_existing(to)?;
    }
    let engine = helper.engine;
    let id = Box::pin(engine.create_container_from(&helper.spec(&job)))
        .await
        .context("the container that saves and restores could not be made")?;
    let outcome = match interrupt::until(Box::pin(helper.work(&id, job, to))).await {
        Ok(outcome) => outcome,
        Err(interrupted) => Err(interrupted.into()),
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
    fn spec(&self, job: &Job<'_>) -> ContainerSpec {
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
        spec.interactive = Interactive::Piped;
        spec
    }

    fn run_as(&self) -> u32 {
        self.hub.labels.get(RUN_AS).and_then(|user| user.parse().ok()).unwrap_or(ROOT)
    }

    async fn work(&self, id: &str, job: Job<'_>, to: &Path) -> anyhow::Result<String> {
        let engine = self.engine;
        if let Some((name, path)) = job.archive {
            let file = container_file::stream(name, path, self.run_as())
                .await
                .with_context(|| format!("{} cannot be read", path.display()))?;
            engine.put_archive(id, INPUT, file).await?;
        }
        let passphrase = job.passphrase.map(|secret| secret.expose_secret().as_bytes());
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let streams = Streams {
            input: passphrase.unwrap_or_default(),
            output: &mut output,
            errors: &mut errors,
        };
        let code = tokio::time::timeout(DEADLINE, engine.start_joined(id, streams))
            .await
            .context("the hub's container took too long")??;
        output.extend(errors);
        let said = String::from_utf8_lossy(&output).into_owned();
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
