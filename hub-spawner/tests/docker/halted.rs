//! Servers that neither run nor have ended, and when those that have did (SPN-26).

use hub_spawner::{
    Health, Liveness, SavedState, Spawner, StopMode,
    engine::{ContainerState, RestartPolicy},
};

use crate::{
    bench::{docker, eventually, in_a_corner},
    containers::shell,
    spawner::{key, start},
};

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_26_a_server_that_is_paused_counts_as_running_and_can_be_stopped() {
    in_a_corner(|corner| async move {
        let spawner = corner.spawner().await;
        let docker = docker();
        let (ada, state) = (key("ada", ""), SavedState::default());
        let url = start(&spawner, &ada).await.unwrap();
        let id = corner.container(&ada).await;
        let probe = async || spawner.probe(&ada, &state).await.unwrap();
        let running = |health| Liveness::Running { url: url.clone(), health };
        docker.pause_container(&id).await.unwrap();
        assert_eq!(probe().await, running(Some(Health::Paused)));
        docker.unpause_container(&id).await.unwrap();
        assert_eq!(probe().await, running(None));
        docker.pause_container(&id).await.unwrap();
        spawner.stop(&ada, &state, StopMode::Graceful).await.unwrap();
        assert_eq!(probe().await, Liveness::Missing);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_26_the_end_of_a_server_has_a_time() {
    in_a_corner(|corner| async move {
        let spawner = corner.spawner().await;
        let ada = key("ada", "");
        start(&spawner, &ada).await.unwrap();
        let id = corner.container(&ada).await;
        let began = corner.engine.inspect(&id).await.unwrap().unwrap().started_at.unwrap();
        corner.engine.kill(&id).await.unwrap();
        let exit = eventually("it ends", async || {
            match spawner.probe(&ada, &SavedState::default()).await.unwrap() {
                Liveness::Exited(exit) => Some(exit),
                Liveness::Running { .. } | Liveness::Missing => None,
            }
        })
        .await;
        // Both are of the daemon, and so is how they are written.
        let ended = exit.finished_at.clone().unwrap();
        assert!(exit.code == 137 && began < ended, "{began}: {exit:?}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_26_a_container_that_is_started_again_and_again_counts_as_running() {
    in_a_corner(|corner| async move {
        let mut spec = shell(&corner, "fickle", "exit 3");
        spec.restart = RestartPolicy::UnlessStopped;
        let id = corner.engine.create_container_from(&spec).await.unwrap();
        corner.engine.start_container(&id).await.unwrap();
        let found = eventually("it is about to be started again", async || {
            let found = corner.engine.inspect(&id).await.unwrap().unwrap();
            (found.health == Some(Health::Restarting)).then_some(found)
        })
        .await;
        assert_eq!(found.state, ContainerState::Running);
    })
    .await;
}
