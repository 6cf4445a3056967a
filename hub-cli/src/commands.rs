//! What the commands do, one file for each noun.

pub(crate) mod auth;
mod backup;
pub(crate) mod config;
mod consent;
pub(crate) mod crypt;
pub(crate) mod doctor;
mod gc;
pub(crate) mod import_config;
mod info;
mod new_file;
mod reload;
mod restore;
mod servers;
mod tokens;
mod users;

use crate::{args::OfHub, client::Client, output::Output};

/// Asks the hub.
pub(crate) async fn run(command: OfHub, client: &Client, output: &Output) -> anyhow::Result<()> {
    match command {
        OfHub::Users(command) => users::run(command, client, output).await,
        OfHub::Servers(command) => servers::run(command, client, output).await,
        OfHub::Tokens(command) => tokens::run(command, client, output).await,
        OfHub::Backup(command) => backup::run(command, output).await,
        OfHub::Restore(command) => restore::run(command, output).await,
        OfHub::Gc(command) => gc::run(command, output).await,
        OfHub::Reload => reload::run(client, output).await,
        OfHub::Info => info::run(client, output).await,
    }
}

/// The JSON of several answers: a list.
fn list<'a, T: 'a>(
    answers: impl IntoIterator<Item = &'a crate::client::Answer<T>>,
) -> serde_json::Value {
    answers.into_iter().map(|answer| answer.json.clone()).collect()
}
