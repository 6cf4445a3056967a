#![doc = include_str!("../README.md")]

mod args;
mod backup;
mod client;
mod commands;
mod configuration;
mod containers;
mod import;
mod interrupt;
mod output;
mod token;

use std::{io, process::ExitCode};

use anyhow::Context as _;
use clap::Parser as _;
use hub_server::{StartupError, config::ConfigError};

use self::{
    args::{Args, Command, Connection, OfHub, UsageError},
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
        Ok(code) => code,
        // `hub users list | head`: whoever read has seen enough.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

fn run(args: Args) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    match args.command {
        // Needs no hub, and no certificates to speak to one.
        Command::Config(command) => commands::config::run(command, &output)?,
        Command::ImportConfig(what) => commands::import_config::run(&what, &output)?,
        Command::Auth(command) => {
            return runtime()?.block_on(commands::auth::run(command, &output));
        }
        Command::Crypt(command) => {
            runtime()?.block_on(commands::crypt::run(command, &output))?;
        }
        Command::Doctor(what) => {
            let token = Token::find(args.connection.token_file.as_deref())?;
            return runtime()?.block_on(commands::doctor::run(what, token, output.now(), &output));
        }
        Command::OfHub(command) => ask(command, &args.connection, &output)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(command: OfHub, connection: &Connection, output: &Output) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let token = Token::find(connection.token_file.as_deref())?;
    if token.is_none() && command.needs_token() {
        return Err(token::missing().into());
    }
    if command.needs_no_hub() {
        // Works on volumes and containers, which are not left half done.
        interrupt::listen()?;
    }
    let client = Client::new(connection, token)?;
    runtime.block_on(commands::run(command, &client, output))
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    // An error means that there is a provider already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the asynchronous runtime could not be started")
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
        _ if interrupt::is_pressed() => ExitCode::from(interrupt::EXIT_CODE),
        Some(_) => ExitCode::from(USAGE),
        None => ExitCode::FAILURE,
    }
}
