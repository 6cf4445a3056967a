//! `hub gc`: clears away what is nobody's, whether or not a hub runs.

use std::{fs, path::Path};

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::consent;
use crate::{
    args::{Gc, UsageError},
    configuration::Located,
    containers::{self, Containers, Labelled},
    interrupt,
    output::Output,
};

pub(super) async fn run(command: Gc, output: &Output) -> anyhow::Result<()> {
    if let Some(path) = &command.known {
        return write_known(&command.located, path).await;
    }
    if !command.orphans {
        let error = UsageError {
            message: "it has to be said what to clear away".to_owned(),
            hint: "--orphans removes the containers of servers that the hub's database does not \
                   know; volumes stay"
                .to_owned(),
        };
        return Err(error.into());
    }
    let containers = command.located.subject().await?.containers().await?;
    let found = containers.orphans().await?;
    if command.dry_run || found.is_empty() {
        return match output.is_json() {
            true => tell_json(output, &found, &[], &[]),
            false => list(output, &found),
        };
    }
    if !output.is_json() {
        list(output, &found)?;
    }
    let question = "Remove them, also those that run? What their kernels hold in memory is lost; \
                    volumes stay.";
    if !command.yes && !consent::ask(output, "remove these containers", question)? {
        bail!("nothing was removed");
    }
    remove(output, &containers, &found).await
}

async fn remove(
    output: &Output,
    containers: &Containers,
    agreed: &[Labelled],
) -> anyhow::Result<()> {
    // A hub that was started meanwhile may have adopted one.
    let still = containers.orphans().await?;
    let mut removed = Vec::new();
    let mut failed = Vec::new();
    for (_, container) in agreed {
        interrupt::check()?;
        if !still.iter().any(|(_, now)| now.id == container.id) {
            output.note(&format!("{} is no orphan any more; it is left alone.", container.name));
            continue;
        }
        match containers.remove(container).await {
            Ok(()) => removed.push(container.name.clone()),
            Err(error) => {
                let error = format!("{error:#}");
                output.note(&format!("{} could not be removed: {error}", container.name));
                failed.push((container.name.clone(), error));
            }
        }
    }
    if output.is_json() {
        tell_json(output, agreed, &removed, &failed)?;
    } else if !removed.is_empty() {
        output.line(&format!("Removed: {}", removed.join(", ")))?;
    }
    match failed.len() {
        0 => Ok(()),
        count => bail!("{count} of {} containers could not be removed", agreed.len()),
    }
}

fn list(output: &Output, orphans: &[Labelled]) -> anyhow::Result<()> {
    let rows: Vec<_> = orphans
        .iter()
        .map(|(key, container)| {
            let since = Timestamp::from_second(container.created).ok();
            [
                container.name.clone(),
                key.as_ref().map(|key| key.user().to_string()).unwrap_or_default(),
                key.as_ref().map(|key| key.server().to_string()).unwrap_or_default(),
                output.when(since, ""),
                container.state.clone(),
                container.image.clone(),
            ]
        })
        .collect();
    let header = ["CONTAINER", "USER", "SERVER", "CREATED", "STATE", "IMAGE"];
    let empty = "No orphans: the hub's database knows the server of every container.";
    Ok(output.table(header, &rows, empty)?)
}

fn tell_json(
    output: &Output,
    orphans: &[Labelled],
    removed: &[String],
    failed: &[(String, String)],
) -> anyhow::Result<()> {
    let orphans: Vec<Value> = orphans
        .iter()
        .map(|(key, container)| {
            json!({
                "container": container.name,
                "id": container.id,
                "user": key.as_ref().map(|key| key.user().as_str()),
                "server": key.as_ref().map(|key| key.server().as_str()),
                "created": Timestamp::from_second(container.created).ok().map(|at| at.to_string()),
                "state": container.state,
                "image": container.image,
            })
        })
        .collect();
    let failed: Vec<Value> =
        failed.iter().map(|(name, error)| json!({ "container": name, "error": error })).collect();
    Ok(output.json(&json!({ "orphans": orphans, "removed": removed, "failed": failed }))?)
}

/// What is asked for in the place of a deployed hub.
async fn write_known(located: &Located, path: &Path) -> anyhow::Result<()> {
    let known = containers::known(&located.configured()?.store).await?;
    fs::write(path, serde_json::to_vec(&known)?)
        .with_context(|| format!("{} cannot be written", path.display()))
}
