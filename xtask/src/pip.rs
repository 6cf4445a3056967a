//! Python packages that the tests use on this machine, in an environment in the
//! checkout's state directory.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use tokio::process::Command;

use crate::{process, step::Step, workspace};

/// What is to be installed.
const REQUIREMENTS: &str = "tests/services/requirements.txt";

/// The release of JupyterHub whose description of its API the hub is compared with.
const JUPYTERHUB: &str = "6.1.1";

/// A Python with the packages of services and clients; installs them if they are not
/// there as [`REQUIREMENTS`] wants them.
///
/// # Errors
///
/// When the environment cannot be made or pip cannot install into it.
pub(crate) async fn services_python() -> anyhow::Result<PathBuf> {
    let list = workspace::root().join(REQUIREMENTS);
    let wanted =
        fs::read_to_string(&list).with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    let dir = workspace::state_dir().join("services-python");
    let python = dir.join("bin/python");
    // Written last, so that half an environment is none.
    let installed = dir.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) && python.exists() {
        return Ok(python);
    }
    let step = Step::begin("installing Python packages for services");
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&dir);
    process::run(&step, &mut venv)
        .await
        .context("cannot make a Python environment; on Debian it needs python3-venv")?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&list);
    process::run(&step, &mut pip)
        .await
        .with_context(|| format!("cannot install {REQUIREMENTS} with pip"))?;
    fs::write(&installed, wanted)?;
    step.done("");
    Ok(python)
}

/// JupyterHub's description of its REST API, which only its sources have; fetches them
/// if they are not there.
///
/// # Errors
///
/// When pip cannot fetch them, or they do not have the file.
pub(crate) async fn jupyterhub_api(python: &Path) -> anyhow::Result<PathBuf> {
    let dir = workspace::state_dir().join(format!("jupyterhub-{JUPYTERHUB}"));
    let member = format!("jupyterhub-{JUPYTERHUB}/docs/source/_static/rest-api.yml");
    let file = dir.join(&member);
    if file.exists() {
        return Ok(file);
    }
    let step = Step::begin("fetching JupyterHub's description of its API");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest"])
        .arg(&dir)
        .arg(format!("jupyterhub=={JUPYTERHUB}"));
    process::run(&step, &mut pip).await.context("cannot fetch JupyterHub's sources with pip")?;
    let archive = dir.join(format!("jupyterhub-{JUPYTERHUB}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(&archive).arg("-C").arg(&dir).arg(&member);
    process::run(&step, &mut tar)
        .await
        .with_context(|| format!("{} has no {member}", archive.display()))?;
    fs::remove_file(&archive)?;
    step.done("");
    Ok(file)
}
