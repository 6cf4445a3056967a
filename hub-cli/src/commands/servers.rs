//! `hub servers`

mod start;

use std::time::Duration;

use anyhow::bail;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    args::{Servers, UserState},
    client::{Answer, Client, Taken},
    output::Output,
};

/// How often to look whether a server is gone.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long to look; the hub goes on trying.
const STOP_PATIENCE: Duration = Duration::from_secs(300);

pub(super) async fn run(command: Servers, client: &Client, output: &Output) -> anyhow::Result<()> {
    match command {
        Servers::List => show_all(client, output).await,
        Servers::Start { user, no_wait } => start::run(client, output, &user, no_wait).await,
        Servers::Stop { user, no_wait } => stop(client, output, &user, no_wait).await,
        Servers::Log { user, lines, follow: false } => log(client, output, &user, lines).await,
        Servers::Log { user, lines, follow: true } => follow(client, output, &user, lines).await,
    }
}

async fn show_all(client: &Client, output: &Output) -> anyhow::Result<()> {
    let users = client.users(Some(UserState::Active), None).await?;
    if output.is_json() {
        let servers: Value = users.iter().flat_map(|user| servers_of(&user.json)).collect();
        return Ok(output.json(&servers)?);
    }
    let mut rows = Vec::new();
    for user in users.iter().map(|user| &user.body) {
        for (name, server) in user.servers.iter().flatten() {
            let label =
                if name.is_empty() { user.name.clone() } else { format!("{}/{name}", user.name) };
            rows.push([
                label,
                server.state_and_health(),
                output.when(server.started, ""),
                output.when(server.last_activity, ""),
                client.absolute(&server.url),
            ]);
        }
    }
    let header = ["SERVER OF", "STATE", "STARTED", "LAST ACTIVITY", "ADDRESS"];
    // Users who have servers without a server to see: not for this token's eyes.
    let empty = match users.iter().all(|user| user.body.servers.is_some()) {
        true => "No server runs.",
        false => "Some servers run, but the token may not see them (scope read:servers).",
    };
    Ok(output.table(header, &rows, empty)?)
}

/// The servers in a user's JSON, each with the user's name added.
fn servers_of(user: &Value) -> Vec<Value> {
    let name = &user["name"];
    let servers = user["servers"].as_object();
    servers
        .into_iter()
        .flat_map(|servers| servers.values())
        .map(|server| {
            let mut server = server.clone();
            server["user"] = json!(name);
            server
        })
        .collect()
}

async fn stop(client: &Client, output: &Output, user: &str, no_wait: bool) -> anyhow::Result<()> {
    let taken = client.stop(user).await?;
    if taken == Taken::Underway && !no_wait {
        output.note(&format!("The server of {user} is stopping."));
        wait_until_gone(client, user).await?;
    }
    if output.is_json() {
        return Ok(());
    }
    let state = if taken == Taken::Underway && no_wait { "stopping" } else { "stopped" };
    Ok(output.line(&format!("The server of {user} is {state}."))?)
}

async fn wait_until_gone(client: &Client, user: &str) -> anyhow::Result<()> {
    let end = Instant::now() + STOP_PATIENCE;
    loop {
        let Answer { body: server, .. } = client.server(user).await?;
        if !server.is_active() {
            return Ok(());
        }
        if server.ready && server.pending.is_none() {
            bail!("the server of {user} runs: it could not be stopped, or was started again");
        }
        if Instant::now() > end {
            bail!("the server of {user} is still stopping; the hub goes on trying");
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn log(client: &Client, output: &Output, user: &str, lines: u64) -> anyhow::Result<()> {
    let log = client.log(user, lines).await?;
    match output.is_json() {
        true => output.json(&log.json)?,
        false => output.text(&log.body.log)?,
    }
    if log.body.log.is_empty() {
        output.note(&format!("The server of {user} has written nothing."));
    } else if let Some(ended) = log.body.ended {
        tell_end(output, user, ended);
    }
    Ok(())
}

async fn follow(client: &Client, output: &Output, user: &str, lines: u64) -> anyhow::Result<()> {
    let mut log = client.follow_log(user, lines).await?;
    while let Some(piece) = log.next().await {
        match output.is_json() {
            true => output.json_line(&piece.json)?,
            false => output.text(&piece.body.log)?,
        }
        if let Some(ended) = piece.body.ended {
            tell_end(&output.refreshed(), user, ended);
            return Ok(());
        }
    }
    bail!(
        "the log of {user}'s server broke off, perhaps because the hub was stopped; the server may still run"
    )
}

fn tell_end(output: &Output, user: &str, ended: Timestamp) {
    let ended = output.when(Some(ended), "");
    output.note(&format!("The server of {user} wrote this before it ended ({ended})."));
}
