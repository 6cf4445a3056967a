#![doc = include_str!("../README.md")]

mod args;
mod client;
mod commands;
mod output;
mod token;

use std::{io, process::ExitCode};

use anyhow::Context as _;
use clap::Parser as _;
use hub_server::{StartupError, config::ConfigError};

use self::{
    args::{Args, Command, UsageError},
    client::{CallError, Client},
    output::Output,
    token::Token,
};

/// The exit code of a command line or a configuration that cannot work, as clap's
/// and the hub's.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        // `hub users list | head`: whoever read has seen enough.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

fn run(args: Args) -> anyhow::Result<()> {
    let output = Output::new(args.json, now());
    let command = match args.command {
        // Needs no hub, and no certificates to speak to one.
        Command::Config(command) => return commands::config::run(command, &output),
        command @ (Command::Users(_)
        | Command::Servers(_)
        | Command::Tokens(_)
        | Command::Reload
        | Command::Info) => command,
    };
    // An error means that there is a provider already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the asynchronous runtime could not be started")?;
    let token = Token::find(args.connection.token_file.as_deref())?;
    if token.is_none() && !matches!(command, Command::Info) {
        return Err(token::missing().into());
    }
    let client = Client::new(&args.connection, token)?;
    runtime.block_on(commands::run(command, &client, &output))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tool's only look at the clock, for \"3 min ago\""
)]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Tells what went wrong and what can be done, on standard error.
fn report(error: &anyhow::Error) -> ExitCode {
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        for one in error.each() {
            eprintln!("hub: {}", output::printable(&one.to_string()));
        }
        return ExitCode::from(USAGE);
    }
    eprintln!("hub: {}", output::printable(&format!("{error:#}")));
    if let Some(error) = error.downcast_ref::<StartupError>() {
        return ExitCode::from(error.exit_code());
    }
    let usage = error.downcast_ref::<UsageError>();
    let hint = match error.downcast_ref::<CallError>() {
        Some(error) => error.hint(),
        None => usage.map(|error| error.hint.clone()),
    };
    if let Some(hint) = hint {
        eprintln!("hint: {}", output::printable(&hint));
    }
    match usage {
        Some(_) => ExitCode::from(USAGE),
        None => ExitCode::FAILURE,
    }
}
