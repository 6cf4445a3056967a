//! `hub users`

mod identities;
mod identity;
mod purge;

use anyhow::bail;
use hub_server::identities::Changes;

use super::{consent, list};
use crate::{
    args::{UserState, Users},
    client::{Answer, Client, Server, User},
    output::Output,
};

pub(super) async fn run(command: Users, client: &Client, output: &Output) -> anyhow::Result<()> {
    match command {
        Users::List { state, filter } => show_all(client, output, state, filter.as_deref()).await,
        Users::Show { name } => show(client, output, &name).await,
        Users::Add { names, admin } => add(client, output, &names, admin).await,
        Users::Admin { name, revoke } => set_admin(client, output, &name, !revoke).await,
        Users::Delete { name, yes } => delete(client, output, &name, yes).await,
        Users::Identity { name, forget, bind, files } => {
            identity::run(output, files, &name, &Changes { forget, bind }).await
        }
        Users::Identities { provider, change, files } => {
            identities::run(output, files, provider.as_deref(), change).await
        }
        Users::Purge { name, yes, located } => purge::run(output, &located, &name, yes).await,
    }
}

async fn show_all(
    client: &Client,
    output: &Output,
    state: Option<UserState>,
    filter: Option<&str>,
) -> anyhow::Result<()> {
    let users = client.users(state, filter).await?;
    if output.is_json() {
        return Ok(output.json(&list(&users))?);
    }
    let rows: Vec<_> = users.iter().map(|user| row(&user.body, output)).collect();
    let empty = match state.is_some() || filter.is_some() {
        true => "No user is like that.",
        false => "There are no users yet. Add one: hub users add NAME",
    };
    Ok(output.table(["NAME", "ADMIN", "SERVER", "LAST ACTIVITY", "CREATED"], &rows, empty)?)
}

fn row(user: &User, output: &Output) -> [String; 5] {
    let admin = if user.admin == Some(true) { "yes" } else { "" };
    [
        user.name.clone(),
        admin.to_owned(),
        servers(user),
        output.when(user.last_activity, "never"),
        output.when(user.created, ""),
    ]
}

/// The states of a user's servers; those with names after the one without.
fn servers(user: &User) -> String {
    let active = user.servers.iter().flatten().filter(|(_, server)| server.is_active());
    let states: Vec<String> = active
        .map(|(name, server)| match name.as_str() {
            "" => server.state().to_owned(),
            name => format!("{name}: {}", server.state()),
        })
        .collect();
    states.join(", ")
}

async fn show(client: &Client, output: &Output, name: &str) -> anyhow::Result<()> {
    let Answer { json, body: user } = client.user(name).await?;
    if output.is_json() {
        return Ok(output.json(&json)?);
    }
    let mut facts = vec![fact("Name", name)];
    if let Some(admin) = user.admin {
        facts.push(fact("Administrator", if admin { "yes" } else { "no" }));
    }
    if !user.roles.is_empty() {
        facts.push(fact("Roles", user.roles.join(", ")));
    }
    if !user.groups.is_empty() {
        facts.push(fact("Groups", user.groups.join(", ")));
    }
    if user.created.is_some() {
        facts.push(fact("Created", output.when(user.created, "")));
        facts.push(fact("Last activity", output.when(user.last_activity, "never")));
    }
    // Without the map the token may not see servers: nothing is said about them.
    if let Some(servers) = &user.servers {
        if servers.is_empty() {
            facts.push(fact("Server", "none"));
        }
        for (server_name, server) in servers {
            let label = if server_name.is_empty() {
                "Server".to_owned()
            } else {
                format!("Server {server_name}")
            };
            facts.push([label, describe(server, client, output)]);
        }
    }
    Ok(output.facts(&facts)?)
}

fn describe(server: &Server, client: &Client, output: &Output) -> String {
    let mut text = server.state_and_health();
    if server.is_active() {
        if server.started.is_some() {
            text += &format!(", started {}", output.when(server.started, ""));
        }
        text += &format!(", {}", client.absolute(&server.url));
    } else if let Some(failure) = &server.last_failure {
        text += &format!("; failed: {}", failure.message);
    }
    text
}

fn fact(label: &str, value: impl Into<String>) -> [String; 2] {
    [label.to_owned(), value.into()]
}

async fn add(
    client: &Client,
    output: &Output,
    names: &[String],
    admin: bool,
) -> anyhow::Result<()> {
    let added = client.add_users(names, admin).await?;
    if output.is_json() {
        return Ok(output.json(&list(&added))?);
    }
    let new: Vec<&str> = added.iter().map(|user| user.body.name.as_str()).collect();
    let what = if admin { " as administrators" } else { "" };
    output.line(&format!("Added{what}: {}", new.join(", ")))?;
    // The hub may spell a name differently, so they are counted, not compared.
    let known = names.len().saturating_sub(new.len());
    if known > 0 {
        output.note(&format!("{known} of {} existed already and were not changed.", names.len()));
    }
    Ok(())
}

async fn set_admin(
    client: &Client,
    output: &Output,
    name: &str,
    admin: bool,
) -> anyhow::Result<()> {
    let user = client.set_admin(name, admin).await?;
    if output.is_json() {
        return Ok(output.json(&user.json)?);
    }
    let what = if admin { "an administrator now" } else { "an ordinary user now" };
    Ok(output.line(&format!("{name} is {what}."))?)
}

async fn delete(client: &Client, output: &Output, name: &str, yes: bool) -> anyhow::Result<()> {
    let question = format!(
        "Delete {name}, with all tokens? A running server is stopped; the notebooks are kept."
    );
    if !yes && !consent::ask(output, &format!("delete {name}"), &question)? {
        bail!("{name} was not deleted");
    }
    client.delete_user(name).await?;
    if !output.is_json() {
        output.line(&format!("{name} is deleted; the notebooks are kept."))?;
    }
    Ok(())
}
