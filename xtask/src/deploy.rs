//! `cargo xtask deploy`: a hub on a Docker host.
//!
//! Takes what the reference deployment was described by (`.env`, `userlist`,
//! `secrets/`) and makes of it a network, volumes, an image and two containers.
//! Every command looks at what is there first, so each can be run again at any
//! time and goes on from where an earlier run was ended.

mod certificates;
mod checks;
mod compose;
mod configure;
mod container;
mod containers;
mod database;
mod decision;
mod down;
mod ear;
mod elf;
mod environment;
mod files;
mod handover;
mod health;
mod layout;
mod logs;
mod networks;
mod notebook;
mod operator;
mod preflight;
mod release;
mod reload;
mod report;
mod rootfs;
mod scratch;
mod settings;
mod status;
mod superseded;
mod terminal;
mod tokens;
mod tool;
mod trouble;
mod turn;
mod up;
mod variables;
mod volume;
mod volumes;
mod witness;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, Subcommand};
use hub_spawner::engine::Engine;

use self::{
    operator::Operator,
    preflight::Remarks,
    release::{Release, Source},
    settings::{Problem, Settings},
    turn::Turn,
    up::{Database, Manner, NewerProgram},
    variables::Variables,
};

#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    #[command(flatten)]
    common: Common,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct Common {
    /// Where .env, userlist, secrets/ and hub.toml are.
    #[arg(long, value_name = "DIR", default_value = ".", global = true)]
    dir: PathBuf,

    /// Read variables from this file instead of DIR/.env; DIR/secrets/*.env count
    /// all the same.
    #[arg(long, value_name = "FILE", global = true)]
    env_file: Option<PathBuf>,

    /// Name of the deployment and of the hub's container (HUB_DEPLOY_NAME).
    #[arg(long, value_name = "NAME", global = true)]
    name: Option<String>,

    /// A Docker context, instead of DOCKER_HOST.
    #[arg(long, value_name = "NAME", global = true)]
    context: Option<String>,

    /// Only tell what would be done, one call or command a line.
    #[arg(long, global = true)]
    dry_run: bool,

    /// A weak setting that is meant; may be repeated (HUB_ACCEPT_WEAK).
    #[arg(long, value_name = "NAME", global = true)]
    accept_weak: Vec<String>,

    /// cargo's profile for the programs.
    #[arg(long, value_name = "PROFILE", default_value = "release", global = true)]
    profile: String,

    /// Take the programs from this directory instead of building them.
    #[arg(long, value_name = "DIR", global = true, conflicts_with = "profile")]
    binaries: Option<PathBuf>,
}

impl Common {
    /// The flags that say which deployment is meant, and where its variables are.
    fn addressed(&self) -> Vec<String> {
        let dir = Some(self.dir.display().to_string()).filter(|dir| dir != ".");
        let env_file = self.env_file.as_ref().map(|file| file.display().to_string());
        let flags = [
            ("--dir", dir),
            ("--env-file", env_file),
            ("--name", self.name.clone()),
            ("--context", self.context.clone()),
        ];
        let given = flags.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value?]));
        given.flatten().collect()
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what is missing of files and variables, all of it at once.
    CheckFiles,
    /// Make the networks.
    Network,
    /// Make the volumes.
    Volumes,
    /// Check files, make networks and volumes, build the hub's image.
    Build,
    /// Pull the image of the notebook servers, also a newer one of the same name.
    Pull,
    /// Pull that image and build what singleuser/ adds to it.
    NotebookImage,
    /// Image and containers, without making networks anew; then wait until the hub answers.
    Up,
    /// Remove hub and proxy; users' servers and files stay.
    Down(down::DownArgs),
    /// What is there.
    Status {
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// What the hub, the proxy or a user's server wrote.
    Logs(logs::LogsArgs),
    /// Put a newer hub and proxy in place; notebooks stay connected.
    Upgrade {
        /// Make another container for a newer proxy instead of handing over to it;
        /// open connections are cut.
        #[arg(long)]
        replace_proxy: bool,

        /// On the way back to an older release: use the copy of the SQLite database
        /// that the newer one kept before it changed the tables. What people did
        /// since is set aside.
        #[arg(long)]
        old_database: bool,
    },
    /// Bring changed files (user list, certificate, hub.toml, secrets) to the hub.
    Reload,
    /// Make a certificate that signs itself.
    SelfSignedCert {
        /// The host in it; default: that of OAUTH_CALLBACK_URL.
        #[arg(long, value_name = "HOST")]
        domain: Option<String>,

        /// Replace one that is there.
        #[arg(long)]
        force: bool,
    },
    /// Copy fullchain.pem and privkey.pem out of a volume.
    ImportCerts {
        /// The volume, as the reference deployment's SECRETS_VOLUME.
        #[arg(long, value_name = "VOLUME")]
        volume: String,

        /// Replace a certificate that is there.
        #[arg(long)]
        force: bool,
    },
    /// Run the operator's tool `hub` in the deployment: doctor, users, backup, ...
    #[command(trailing_var_arg = true, disable_help_flag = true)]
    Hub {
        /// Its arguments.
        #[arg(value_name = "ARGUMENT", allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Make networks, volumes and image, and write a compose file of the rest.
    Compose {
        /// Where to; `-` is standard output.
        #[arg(long, short, value_name = "FILE", default_value = "-")]
        output: PathBuf,
    },
}

impl Command {
    /// Whether all that a deployment needs has to be there.
    fn checks_files(&self) -> bool {
        matches!(
            self,
            Self::CheckFiles
                | Self::Build
                | Self::Up
                | Self::Upgrade { .. }
                | Self::Reload
                | Self::Compose { .. }
        )
    }

    /// Whether another run must not be at work meanwhile.
    fn takes_turns(&self) -> bool {
        !matches!(self, Self::CheckFiles | Self::Status { .. } | Self::Logs(_) | Self::Hub { .. })
    }
}

/// The exit code of a program that Ctrl-C ended, as shells have it.
const INTERRUPTED: u8 = 130;

pub(crate) async fn run(args: DeployArgs) -> anyhow::Result<ExitCode> {
    let (mut settings, wrong) = settings(&args.common)?;
    settings.addressed = args.common.addressed();
    if !wrong.is_empty() {
        let all = match args.command.as_ref().is_none_or(Command::checks_files) {
            true => wrong.into_iter().chain(checks::files(&settings)).collect(),
            false => wrong,
        };
        return Err(report::problems(all));
    }
    let source = match &args.common.binaries {
        Some(directory) => Source::Directory(directory.clone()),
        None => Source::Profile(args.common.profile.clone()),
    };
    match args.command {
        Some(Command::CheckFiles) => {
            check_files(&settings)?;
            eprintln!("  all files and variables are there");
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::SelfSignedCert { domain, force }) => {
            let dry = args.common.dry_run;
            certificates::self_signed(&settings, domain.as_deref(), force, dry)?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let engine = connect(&settings).await?;
    let mut operator = Operator::new(engine, args.common.dry_run);
    let takes_turns = args.command.as_ref().is_none_or(Command::takes_turns);
    let _turn = match takes_turns && !args.common.dry_run {
        true => {
            let endpoint = operator.engine().endpoint().to_owned();
            let turn = Turn::take(&settings.dir, &endpoint, &settings.layout.name).await?;
            operator = operator.in_turn();
            Some(turn)
        }
        false => None,
    };
    let is_stopped_by_us = !matches!(args.command, Some(Command::Hub { .. } | Command::Logs(_)));
    tokio::select! {
        done = Box::pin(perform(&operator, &settings, &source, args.command)) => match done {
            Ok(code) => Ok(code),
            Err(error) => Err(trouble::explained(operator.engine(), error).await),
        },
        Ok(()) = tokio::signal::ctrl_c(), if is_stopped_by_us => {
            eprintln!("interrupted; the same command goes on from here");
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

/// What takes an engine.
async fn perform(
    operator: &Operator,
    settings: &Settings,
    source: &Source,
    command: Option<Command>,
) -> anyhow::Result<ExitCode> {
    let layout = &settings.layout;
    match command {
        None => Box::pin(everything(operator, settings, source)).await?,
        Some(Command::CheckFiles | Command::SelfSignedCert { .. }) => {}
        Some(Command::Network) => drop(networks::ensure(operator, layout).await?),
        Some(Command::Volumes) => volumes::ensure(operator, layout).await?,
        Some(Command::Build) => {
            check_files(settings)?;
            networks::ensure(operator, layout).await?;
            volumes::ensure(operator, layout).await?;
            let release = release::ensure(operator, settings, source).await?;
            report::line("image", &release.image);
        }
        Some(Command::Pull) => notebook::pull(operator, settings, true).await?,
        Some(Command::NotebookImage) => notebook::ensure(operator, settings, true).await?,
        Some(command @ (Command::Up | Command::Upgrade { .. })) => {
            let manner = manner(&command);
            let remarks = check_files(settings)?;
            let release = release::ensure(operator, settings, source).await?;
            notebook::ensure(operator, settings, false).await?;
            start(operator, settings, &release, &remarks, manner).await?;
        }
        Some(Command::Down(args)) => down::run(operator, settings, args).await?,
        Some(Command::Status { json }) => {
            let status = Box::pin(status::look(operator, settings)).await?;
            print(&if json {
                serde_json::to_string_pretty(&status)?
            } else {
                status::text(&status, settings)
            });
            if !status.is_up() {
                return Ok(ExitCode::FAILURE);
            }
        }
        Some(Command::Logs(args)) => logs::run(operator.engine(), settings, &args).await?,
        Some(Command::Reload) => reload::run(operator, settings).await?,
        Some(Command::ImportCerts { volume, force }) => {
            certificates::import(operator, settings, source, &volume, force).await?;
        }
        Some(Command::Hub { arguments }) => {
            return Box::pin(tool::run(operator, settings, source, arguments)).await;
        }
        Some(Command::Compose { output }) => {
            check_files(settings)?;
            compose::refuse_elsewhere(settings)?;
            let networks = networks::ensure(operator, layout).await?;
            volumes::ensure(operator, layout).await?;
            let release = release::ensure(operator, settings, source).await?;
            let log_driver = operator.engine().info().await?.log_driver;
            let dry = operator.is_dry_run();
            compose::write(settings, &release.image, &networks, &log_driver, &output, dry)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn manner(command: &Command) -> Manner {
    let mut manner = Manner::default();
    if let Command::Upgrade { replace_proxy, old_database } = command {
        if *replace_proxy {
            manner.newer_program = NewerProgram::InAnotherContainer;
        }
        if *old_database {
            manner.database = Database::Kept;
        }
    }
    manner
}

/// From nothing to a hub that answers (XT-3).
async fn everything(
    operator: &Operator,
    settings: &Settings,
    source: &Source,
) -> anyhow::Result<()> {
    let remarks = check_files(settings)?;
    networks::ensure(operator, &settings.layout).await?;
    volumes::ensure(operator, &settings.layout).await?;
    let release = release::ensure(operator, settings, source).await?;
    notebook::ensure(operator, settings, false).await?;
    start(operator, settings, &release, &remarks, Manner::default()).await
}

async fn start(
    operator: &Operator,
    settings: &Settings,
    release: &Release,
    remarks: &Remarks,
    manner: Manner,
) -> anyhow::Result<()> {
    let up = Box::pin(up::run(operator, settings, release, manner)).await?;
    health::of_hub(operator, settings).await?;
    if let Some(until_now) = &up.until_now {
        superseded::remove_releases(operator, release, until_now).await?;
    }
    if !operator.is_dry_run() {
        let websockets = up.told(operator, settings).await?;
        report::ready(settings, remarks, &up, websockets.as_deref());
    }
    Ok(())
}

/// What the operator has decided, and all that makes no sense of it.
fn settings(common: &Common) -> anyhow::Result<(Settings, Vec<Problem>)> {
    let dir = std::path::absolute(&common.dir)?;
    anyhow::ensure!(dir.is_dir(), "--dir {}: there is no such directory", common.dir.display());
    let mut variables = Variables::read(&dir, common.env_file.as_deref())?;
    if let Some(name) = &common.name {
        variables.set("HUB_DEPLOY_NAME", name.clone());
    }
    if !common.accept_weak.is_empty() {
        let known = variables.get("HUB_ACCEPT_WEAK").map(str::to_owned);
        let all = known.into_iter().chain(common.accept_weak.iter().cloned());
        variables.set("HUB_ACCEPT_WEAK", all.collect::<Vec<_>>().join(","));
    }
    if let Some(context) = &common.context {
        // A context that is asked for goes before an address that is lying around.
        variables.set("DOCKER_CONTEXT", context.clone());
        variables.set("DOCKER_HOST", String::new());
    }
    Ok(Settings::with_problems(&dir, variables))
}

/// Everything that can be known before anything is changed.
fn check_files(settings: &Settings) -> anyhow::Result<Remarks> {
    let remarks = preflight::all(settings).map_err(report::problems)?;
    for warning in &remarks.warnings {
        eprintln!("  warning: {warning}");
    }
    Ok(remarks)
}

async fn connect(settings: &Settings) -> anyhow::Result<Engine> {
    let host = settings.docker()?;
    Engine::connect_to(&host).await.context("a Docker engine is needed")
}

#[expect(clippy::print_stdout, reason = "what was asked for goes to standard output")]
fn print(text: &str) {
    println!("{}", text.trim_end());
}
