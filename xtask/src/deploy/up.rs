//! From settings to a hub that answers.

use std::time::Duration;

use anyhow::Context;
use hub_spawner::engine::ContainerSpec;
use serde::Deserialize;

use super::{
    certificates,
    container::{self, Outcome},
    containers::{self, Wanted},
    files::{self, Files, OPERATOR_TOKEN, PROXY_TOKEN, SECRETS_DIR},
    handover,
    layout::{PROXY_DIR, UID},
    networks,
    operator::Operator,
    release::Release,
    report,
    settings::Settings,
    tokens, volume, volumes,
    witness::{self, Witness},
};

/// How long the volume may take to be looked through.
const PREPARE_DEADLINE: Duration = Duration::from_secs(300);

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

/// What became of the two containers.
#[derive(Clone, Debug)]
pub(super) struct Up {
    pub(super) hub: Outcome,
    pub(super) proxy: Outcome,
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
    prepared: Prepared,
    /// The network of hub and proxy.
    trusted: Vec<String>,
}

impl Ground {
    /// Networks, volumes and the files in them.
    async fn prepare(
        operator: &Operator,
        settings: &Settings,
        image: &str,
    ) -> anyhow::Result<Self> {
        let layout = &settings.layout;
        container::remove_helpers(operator, layout).await?;
        let control = networks::ensure(operator, layout).await?;
        volumes::ensure(operator, layout).await?;
        let prepared = prepare(operator, settings, image).await?;
        configure(operator, settings, image, prepared.run_as.uid).await?;
        Ok(Self { prepared, trusted: control.map(|network| network.subnets).unwrap_or_default() })
    }

    fn wanted<'a>(&'a self, image: &'a str) -> Wanted<'a> {
        let Prepared { run_as, socket_group } = self.prepared;
        Wanted { image, trusted: &self.trusted, run_as: run_as.uid, socket_group }
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
) -> anyhow::Result<Up> {
    let layout = &settings.layout;
    let ground = Box::pin(Ground::prepare(operator, settings, &release.image)).await?;
    let wanted = ground.wanted(&release.image);

    let before = match operator.engine().inspect(&layout.proxy).await? {
        Some(found) if found.is_running() => witness::ask(operator, settings).await.ok(),
        _ => None,
    };
    let mut proxy = containers::proxy(settings, &wanted);
    proxy.labels.insert(handover::MADE_WITH.to_owned(), release.proxy_hash.clone());
    let proxy = match handover::needed(operator, settings, &proxy, release).await? {
        // Nobody's connection is cut for a newer program.
        handover::Way::HandOver => {
            handover::run(operator, settings, release).await?;
            Outcome::HandedOver
        }
        handover::Way::Ensure => {
            let fingerprint = handover::fingerprint(&proxy);
            container::ensure(operator, layout, proxy, &fingerprint).await?
        }
    };
    report::line(&layout.proxy, proxy.word());
    let hub = containers::hub(settings, &wanted);
    let fingerprint = hub.fingerprint();
    let hub = container::ensure(operator, layout, hub, &fingerprint).await?;
    report::line(&layout.hub, hub.word());
    Ok(Up { hub, proxy, before })
}

/// Copies what has changed of the operator's files into the volumes, from where
/// the running programs take it up.
pub(super) async fn configure(
    operator: &Operator,
    settings: &Settings,
    image: &str,
    owner: u32,
) -> anyhow::Result<Vec<String>> {
    let layout = &settings.layout;
    let mut of_hub = files::of_hub(settings).map_err(report::problems)?;
    let mut of_proxy = files::of_proxy(settings).map_err(report::problems)?;
    of_proxy.extend(certificates::of_volume(operator, settings, image).await?);
    if operator.is_dry_run() && operator.engine().volume(&layout.data).await?.is_none() {
        let names: Vec<&str> = of_hub.keys().chain(of_proxy.keys()).map(String::as_str).collect();
        operator
            .change(
                format_args!("PUT /containers/(helper)/archive ({})", names.join(", ")),
                std::future::ready(anyhow::Ok(())),
            )
            .await?;
        return Ok(Vec::new());
    }
    let engine = operator.engine();
    let mut changed =
        volume::with(engine, layout, image, (&layout.data, &layout.data_dir), async |data| {
            let there = data.read(SECRETS_DIR).await?;
            for name in [PROXY_TOKEN, OPERATOR_TOKEN] {
                let token = tokens::of(&there, name)?;
                of_hub.entry(name.to_owned()).or_insert(token);
            }
            of_proxy.insert(PROXY_TOKEN.to_owned(), of_hub[PROXY_TOKEN].clone());
            volume::sync(operator, data, &of_hub, owner).await
        })
        .await
        .context("the hub's files could not be brought to its volume")?;
    let of_proxy: Files = of_proxy;
    changed.extend(
        volume::with(engine, layout, image, (&layout.keys, PROXY_DIR), async |keys| {
            volume::sync(operator, keys, &of_proxy, UID).await
        })
        .await
        .context("the proxy's files could not be brought to its volume")?,
    );
    Ok(changed)
}

/// Makes the data volume the hub's, and learns whom it has to run as.
async fn prepare(
    operator: &Operator,
    settings: &Settings,
    image: &str,
) -> anyhow::Result<Prepared> {
    let spec = containers::prepare(settings, image);
    let words = spec.command.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
    let done = operator
        .change(
            format_args!("POST /containers/create and start (helper: hub-server {words})"),
            operator.engine().run_to_end(&spec, PREPARE_DEADLINE),
        )
        .await
        .context("the data volume could not be prepared")?;
    let Some(done) = done else {
        return Ok(Prepared { run_as: Owner { uid: UID }, socket_group: Some(0) });
    };
    anyhow::ensure!(
        done.code == 0,
        "the data volume could not be prepared: {}",
        done.output.trim()
    );
    let line = done.output.lines().last().unwrap_or_default();
    serde_json::from_str(line).with_context(|| format!("hub-server prepare printed {line:?}"))
}
