//! What happens when a manager's answers are lost, or it refuses what it is asked.

use hub_spawner::{
    Liveness, Progress, SavedState, Spawner, StopMode,
    conformance::request,
    docker::DockerConfig,
    swarm::{SwarmConfig, SwarmSpawner},
};

use crate::{cluster::Cluster, config, gate::Gate, key};

/// A spawner whose servers' tokens are secrets, so that there is more to leave behind.
async fn keeping_secrets(cluster: &Cluster, host: String) -> SwarmSpawner {
    let docker = DockerConfig {
        host: Some(host),
        cmd: Some(["/bin/serve"].into_iter().collect()),
        ..config(cluster)
    };
    let swarm = SwarmConfig { token_secrets: true, ..SwarmConfig::default() };
    SwarmSpawner::connect(docker, swarm).await.expect("connect")
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_33_a_service_that_fails_at_any_step_leaves_nothing() {
    let cluster = Cluster::start(1).await;
    let gate = Gate::before(cluster.manager().socket()).await;
    gate.beside(Box::pin(async {
        let direct = keeping_secrets(&cluster, cluster.manager().address()).await;
        let spawner = keeping_secrets(&cluster, gate.address()).await;
        let ada = request(key("ada"));
        for step in [
            ("POST", "/secrets/create"),
            ("GET", "/secrets"),
            ("POST", "/services/create"),
            ("GET", "/services"),
            ("GET", "/services/{}"),
            ("GET", "/tasks"),
            ("GET", "/nodes"),
        ] {
            gate.refuse(Some(step));
            let error = spawner.start(&ada, &Progress::ignored()).await.unwrap_err();
            assert!(format!("{error:?}").contains("the gate is shut"), "{step:?}: {error:?}");
            gate.refuse(None);
            assert_eq!(direct.found().await.unwrap(), [], "{step:?}");
            assert!(direct.identify(&ada.key).await.unwrap().is_empty(), "{step:?}");
            assert_eq!(cluster.secrets().await, 0, "{step:?}");
        }
        spawner.start(&ada, &Progress::ignored()).await.expect("and then it starts");

        // What cannot be ended now is ended later.
        for step in [("DELETE", "/services/{}"), ("DELETE", "/secrets/{}")] {
            gate.refuse(Some(step));
            let state = SavedState::default();
            spawner.stop(&ada.key, &state, StopMode::Graceful).await.unwrap_err();
            gate.refuse(None);
            assert!(cluster.secrets().await > 0, "{step:?}");
        }
        spawner.stop(&ada.key, &SavedState::default(), StopMode::Graceful).await.unwrap();
        assert!(direct.identify(&ada.key).await.unwrap().is_empty());
        assert_eq!(cluster.secrets().await, 0);
        let asked = gate.asked();
        assert!(asked.iter().any(|(method, _)| method == "DELETE"), "{asked:?}");
    }))
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn api_5_a_service_whose_creation_was_not_answered_is_found_by_its_labels() {
    let cluster = Cluster::start(1).await;
    let gate = Gate::before(cluster.manager().socket()).await;
    gate.beside(Box::pin(async {
        let docker = DockerConfig { host: Some(gate.address()), ..config(&cluster) };
        let spawner = SwarmSpawner::connect(docker, SwarmConfig::default()).await.unwrap();
        let ada = request(key("ada"));
        gate.lose("POST", "/services/create");
        let started = spawner.start(&ada, &Progress::ignored()).await.unwrap();
        assert!(!gate.is_losing(), "an answer was lost");
        let alive = spawner.probe(&ada.key, &started.state).await.unwrap();
        assert!(matches!(alive, Liveness::Running { .. }), "{alive:?}");
        assert_eq!(spawner.identify(&ada.key).await.unwrap().len(), 1);
    }))
    .await;
}
