//! `hub users purge`

use std::io::{self, IsTerminal as _};

use anyhow::bail;
use hub_store::UserName;
use serde_json::json;

use crate::{
    args::UsageError, backup::volumes::is_alive, configuration::Located, interrupt, output::Output,
};

/// Removes a user's volumes, also while no hub runs.
pub(super) async fn run(
    output: &Output,
    located: &Located,
    user: &UserName,
    yes: bool,
) -> anyhow::Result<()> {
    let volumes = located.volumes().await?;
    let names = volumes.of_user(user).await?;
    let servers = volumes.servers(user).await?;
    if let Some(server) = servers.iter().find(|server| is_alive(&server.state)) {
        let error = UsageError {
            message: format!("{user} has a server that runs ({})", server.name),
            hint: format!("stop it first: hub servers stop {user}"),
        };
        return Err(error.into());
    }
    if names.is_empty() {
        bail!("{user} has no volume");
    }
    let list = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    if !yes && !is_confirmed(output, user, &list)? {
        bail!("nothing was removed");
    }
    // What has ended may still hold the volume.
    for server in &servers {
        volumes.remove_server(server).await?;
    }
    for name in &names {
        interrupt::check()?;
        volumes.remove(name).await?;
    }
    if output.is_json() {
        return Ok(output.json(&json!({ "user": user.as_str(), "removed": names }))?);
    }
    Ok(output.line(&format!("Removed, with all files of {user}: {list}"))?)
}

fn is_confirmed(output: &Output, user: &UserName, list: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        let error = UsageError {
            message: format!(
                "to remove the files of {user} needs a yes, and there is no terminal to ask at"
            ),
            hint: "say so with --yes".to_owned(),
        };
        return Err(error.into());
    }
    output.note(&format!(
        "All files of {user} will be gone for good: {list}. To go on, type the user's name:"
    ));
    let mut answer = String::new();
    interrupt::question(|| io::stdin().read_line(&mut answer))?;
    Ok(answer.trim() == user.as_str())
}
