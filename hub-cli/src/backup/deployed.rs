//! A hub that was deployed in a container. Its store and files are in a volume,
//! maybe of another machine, so this same program is run beside it: in a
//! container made from the hub's image, with the hub's variables and volumes.

mod helper;

use std::{
    fs::{self, File},
    io::Seek as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use hub_server::config::{Environment, Sources, SpawnerConfig};
use hub_spawner::{
    docker::DockerConfig,
    engine::{
        ContainerDetails, ContainerRecipe, ContainerState, DockerHost, Engine, Health, Labels,
    },
};
use hub_store::ServerKey;
use secrecy::{ExposeSecret as _, SecretString};

use self::helper::{Helper, Job};
use super::{
    container_file, form::Form, hub_archive, manifest::Manifest, passphrase, reader,
    volumes::Volumes,
};
use crate::{
    args::{Secrets, UsageError},
    interrupt,
};

/// How long the hub gets to finish open requests.
const GRACE: Duration = Duration::from_secs(30);
/// Where the helper finds what it is given.
const INPUT: &str = "/tmp";
/// How long a hub that was started again gets until it answers.
const HEALTHY_WITHIN: Duration = Duration::from_secs(5 * 60);
const POLL: Duration = Duration::from_millis(300);

/// A deployment's hub, found at the engine.
#[derive(Debug)]
pub(crate) struct Deployed {
    engine: Engine,
    name: String,
    hub: ContainerDetails,
    recipe: ContainerRecipe,
}

impl Deployed {
    /// Finds the hub of the deployment `name` at the engine that the environment
    /// names, as Docker's own tools do.
    ///
    /// # Errors
    ///
    /// When there is none; the error lists those there are.
    pub(crate) async fn find(name: &str, environment_only: bool) -> anyhow::Result<Self> {
        let engine = Engine::connect_to(&engine_host(environment_only)?).await?;
        let found = engine.inspect(name).await?;
        let Some(hub) = found.filter(|found| found.labels == with(&found.labels, name, "hub"))
        else {
            return Err(none_of(&engine, name).await?.into());
        };
        let recipe = engine.recipe(&hub.id).await?.context("the hub's container is gone")?;
        Ok(Self { engine, name: name.to_owned(), hub, recipe })
    }

    /// The users' volumes.
    pub(crate) async fn volumes(&self) -> anyhow::Result<Volumes> {
        let (engine, config) = self.servers().await?;
        Ok(Volumes::new(engine, config))
    }

    /// The engine that the hub's servers run at, and how they are made.
    pub(crate) async fn servers(&self) -> anyhow::Result<(Engine, DockerConfig)> {
        Ok((self.engine.clone(), self.spawner().await?.into_docker()?))
    }

    /// The servers that the hub's store knows.
    pub(crate) async fn known_servers(&self) -> anyhow::Result<Vec<ServerKey>> {
        let known = format!("{INPUT}/known");
        let mut arguments = words(&["gc", "--known", &known]);
        arguments.extend(self.config_arguments());
        let job = Job { arguments, output: Some(known), ..Job::default() };
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("known");
        helper::run(&self.helper(), job, &path).await?;
        serde_json::from_slice(&fs::read(&path)?).context("the list of the servers in the store")
    }

    /// Saves the hub to `path` and reads the archive again; what is in it, and
    /// the store.
    pub(crate) async fn save(
        &self,
        form: Form,
        secrets: &Secrets,
        passphrase: Option<&SecretString>,
        path: &Path,
    ) -> anyhow::Result<(Manifest, File)> {
        let archive = format!("{INPUT}/hub{}", form.suffix());
        let mut arguments = words(&["backup", "hub", "--output", &archive]);
        arguments.extend(self.config_arguments());
        let proxy = self.proxy().await?;
        for place in proxy.iter().flat_map(|(_, places)| places) {
            arguments.extend(words(&["--include", place]));
        }
        let given = passphrase.filter(|_| secrets.with_secrets);
        if given.is_some() {
            arguments.extend(passphrase_arguments());
            arguments.push("--with-secrets".to_owned());
        }
        let also = proxy.map(|(mounts, _)| mounts).unwrap_or_default();
        let output = Some(archive);
        let job = Job { arguments, passphrase: given, output, also, ..Job::default() };
        helper::run(&self.helper(), job, path).await?;

        let mut store = tempfile::tempfile()?;
        let ask = || passphrase.cloned().context("the archive asks for a passphrase");
        let checked = hub_archive::check(reader::open(path, ask)?, &mut store)
            .with_context(|| format!("{} was written, but cannot be read again", path.display()))?;
        store.rewind()?;
        Ok((checked.manifest, store))
    }

    /// Brings the hub's store and cookie secret back from the archive at `path`;
    /// what the helper said. The hub is stopped first if `stop` allows it, and
    /// stays down unless this fails: [`begin_again`](Self::begin_again).
    pub(crate) async fn restore(
        &self,
        path: &Path,
        passphrase: Option<&SecretString>,
        force: bool,
        stop: bool,
    ) -> anyhow::Result<String> {
        let name = "archive";
        let mut arguments =
            words(&["restore", "hub", "--state-only", "--input", &format!("{INPUT}/{name}")]);
        arguments.extend(self.config_arguments());
        if force {
            arguments.push("--force".to_owned());
        }
        if passphrase.is_some() {
            arguments.extend(passphrase_arguments());
        }
        let archive = Some((name, path));
        let job = Job { arguments, archive, passphrase, ..Job::default() };
        let runs = self.hub.is_running();
        if runs && !stop {
            let error = UsageError {
                message: format!("the hub of {} runs", self.name),
                hint: "have it stopped for this and started again with --stop; notebooks go on"
                    .to_owned(),
            };
            return Err(error.into());
        }
        if runs {
            self.engine.stop_container(&self.hub.id, GRACE).await?;
        }
        let outcome = helper::run(&self.helper(), job, Path::new("")).await;
        if runs && outcome.is_err() {
            // The import has happened as a whole or not at all.
            self.engine.start_container(&self.hub.id).await?;
        }
        outcome
    }

    /// What its container is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the hub ran when it was found.
    pub(crate) fn was_running(&self) -> bool {
        self.hub.is_running()
    }

    /// Starts the hub and waits until it is well by its own account.
    pub(crate) async fn begin_again(&self) -> anyhow::Result<()> {
        self.engine.start_container(&self.hub.id).await?;
        let healthy = async {
            loop {
                let found = self.engine.inspect(&self.hub.id).await?;
                let found = found.context("the hub's container is gone")?;
                match (&found.state, found.health) {
                    (ContainerState::Running, None | Some(Health::Healthy)) => return Ok(()),
                    (ContainerState::Running | ContainerState::Created, _) => {}
                    (state, _) => bail!("the hub has ended ({state:?})"),
                }
                tokio::time::sleep(POLL).await;
            }
        };
        let healthy = tokio::time::timeout(HEALTHY_WITHIN, healthy);
        let outcome = match interrupt::until(Box::pin(healthy)).await? {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow::anyhow!(
                "it does not answer after {} seconds",
                HEALTHY_WITHIN.as_secs()
            )),
        };
        outcome.with_context(|| {
            format!("the hub was started again; `docker logs {}` tells what it does", self.name)
        })
    }

    /// The engine that it was found at.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What the hub runs its servers by, as its configuration says.
    pub(crate) async fn spawner(&self) -> anyhow::Result<SpawnerConfig> {
        let directory = tempfile::tempdir()?;
        // A file in any case: none would mean the one in the working directory.
        let file = directory.path().join("hub.toml");
        let text = match self.config_file() {
            Some(path) => container_file::read(&self.engine, &self.hub.id, path).await?,
            None => Vec::new(),
        };
        fs::write(&file, text)?;
        // Files that variables name are in the container, and none is needed here.
        let environment: Environment = self
            .recipe
            .environment
            .iter()
            .filter(|(name, _)| !name.ends_with("_FILE"))
            .map(|(name, value)| (name.clone(), value.expose_secret().to_owned()))
            .collect();
        let sources = Sources::new(environment).config_file(Some(file));
        let loaded = sources.load_sections(&["spawner"]);
        Ok(loaded.context("the deployed hub's configuration")?.config.spawner)
    }

    /// The configuration file as the hub's container sees it, if it has one.
    fn config_file(&self) -> Option<&str> {
        option(&self.recipe.command, "--config")
    }

    fn config_arguments(&self) -> Vec<String> {
        self.config_file().map(|path| words(&["--config", path])).unwrap_or_default()
    }

    /// The proxy's volumes, and where in them its certificates are.
    async fn proxy(&self) -> anyhow::Result<Option<(Vec<(String, String)>, Vec<String>)>> {
        let labels = with(&Labels::new(), &self.name, "proxy");
        let Some(found) = self.engine.containers(&labels).await?.into_iter().next() else {
            return Ok(None);
        };
        let details = self.engine.inspect(&found.id).await?;
        let recipe = self.engine.recipe(&found.id).await?;
        let (Some(details), Some(recipe)) = (details, recipe) else { return Ok(None) };
        let places = ["--ssl-cert", "--ssl-key", "--acme-dir"];
        let places = places.iter().filter_map(|name| option(&recipe.command, name));
        Ok(Some((helper::volumes(&details), places.map(str::to_owned).collect())))
    }

    fn helper(&self) -> Helper<'_> {
        Helper {
            engine: &self.engine,
            deployment: &self.name,
            hub: &self.hub,
            recipe: &self.recipe,
        }
    }
}

/// Where the engine is, in the words of Docker's own tools. A `.env` in the
/// working directory counts, unless it has to be the environment: that is where a
/// deployment says it. A `hub.toml` there does not: it is for the hub's container.
fn engine_host(environment_only: bool) -> anyhow::Result<DockerHost> {
    let file = Some(PathBuf::from(".env")).filter(|file| !environment_only && file.is_file());
    // Only where the engine is matters here; that needs no image.
    let sources = Sources::new(Environment::of_process())
        .flags(["spawner.docker.image=unknown".to_owned()])
        .only_named_files()
        .env_file(file);
    let config = sources.load_sections(&["spawner"])?.config.spawner.into_docker()?;
    DockerHost::resolve(&config.host_settings()).context("spawner.docker")
}

async fn none_of(engine: &Engine, name: &str) -> anyhow::Result<UsageError> {
    let hubs = engine.containers(&[("hub.kind".to_owned(), "hub".to_owned())].into()).await?;
    let names: Vec<&str> = hubs.iter().map(|hub| hub.name.as_str()).collect();
    Ok(UsageError {
        message: format!("there is no deployed hub called {name} at {}", engine.endpoint()),
        hint: match names.is_empty() {
            true => "there is none at all; `cargo xtask deploy` makes one, and DOCKER_HOST says \
                     where Docker is"
                .to_owned(),
            false => format!("there is: {}", names.join(", ")),
        },
    })
}

/// These labels, and those of a deployment's part.
fn with(labels: &Labels, deployment: &str, kind: &str) -> Labels {
    let mut all = labels.clone();
    all.insert("hub.deployment".to_owned(), deployment.to_owned());
    all.insert("hub.kind".to_owned(), kind.to_owned());
    all
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn passphrase_arguments() -> Vec<String> {
    // By standard input: what is in a container's files is on the disk of its host.
    words(&["--passphrase-file", passphrase::STANDARD_INPUT])
}

/// What follows an option of a command line.
fn option<'a>(command: &'a [String], name: &str) -> Option<&'a str> {
    let at = command.iter().position(|word| word == name)?;
    command.get(at + 1).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_in_a_command() {
        let command = words(&["--config", "/data/config/hub.toml", "--lenient"]);
        assert_eq!(option(&command, "--config"), Some("/data/config/hub.toml"));
        assert_eq!(option(&command, "--lenient"), None);
        assert_eq!(option(&command, "--ssl-key"), None);
    }
}
