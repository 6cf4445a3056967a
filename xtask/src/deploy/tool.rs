//! `hub` for a deployment: the operator's tool, run where the hub's files and
//! address are, joined to this terminal.
//!
//! In the hub's container while that runs; else in one that is made for it from
//! the same image, so that a hub that is down can be saved, restored and examined.

mod command_line;
mod program;

use std::{
    io::IsTerminal,
    process::{ExitCode, ExitStatus},
};

use anyhow::{Context, bail};
use hub_spawner::engine::{ContainerSpec, Engine, Interactive, RestartPolicy, Streams};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
};

use self::command_line::{Further, Place};
use super::{
    operator::Operator,
    release::{self, Source},
    settings::Settings,
    terminal::{self, RawMode},
    up,
};

/// The tool in the image.
const TOOL: &str = "/usr/bin/hub";

/// What ends a program that a signal ended, less the signal.
const UNKNOWN: u8 = 125;

pub(super) async fn run(
    operator: &Operator,
    settings: &Settings,
    source: &Source,
    arguments: Vec<String>,
) -> anyhow::Result<ExitCode> {
    let place = command_line::place(&arguments);
    if let Place::AtHome { further } = place {
        return at_home(operator, settings, source, arguments, further).await;
    }
    let engine = operator.engine();
    let name = settings.layout.hub.as_str();
    // A program that prompts needs a terminal; one in a pipe must not get its
    // line ends changed.
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let runs = engine.inspect(name).await?.is_some_and(|found| found.is_running());
    if !runs && place == Place::AtRunningHub {
        bail!("the hub {name} is down; `{}` starts it", settings.command("up"));
    }
    if operator.is_dry_run() {
        let words = arguments.join(" ");
        super::print(&match runs {
            true => format!("POST /containers/{name}/exec ({TOOL} {words})"),
            false => format!("POST /containers/create and attach (helper: {TOOL} {words})"),
        });
        return Ok(ExitCode::SUCCESS);
    }
    let code = if runs {
        let mut command = vec![TOOL.to_owned()];
        command.extend(arguments);
        join(is_terminal, async |streams| {
            engine.exec_joined(name, &command, is_terminal, streams).await
        })
        .await?
    } else {
        let spec = alone(operator, settings, source, arguments, is_terminal).await?;
        join(is_terminal, async |streams| engine.run_joined(&spec, streams).await).await?
    };
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(UNKNOWN)))
}

/// Runs the tool here, and tells it which deployment is meant.
async fn at_home(
    operator: &Operator,
    settings: &Settings,
    source: &Source,
    mut arguments: Vec<String>,
    further: Further,
) -> anyhow::Result<ExitCode> {
    if further.deployment {
        // Not what a `.env` in the working directory says: the engine of this run.
        arguments.extend(["--environment-only".to_owned(), "--deployment".to_owned()]);
        arguments.push(settings.layout.name.clone());
    }
    if further.directory {
        arguments.extend(["--directory".to_owned(), settings.dir.display().to_string()]);
    }
    if operator.is_dry_run() {
        super::print(&format!("hub {}", arguments.join(" ")));
        return Ok(ExitCode::SUCCESS);
    }
    let mut command = Command::new(program::find(operator, source).await?);
    command.args(arguments);
    at_engine_of(&mut command, settings);
    let ended = to_its_end(&mut command).await.context("hub could not be run")?;
    Ok(ExitCode::from(ended.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(UNKNOWN)))
}

/// Has a program ask the engine of this deployment.
fn at_engine_of(command: &mut Command, settings: &Settings) {
    for name in ["DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CONTEXT"] {
        match settings.variables.get(name) {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    for name in ["DOCKER_CERT_PATH", "DOCKER_CONFIG"] {
        match settings.docker_place(name) {
            Some(path) => command.env(name, path),
            None => command.env_remove(name),
        };
    }
}

/// Runs a program to its end. Ctrl-C at the terminal reaches it as well: it puts
/// its work in order and ends, and then so do we.
async fn to_its_end(command: &mut Command) -> std::io::Result<ExitStatus> {
    // Heard from here on, so that it does not end this process.
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut child = command.spawn()?;
    loop {
        tokio::select! {
            ended = child.wait() => return ended,
            Some(()) = interrupts.recv() => {}
        }
    }
}

/// Joins this process's streams, and its terminal, to a program's.
async fn join<E: std::error::Error + Send + Sync + 'static>(
    is_terminal: bool,
    program: impl AsyncFnOnce(
        Streams<tokio::io::DuplexStream, tokio::io::Stdout, tokio::io::Stderr>,
    ) -> Result<i64, E>,
) -> anyhow::Result<i64> {
    let _raw = is_terminal.then(RawMode::begin).transpose().context("the terminal")?;
    let streams = Streams {
        input: terminal::input(),
        output: tokio::io::stdout(),
        errors: tokio::io::stderr(),
    };
    Ok(program(streams).await?)
}

/// The hub's container with the tool in the hub's place.
async fn alone(
    operator: &Operator,
    settings: &Settings,
    source: &Source,
    arguments: Vec<String>,
    is_terminal: bool,
) -> anyhow::Result<ContainerSpec> {
    let image = image(operator.engine(), operator, settings, source).await?;
    let mut spec = Box::pin(up::hub_to_be(operator, settings, &image)).await?;
    spec.name = String::new();
    spec.labels = settings.layout.labels("helper");
    spec.entrypoint = Some(vec![TOOL.to_owned()]);
    spec.command = Some(arguments);
    spec.healthcheck = None;
    spec.restart = RestartPolicy::No;
    // Nobody should take it for the hub.
    spec.networks.iter_mut().for_each(|end| end.aliases.clear());
    spec.interactive = if is_terminal { Interactive::Terminal } else { Interactive::Piped };
    Ok(spec)
}

/// The image of a hub that is there, else the one of this checkout.
async fn image(
    engine: &Engine,
    operator: &Operator,
    settings: &Settings,
    source: &Source,
) -> anyhow::Result<String> {
    match engine.inspect(&settings.layout.hub).await? {
        Some(hub) => Ok(hub.image_id),
        None => Ok(release::ensure(operator, settings, source).await?.image),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn dm_4_the_tool_asks_the_engine_of_the_deployment() {
        let dir = tempfile::tempdir().unwrap();
        let variables = [("DOCKER_CONTEXT", "far"), ("OAUTH_CALLBACK_URL", "https://a.example/x")];
        let settings = Settings::read(dir.path(), variables.into_iter().collect()).unwrap();
        let mut command = Command::new("env");
        command.env("DOCKER_HOST", "tcp://near:1").env("DOCKER_CERT_PATH", "/near");
        at_engine_of(&mut command, &settings);
        let said = String::from_utf8(command.output().await.unwrap().stdout).unwrap();
        let mut docker: Vec<&str> =
            said.lines().filter(|line| line.starts_with("DOCKER_")).collect();
        docker.retain(|line| !line.starts_with("DOCKER_CONFIG="));
        assert_eq!(docker, ["DOCKER_CONTEXT=far"]);
    }

    #[tokio::test]
    async fn bak_1_ctrl_c_leaves_the_last_word_to_the_program() {
        // Tells us to end, as a terminal does, and ends a moment later.
        let mut command = Command::new("sh");
        command.args(["-c", "kill -INT $PPID; exit 130"]);
        assert_eq!(to_its_end(&mut command).await.unwrap().code(), Some(130));
    }
}
