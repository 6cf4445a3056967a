//! From settings to a hub that answers.

use std::time::Duration;

use anyhow::{Context, anyhow};
use hub_spawner::engine::ContainerSpec;
use serde::Deserialize;

use super::{
    configure::{self, Brought, Occasion},
    container::{self, Outcome},
    containers::{self, HUB_GRACE, Identity, Wanted},
    database, handover,
    layout::UID,
    networks::{self, Networks},
    operator::Operator,
    release::Release,
    report,
    settings::Settings,
    trouble, volumes,
    witness::{self, Witness},
};

/// How long the volume may take to be looked through.
const PREPARE_DEADLINE: Duration = Duration::from_secs(300);

/// How long a running proxy may take to read its token again.
const TOKEN_DEADLINE: Duration = Duration::from_secs(15);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// What `hub-server prepare` prints.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Prepared {
    run_as: Owner,
    socket_group: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Owner {
    uid: u32,
}

/// How a newer program of the proxy's comes to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum NewerProgram {
    /// In the container that is there: nobody's connection is cut.
    #[default]
    HandedOver,
    /// In another container, because the operator says so.
    InAnotherContainer,
}

/// Which database a hub begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Database {
    /// The one that is there.
    #[default]
    Present,
    /// The copy that a later release kept before it changed the tables.
    Kept,
}

/// What an operator says about the way to another release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Manner {
    pub(super) newer_program: NewerProgram,
    pub(super) database: Database,
}

/// What became of the two containers.
#[derive(Clone, Debug)]
pub(super) struct Up {
    pub(super) hub: Outcome,
    pub(super) proxy: Outcome,
    /// The id of the image that the hub had before; `None` if there was none.
    pub(super) until_now: Option<String>,
    /// What a proxy that ran already had seen before anything was done.
    before: Option<Witness>,
}

impl Up {
    /// What the change meant to those who were at work; `None` if there was no
    /// change, or nobody.
    pub(super) async fn told(
        &self,
        operator: &Operator,
        settings: &Settings,
    ) -> anyhow::Result<Option<String>> {
        let Some(before) = &self.before else { return Ok(None) };
        if [self.hub, self.proxy] == [Outcome::Kept; 2] {
            return Ok(None);
        }
        let now = witness::ask(operator, settings).await?;
        Ok(Some(witness::told(before, &now, self.proxy.kept_connections())))
    }
}

/// What hub and proxy stand on.
#[derive(Debug)]
struct Ground {
    identity: Identity,
    networks: Networks,
    brought: Brought,
}

impl Ground {
    /// Networks, volumes and the files in them.
    async fn prepare(
        operator: &Operator,
        settings: &Settings,
        image: &str,
    ) -> anyhow::Result<Self> {
        let layout = &settings.layout;
        operator.remove_helpers(layout).await?;
        let networks = networks::ensure(operator, layout).await?;
        volumes::ensure(operator, layout).await?;
        let identity = prepare(operator, settings, image).await?;
        let owner = identity.user;
        let occasion = Occasion::Deployment;
        let brought = configure::bring(operator, settings, image, owner, occasion).await?;
        Ok(Self { identity, networks, brought })
    }

    fn wanted<'a>(&'a self, image: &'a str) -> Wanted<'a> {
        Wanted {
            image,
            networks: &self.networks,
            identity: self.identity,
            token_mark: &self.brought.token_mark,
        }
    }
}

/// The hub's container as it would be made, with all it needs in place.
pub(super) async fn hub_to_be(
    operator: &Operator,
    settings: &Settings,
    image: &str,
) -> anyhow::Result<ContainerSpec> {
    let ground = Box::pin(Ground::prepare(operator, settings, image)).await?;
    Ok(containers::hub(settings, &ground.wanted(image)))
}

/// Brings up proxy and hub from an image that is there.
pub(super) async fn run(
    operator: &Operator,
    settings: &Settings,
    release: &Release,
    manner: Manner,
) -> anyhow::Result<Up> {
    let layout = &settings.layout;
    let before = match operator.engine().inspect(&layout.proxy).await? {
        Some(found) if found.is_running() => witness::ask(operator, settings).await.ok(),
        _ => None,
    };
    let until_now = operator.engine().inspect(&layout.hub).await?.map(|hub| hub.image_id);
    let ground = Box::pin(Ground::prepare(operator, settings, &release.image)).await?;
    if before.is_some() && ground.brought.has_new_token() {
        share_token(operator, settings).await?;
    }
    let wanted = ground.wanted(&release.image);
    let proxy = proxy(operator, settings, release, &wanted, manner.newer_program).await?;
    report::line(&layout.proxy, proxy.word());
    let hub = containers::hub(settings, &wanted);
    let fingerprint = hub.fingerprint();
    let undo = async || {
        let owner = ground.identity.user;
        Box::pin(ground.brought.undo(operator, settings, &release.image, owner)).await?;
        if ground.brought.has_new_token() {
            share_token(operator, settings).await?;
        }
        // The new one may have changed the tables before it failed.
        if let Some(old) = operator.engine().inspect(&layout.hub).await? {
            let owner = Identity::of(&old).user;
            if let Err(error) = database::put_back(operator, settings, &old.image_id, owner).await {
                eprintln!("  warning: {error:#}");
            }
        }
        Ok(())
    };
    if manner.database == Database::Kept {
        let owner = ground.identity.user;
        Box::pin(use_kept_database(operator, settings, &release.image, owner)).await?;
    }
    let hub = Box::pin(container::ensure(operator, layout, hub, &fingerprint, undo)).await?;
    report::line(&layout.hub, hub.word());
    Ok(Up { hub, proxy, until_now, before })
}

/// Puts the database in place that was kept for an older hub, with no hub running.
async fn use_kept_database(
    operator: &Operator,
    settings: &Settings,
    image: &str,
    owner: u32,
) -> anyhow::Result<()> {
    let name = &settings.layout.hub;
    let found = operator.engine().inspect(name).await?;
    let runs = found.is_some_and(|found| found.is_running());
    if runs {
        container::stop(operator, name, HUB_GRACE).await?;
    }
    let done = database::put_back(operator, settings, image, owner).await;
    if done.is_err() && runs {
        operator.engine().start_container(name).await?;
    }
    done
}

/// Makes the proxy run as wanted.
async fn proxy(
    operator: &Operator,
    settings: &Settings,
    release: &Release,
    wanted: &Wanted<'_>,
    newer_program: NewerProgram,
) -> anyhow::Result<Outcome> {
    let layout = &settings.layout;
    let spec = handover::labelled(containers::proxy(settings, wanted), release);
    let way = handover::needed(operator, settings, &spec, release).await?;
    match (way, newer_program) {
        (handover::Way::HandOver, NewerProgram::HandedOver) => {
            handover::run(operator, settings, release).await?;
            return Ok(Outcome::HandedOver);
        }
        (handover::Way::HandOver, NewerProgram::InAnotherContainer) => {
            let grace = spec.stop_grace.unwrap_or_default();
            container::stop(operator, &layout.proxy, grace).await?;
            container::remove(operator, &layout.proxy).await?;
        }
        (handover::Way::Ensure, _) => {}
    }
    let fingerprint = handover::fingerprint(&spec);
    let nothing = async || Ok(());
    Box::pin(container::ensure(operator, layout, spec, &fingerprint, nothing)).await
}

/// Has the running proxy read its token again, and waits until it has.
async fn share_token(operator: &Operator, settings: &Settings) -> anyhow::Result<()> {
    let name = settings.layout.proxy.as_str();
    operator
        .change(
            format_args!("POST /containers/{name}/kill?signal=SIGHUP"),
            operator.engine().signal(name, "SIGHUP"),
        )
        .await?;
    if operator.is_dry_run() {
        return Ok(());
    }
    let accepted = async {
        while witness::ask(operator, settings).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(TOKEN_DEADLINE, accepted).await.with_context(|| {
        format!(
            "the proxy did not take up the new token within {} s; `{}`, then the same command, makes \
             hub and proxy anew",
            TOKEN_DEADLINE.as_secs(),
            settings.command("down")
        )
    })
}

/// Makes the data volume the hub's, and learns whom it has to run as.
async fn prepare(
    operator: &Operator,
    settings: &Settings,
    image: &str,
) -> anyhow::Result<Identity> {
    let mut spec = containers::prepare(settings, image);
    spec.labels = operator.helper_labels(&settings.layout);
    let words = spec.command.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
    let done = operator
        .change(
            format_args!("POST /containers/create and start (helper: hub-server {words})"),
            operator.engine().run_to_end(&spec, PREPARE_DEADLINE),
        )
        .await
        .context("the data volume could not be prepared")?;
    let Some(done) = done else {
        // What it would find is what a hub that is there was made with.
        let hub = operator.engine().inspect(&settings.layout.hub).await?;
        let first = Identity { user: UID, socket_group: Some(0) };
        return Ok(hub.as_ref().map_or(first, Identity::of));
    };
    if done.code != 0 {
        let error = anyhow!("the data volume could not be prepared: {}", done.output.trim());
        return Err(trouble::in_container(error, &done.output));
    }
    let line = done.output.lines().last().unwrap_or_default();
    let prepared: Prepared = serde_json::from_str(line)
        .with_context(|| format!("hub-server prepare printed {line:?}"))?;
    Ok(Identity { user: prepared.run_as.uid, socket_group: prepared.socket_group })
}
