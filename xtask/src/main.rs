//! Developer commands, run as `cargo xtask COMMAND`.
//!
//! Everything that `cargo` cannot say: try the hub, run every test including
//! those that need Docker, a browser and PostgreSQL, check the rules that the
//! compiler does not know.

mod checklist;
mod ci;
mod demo;
mod deploy;
mod docker_engine;
mod fuzz;
mod images;
mod npm;
mod packages;
mod pip;
mod process;
mod programs;
mod step;
mod surroundings;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Developer commands")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a hub on this machine: Docker, notebook image, certificate, account.
    Demo(demo::DemoArgs),
    /// Set up a hub on a Docker host, look at it, replace it, take it down.
    Deploy(Box<deploy::DeployArgs>),
    /// Run every check and test; install what they need.
    Test(ci::TestArgs),
    /// What CI runs: the same as `test`.
    Ci(ci::TestArgs),
    /// Check the rules of the workspace that the compiler does not know.
    Tidy,
    /// Print the rules of the proxy that no test carries.
    ProxyChecklist,
    /// Give the proxy random input for a limited time; needs cargo-fuzz and a
    /// nightly compiler.
    Fuzz(fuzz::FuzzArgs),
    /// Build the images that demo and tests use.
    Images(images::ImagesArgs),
}

fn main() -> ExitCode {
    let args = Args::parse();
    // The one process-wide choice of a TLS implementation.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .expect("nothing has chosen a provider before");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime needs only threads and an epoll handle");
    match runtime.block_on(run(args.command)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(args) => demo::run(&args).await,
        Command::Deploy(args) => Box::pin(deploy::run(*args)).await,
        Command::Test(args) | Command::Ci(args) => ci::run(&args).await,
        Command::Tidy => tidy::run(),
        Command::ProxyChecklist => checklist::run(),
        Command::Fuzz(args) => fuzz::run(&args).await,
        Command::Images(args) => images::run(&args).await,
    }
}
