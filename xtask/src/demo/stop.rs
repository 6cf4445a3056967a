//! `cargo xtask demo --stop`: leaves nothing behind.

use std::{fs, io::ErrorKind, time::Duration};

use anyhow::Context;
use hub_spawner::engine::{Engine, Labels};

use super::{
    DEPLOYMENT, config,
    hub_process::{self, PROGRAM},
    state::State,
};
use crate::{docker_engine, process, step::Step, surroundings, workspace};

/// How long the hub may take to end by itself.
const GRACE: Duration = Duration::from_secs(20);

pub(super) async fn run(state: &State) -> anyhow::Result<()> {
    let step = Step::begin("removing the demo");
    // The hub first: it would take note of the end of its servers, and might
    // start one that a page asks for.
    if let Some(pid) = hub_process::running(state) {
        step.line("stopping the hub");
        process::end(pid, PROGRAM, GRACE).await;
    }
    // Without an engine there is nothing of ours in it.
    if let Ok(engine) = docker_engine::connect(&surroundings::docker()).await {
        sweep(&engine, &step).await.context("cannot remove the demo's containers and volumes")?;
    }
    match fs::remove_dir_all(state.dir()) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", state.dir().display()));
        }
        _ => {}
    }
    // Only if nothing else is in it, such as the log of a daemon we started.
    let _ = fs::remove_dir(workspace::state_dir());
    step.done("nothing is left but the images, which the next demo uses");
    Ok(())
}

async fn sweep(engine: &Engine, step: &Step) -> anyhow::Result<()> {
    let ours = Labels::from([("hub.deployment".to_owned(), DEPLOYMENT.to_owned())]);
    for container in engine.containers(&ours).await? {
        step.line(&format!("removing container {}", container.name));
        engine.remove_container(&container.id, true).await?;
    }
    for volume in engine.volumes(&ours).await? {
        step.line(&format!("removing volume {}", volume.name));
        engine.remove_volume(&volume.name).await?;
    }
    for network in engine.networks(&config::network()).await? {
        // One of this name that somebody else made stays.
        if network.labels.get("hub.deployment").is_some_and(|value| value == DEPLOYMENT) {
            engine.remove_network(&network.id).await?;
        }
    }
    Ok(())
}
