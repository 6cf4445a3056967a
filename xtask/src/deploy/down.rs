//! Taking a deployment down. Files of users are never removed (XT-4).

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, bail};
use hub_spawner::engine::Labels;

use super::{
    containers::{HUB_GRACE, PROXY_GRACE},
    layout::Layout,
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
    // What a run that was killed left would keep the volumes.
    operator.remove_helpers(layout).await?;
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
        removed(operator, &name, "removed");
    }
    let servers = engine.containers(&layout.servers_labels()).await?;
    if args.servers {
        for server in &servers {
            end(operator, &server.name, SERVER_GRACE).await?;
            removed(operator, &server.name, "removed; its files stay");
        }
    } else if !servers.is_empty() {
        report::line("users' servers", &format!("{} go on; --servers stops them", servers.len()));
    }
    if args.purge {
        purge(operator, settings).await?;
    }
    Ok(())
}

/// Tells that something is gone; a plan has told it in its own way.
fn removed(operator: &Operator, what: &str, how: &str) {
    if !operator.is_dry_run() {
        report::line(what, how);
    }
}

async fn end(operator: &Operator, name: &str, grace: std::time::Duration) -> anyhow::Result<()> {
    super::container::stop(operator, name, grace).await?;
    super::container::remove(operator, name).await
}

/// Removes what the deployment made, or was given by an older one; what stays is
/// told, and does not keep the rest.
async fn purge(operator: &Operator, settings: &Settings) -> anyhow::Result<()> {
    let layout = &settings.layout;
    let engine = operator.engine();
    let mut stays = Vec::new();
    for name in [&layout.data, &layout.keys] {
        let Some(volume) = engine.volume(name).await? else { continue };
        let what = format!("volume {name}");
        let whose = whose(&volume.labels, layout, name == &layout.data);
        if whose == Whose::Another {
            report::line(&what, "left alone: it does not belong to this deployment");
            continue;
        }
        let done = operator
            .change(format_args!("DELETE /volumes/{name}"), engine.remove_volume(name))
            .await;
        match done {
            Ok(_) => removed(operator, &what, whose.removed()),
            Err(error) if error.text().is_some() && !error.is_not_found() => {
                report::line(&what, &format!("stays, a container has it ({error})"));
                stays.push(what);
            }
            Err(error) => return Err(error.into()),
        }
    }
    for name in [&layout.control, &layout.servers] {
        for network in engine.networks(name).await? {
            let what = format!("network {name}");
            let whose = whose(&network.labels, layout, name == &layout.servers);
            if whose == Whose::Another {
                report::line(&what, "left alone: it does not belong to this deployment");
                continue;
            }
            let done = operator
                .change(format_args!("DELETE /networks/{name}"), engine.remove_network(&network.id))
                .await;
            match done {
                Ok(_) => removed(operator, &what, whose.removed()),
                Err(error) if error.text().is_some() && !error.is_not_found() => {
                    report::line(
                        &what,
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
        "  users' volumes stay; to remove one: `{}`, before `down`",
        settings.command("hub users purge NAME")
    );
    anyhow::ensure!(
        stays.is_empty(),
        "{} stays: remove the container that has it (`docker ps --all --filter volume=NAME`), and \
         the same command removes the rest",
        stays.join(" and ")
    );
    Ok(())
}

/// Whose a volume or network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Ours,
    /// It has no label of a deployment's. The reference deployment's are made by
    /// hand, and its variables name them.
    Unlabelled,
    Another,
}

impl Whose {
    fn removed(self) -> &'static str {
        match self {
            Self::Unlabelled => "removed; it was not made by this deployment, but .env names it",
            Self::Ours | Self::Another => "removed",
        }
    }
}

/// Reads a label; `is_named` says whether the reference deployment knows such a
/// thing.
fn whose(labels: &Labels, layout: &Layout, is_named: bool) -> Whose {
    match labels.get("hub.deployment") {
        Some(name) if *name == layout.name => Whose::Ours,
        None if is_named => Whose::Unlabelled,
        _ => Whose::Another,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xt_4_what_belongs_to_another_deployment_stays() {
        let layout = Layout::new("class", "class-network", "class-data", "/data");
        let label = |name: &str| [("hub.deployment".to_owned(), name.to_owned())].into();
        for (labels, is_named, expected) in [
            (label("class"), true, Whose::Ours),
            (label("class"), false, Whose::Ours),
            (label("other"), true, Whose::Another),
            (Labels::new(), true, Whose::Unlabelled),
            (Labels::new(), false, Whose::Another),
        ] {
            assert_eq!(whose(&labels, &layout, is_named), expected, "{labels:?}");
        }
    }
}
