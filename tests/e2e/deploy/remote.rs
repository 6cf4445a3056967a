//! A deployment on another machine, whose engine is reached over a network.

use std::fs;

use hub_spawner::engine::Engine;
use hub_tests::{Browser, Deployment, Disk, GitHub, Kernel, Machine, docker, hub::notebook_image};

/// The SHA-256 digest of `far`, by which Docker's tools file that context.
const FAR: &str = "512eea46ceb3921dff4363c7069d89d4964d1d9fccaa0f411851a7aa60a5c868";

/// Where a user's browser ends after signing in.
async fn arrives(github: &GitHub, deployment: &Deployment, login: &str) -> (Browser, u16) {
    github.sign_in(login);
    let mut browser = deployment.browser();
    let page = browser.get("/hub/oauth_login?next=%2Fhub%2Fhome").await;
    (browser, page.status)
}

/// The paths of the machine that are mounted into a container.
async fn paths(engine: &Engine, container: &str) -> Vec<(String, String)> {
    let found = engine.inspect(container).await.unwrap().expect("it is there");
    let mounts = found.mounts.into_iter().filter(|mount| mount.source.starts_with('/'));
    mounts.map(|mount| (mount.source, mount.target)).collect()
}

/// Makes the context `far` for the machine, as `docker context create` does.
fn context(deployment: &Deployment, address: &str) {
    let meta = deployment.dir().join("docker/contexts/meta").join(FAR);
    fs::create_dir_all(&meta).unwrap();
    let text = serde_json::json!({
        "Name": "far",
        "Metadata": {},
        "Endpoints": { "docker": { "Host": address, "SkipTLSVerify": false } },
    });
    fs::write(meta.join("meta.json"), text.to_string()).unwrap();
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn dm_1_dm_3_dm_4_a_hub_is_deployed_to_another_machine_and_operated_there() {
    let machine = Machine::start(Disk::LARGE).await;
    machine.bring_image(&notebook_image()).await;
    let engine = machine.docker().await;
    let mut deployment = Deployment::on(&machine);
    let github = deployment.github_at(machine.gateway.into()).await;
    github.person("ada", 1815);
    github.person("bob", 1816);
    let told = deployment.told(&[]).await;
    assert!(told.contains(&format!("The hub is ready:  {}", deployment.url)), "{told}");
    assert!(!told.contains("does not answer this machine"), "{told}");
    assert_eq!(docker::containers(&deployment.name).await, [], "nothing is on this machine");

    // People reach it at the machine's address; servers run there.
    let (mut ada, status) = arrives(&github, &deployment, "ada").await;
    assert_eq!(status, 200);
    ada.start_server("ada").await;
    let mut kernel = Kernel::start(&mut ada, "ada").await;
    assert_eq!(kernel.run("6 * 7").await, "42");

    // Of the machine's files only its socket is mounted; the operator's came along.
    let socket = "/var/run/docker.sock".to_owned();
    let hub = paths(&engine, &deployment.name).await;
    assert_eq!(hub, [(socket.clone(), socket.clone())]);
    assert_eq!(paths(&engine, &deployment.proxy()).await, []);

    // The operator's day.
    let status = deployment.status().await;
    assert_eq!(status["hub"]["state"], "running", "{status:#}");
    assert_eq!(status["servers"][0]["user"], "ada", "{status:#}");
    let logs = deployment.run(&["logs", "ada"]).await;
    assert!(logs.contains("/user/ada/"), "{logs}");
    let (_, refused) = arrives(&github, &deployment, "bob").await;
    assert_eq!(refused, 403, "bob is on no list");
    fs::write(deployment.dir().join("userlist"), "grace admin\nada\nbob\n").unwrap();
    let told = deployment.told(&["reload"]).await;
    assert!(told.contains("configuration reloaded"), "{told}");
    let (_, admitted) = arrives(&github, &deployment, "bob").await;
    assert_eq!(admitted, 200);
    let users = deployment.run(&["hub", "users", "list", "--json"]).await;
    assert!(users.contains("bob"), "{users}");

    // What is saved comes to the operator.
    let archive = deployment.dir().join("ada.tar.gz");
    let place = archive.display().to_string();
    deployment.run(&["hub", "backup", "user", "ada", "-o", &place]).await;
    assert!(archive.metadata().unwrap().len() > 0);

    // Through ssh it is the same machine, and nothing is to be done.
    let address = format!("ssh://root@{}", machine.address);
    deployment.set("DOCKER_HOST", &address);
    deployment.look_first_in(&machine.start_ssh().await);
    let before = engine.inspect(&deployment.name).await.unwrap().unwrap();
    let told = deployment.told(&[]).await;
    assert!(told.contains(&format!("{} (runs, unchanged)", deployment.name)), "{told}");
    let after = engine.inspect(&deployment.name).await.unwrap().unwrap();
    assert_eq!((before.id, before.started_at), (after.id, after.started_at));
    assert_eq!(kernel.run("6 * 7").await, "42");
    drop(kernel);

    // A port that is open to nobody here says nothing of the hub's health.
    deployment.set("HUB_BIND_IP", "127.0.0.1");
    let told = deployment.told(&[]).await;
    assert!(told.contains("asking the hub through the proxy ("), "{told}");
    assert!(reqwest::get(&deployment.url).await.is_err(), "the port is closed");

    // And through a context, which goes before an address that is lying around.
    context(&deployment, &address);
    deployment.set("DOCKER_CONFIG", "docker");
    deployment.set("DOCKER_HOST", "tcp://192.0.2.1:2375");
    let far = ["--context", "far"];
    let users = deployment.run(&[&far[..], &["hub", "users", "list", "--json"]].concat()).await;
    assert!(users.contains("ada"), "{users}");
    deployment.run(&[&far[..], &["down", "--servers", "--purge", "--yes"]].concat()).await;
    let labels = [("hub.deployment".to_owned(), deployment.name.clone())].into();
    assert_eq!(engine.containers(&labels).await.unwrap(), []);
    assert!(engine.networks_labelled(&labels).await.unwrap().is_empty());
    let volumes = engine.volumes(&labels).await.unwrap();
    let names: Vec<String> = volumes.into_iter().map(|volume| volume.name).collect();
    assert_eq!(names, [format!("{}-user-ada", deployment.name)], "the user's files stay");
}
