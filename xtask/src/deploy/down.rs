//! Taking a deployment down. Files of users are never removed (XT-4).

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, bail};
use hub_spawner::engine::EngineError;

use super::{
    containers::{HUB_GRACE, PROXY_GRACE},
    operator::Operator,
    report,
    settings::Settings,
};

/// How long a user's server gets to end.
const SERVER_GRACE: std::time::Duration = std::time::Duration::from_secs(10);

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct DownArgs {
    /// Stop and remove the users' servers, too. Their files stay.
    #[arg(long)]
    servers: bool,

    /// Remove the hub's data, the proxy's certificates and the networks, too.
    #[arg(long)]
    purge: bool,

    /// Do not ask before --purge.
    #[arg(long, requires = "purge")]
    yes: bool,
}

pub(super) async fn run(
    operator: &Operator,
    settings: &Settings,
    args: DownArgs,
) -> anyhow::Result<()> {
    let layout = &settings.layout;
    if args.purge && !args.yes && !operator.is_dry_run() {
        confirm(&layout.name)?;
    }
    let engine = operator.engine();
    // The hub first: it would start to explain a proxy that is gone.
    for (name, grace) in [
        (layout.hub.clone(), HUB_GRACE),
        (format!("{}-next", layout.hub), HUB_GRACE),
        (format!("{}-previous", layout.hub), HUB_GRACE),
        (layout.proxy.clone(), PROXY_GRACE),
        (format!("{}-next", layout.proxy), PROXY_GRACE),
        (format!("{}-previous", layout.proxy), PROXY_GRACE),
    ] {
        let Some(found) = engine.inspect(&name).await? else { continue };
        if found.labels.get("hub.deployment") != Some(&layout.name) {
            report::line(&name, "left alone: it does not belong to this deployment");
            continue;
        }
        end(operator, &name, grace).await?;
        report::line(&name, "removed");
    }
    let servers = engine.containers(&layout.servers_labels()).await?;
    if args.servers {
        for server in &servers {
            end(operator, &server.name, SERVER_GRACE).await?;
            report::line(&server.name, "removed; its files stay");
        }
    } else if !servers.is_empty() {
        report::line("users' servers", &format!("{} go on; --servers stops them", servers.len()));
    }
    if args.purge {
        purge(operator, settings).await?;
    }
    Ok(())
}

async fn end(operator: &Operator, name: &str, grace: std::time::Duration) -> anyhow::Result<()> {
    super::container::stop(operator, name, grace).await?;
    super::container::remove(operator, name).await
}

async fn purge(operator: &Operator, settings: &Settings) -> anyhow::Result<()> {
    let layout = &settings.layout;
    let engine = operator.engine();
    for name in [&layout.data, &layout.keys] {
        if engine.volume(name).await?.is_none() {
            continue;
        }
        operator.change(format_args!("DELETE /volumes/{name}"), engine.remove_volume(name)).await?;
        report::line(&format!("volume {name}"), "removed");
    }
    for name in [&layout.control, &layout.servers] {
        for network in engine.networks(name).await? {
            let removed = operator
                .change(format_args!("DELETE /networks/{name}"), engine.remove_network(&network.id))
                .await;
            match removed {
                Ok(_) => report::line(&format!("network {name}"), "removed"),
                Err(error @ (EngineError::Refused { .. } | EngineError::Conflict { .. })) => {
                    report::line(
                        &format!("network {name}"),
                        &format!(
                            "stays, containers are in it ({error}); --servers removes those of users"
                        ),
                    );
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    eprintln!(
        "  users' volumes stay; to remove one: `cargo xtask deploy hub users purge NAME`, before `down`"
    );
    Ok(())
}

fn confirm(name: &str) -> anyhow::Result<()> {
    if !std::io::stdin().is_terminal() {
        bail!("--purge removes the hub's data and asks first; there is no terminal, so say --yes");
    }
    eprint!("This removes all users, tokens and settings of the hub. Type its name ({name}): ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("no answer")?;
    if line.trim() != name {
        bail!("not confirmed; nothing was changed");
    }
    Ok(())
}
