//! The program `hub-proxy`: configurable-http-proxy's command line over this
//! library.
//!
//! Arguments and environment become settings (pure), settings become sockets
//! and services, and one loop waits for signals. Exit codes: 0 after a full
//! drain, 2 after connections were cut or when there can be no certificate, 1
//! for everything else that prevents a start.

use std::{io, num::NonZero, path::PathBuf, process::ExitCode};

use clap::Parser;

use crate::{
    AcmeError, LogWriter, TlsError, admin::ForeignRoute, error::chain, handover::TakeError,
};

mod access;
mod args;
mod counted;
mod endpoint;
mod environment;
mod healthcheck;
mod https;
mod log;
mod measured;
mod metrics;
mod open_files;
mod parent;
mod pid_file;
mod replacement;
mod running;
mod series;
mod serving;
mod settings;
mod signals;
mod snapshot;
mod sockets;
mod successor;
mod summaries;
mod supervisor;
mod token_file;
mod upgrade_socket;

use args::{Command, CommandLine, HealthcheckArgs, RunArgs, StatusArgs};
use environment::Environment;
use healthcheck::Asked;
use running::Running;
use settings::{BadSetting, Settings};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The exit code of anything that prevents a start (section 1).
const FAILED: u8 = 1;

/// The exit code after a cut, and without a usable certificate.
const CUT: u8 = 2;

/// How a process that served has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Drained,
    Cut,
    /// As the process did that took over from us.
    Code(i32),
}

/// Why a process does not get to serving.
#[derive(Debug, thiserror::Error)]
enum ProgramError {
    #[error(transparent)]
    Setting(#[from] BadSetting),
    #[error("--ssl-cert, --ssl-key")]
    Tls(#[from] TlsError),
    #[error("--api-ssl-cert, --api-ssl-key, --api-ssl-ca")]
    ApiTls(#[source] TlsError),
    #[error("--acme-domain")]
    Acme(#[from] AcmeError),
    #[error(transparent)]
    Socket(#[from] sockets::SocketError),
    #[error("cannot take over")]
    Take(#[from] TakeError),
    #[error("{0}: ended before it served")]
    Stopped(&'static str),
    #[error("cannot take over")]
    Route(#[from] ForeignRoute),
    #[error(transparent)]
    Snapshot(#[from] snapshot::BadSnapshot),
    #[error("{flag} {path}: cannot be written")]
    File {
        flag: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the process cannot be set up")]
    Runtime(#[source] io::Error),
}

impl ProgramError {
    /// The variable with the passphrase that was missing, if that is it.
    fn passphrase(&self) -> Option<&'static str> {
        match self {
            Self::Tls(TlsError::EncryptedKey { .. }) => Some(environment::KEY_PASSPHRASE),
            Self::ApiTls(TlsError::EncryptedKey { .. }) => Some(environment::API_KEY_PASSPHRASE),
            _ => None,
        }
    }
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // Nobody reads it, then; the code says the same.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { FAILED } else { 0 });
        }
    };
    let ended = match line.command {
        Some(Command::Healthcheck(args)) => return check_health(&args),
        Some(Command::Status(args)) => return print_status(&args),
        None => serve(line.run),
    };
    match ended {
        Ok(Exit::Drained) => ExitCode::SUCCESS,
        Ok(Exit::Cut) => ExitCode::from(CUT),
        Ok(Exit::Code(code)) => ExitCode::from(u8::try_from(code).unwrap_or(FAILED)),
        Err(error) => {
            eprintln!("hub-proxy: {}", chain(&error));
            if let Some(variable) = error.passphrase() {
                eprintln!("hub-proxy: {variable} is where its passphrase can be given");
            }
            ExitCode::from(
                if matches!(
                    error,
                    ProgramError::Tls(_) | ProgramError::ApiTls(_) | ProgramError::Acme(_)
                ) {
                    CUT
                } else {
                    FAILED
                },
            )
        }
    }
}

fn serve(args: RunArgs) -> Result<Exit, ProgramError> {
    let environment = Environment::read();
    let mut warning = None;
    if let Some(path) = args.ours.upgrade_binary.as_deref().filter(|_| !environment.is_chosen) {
        warning = replacement::run_instead(path);
    }
    let log = log::install(settings::log_level(&args.log_level)?, args.ours.log_format)
        .map_err(ProgramError::Runtime)?;
    let ended = serve_logged(args, environment, warning, &log);
    log.finish();
    ended
}

fn serve_logged(
    args: RunArgs,
    environment: Environment,
    warning: Option<String>,
    log: &LogWriter,
) -> Result<Exit, ProgramError> {
    let given = supervisor::sockets(&environment.listen)?;
    let settings = Settings::new(args, environment)?;
    for warning in warning.iter().chain(&settings.warnings) {
        tracing::warn!("{warning}");
    }
    let ends_as_cut = settings.drain.compat_exit;
    runtime()?.block_on(async {
        match Box::pin(Running::start(settings, given, log.clone(), VERSION)).await {
            Ok(running) => Ok(Box::pin(running.run()).await),
            Err(stopped @ ProgramError::Stopped(_)) => {
                tracing::warn!("{stopped}");
                Ok(if ends_as_cut { Exit::Cut } else { Exit::Drained })
            }
            Err(error) => Err(error),
        }
    })
}

fn print_status(args: &StatusArgs) -> ExitCode {
    let api = Asked { url: &args.api, socket: args.api_socket.as_deref() };
    let report = || -> Result<String, crate::BoxError> {
        let token = settings::secret(&Environment::read())?;
        let tls = https::target_tls(&args.tls)?;
        runtime()?.block_on(healthcheck::report(api, token.as_deref(), tls))
    };
    match report() {
        Ok(report) => {
            say(&report);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("hub-proxy: {api}: {}", chain(&*error));
            ExitCode::from(FAILED)
        }
    }
}

#[expect(clippy::print_stdout, reason = "what was asked for goes to standard output")]
fn say(text: &str) {
    println!("{}", text.trim_end());
}

fn check_health(args: &HealthcheckArgs) -> ExitCode {
    let asked = Asked { url: &args.url, socket: args.socket.as_deref() };
    match runtime().map(|runtime| runtime.block_on(healthcheck::ask(asked))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("hub-proxy: {asked}: {}", chain(&*error));
            ExitCode::from(FAILED)
        }
        Err(error) => {
            eprintln!("hub-proxy: {}", chain(&error));
            ExitCode::from(FAILED)
        }
    }
}

/// A worker for each processor that the program may use. With one there is nobody to share
/// work with, and a request takes 4 % less of it without what sharing needs.
fn runtime() -> Result<tokio::runtime::Runtime, ProgramError> {
    use tokio::runtime::Builder;

    let mut builder = match std::thread::available_parallelism().map_or(1, NonZero::get) {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.enable_all().build().map_err(ProgramError::Runtime)
}
