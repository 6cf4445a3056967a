//! What is asked of a manager, what bounds a service, and what is left of one that no
//! hub knows.

use hub_spawner::{
    Progress, SavedState, Spawner, StopMode,
    conformance::request,
    docker::DockerConfig,
    engine::{ENDPOINTS, Endpoint, EndpointUser},
    swarm::{self, SwarmConfig, SwarmSpawner},
};

use crate::{cluster::Cluster, config, container, gate::Gate, key};

fn keeping_secrets(cluster: &Cluster, host: String) -> DockerConfig {
    let cmd = Some(["/bin/serve"].into_iter().collect());
    DockerConfig { host: Some(host), cmd, ..config(cluster) }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn c8_a_service_of_a_swarm_is_bounded_found_by_tools_and_removed() {
    let cluster = Cluster::start(1).await;
    let docker = keeping_secrets(&cluster, cluster.manager().address());
    let swarm = SwarmConfig { token_secrets: true, ..SwarmConfig::default() };
    let spawner = SwarmSpawner::connect(docker, swarm).await.unwrap();
    let (ada, bob) = (key("ada"), key("bob"));
    for key in [&ada, &bob] {
        spawner.start(&request(key.clone()), &Progress::ignored()).await.unwrap();
    }
    let engine = &cluster.manager().engine;
    let id = container(engine, &cluster, &ada).await.unwrap();
    let told = cluster.manager().inspect(&id).await;
    let host = told.host_config.unwrap();
    let log = host.log_config.unwrap();
    assert_eq!(log.typ.as_deref(), Some("json-file"));
    let options = log.config.unwrap();
    assert_eq!((options["max-size"].as_str(), options["max-file"].as_str()), ("10485760", "3"));
    let total = engine.info().await.unwrap().memory;
    let limit = u64::try_from(host.memory.unwrap()).unwrap();
    assert!(limit > 0 && limit < total, "{limit} of {total}");
    assert_eq!(host.pids_limit, Some(4096));

    // RST-3: what no hub knows is found, with its own container only once, and removed.
    let found = swarm::inventory::servers(engine, &cluster.name).await.unwrap();
    let names: Vec<_> = found.iter().map(|(key, one)| (key.clone(), one.name.as_str())).collect();
    let expected = [(Some(ada.clone()), "jupyter-ada"), (Some(bob.clone()), "jupyter-bob")];
    assert!(names.len() == 2 && expected.iter().all(|one| names.contains(one)), "{names:?}");
    assert!(found.iter().all(|(_, one)| one.state == "running" && one.created > 1_700_000_000));
    let (_, orphan) = found.into_iter().find(|(key, _)| *key == Some(ada.clone())).unwrap();
    assert!(swarm::inventory::remove(engine, &cluster.name, &orphan).await.unwrap());
    assert_eq!(cluster.secrets().await, 1, "that of the other server");
    assert_eq!(spawner.found().await.unwrap(), std::slice::from_ref(&bob));
    assert!(!swarm::inventory::remove(engine, &cluster.name, &orphan).await.unwrap());
    cluster
        .eventually("its container ends", async || {
            container(engine, &cluster, &ada).await.is_none().then_some(())
        })
        .await;
    assert!(container(engine, &cluster, &bob).await.is_some());
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn api_7_a_manager_is_asked_for_what_is_listed() {
    let cluster = Cluster::start(1).await;
    let gate = Gate::before(cluster.manager().socket()).await;
    gate.beside(Box::pin(async {
        let swarm = SwarmConfig { token_secrets: true, ..SwarmConfig::default() };
        let docker = keeping_secrets(&cluster, gate.address());
        let spawner = SwarmSpawner::connect(docker, swarm).await.unwrap();
        let (ada, state) = (request(key("ada")), SavedState::default());
        spawner.prepare(&ada, &Progress::ignored()).await.unwrap();
        spawner.start(&ada, &Progress::ignored()).await.unwrap();
        spawner.probe(&ada.key, &state).await.unwrap();
        spawner.log(&ada.key, &state, 10).await.unwrap();
        spawner.identify(&ada.key).await.unwrap();
        spawner.host_address().await.unwrap();
        spawner.stop(&ada.key, &state, StopMode::Graceful).await.unwrap();
        spawner.forget_user(ada.key.user()).await.unwrap();
    }))
    .await;
    let kind = |(method, path): &(String, String)| -> &'static Endpoint {
        let found = ENDPOINTS.iter().find(|one| one.allows(method, path));
        found.unwrap_or_else(|| panic!("{method} {path} is not listed"))
    };
    let asked: Vec<_> = gate.asked().iter().map(kind).collect();
    for one in ENDPOINTS.iter().filter(|one| one.user == EndpointUser::Swarm) {
        assert!(asked.contains(&one), "{one} is listed, but not asked for");
    }
    for one in asked {
        assert!(one.is_for_swarm(), "{one} is asked for, and not listed for a swarm");
    }
}
