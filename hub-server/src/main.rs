//! The hub as a program.

use std::{
    io::{IsTerminal, Read},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use hub_server::{StartupError, config};
use secrecy::SecretString;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A multi-user notebook hub: sign-in, single-user servers in Docker, TLS proxy.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Configuration file; without it, the environment has to say everything.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Leave out bad lines of the user list instead of refusing to start.
    #[arg(long)]
    lenient: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Command {
    /// Run the hub (what happens without a command).
    Serve,
    /// Read the configuration, say what is wrong with it, and end.
    CheckConfig,
    /// Read a password from standard input and print its hash for
    /// [auth.password.accounts].
    HashPassword,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.command.unwrap_or(Command::Serve) {
        Command::HashPassword => hash_password(),
        Command::CheckConfig => check_config(&args),
        Command::Serve => serve(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hub-server: {}", chain(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

fn load(args: &Args) -> Result<config::Config, StartupError> {
    let environment = config::Environment::of_process();
    Ok(config::load(args.config.as_deref(), &environment, args.lenient)?)
}

fn serve(args: &Args) -> Result<(), StartupError> {
    let config = load(args)?;
    hub_server::logging::install(&config.log);
    for warning in &config.auth.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(StartupError::Runtime)?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let now = CancellationToken::new();
        let mut signals = Signals::install()?;
        let running = tokio::select! {
            running = hub_server::start(config) => running?,
            () = signals.stopped() => return Ok(()),
        };
        let reload = running.reloader();
        let serve = running.serve(stop.clone(), now.clone());
        tokio::pin!(serve);
        loop {
            tokio::select! {
                () = &mut serve => return Ok(()),
                what = signals.next() => match what {
                    Received::Reload => reload.reload(),
                    // A second signal does not wait for open requests.
                    Received::Stop if stop.is_cancelled() => now.cancel(),
                    Received::Stop => stop.cancel(),
                },
            }
        }
    })
}

fn check_config(args: &Args) -> Result<(), StartupError> {
    let config = load(args)?;
    for warning in &config.auth.warnings {
        eprintln!("{warning}");
    }
    print(&format!(
        "The configuration is in order: listens on {}, spawns {}.",
        config.http.listen, config.spawner.image
    ));
    Ok(())
}

fn hash_password() -> Result<(), StartupError> {
    if std::io::stdin().is_terminal() {
        eprintln!("Password, then Ctrl-D:");
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(StartupError::Runtime)?;
    let password = SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned());
    print(&hub_auth::hash_password(&password).map_err(StartupError::Password)?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the result of a command goes to standard output")]
fn print(line: &str) {
    println!("{line}");
}

enum Received {
    Reload,
    Stop,
}

struct Signals {
    hangup: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn install() -> Result<Self, StartupError> {
        let on = |kind| signal(kind).map_err(StartupError::Runtime);
        Ok(Self {
            hangup: on(SignalKind::hangup())?,
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
        })
    }

    /// Waits until the process is asked to end.
    async fn stopped(&mut self) {
        while matches!(self.next().await, Received::Reload) {}
    }

    async fn next(&mut self) -> Received {
        tokio::select! {
            _ = self.hangup.recv() => Received::Reload,
            _ = self.interrupt.recv() => Received::Stop,
            _ = self.terminate.recv() => Received::Stop,
        }
    }
}

/// The error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
