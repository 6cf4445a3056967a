//! `cargo xtask fuzz`: random input for the proxy, for a limited time.
//!
//! What is found new goes to the state directory; the inputs to begin with are in
//! the repository. An input that ends a target is kept and its path is printed: it
//! becomes a test.

use std::{fs, process::ExitCode};

use anyhow::{Context, bail};
use tokio::process::Command;

use crate::{process, programs, workspace};

/// A package of its own, see its `Cargo.toml`.
const PACKAGE: &str = "hub-proxy/fuzz";

/// What there is to fuzz.
const TARGETS: [&str; 5] = ["request", "chunked", "answer", "path", "admin"];

#[derive(Debug, clap::Args)]
pub(crate) struct FuzzArgs {
    /// How long each target runs.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,

    /// Only these of: request, chunked, answer, path, admin.
    #[arg(value_parser = TARGETS)]
    targets: Vec<String>,
}

/// Runs the targets one after the other; fails if an input ended one.
///
/// # Errors
///
/// When cargo-fuzz or a nightly compiler is missing.
pub(crate) async fn run(args: &FuzzArgs) -> anyhow::Result<ExitCode> {
    if programs::find("cargo-fuzz").is_none() {
        bail!("cargo-fuzz is missing; run `cargo install cargo-fuzz`");
    }
    let chosen = |target: &str| args.targets.is_empty() || args.targets.iter().any(|t| t == target);
    let mut broken = Vec::new();
    for target in TARGETS.into_iter().filter(|target| chosen(target)) {
        if !fuzz(target, args.seconds).await? {
            broken.push(target);
        }
    }
    if broken.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("fuzz: see {PACKAGE}/artifacts for what broke {}", broken.join(", "));
    Ok(ExitCode::FAILURE)
}

async fn fuzz(target: &str, seconds: u32) -> anyhow::Result<bool> {
    let root = workspace::root();
    let found = workspace::state_dir().join("fuzz").join(target);
    fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(root)
        // Other than the workspace's: cargo hands its own to its children.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env("CARGO_INCREMENTAL", "0")
        .args(["+nightly", "fuzz", "run", "--fuzz-dir", PACKAGE, target])
        .arg(&found)
        .arg(root.join(PACKAGE).join("seeds").join(target))
        .args(["--", &format!("-max_total_time={seconds}"), "-max_len=4096", "-timeout=30"]);
    eprintln!("$ {}", process::shown(&cargo));
    let status = process::stream(&mut cargo, |line| eprintln!("{line}")).await?;
    Ok(status.success())
}
