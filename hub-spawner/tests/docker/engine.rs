use bollard::{Docker, models::NetworkCreateRequest};
use futures_util::future::join_all;
use hub_spawner::{
    SpawnError,
    docker::DockerSpawner,
    engine::{Build, Engine, EngineError},
};

use crate::bench::in_a_corner;

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn the_daemon_tells_its_version() {
    let engine = Engine::connect(None).await.unwrap();
    engine.ping().await.unwrap();
    let version = engine.version().await.unwrap();
    assert!(version.api.starts_with("1."), "{version:?}");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_7_one_network_is_made_by_many_at_once() {
    in_a_corner(|corner| async move {
        let labels = corner.labels();
        let make = async || {
            // A connection of its own, as another process would have.
            let engine = Engine::connect(None).await.unwrap();
            engine.ensure_network(&corner.name, &labels).await.unwrap().id
        };
        let ids = join_all((0..6).map(|_| make())).await;
        let left = corner.engine.networks(&corner.name).await.unwrap();
        assert_eq!(left.len(), 1);
        assert!(ids.iter().all(|id| *id == left[0].id), "{ids:?}");
        assert_eq!(left[0].labels, labels);
        assert!(left[0].gateway.is_some());
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_7_a_network_name_that_exists_twice_is_refused_with_the_ids() {
    in_a_corner(|corner| async move {
        let docker = Docker::connect_with_host("unix:///var/run/docker.sock").unwrap();
        for _ in 0..2 {
            let name = corner.name.clone();
            let request = NetworkCreateRequest { name, ..NetworkCreateRequest::default() };
            docker.create_network(request).await.expect("Docker 20.10 allows twins");
        }
        let error = corner.engine.network(&corner.name).await.unwrap_err();
        let EngineError::Ambiguous { ids, .. } = &error else { panic!("{error:?}") };
        assert_eq!(ids.len(), 2);
        let error = DockerSpawner::connect(corner.config()).await.unwrap_err();
        let SpawnError::Rejected { reason, .. } = &error else { panic!("{error:?}") };
        assert!(reason.contains(ids[0].as_str()), "{reason}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn an_image_is_built_and_reports_its_lines() {
    in_a_corner(|corner| async move {
        let dockerfile = format!(
            "FROM {}\nARG WORD\nRUN echo building-$WORD\nLABEL made.by=test\n",
            corner.image()
        );
        let mut context = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(dockerfile.len() as u64);
        header.set_mode(0o644);
        context.append_data(&mut header, "Dockerfile", dockerfile.as_bytes()).unwrap();
        let context = context.into_inner().unwrap();

        let tag = format!("{}:built", corner.name);
        let mut build = Build::new(&tag);
        build.args.insert("WORD".to_owned(), "bricks".to_owned());
        let mut lines = Vec::new();
        let built =
            corner.engine.build(context.into(), &build, |line| lines.push(line.to_owned())).await;
        built.unwrap();
        assert!(lines.iter().any(|line| line == "building-bricks"), "{lines:?}");
        assert!(corner.engine.image_exists(&tag).await.unwrap());
        corner.engine.remove_image(&tag).await.unwrap();
        assert!(!corner.engine.image_exists(&tag).await.unwrap());
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn a_build_that_fails_says_why() {
    in_a_corner(|corner| async move {
        let tag = format!("{}:built", corner.name);
        let error =
            corner.engine.build(vec![0; 1024].into(), &Build::new(&tag), |_| {}).await.unwrap_err();
        assert!(error.text().is_some_and(|text| text.contains("Dockerfile")), "{error:?}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn removing_what_is_not_there_succeeds() {
    let engine = Engine::connect(None).await.unwrap();
    engine.remove_container("hub-test-nothing", true).await.unwrap();
    engine.remove_volume("hub-test-nothing").await.unwrap();
    engine.remove_network("hub-test-nothing").await.unwrap();
    engine.remove_image("hub-test-nothing:none").await.unwrap();
    assert_eq!(engine.logs("hub-test-nothing", 5).await.unwrap(), None);
    assert_eq!(engine.volume("hub-test-nothing").await.unwrap(), None);
}
