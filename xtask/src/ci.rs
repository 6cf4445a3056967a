//! `cargo xtask test`: every check and every test.
//!
//! Order: what is quick and needs nothing, then the tests that need a compiler
//! only, then what the others need, then those. A step that fails does not stop
//! the next one, so that one run tells everything.

mod counts;
mod panics;
mod podman;
mod postgres;
mod report;
mod room;
mod sweep;

use std::{ffi::OsStr, path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use hub_spawner::engine::Engine;
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
};

use self::{
    counts::Counts,
    panics::Panics,
    podman::Podman,
    postgres::Postgres,
    report::{Done, Report},
};
use crate::{
    checklist, docker_engine,
    images::{self, Images, MatrixImage},
    npm, packages, pip, process, programs, tidy, workspace,
};

#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// Leave out the tests that need Docker, a browser or PostgreSQL.
    #[arg(long)]
    no_e2e: bool,

    /// Run only the tests whose name contains this text, and no other checks.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

/// What each spawner has to do, what kept containers do, and those that are paused.
/// Podman waits before no start, so that nobody sees one that is about to be made again.
const ON_PODMAN: [&str; 9] = [
    "spawner::the_docker_spawner_conforms",
    "faults::api_5_a_container_whose_creation_was_not_answered_is_found_by_its_labels",
    "faults::spn_29_what_happened_while_the_stream_was_broken_is_made_up_for",
    "halted::spn_26_a_server_that_is_paused_counts_as_running_and_can_be_stopped",
    "halted::spn_26_the_end_of_a_server_has_a_time",
    "kept::a_user_with_files_keeps_the_name_and_one_without_goes_on_under_another",
    "kept::spn_11_a_kept_container_goes_on_until_its_settings_change",
    "kept::spn_12_a_kept_container_with_another_token_is_made_anew",
    "kept::spn_30_what_is_left_of_a_user_is_the_operators_choice",
];

/// What the tests that are otherwise ignored need.
struct Stage {
    engine: Engine,
    images: Images,
    matrix: Vec<MatrixImage>,
    postgres: Postgres,
    /// JupyterHub's proxy.
    configurable_http_proxy: PathBuf,
    /// A library that makes an OpenID provider.
    oidc_provider: PathBuf,
    /// A Python with the packages of services.
    services_python: PathBuf,
    /// JupyterHub's description of its API.
    jupyterhub_api: PathBuf,
}

pub(crate) async fn run(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // Dropping the run ends its children and the database; a signal's default
    // would leave them.
    let report = tokio::select! {
        report = all(args) => report,
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("told to end"),
    };
    Ok(report.print())
}

async fn all(args: &TestArgs) -> Report {
    let mut report = Report::default();
    room::before_the_build();
    if args.filter.is_none() {
        report.step("formatting", cargo(&["fmt", "--all", "--check"])).await;
        report.step("tidy", async { clean(tidy::run()?) }).await;
        report.step("proxy checklist", async { clean(checklist::run()?) }).await;
        let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
        report.step("clippy", cargo(&clippy)).await;
    }
    let runner = Runner { filter: args.filter.as_deref(), nextest: has_nextest() };
    // End-to-end tests run the shipped binaries, which a test build leaves out.
    report.step("build", cargo(&["build", "--workspace", "--locked"])).await;
    report.step("tests", runner.run(Choice::NeedingACompiler, None)).await;
    if args.filter.is_none() {
        let doc = ["test", "--doc", "--workspace", "--locked", "--no-fail-fast"];
        report.step("doc tests", tests(command(&doc))).await;
    }
    if !args.no_e2e {
        with_stage(&mut report, &runner).await;
    }
    report
}

async fn with_stage(report: &mut Report, runner: &Runner<'_>) {
    let mut stage = None;
    report
        .step("preparation", async {
            stage = Some(prepare().await?);
            Ok(Done::default())
        })
        .await;
    let Some(stage) = stage else {
        report.step("tests with Docker", async { bail!("not run, the preparation failed") }).await;
        return;
    };
    report.step("tests with Docker", runner.run(Choice::NeedingMore, Some(&stage))).await;
    if let Some(names) = on_podman(runner.filter) {
        report.step("tests with Podman", runner.run_on_podman(&names)).await;
    }
    report.step("sweep", sweep::run(&stage.engine)).await;
    stage.postgres.stop().await;
}

async fn prepare() -> anyhow::Result<Stage> {
    packages::ensure(&packages::TESTS).await?;
    let engine = docker_engine::find_or_start().await?;
    let images = images::ensure_all(&engine).await?;
    let matrix = images::ensure_matrix(&engine).await?;
    let configurable_http_proxy = npm::configurable_http_proxy().await?;
    let oidc_provider = npm::oidc_provider().await?;
    let services_python = pip::services_python().await?;
    let jupyterhub_api = pip::jupyterhub_api(&services_python).await?;
    let postgres = Postgres::start().await.context("cannot start a PostgreSQL for the tests")?;
    room::before_the_tests()?;
    Ok(Stage {
        engine,
        images,
        matrix,
        postgres,
        configurable_http_proxy,
        oidc_provider,
        services_python,
        jupyterhub_api,
    })
}

/// The tests with Docker that pass on Podman as well, and that a filter leaves.
fn on_podman(filter: Option<&str>) -> Option<Vec<&'static str>> {
    let is_meant = |name: &&str| filter.is_none_or(|text| name.contains(text));
    let names: Vec<_> = ON_PODMAN.into_iter().filter(is_meant).collect();
    (!names.is_empty()).then_some(names)
}

/// What a check that has printed its findings came to.
fn clean(outcome: ExitCode) -> anyhow::Result<Done> {
    if outcome != ExitCode::SUCCESS {
        bail!("rules are broken");
    }
    Ok(Done::default())
}

/// Which tests are meant.
#[derive(Clone, Copy)]
enum Choice {
    /// Those that are not ignored.
    NeedingACompiler,
    /// Those that are.
    NeedingMore,
}

struct Runner<'a> {
    filter: Option<&'a str>,
    nextest: bool,
}

impl Runner<'_> {
    async fn run(&self, choice: Choice, stage: Option<&Stage>) -> anyhow::Result<Done> {
        let mut command = command(&self.arguments(choice));
        if let Some(stage) = stage {
            command
                .env("HUB_TEST_POSTGRES_URL", stage.postgres.url())
                .env("HUB_TEST_CHP", &stage.configurable_http_proxy)
                .env("HUB_TEST_OIDC_PROVIDER", &stage.oidc_provider)
                .env("HUB_TEST_SERVICES_PYTHON", &stage.services_python)
                .env("HUB_TEST_JUPYTERHUB_API", &stage.jupyterhub_api)
                .env("HUB_TEST_IMAGE", &stage.images.notebook)
                .env("HUB_TEST_IMAGE_EXITS", &stage.images.exits)
                .env("HUB_TEST_IMAGE_SILENT", &stage.images.silent)
                .envs(stage.matrix.iter().map(|image| (image.variable, &image.name)));
        }
        tests(command).await
    }

    async fn run_on_podman(&self, names: &[&str]) -> anyhow::Result<Done> {
        let podman = Podman::start().await.context("cannot start a Podman for the tests")?;
        let mut command = command(&self.arguments_on_podman(names));
        command.env("HUB_TEST_ENGINE", podman.address());
        let done = tests(command).await;
        podman.stop().await;
        done
    }

    fn arguments_on_podman<'a>(&self, names: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = if self.nextest { vec!["nextest", "run"] } else { vec!["test"] };
        // Of the whole workspace: of one package they would be compiled anew.
        arguments.extend(["--workspace", "--locked", "--no-fail-fast", "--test", "docker"]);
        if self.nextest {
            arguments.extend(["--run-ignored", "only", "--test-threads", "1", "--", "--exact"]);
        } else {
            arguments.extend(["--", "--ignored", "--test-threads", "1", "--exact"]);
        }
        arguments.extend(names);
        arguments
    }

    fn arguments(&self, choice: Choice) -> Vec<&str> {
        let mut arguments = if self.nextest {
            vec!["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--no-tests=pass"]
        } else {
            // Doc tests are a step of their own.
            vec!["test", "--workspace", "--locked", "--no-fail-fast", "--lib", "--bins", "--tests"]
        };
        match (choice, self.nextest) {
            (Choice::NeedingACompiler, _) => arguments.extend(self.filter),
            (Choice::NeedingMore, true) => {
                arguments.extend(["--run-ignored", "only"]);
                arguments.extend(self.filter);
            }
            (Choice::NeedingMore, false) => {
                arguments.extend(self.filter);
                arguments.extend(["--", "--ignored"]);
            }
        }
        arguments
    }
}

fn has_nextest() -> bool {
    programs::find("cargo-nextest").is_some()
}

fn command<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(workspace::root()).args(arguments);
    command
}

/// Runs cargo; what it prints is shown as it comes.
async fn cargo(arguments: &[&str]) -> anyhow::Result<Done> {
    tests(command(arguments)).await
}

/// Runs tests, shows what they print and counts them.
async fn tests(mut command: Command) -> anyhow::Result<Done> {
    eprintln!("$ {}", process::shown(&command));
    let (mut counts, mut panics) = (Counts::default(), Panics::default());
    let status = process::stream(&mut command, |line| {
        eprintln!("{line}");
        counts.read(line);
        panics.read(line);
    })
    .await?;
    let failure = (!status.success()).then(|| format!("ended with {status}"));
    Ok(Done { counts, panics, failure })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ignored_tests_are_chosen_with_either_runner() {
        let with = |nextest| {
            let runner = Runner { filter: Some("spawn"), nextest };
            runner.arguments(Choice::NeedingMore).join(" ")
        };
        assert!(with(true).ends_with("--run-ignored only spawn"), "{}", with(true));
        assert!(with(false).ends_with("spawn -- --ignored"), "{}", with(false));
    }

    #[test]
    fn a_filter_counts_for_podman_as_well() {
        assert_eq!(on_podman(None).map(|names| names.len()), Some(ON_PODMAN.len()));
        assert_eq!(on_podman(Some("spn_11")).map(|names| names.len()), Some(1));
        assert_eq!(on_podman(Some("websocket")), None);
    }
}
