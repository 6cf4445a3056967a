//! A Docker engine: the one that runs, or the distribution's, installed and
//! started.

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use hub_spawner::engine::{DockerHost, Engine, EngineError, HostSettings};
use tokio::process::Command;

use crate::{
    packages, process, programs,
    step::Step,
    surroundings,
    workspace::{self, state_dir},
};

/// How long a fresh daemon may take: its first start makes its storage.
const START_DEADLINE: Duration = Duration::from_secs(90);

/// How long a system service may take before we start the daemon ourselves.
const SERVICE_DEADLINE: Duration = Duration::from_secs(30);

/// Pause between two attempts to reach a daemon that starts.
const RETRY: Duration = Duration::from_millis(500);

/// Present while systemd is the init process.
const SYSTEMD: &str = "/run/systemd/system";

/// Connects to the engine that was asked for, without starting one.
pub(crate) async fn connect(settings: &HostSettings) -> Result<Engine, EngineError> {
    Engine::connect_to(&DockerHost::resolve(settings)?).await
}

/// Connects to the engine, after installing and starting one if need be.
pub(crate) async fn find_or_start() -> anyhow::Result<Engine> {
    let settings = surroundings::docker();
    match connect(&settings).await {
        Ok(engine) => return Ok(engine),
        Err(error @ EngineError::Unreachable { .. }) => {
            if settings.host.is_some() || settings.context.is_some() {
                return Err(error)
                    .context("DOCKER_HOST or DOCKER_CONTEXT is set, but leads nowhere");
            }
            // A daemon that is there but refuses us needs no second one.
            if !surroundings::is_root() && programs::find("dockerd").is_some() {
                return Err(error.into());
            }
        }
        Err(error) => return Err(error.into()),
    }
    packages::ensure(&packages::DOCKER).await?;
    if needs_apparmor_tools() {
        packages::install(&["apparmor"]).await?;
    }
    start().await
}

async fn start() -> anyhow::Result<Engine> {
    let step = Step::begin("starting Docker");
    if let Some(mut command) = service_command() {
        match process::run(&step, &mut command).await {
            Ok(()) => match reach(SERVICE_DEADLINE).await {
                Ok(engine) => {
                    step.done("as a system service");
                    return Ok(engine);
                }
                Err(error) => step.line(&format!("{error:#}")),
            },
            Err(error) => step.line(&format!("{error:#}")),
        }
    }
    let log = state_dir().join("dockerd.log");
    start_daemon(&log)?;
    match reach(START_DEADLINE).await {
        Ok(engine) => {
            step.done(&format!("its log is {}", workspace::shown(&log)));
            Ok(engine)
        }
        Err(error) => {
            for line in fs::read_to_string(&log).unwrap_or_default().lines() {
                step.line(line);
            }
            Err(error.context(format!("Docker did not start; see {}", log.display())))
        }
    }
}

/// How this system starts its services, if Docker is one of them.
fn service_command() -> Option<Command> {
    let mut command;
    if Path::new(SYSTEMD).exists() {
        command = Command::new("systemctl");
        command.args(["start", "docker"]);
    } else if Path::new("/etc/init.d/docker").exists() && programs::find("service").is_some() {
        // Its script also mounts the control groups, which a container without
        // systemd may lack.
        command = Command::new("service");
        command.args(["docker", "start"]);
    } else {
        return None;
    }
    Some(command)
}

/// Starts the daemon as a process that goes on when we end.
fn start_daemon(log: &Path) -> anyhow::Result<()> {
    let dockerd = programs::find("dockerd").context("dockerd was installed, but is not found")?;
    fs::create_dir_all(state_dir())?;
    let log = File::create(log)?;
    let mut command = Command::new(dockerd);
    command
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // A group of its own: Ctrl-C at our terminal is not meant for it.
        .process_group(0)
        .kill_on_drop(false);
    command.spawn().context("cannot start dockerd")?;
    Ok(())
}

async fn reach(deadline: Duration) -> anyhow::Result<Engine> {
    let attempt = async {
        loop {
            match Engine::connect(None).await {
                Ok(engine) => return engine,
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    };
    match tokio::time::timeout(deadline, attempt).await {
        Ok(engine) => Ok(engine),
        Err(_) => bail!("no answer from Docker within {} s", deadline.as_secs()),
    }
}

/// Where the kernel confines programs with AppArmor, Docker runs no container
/// without AppArmor's own tools, which its package only recommends.
fn needs_apparmor_tools() -> bool {
    let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    enabled.is_ok_and(|text| text.trim() == "Y") && programs::find("apparmor_parser").is_none()
}
