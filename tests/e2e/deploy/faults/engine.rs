//! An engine that ends half way, in order or not.

use hub_tests::{Deployment, Disk, Gate, Machine, deployment::said};

use super::{IMAGE, Moment, Run, is_up};

/// Runs `deploy` until `moment`, where the engine gets a signal and ends; what
/// the run said of it. Then the engine is started again.
async fn lost_at(
    machine: &mut Machine,
    deployment: &mut Deployment,
    moment: Moment<'_>,
    after: usize,
    signal: &str,
) -> String {
    let gate = Gate::before(&machine.socket()).await;
    let address = machine.docker_host();
    deployment.set("DOCKER_HOST", gate.address());
    deployment.set("DOCKER_TLS_VERIFY", "");
    let run = Run::until(deployment, &gate, moment, after).await;
    machine.end_engine(signal).await;
    // Nobody listens there now, and what was said breaks off.
    drop(gate);
    let output = run.end().await;
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{moment:?}: {said}");
    for part in ["has stopped answering", "nothing listens there", "the same command goes on"] {
        assert!(said.contains(part), "{moment:?}: {part} in {said}");
    }
    machine.start_engine().await;
    deployment.set("DOCKER_HOST", &address);
    deployment.set("DOCKER_TLS_VERIFY", "1");
    said
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_1_an_engine_that_ends_half_way_is_told_and_the_same_command_goes_on() {
    const MIDDLE_OF_THE_IMAGE: usize = 4 << 20;
    let mut machine = Machine::start(Disk::LARGE).await;
    machine.make_image(IMAGE).await;
    let mut deployment = Deployment::on(&machine);
    deployment.set("DOCKER_NOTEBOOK_IMAGE", IMAGE);
    let (hub, proxy) = (deployment.name.clone(), deployment.proxy());

    // Each run comes as far as the one before, and further.
    for (method, part, after, signal) in [
        ("POST", "/images/create?".to_owned(), MIDDLE_OF_THE_IMAGE, "KILL"),
        ("POST", format!("/{proxy}/start"), 0, "TERM"),
        ("POST", format!("name={hub}"), 0, "KILL"),
        ("POST", format!("/{hub}/exec"), 0, "TERM"),
    ] {
        lost_at(&mut machine, &mut deployment, (method, &part), after, signal).await;
    }
    deployment.run(&[]).await;
    is_up(&deployment).await;

    // A replacement, between the old hub and the new one.
    for (seconds, part, signal) in
        [("100", format!("/{hub}-next/rename"), "TERM"), ("200", format!("/{hub}/exec"), "KILL")]
    {
        deployment.set("HUB__SERVERS__START_TIMEOUT_SECONDS", seconds);
        lost_at(&mut machine, &mut deployment, ("POST", &part), 0, signal).await;
        deployment.run(&[]).await;
        is_up(&deployment).await;
    }
}
