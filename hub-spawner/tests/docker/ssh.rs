//! A daemon through a real `ssh` and a real `ssh` server, on this machine.

mod server;

use futures_util::{TryStreamExt, future::try_join_all};
use hub_spawner::engine::{DockerHost, Engine, EngineError};

use crate::{
    bench::{eventually, in_a_corner},
    containers::shell,
};
use server::{Server, Setup};

async fn connect(server: &Server, path: &str) -> Result<Engine, EngineError> {
    let host = DockerHost::resolve(&server.settings(path)).expect("the settings make sense");
    Engine::connect_to(&host).await
}

/// What is wrong, as an operator reads it.
async fn advice(server: &Server, path: &str) -> String {
    match connect(server, path).await.expect_err("there is no way in") {
        EngineError::Unreachable { advice, .. } => advice.to_owned(),
        other => panic!("expected Unreachable, got {other:?}"),
    }
}

/// Uses a connection in all the ways there are: many calls at once, large
/// streams in both directions, a conversation with a command.
async fn is_of_use(server: &Server, path: &str) {
    let far = connect(server, path).await.expect("connect");
    let pings = (0..24).map(|_| far.ping());
    try_join_all(pings).await.expect("many calls at once");
    in_a_corner(|corner| async move {
        for volume in [&corner.name, &corner.neighbour()] {
            far.ensure_volume(volume, &corner.labels()).await.expect("make a volume");
        }
        let mut spec =
            shell(&corner, "far", "dd if=/dev/urandom of=/v/big bs=1048576 count=32; sleep 600");
        spec.mounts = vec![hub_spawner::engine::Mount::volume(&corner.name, "/v")];
        let id = far.create_container_from(&spec).await.expect("create");
        far.start_container(&id).await.expect("start");
        eventually("the file is written", async || {
            let shown = far.exec(&id, &["stat", "-c", "%s", "/v/big"]).await.expect("exec");
            (shown.output.trim() == "33554432").then_some(())
        })
        .await;
        let image = corner.image();
        let archive = far.export_volume(&corner.name, &image).await.expect("export");
        let archive = archive.map_err(std::io::Error::other);
        far.import_volume(&corner.neighbour(), &image, archive).await.expect("import");
        let parts: Vec<_> = far
            .export_volume(&corner.neighbour(), &image)
            .await
            .expect("export")
            .try_collect()
            .await
            .expect("export");
        assert!(parts.iter().map(bytes::Bytes::len).sum::<usize>() > 32 << 20);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn dm_3_a_daemon_is_used_through_ssh() {
    let server = Server::start(Setup::default()).await;
    is_of_use(&server, "").await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn dm_3_a_machine_without_the_program_docker_forwards_its_socket() {
    let server = Server::start(Setup { docker: false, ..Setup::default() }).await;
    is_of_use(&server, "").await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn dm_3_the_address_may_name_the_socket() {
    let server = Server::start(Setup::default()).await;
    is_of_use(&server, "/var/run/docker.sock").await;
    let said = advice(&server, "/nowhere/docker.sock").await;
    assert!(said.contains("no socket is reached there"), "{said}");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn dm_3_no_process_outlives_the_connection() {
    let server = Server::start(Setup::default()).await;
    for path in ["", "/var/run/docker.sock"] {
        let engine = connect(&server, path).await.expect("connect");
        engine.ping().await.expect("ping");
        assert!(server.clients() > 0);
        drop(engine);
        eventually("the processes end", async || (server.clients() == 0).then_some(())).await;
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn dm_3_each_way_of_not_getting_in_is_told_apart() {
    let rows = [
        (Setup { known: false, ..Setup::default() }, "known_hosts"),
        (Setup { let_in: false, ..Setup::default() }, "never asks for a password"),
        (Setup { daemon: false, ..Setup::default() }, "no Docker daemon answers there"),
        (
            Setup { docker: false, forwards: false, ..Setup::default() },
            "AllowStreamLocalForwarding",
        ),
    ];
    for (setup, words) in rows {
        let server = Server::start(setup).await;
        let said = advice(&server, "").await;
        assert!(said.contains(words), "{setup:?}: {said}");
    }
    let mut server = Server::start(Setup::default()).await;
    server.end().await;
    let said = advice(&server, "").await;
    assert!(said.contains("no ssh server answers"), "{said}");
}
