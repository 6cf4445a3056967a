//! `cargo xtask demo`: a hub on this machine, from nothing.
//!
//! What it makes is under `.hub/demo/` and, in Docker, carries the label
//! `hub.deployment=demo`. A second run takes all of it up again.

mod account;
mod certificate;
mod config;
mod hub_process;
mod state;
mod stop;

use std::process::ExitCode;

use anyhow::{Context, bail};
use serde::Serialize;
use tokio::process::Command;

use self::{hub_process::HubProcess, state::State};
use crate::{docker_engine, images, process, step::Step, workspace};

/// The label's value, and part of the network's name.
const DEPLOYMENT: &str = "demo";

/// The account's name; it is also the administrator's.
const ACCOUNT: &str = "demo";

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Port to listen on, on localhost.
    #[arg(long, default_value_t = 8000)]
    port: u16,

    /// Serve plain HTTP.
    #[arg(long)]
    no_tls: bool,

    /// When ready, print one line of JSON on standard output.
    #[arg(long)]
    json: bool,

    /// Remove everything the demo made, notebooks' files included.
    #[arg(long, conflicts_with_all = ["port", "no_tls", "json"])]
    stop: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Ready<'a> {
    url: &'a str,
    username: &'a str,
    password: &'a str,
    admin_token: &'a str,
    ca_file: Option<&'a str>,
    hub_pid: u32,
}

pub(crate) async fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let state = State::at(workspace::state_dir().join("demo"));
    if args.stop {
        stop::run(&state).await?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(pid) = hub_process::running(&state) {
        bail!("the demo runs already (process {pid}); `cargo xtask demo --stop` removes it");
    }
    ensure_free(args.port)?;
    let engine = docker_engine::find_or_start().await?;
    let image = images::ensure_notebook(&engine).await?;
    build().await?;
    state.create()?;
    if !args.no_tls {
        certificate::ensure(&state.certificate(), &state.key())?;
    }
    let account = account::ensure(&state).await?;
    let admin_token = state.secret("admin_token")?;
    let settings = config::Settings {
        port: args.port,
        api_port: state.api_port()?,
        tls: !args.no_tls,
        image: &image,
        password_hash: &account.hash,
        admin_token: &admin_token,
    };
    config::write(&state, &settings)?;
    let url = settings.public_url();
    let ca_file = (!args.no_tls).then(|| state.certificate().display().to_string());
    let hub = HubProcess::start(&state, &url, ca_file.as_deref()).await?;
    let ready = Ready {
        url: &url,
        username: ACCOUNT,
        password: &account.password,
        admin_token: &admin_token,
        ca_file: ca_file.as_deref(),
        hub_pid: hub.pid(),
    };
    if args.json {
        print_result(&serde_json::to_string(&ready)?);
    }
    explain(&ready, &state);
    hub.wait().await
}

/// Builds the hub and its command-line tool.
async fn build() -> anyhow::Result<()> {
    let step = Step::begin("building the hub (some minutes the first time)");
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(workspace::root()).args([
        "build",
        "--locked",
        "-p",
        "hub-server",
        "-p",
        "hub-cli",
    ]);
    process::run(&step, &mut command).await?;
    step.done("");
    Ok(())
}

fn ensure_free(port: u16) -> anyhow::Result<()> {
    std::net::TcpListener::bind(("127.0.0.1", port))
        .map(drop)
        .with_context(|| format!("port {port} cannot be used; choose another with --port"))
}

fn explain(ready: &Ready<'_>, state: &State) {
    eprintln!();
    eprintln!("The hub is ready:  {}", ready.url);
    eprintln!("  user name        {}", ready.username);
    eprintln!("  password         {}", ready.password);
    if let Some(file) = ready.ca_file {
        eprintln!("  certificate      {}", workspace::shown(file.as_ref()));
        eprintln!("                   (its own, so a browser warns once)");
    }
    eprintln!("  log              {}", workspace::shown(&state.log()));
    eprintln!();
    eprintln!("Ctrl-C stops the hub; notebook servers go on and are found again by the next");
    eprintln!("`cargo xtask demo`. `cargo xtask demo --stop` removes everything, files included.");
}

#[expect(clippy::print_stdout, reason = "the result a program reads; all else is on stderr")]
fn print_result(line: &str) {
    println!("{line}");
}
