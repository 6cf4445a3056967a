//! Python packages that the tests use on this machine, in an environment in the
//! checkout's state directory.

use std::{fs, path::PathBuf};

use anyhow::Context;
use tokio::process::Command;

use crate::{process, step::Step, workspace};

/// What is to be installed.
const REQUIREMENTS: &str = "tests/services/requirements.txt";

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
