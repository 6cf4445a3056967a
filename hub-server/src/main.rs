//! The hub as a program.

use std::{
    io::{IsTerminal, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use hub_names::UserName;
use hub_server::{
    Clock, Ended, StartupError, SystemClock,
    accounts::import,
    chain,
    config::{Environment, Loaded, Sources},
    forget::forget,
    prepare::{Owner, prepare},
};
use hub_store::{PutBack, Store, StoreConfig};
use secrecy::SecretString;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use url::Url;

/// A multi-user notebook hub: sign-in, single-user servers in Docker, TLS proxy.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Configuration file; without it, hub.toml in the working directory if it is there.
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// File of variables, NAME=value; without it, .env beside the configuration file.
    #[arg(long, global = true, value_name = "FILE")]
    env_file: Option<PathBuf>,

    /// Set a key of the configuration over everything else: section.key=value.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Leave out bad lines of the user list instead of refusing to start.
    #[arg(long, global = true)]
    lenient: bool,

    /// Drive a proxy that is a program of its own over its REST API, for example
    /// http://127.0.0.1:8001; its token is CONFIGPROXY_AUTH_TOKEN.
    #[arg(long, global = true, value_name = "URL")]
    proxy_api: Option<String>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Run the hub (what happens without a command).
    Serve,
    /// Read a password from standard input and print its hash for
    /// [auth.password.accounts].
    HashPassword,
    /// Give a data volume to the user that the hub runs as, and tell which group
    /// may use Docker's socket. For deployments; needs root.
    Prepare {
        /// The directory where the volume is mounted.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,

        /// The new owner.
        #[arg(long, value_name = "UID:GID", value_parser = owner)]
        owner: Owner,

        /// The socket to look at.
        #[arg(long, value_name = "PATH")]
        socket: Option<PathBuf>,
    },
    /// Remove files that are not the operator's any more from a data volume. For
    /// deployments.
    Forget {
        /// The directory where the volume is mounted.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,

        /// Paths below it.
        #[arg(required = true, value_name = "PATH")]
        names: Vec<PathBuf>,
    },
    /// Take over accounts of a NativeAuthenticator or FirstUseAuthenticator into the
    /// database; the hub has to be stopped. A line of FILE for each: NAME,HASH or
    /// NAME,HASH,1 (0: not approved), or NAME,HASH,1,SECRET with a second factor in base32.
    ImportAccounts {
        /// The list; `-` is standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Remove the second factor of an account with the hub itself, for an administrator who
    /// has lost phone and recovery codes; the hub has to be stopped.
    RemoveSecondFactor {
        /// Whose.
        #[arg(value_name = "NAME")]
        name: UserName,
    },
    /// Put the copy of a SQLite database that a later release kept for this one in
    /// the place of that release's; the hub has to be stopped. For deployments.
    PutBackDatabase {
        /// As in store.url.
        #[arg(long, value_name = "URL")]
        url: String,
    },
    /// Ask the running hub whether it serves; ends with 0 if so, else with 1.
    Healthcheck {
        /// Where to ask, instead of what the configuration says.
        #[arg(long, value_name = "URL")]
        url: Option<Url>,
    },
}

/// Why a command did not do what it is for.
struct Failure {
    error: Box<dyn std::error::Error>,
    exit_code: u8,
}

impl From<StartupError> for Failure {
    fn from(error: StartupError) -> Self {
        Self { exit_code: error.exit_code(), error: error.into() }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match &args.command {
        Some(Command::HashPassword) => hash_password().map_err(Failure::from),
        // 1 is what Docker takes for unhealthy; it reserves the others.
        Some(Command::Healthcheck { url }) => {
            healthcheck(&args, url.clone()).map_err(|error| Failure { error, exit_code: 1 })
        }
        Some(Command::Prepare { data, owner, socket }) => {
            prepare_volume(data, *owner, socket.as_deref()).map_err(Failure::from)
        }
        Some(Command::Forget { data, names }) => {
            forget(data, names).map_err(|error| Failure { error: error.into(), exit_code: 1 })
        }
        Some(Command::ImportAccounts { file }) => import_accounts(&args, file),
        Some(Command::RemoveSecondFactor { name }) => remove_second_factor(&args, name),
        Some(Command::PutBackDatabase { url }) => {
            put_back(url).map_err(|error| Failure { error, exit_code: 1 })
        }
        Some(Command::Serve) | None => match serve(&args) {
            Ok(Ended::Asked) => Ok(()),
            Ok(Ended::GaveUp) => {
                let error = "too many starts in a row have failed; the hub's log tells why";
                Err(Failure { error: error.into(), exit_code: 1 })
            }
            Err(error) => Err(error.into()),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("hub-server: {}", chain(&*failure.error));
            ExitCode::from(failure.exit_code)
        }
    }
}

fn sources(args: &Args) -> Sources {
    let proxy = args.proxy_api.iter().map(|url| format!("proxy.api_url={url}"));
    Sources::new(Environment::of_process())
        .config_file(args.config.clone())
        .env_file(args.env_file.clone())
        .flags(args.set.iter().cloned().chain(proxy))
        .lenient(args.lenient)
}

fn serve(args: &Args) -> Result<Ended, StartupError> {
    let sources = sources(args);
    let loaded = sources.load()?;
    let (log, writer) =
        hub_server::logging::install(&loaded.config.log).map_err(StartupError::Runtime)?;
    let ended = serve_logged(loaded, sources, log);
    writer.finish();
    ended
}

fn serve_logged(
    loaded: Loaded,
    sources: Sources,
    log: hub_server::logging::Handle,
) -> Result<Ended, StartupError> {
    for file in loaded.config_file.iter().chain(&loaded.env_file) {
        tracing::info!(file = %file.display(), "configuration read");
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    for variable in &loaded.empty_variables {
        tracing::debug!(%variable, "is empty, which counts as not set");
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
            running = hub_server::start(loaded, sources, log) => running?,
            () = signals.stopped() => return Ok(Ended::Asked),
        };
        let reload = running.reload_handle();
        let serve = running.serve(stop.clone(), now.clone());
        tokio::pin!(serve);
        loop {
            tokio::select! {
                ended = &mut serve => return Ok(ended),
                what = signals.next() => match what {
                    Received::Reload => reload.ask(),
                    // A second signal does not wait for open requests.
                    Received::Stop if stop.is_cancelled() => now.cancel(),
                    Received::Stop => stop.cancel(),
                },
            }
        }
    })
}

fn healthcheck(args: &Args, url: Option<Url>) -> Result<(), Box<dyn std::error::Error>> {
    let url = match url {
        Some(url) => url,
        None => hub_server::health_url(&sources(args).load()?.config)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(hub_server::healthcheck(url))?)
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

fn put_back(url: &str) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let config = StoreConfig { url: url.to_owned() };
    if let PutBack::Done { found, aside } = runtime.block_on(Store::put_back(&config))? {
        print(&format!(
            "the database had the tables of step {found} and is {} now; the copy that was kept for \
             this release is in its place",
            aside.display()
        ));
    }
    Ok(())
}

fn import_accounts(args: &Args, file: &Path) -> Result<(), Failure> {
    let failed = |error: Box<dyn std::error::Error>| Failure { error, exit_code: 1 };
    let config = sources(args).load().map_err(StartupError::from)?.config;
    let text = match file.as_os_str().to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin()),
        _ => std::fs::read_to_string(file),
    };
    let text = text.map_err(|error| failed(format!("{}: {error}", file.display()).into()))?;
    let accounts = import::parse(&text).map_err(|error| failed(error.into()))?;
    let sealing = import::Sealing::of(&config).map_err(StartupError::from)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartupError::Runtime)?;
    let imported = runtime
        .block_on(async {
            let store = Store::open(&config.store).await?;
            let imported = import::import(&store, accounts, &sealing, SystemClock.now()).await;
            store.close().await;
            imported
        })
        .map_err(|error| failed(error.into()))?;
    for name in &imported.known {
        print(&format!("{name}: has an account already, which stays as it is"));
    }
    for name in &imported.others {
        print(&format!("{name}: left out, the hub's user of that name signs in another way"));
    }
    print(&format!("{} accounts added, {} wait for approval", imported.added, imported.waiting));
    if config.auth.local.is_none() {
        print("the configuration has no [auth.local], so nobody can sign in with them yet");
    }
    Ok(())
}

fn remove_second_factor(args: &Args, name: &UserName) -> Result<(), Failure> {
    let failed = |error: Box<dyn std::error::Error>| Failure { error, exit_code: 1 };
    let config = sources(args).load().map_err(StartupError::from)?.config;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartupError::Runtime)?;
    let removed = runtime.block_on(async {
        let store = Store::open(&config.store).await?;
        let removed = match store.local_accounts().by_name(name).await {
            Ok(Some(account)) => store.second_factors().remove(&account.id).await.map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        store.close().await;
        removed
    });
    match removed.map_err(|error| failed(error.into()))? {
        Some(true) => print(&format!("{name} has no second factor any more")),
        Some(false) => return Err(failed(format!("{name} has no second factor").into())),
        None => {
            return Err(failed(format!("{name} has no account with the hub itself").into()));
        }
    }
    Ok(())
}

fn prepare_volume(data: &Path, owner: Owner, socket: Option<&Path>) -> Result<(), StartupError> {
    let prepared = prepare(data, owner, socket)
        .map_err(|error| StartupError::Runtime(std::io::Error::other(error)))?;
    let line = serde_json::to_string(&prepared)
        .map_err(|error| StartupError::Runtime(std::io::Error::other(error)))?;
    print(&line);
    Ok(())
}

fn owner(text: &str) -> Result<Owner, String> {
    let ids =
        text.split_once(':').and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
    let (uid, gid) = ids.ok_or_else(|| "write UID:GID, for example 1000:1000".to_owned())?;
    Ok(Owner { uid, gid })
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
