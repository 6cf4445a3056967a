//! The build of a notebook image that its operator ends half way.

use std::{
    fs,
    process::{Command, Stdio},
};

use hub_tests::{Deployment, deployment::said, docker, eventually, wait::DEADLINE};

/// The image that was built, taken away at the end.
struct Built(String);

impl Drop for Built {
    fn drop(&mut self) {
        docker::forget_image(&self.0);
    }
}

/// Writes a Dockerfile with one step. Containers of the build carry the
/// deployment's label, too.
fn write(deployment: &Deployment, step: &str) {
    let directory = deployment.dir().join("singleuser");
    fs::create_dir_all(&directory).unwrap();
    let text = format!(
        "ARG DOCKER_NOTEBOOK_IMAGE\nFROM $DOCKER_NOTEBOOK_IMAGE\n\
         LABEL hub.deployment={}\n{step}\n",
        deployment.name
    );
    fs::write(directory.join("Dockerfile"), text).unwrap();
}

/// The containers of the deployment that run.
async fn running(deployment: &Deployment) -> Vec<String> {
    let engine = docker::engine().await;
    let mut names = Vec::new();
    for (name, id) in docker::containers(&deployment.name).await {
        if engine.inspect(&id).await.unwrap().is_some_and(|found| found.is_running()) {
            names.push(name);
        }
    }
    names
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_1_a_build_that_is_ended_half_way_leaves_no_image_and_is_gone_on_with() {
    let mut deployment = Deployment::prepare();
    let built = Built(format!("{}-user", deployment.name));
    deployment.set("LOCAL_NOTEBOOK_IMAGE", &built.0);
    let engine = docker::engine().await;

    write(&deployment, "RUN sleep 3600");
    let mut command = tokio::process::Command::from(deployment.command(&["notebook-image"]));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let run = command.spawn().unwrap();
    let pid = run.id().unwrap().to_string();
    eventually("the step runs", async || match running(&deployment).await {
        names if names.is_empty() => Err("nothing runs"),
        _ => Ok(()),
    })
    .await;
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let ended = tokio::time::timeout(DEADLINE, run.wait_with_output()).await;
    let ended = ended.expect("it ends").unwrap();
    assert_eq!(ended.status.code(), Some(130), "{}", said(&ended));
    assert!(said(&ended).contains("the same command goes on"), "{}", said(&ended));
    assert!(!engine.image_exists(&built.0).await.unwrap(), "half an image has no name");
    eventually("the step has ended, too", async || match running(&deployment).await {
        names if names.is_empty() => Ok(()),
        names => Err(names),
    })
    .await;

    write(&deployment, "RUN true");
    deployment.run(&["notebook-image"]).await;
    assert!(engine.image_exists(&built.0).await.unwrap());
}
