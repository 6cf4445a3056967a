//! A run that is ended between two steps: whatever it leaves, the same command
//! makes of it one hub and one proxy.

use std::{collections::BTreeSet, path::Path, process::Command};

use hub_tests::{
    Deployment, Gate,
    deployment::said,
    docker::{self, SOCKET},
    eventually,
};

use super::{Moment, Run};
use crate::deploy::container_id;

/// How a run ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Ctrl-C.
    Interrupt,
    Kill,
}

/// Runs `deploy` until `moment`, and ends it there; what it said.
async fn ended_at(
    deployment: &mut Deployment,
    moment: Moment<'_>,
    after: usize,
    end: End,
) -> String {
    let gate = Gate::before(Path::new(SOCKET)).await;
    deployment.set("DOCKER_HOST", gate.address());
    let run = Run::until(deployment, &gate, moment, after).await;
    let signal = match end {
        End::Interrupt => "-INT",
        End::Kill => "-KILL",
    };
    let pid = run.pid.to_string();
    assert!(Command::new("kill").arg(signal).arg(pid).status().unwrap().success());
    let output = run.end().await;
    deployment.note(&output);
    assert!(!output.status.success(), "{}", said(&output));
    drop(gate);
    deployment.set("DOCKER_HOST", "");
    said(&output)
}

async fn is_up(deployment: &Deployment) {
    let status = deployment.status().await;
    assert_eq!(status["hub"]["state"], "running", "{status:#}");
    assert_eq!(status["proxy"]["state"], "running", "{status:#}");
    // What Docker removes by itself may take it a moment.
    eventually("one hub and one proxy, and nothing else", async || {
        let found = docker::containers(&deployment.name).await;
        let mut names: Vec<String> = found.into_iter().map(|(name, _)| name).collect();
        names.sort();
        if names == [deployment.name.clone(), deployment.proxy()] { Ok(()) } else { Err(names) }
    })
    .await;
    let answer = deployment.browser().get("/hub/health").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// What a container was made from.
async fn made_from(name: &str) -> String {
    let found = docker::engine().await.inspect(name).await.unwrap().unwrap();
    found.labels["hub.spec-hash"].clone()
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_1_a_first_run_that_is_ended_anywhere_is_gone_on_with() {
    let mut deployment = Deployment::prepare();
    // Programs of its own make an image of its own.
    deployment.new_release();
    let (hub, proxy) = (deployment.name.clone(), deployment.proxy());

    const MIDDLE_OF_THE_IMAGE: usize = 4 << 20;
    let image = ("POST", "/images/create?");
    let said = ended_at(&mut deployment, image, MIDDLE_OF_THE_IMAGE, End::Kill).await;
    let (_, rest) = said.split_once("making the image ").expect("it says what it does");
    let image_name = rest.split_whitespace().next().unwrap().to_owned();
    let engine = docker::engine().await;
    assert!(!engine.image_exists(&image_name).await.unwrap(), "half an image has no name");
    let said = ended_at(&mut deployment, image, MIDDLE_OF_THE_IMAGE, End::Interrupt).await;
    assert!(said.contains(&image_name), "made from the beginning: {said}");
    assert!(said.contains("the same command goes on"), "{said}");
    assert!(!engine.image_exists(&image_name).await.unwrap(), "half an image has no name");

    for (method, part) in [
        ("POST", "/start".to_owned()),
        ("PUT", "/archive".to_owned()),
        ("POST", format!("name={proxy}")),
        ("POST", format!("/{proxy}/start")),
        ("POST", format!("/{hub}/start")),
    ] {
        ended_at(&mut deployment, (method, &part), 0, End::Kill).await;
    }
    deployment.run(&[]).await;
    is_up(&deployment).await;
    deployment.run(&["down", "--purge", "--yes"]).await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_1_a_replacement_that_is_ended_anywhere_is_gone_on_with() {
    const SETTING: &str = "HUB__SERVERS__START_TIMEOUT_SECONDS";
    let mut deployment = Deployment::prepare();
    deployment.set(SETTING, "100");
    deployment.run(&[]).await;
    let first = made_from(&deployment.name).await;
    let mut seen = BTreeSet::from([first.clone()]);

    let replaced = |name: &str| {
        [
            ("POST", format!("name={name}-next")),
            ("POST", format!("/{name}/stop")),
            ("POST", format!("/{name}/rename")),
            ("POST", format!("/{name}-next/rename")),
            ("POST", format!("/{name}/start")),
            ("POST", format!("/{name}/exec")),
            ("DELETE", format!("/{name}-previous")),
        ]
    };
    for (number, (method, part)) in replaced(&deployment.name.clone()).into_iter().enumerate() {
        let value = (200 + number).to_string();
        deployment.set(SETTING, &value);
        let end = if number % 2 == 0 { End::Kill } else { End::Interrupt };
        ended_at(&mut deployment, (method, &part), 0, end).await;
        deployment.run(&[]).await;
        is_up(&deployment).await;
        let made = made_from(&deployment.name).await;
        assert!(seen.insert(made), "made from the new setting: {method} {part}");
    }

    // What was begun is not wanted any more.
    let name = deployment.name.clone();
    for part in [format!("/{name}/rename"), format!("/{name}/start")] {
        deployment.set(SETTING, "300");
        ended_at(&mut deployment, ("POST", &part), 0, End::Kill).await;
        deployment.set(SETTING, "100");
        deployment.run(&[]).await;
        is_up(&deployment).await;
        assert_eq!(made_from(&deployment.name).await, first, "{part}");
    }

    // The proxy is made the same way.
    for (number, (method, part)) in replaced(&deployment.proxy()).into_iter().enumerate().skip(3) {
        if part.ends_with("/exec") {
            continue;
        }
        deployment.set("HUB_TRUSTED_PROXIES", &format!("198.51.100.{number}"));
        ended_at(&mut deployment, (method, &part), 0, End::Kill).await;
        deployment.run(&[]).await;
        is_up(&deployment).await;
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_1_a_hub_that_does_not_come_up_leaves_the_old_one_at_work() {
    let mut deployment = Deployment::prepare();
    deployment.run(&[]).await;
    let hub = container_id(&deployment.name).await;
    // A key that the hub knows, with a store that nobody can open.
    deployment.set("HUB__STORE__URL", "sqlite:///data/nowhere/hub.sqlite");
    let said = deployment.fail(&[]).await;
    assert!(said.contains("the old one runs again"), "{said}");
    is_up(&deployment).await;
    assert_eq!(container_id(&deployment.name).await, hub);

    // Nor does an interrupted run make it lose the old one.
    let part = format!("/{}/start", deployment.name);
    ended_at(&mut deployment, ("POST", &part), 0, End::Kill).await;
    let said = deployment.fail(&[]).await;
    assert!(said.contains("the old one runs again"), "{said}");
    is_up(&deployment).await;
    assert_eq!(container_id(&deployment.name).await, hub);
}
