//! What the commands do, one file for each noun.

pub(crate) mod config;
mod info;
mod reload;
mod servers;
mod tokens;
mod users;

use crate::{args::Command, client::Client, output::Output};

/// Does what was asked for.
pub(crate) async fn run(command: Command, client: &Client, output: &Output) -> anyhow::Result<()> {
    match command {
        Command::Users(command) => users::run(command, client, output).await,
        Command::Servers(command) => servers::run(command, client, output).await,
        Command::Tokens(command) => tokens::run(command, client, output).await,
        Command::Reload => reload::run(client, output).await,
        Command::Config(command) => config::run(command, output),
        Command::Info => info::run(client, output).await,
    }
}

/// The JSON of several answers: a list.
fn list<'a, T: 'a>(
    answers: impl IntoIterator<Item = &'a crate::client::Answer<T>>,
) -> serde_json::Value {
    answers.into_iter().map(|answer| answer.json.clone()).collect()
}
