//! The single steps, run again, told only, and on a bare host.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink};

use hub_spawner::engine::{ContainerSpec, Mount};
use hub_tests::{Deployment, docker};

/// A container that works with the hub's volume, as a run makes one.
async fn helper(deployment: &Deployment, machine: Option<&str>) -> String {
    let labels = [
        ("hub.deployment", Some(deployment.name.as_str())),
        ("hub.kind", Some("helper")),
        ("hub.turn", machine),
    ];
    let labels: BTreeMap<String, String> = labels
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
        .collect();
    let engine = docker::engine().await;
    let image = engine.inspect(&deployment.name).await.unwrap().unwrap().image_id;
    let spec = ContainerSpec {
        command: Some(vec!["never-started".to_owned()]),
        mounts: vec![Mount::volume(format!("{}-data", deployment.name), "/data")],
        labels,
        ..ContainerSpec::new("", &image)
    };
    Box::pin(engine.create_container_from(&spec)).await.unwrap()
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_4_down_is_told_done_done_again_and_finished() {
    let deployment = Deployment::prepare();
    deployment.run(&[]).await;
    let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let left = helper(&deployment, Some(machine.trim())).await;
    let before = docker::containers(&deployment.name).await;
    let plan = deployment.run(&["down", "--purge", "--dry-run"]).await;
    for part in [
        format!("POST /containers/{}/stop", deployment.name),
        format!("DELETE /containers/{}?", deployment.proxy()),
        format!("DELETE /volumes/{}-data", deployment.name),
        format!("DELETE /networks/{}", docker::network(&deployment.name)),
    ] {
        assert!(plan.contains(&part), "{part} in {plan}");
    }
    assert_eq!(docker::containers(&deployment.name).await, before);

    // What a killed run has left is removed; somebody else's work is not.
    let at_work = helper(&deployment, None).await;
    deployment.run(&["down"]).await;
    let engine = docker::engine().await;
    assert!(engine.inspect(&left).await.unwrap().is_none());
    assert!(engine.inspect(&at_work).await.unwrap().is_some());
    let told = deployment.told(&["down"]).await;
    assert!(!told.contains("removed"), "nothing is there: {told}");

    // It keeps a volume, which is said, and the rest goes.
    let data = format!("{}-data", deployment.name);
    let refused = deployment.fail(&["down", "--purge", "--yes"]).await;
    assert!(refused.contains(&format!("volume {data} stays")), "{refused}");
    let networks = engine.networks(&docker::network(&deployment.name)).await.unwrap();
    assert!(networks.is_empty(), "{networks:?}");
    engine.remove_container(&at_work, true).await.unwrap();
    deployment.run(&["down", "--purge", "--yes"]).await;
    assert!(engine.volume(&data).await.unwrap().is_none());
    deployment.run(&["down", "--purge", "--yes"]).await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_6_neither_docker_nor_compose_is_needed_on_the_host() {
    let programs = tempfile::tempdir().unwrap();
    for place in ["/bin", "/usr/bin", "/usr/local/bin"] {
        for program in fs::read_dir(place).unwrap() {
            let program = program.unwrap();
            let name = program.file_name();
            if !name.to_string_lossy().starts_with("docker") {
                // The first one of a name is the one that is found.
                let _ = symlink(program.path(), programs.path().join(name));
            }
        }
    }
    let mut deployment = Deployment::prepare();
    deployment.look_only_in(programs.path());
    deployment.run(&[]).await;
    let status = deployment.status().await;
    assert_eq!(status["hub"]["state"], "running", "{status:#}");
    deployment.run(&["upgrade"]).await;
    deployment.run(&["hub", "users", "list"]).await;
    deployment.run(&["down", "--purge", "--yes"]).await;
}
