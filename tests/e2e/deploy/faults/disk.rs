//! A disk of the engine's that is full, at different steps.

use hub_tests::{Deployment, Disk, Machine};

use super::{IMAGE, is_up};

/// Too small for the image of hub and proxy.
const SMALL: Disk = Disk { mebibytes: 32 };

/// Enough for a container, not for what the hub keeps; KiB.
const LITTLE: u64 = 160;

/// Runs `deploy`, which has to say what is full.
async fn is_told(deployment: &Deployment, machine: &Machine) -> String {
    let said = deployment.fail(&[]).await;
    let data = machine.data().display().to_string();
    for part in [&machine.docker_host(), &data, "is full", "the same command goes on"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    said
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_1_a_full_disk_is_told_and_with_room_the_same_command_goes_on() {
    let machine = Machine::start(SMALL).await;
    machine.make_image(IMAGE).await;
    let mut deployment = Deployment::on(&machine);
    deployment.set("DOCKER_NOTEBOOK_IMAGE", IMAGE);
    let engine = machine.docker().await;

    let said = is_told(&deployment, &machine).await;
    assert!(said.contains("making the image notebook-hub:"), "{said}");
    let labels = [("hub.deployment".to_owned(), deployment.name.clone())].into();
    assert_eq!(engine.containers(&labels).await.unwrap(), [], "nothing was begun");

    // Room for the image, and then for nothing.
    machine.resize_disk(Disk::LARGE);
    deployment.run(&["build"]).await;
    machine.fill_disk(0);
    is_told(&deployment, &machine).await;

    // For a container, but not for what the hub keeps.
    machine.empty_disk();
    machine.fill_disk(LITTLE);
    is_told(&deployment, &machine).await;

    machine.empty_disk();
    deployment.run(&[]).await;
    is_up(&deployment).await;
    let hub = engine.inspect(&deployment.name).await.unwrap().unwrap();

    // A hub that cannot be replaced goes on.
    machine.fill_disk(0);
    deployment.set("HUB__SERVERS__START_TIMEOUT_SECONDS", "77");
    is_told(&deployment, &machine).await;
    machine.empty_disk();
    is_up(&deployment).await;
    let still = engine.inspect(&deployment.name).await.unwrap().unwrap();
    assert_eq!((still.id, still.started_at), (hub.id.clone(), hub.started_at));
    deployment.run(&[]).await;
    is_up(&deployment).await;
    assert_ne!(engine.inspect(&deployment.name).await.unwrap().unwrap().id, hub.id);
}
