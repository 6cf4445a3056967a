//! Servers in a swarm of daemons that the tests start themselves, each in a network
//! namespace of its own: the machine's own daemon is left alone.
//!
//! Needs root, `dockerd` (Debian: `docker.io`) and a static busybox at `/bin/busybox`
//! (Debian: `busybox-static`), from which the image of the servers is made.

mod cluster;
mod faults;
#[path = "../docker/gate.rs"]
mod gate;
#[path = "../docker/bench/image.rs"]
mod image;
mod notebook;
mod upkeep;

use std::time::Duration;

use async_trait::async_trait;
use hub_spawner::{
    Liveness, Progress, SavedState, ServerKey, SpawnError, Spawner, StopMode,
    conformance::{self, Bench, request},
    docker::{DockerConfig, DockerSpawner},
    engine::{Engine, Labels},
    swarm::{Publish, SwarmConfig, SwarmSpawner},
};
use secrecy::ExposeSecret;
use tokio::sync::mpsc;

use cluster::Cluster;
use notebook::Notebook;

const PATIENCE: Duration = Duration::from_secs(120);

fn config(cluster: &Cluster) -> DockerConfig {
    DockerConfig {
        host: Some(cluster.manager().address()),
        deployment: cluster.name.clone(),
        network: cluster.name.clone(),
        volumes: Some([("home-{username}".to_owned(), "/home".into())].into()),
        stop_timeout_seconds: 1,
        ..DockerConfig::new(cluster.image())
    }
}

async fn spawner(cluster: &Cluster, change: impl FnOnce(&mut SwarmConfig)) -> SwarmSpawner {
    let mut swarm = SwarmConfig::default();
    change(&mut swarm);
    SwarmSpawner::connect(config(cluster), swarm).await.expect("connect")
}

fn labels(cluster: &Cluster, key: &ServerKey) -> Labels {
    [
        ("hub.deployment", cluster.name.as_str()),
        ("hub.user", key.user().as_str()),
        ("hub.server", key.server().as_str()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// The container of a server at one machine.
async fn container(engine: &Engine, cluster: &Cluster, key: &ServerKey) -> Option<String> {
    let found = engine.containers(&labels(cluster, key)).await.expect("list containers");
    found.into_iter().find(|one| one.state == "running").map(|one| one.id)
}

fn key(user: &str) -> ServerKey {
    ServerKey::default_of(user.parse().expect("a valid name"))
}

#[async_trait]
impl Bench for Cluster {
    async fn open(&self) -> Box<dyn Spawner> {
        Box::new(spawner(self, |_| {}).await)
    }

    async fn kill(&self, key: &ServerKey) {
        let engine = &self.manager().engine;
        let id = container(engine, self, key).await.expect("the server runs");
        engine.kill(&id).await.expect("kill");
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn swm_1_services_conform() {
    let cluster = Cluster::start(1).await;
    conformance::check(&cluster).await;
    // A machine takes the container of a task that has ended away a moment later.
    cluster
        .eventually("no container is left", async || {
            let left = cluster.manager().engine.containers(&Labels::new()).await.unwrap();
            left.is_empty().then_some(())
        })
        .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn swm_1_a_server_is_reached_by_its_name_and_its_token_may_be_a_secret() {
    let cluster = Cluster::start(1).await;
    let ada = key("ada");
    let docker =
        DockerConfig { cmd: Some(["/bin/serve"].into_iter().collect()), ..config(&cluster) };
    let swarm = SwarmConfig { token_secrets: true, ..SwarmConfig::default() };
    let spawner = SwarmSpawner::connect(docker, swarm).await.unwrap();
    let started = spawner.start(&request(ada.clone()), &Progress::ignored()).await.unwrap();
    assert_eq!(started.url.as_str(), "http://jupyter-ada:8888/");
    let engine = &cluster.manager().engine;
    let id = container(engine, &cluster, &ada).await.unwrap();
    let page = cluster.eventually("the server answers by its name", async || {
        let ran = engine.exec(&id, &["wget", "-q", "-O", "-", "http://jupyter-ada:8888/"]).await;
        Some(ran.unwrap().output).filter(|text| text.contains("hello"))
    });
    page.await;

    // C11: not in what the daemon tells, but in the server's own variables.
    let told = engine.recipe(&id).await.unwrap().unwrap();
    let values = told.environment.values().map(ExposeSecret::expose_secret);
    assert!(values.clone().all(|value| !value.contains("conformance")));
    let read = "tr '\\0' '\\n' </proc/$(pidof httpd)/environ";
    let own = engine.exec(&id, &["sh", "-c", read]).await.unwrap().output;
    assert!(own.contains("JUPYTERHUB_API_TOKEN=conformance"), "{own}");
    assert!(spawner.identify(&ada).await.unwrap()[0].api_token.is_none());
    spawner.stop(&ada, &SavedState::default(), StopMode::Graceful).await.unwrap();
    assert_eq!(cluster.secrets().await, 0);
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn what_a_swarm_cannot_do_is_explained() {
    let cluster = Cluster::start(1).await;
    let ada = key("ada");
    let nowhere = spawner(&cluster, |swarm| {
        swarm.constraints = vec!["node.labels.colour == blue".to_owned()];
        swarm.pending_timeout_seconds = 1;
    })
    .await;
    let (progress, mut reports) = Progress::channel();
    let error = nowhere.start(&request(ada.clone()), &progress).await.unwrap_err();
    assert!(matches!(error, SpawnError::NoCapacity { .. }), "{error:?}");
    drop(progress);
    let mut said = Vec::new();
    while let Some(report) = reports.recv().await {
        said.push(report.message);
    }
    assert!(said.iter().any(|text| text.contains("no suitable node")), "{said:?}");

    let image = format!("{}-absent", cluster.image());
    let docker = DockerConfig { image, ..config(&cluster) };
    let absent = SwarmSpawner::connect(docker, SwarmConfig::default()).await.unwrap();
    let error = absent.start(&request(ada.clone()), &Progress::ignored()).await.unwrap_err();
    assert!(matches!(error, SpawnError::ImageUnavailable { .. }), "{error:?}");
    assert_eq!(absent.found().await.unwrap(), [], "SPN-33: a failed start leaves nothing");

    // The machine's own daemon manages no swarm, and is not made to.
    let alone = DockerConfig { host: None, ..config(&cluster) };
    let error = SwarmSpawner::connect(alone, SwarmConfig::default()).await.unwrap_err();
    assert!(error.user_message().contains("manages none"), "{error:?}");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn a_notebook_lands_on_the_second_machine_and_its_loss_is_noticed_and_explained() {
    let mut cluster = Cluster::start(2).await;
    let ada = key("ada");
    let swarm = SwarmConfig {
        constraints: vec!["node.role == worker".to_owned()],
        publish: Publish::Host,
        pending_timeout_seconds: 1,
        ..SwarmConfig::default()
    };
    let image = format!("{}-notebook", cluster.image());
    cluster.nodes[1].load(&notebook::image(), &image).await;
    let docker = notebook::config(config(&cluster), &image);
    let spawner = SwarmSpawner::connect(docker, swarm).await.unwrap();
    let started = spawner.start(&request(ada.clone()), &Progress::ignored()).await.unwrap();
    let state = SavedState::default();
    let [manager, worker] = &cluster.nodes[..] else { panic!("two machines") };
    assert!(container(&worker.engine, &cluster, &ada).await.is_some(), "it is on the worker");
    assert!(container(&manager.engine, &cluster, &ada).await.is_none());
    assert_eq!(started.url.host_str(), Some(worker.ip.to_string().as_str()));
    let server = Notebook { url: started.url, visitor: manager };
    cluster
        .eventually("the server answers at its machine", async || {
            Some(server.ask("api", &[]).await).filter(|told| told["version"].is_string())
        })
        .await;
    let product = server.run("import os; print(6 * 7, os.environ['JUPYTERHUB_USER'])").await;
    assert_eq!(product, "42 ada\n");

    let (notices, mut told) = mpsc::channel(8);
    let story = async {
        cluster.nodes.pop().expect("the worker").kill().await;
        told.recv().await
    };
    let noticed = tokio::time::timeout(PATIENCE, async {
        tokio::select! {
            key = story => key,
            end = spawner.watch(notices) => panic!("the watch ended: {end:?}"),
        }
    });
    assert_eq!(noticed.await.expect("a notice"), Some(ada.clone()));
    let Liveness::Exited(exit) = spawner.probe(&ada, &state).await.unwrap() else {
        panic!("its machine is gone");
    };
    assert!(exit.summary().contains("does not answer any more"), "{}", exit.summary());
    spawner.stop(&ada, &state, StopMode::Graceful).await.unwrap();
    assert_eq!(spawner.probe(&ada, &state).await.unwrap(), Liveness::Missing);
    let error = spawner.start(&request(ada), &Progress::ignored()).await.unwrap_err();
    assert!(matches!(error, SpawnError::NoCapacity { .. }), "{error:?}");
}

/// Both spawners over the daemon of one machine leave each other's servers alone.
#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn containers_and_services_of_one_hub_are_told_apart() {
    let cluster = Cluster::start(1).await;
    let ada = key("ada");
    let swarm = spawner(&cluster, |_| {}).await;
    let docker = DockerConfig { network: format!("{}-local", cluster.name), ..config(&cluster) };
    let docker = DockerConfig { deployment: format!("{}-local", cluster.name), ..docker };
    let docker = DockerSpawner::connect(docker).await.unwrap();
    swarm.start(&request(ada.clone()), &Progress::ignored()).await.unwrap();
    assert_eq!(docker.found().await.unwrap(), []);
    docker.stop(&ada, &SavedState::default(), StopMode::Now).await.unwrap();
    let alive = swarm.probe(&ada, &SavedState::default()).await.unwrap();
    assert!(matches!(alive, Liveness::Running { .. }), "{alive:?}");
}
