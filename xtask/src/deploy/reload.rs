//! Changed files, brought to programs that run.

use std::time::Duration;

use anyhow::{Context, bail};
use hub_spawner::engine::ContainerDetails;

use super::{
    configure::{self, Brought, Occasion},
    container::SPEC_HASH,
    containers::{self, Identity, Wanted},
    ear::Ear,
    handover, networks,
    operator::Operator,
    report,
    settings::Settings,
};

/// How long the programs get to say what they have taken up.
const DEADLINE: Duration = Duration::from_secs(15);

/// What the hub says last of a reload, and what the proxy says of its files.
const HUB_SAYS: [&str; 2] = ["configuration reloaded", "was not reloaded"];
const PROXY_SAYS: [&str; 2] = ["were read again", "was not replaced"];

/// Copies what has changed into the volumes, has hub and proxy look, and tells
/// what they say about it.
pub(super) async fn run(operator: &Operator, settings: &Settings) -> anyhow::Result<()> {
    super::check_files(settings).context("nothing was changed")?;
    let layout = &settings.layout;
    let engine = operator.engine();
    let Some(hub) = engine.inspect(&layout.hub).await? else {
        bail!("there is no container {}; `cargo xtask deploy` makes it", layout.hub);
    };
    let hubs = Ear::begin(engine, &layout.hub).await?;
    let proxys = Ear::begin(engine, &layout.proxy).await?;
    let (image, owner) = (&hub.image_id, Identity::of(&hub).user);
    let Brought { changed, token_mark, .. } =
        configure::bring(operator, settings, image, owner, Occasion::Reload).await?;
    if changed.is_empty() {
        report::line("files", "unchanged");
    } else {
        report::line("files", &format!("{} brought to the containers", changed.join(", ")));
        for name in [&layout.proxy, &layout.hub] {
            operator
                .change(
                    format_args!("POST /containers/{name}/kill?signal=SIGHUP"),
                    engine.signal(name, "SIGHUP"),
                )
                .await?;
        }
        if !operator.is_dry_run() {
            tell(&hubs, HUB_SAYS).await?;
            if changed.iter().any(|path| path.starts_with("certs/tls.")) {
                tell(&proxys, PROXY_SAYS).await?;
            }
        }
    }
    if wants_another_container(operator, settings, &hub, &token_mark).await? {
        eprintln!(
            "  variables or files say something that only a new container takes up: \
             `cargo xtask deploy upgrade` (notebooks go on)"
        );
    }
    Ok(())
}

/// Prints what a program writes until it has said what became of the reload.
async fn tell(ear: &Ear<'_>, says: [&str; 2]) -> anyhow::Result<()> {
    match tokio::time::timeout(DEADLINE, ear.until(&says)).await {
        Ok(lines) => lines?.iter().for_each(|line| report::line(ear.name(), line)),
        Err(_) => {
            report::line(ear.name(), "said nothing yet; `cargo xtask deploy logs` shows more");
        }
    }
    Ok(())
}

/// Whether hub or proxy would be made in another way now.
async fn wants_another_container(
    operator: &Operator,
    settings: &Settings,
    hub: &ContainerDetails,
    token_mark: &str,
) -> anyhow::Result<bool> {
    let engine = operator.engine();
    let layout = &settings.layout;
    let wanted = Wanted {
        image: &hub.image,
        networks: &networks::look(engine, layout).await?,
        identity: Identity::of(hub),
        token_mark,
    };
    let proxy = engine.inspect(&layout.proxy).await?;
    let hubs = containers::hub(settings, &wanted).fingerprint();
    let hub_is_as_wanted = hub.labels.get(SPEC_HASH) == Some(&hubs);
    let proxys = containers::proxy(settings, &wanted);
    let proxy_is_as_wanted = proxy.is_some_and(|found| handover::is_made_from(&found, proxys));
    Ok(!hub_is_as_wanted || !proxy_is_as_wanted)
}
