use futures_util::future::join_all;
use hub_spawner::{
    Progress, ServerKey, SpawnError, Spawner,
    conformance::request,
    docker::{DockerConfig, DockerSpawner, PullPolicy},
};

use crate::{
    bench::{Corner, in_a_corner},
    registry::Registry,
};

async fn spawner(corner: &Corner, image: &str, policy: PullPolicy) -> DockerSpawner {
    let config = DockerConfig { image: image.to_owned(), pull_policy: policy, ..corner.config() };
    DockerSpawner::connect(config).await.expect("connect")
}

fn ada() -> ServerKey {
    ServerKey::default_of("ada".parse().expect("a valid name"))
}

/// Does `story` while the registry answers.
async fn beside<T>(registry: &Registry, story: impl Future<Output = T>) -> T {
    tokio::select! {
        told = story => told,
        () = registry.serve() => unreachable!("it serves for ever"),
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_13_starts_of_the_same_image_share_one_pull_and_all_see_its_progress() {
    in_a_corner(|corner| async move {
        let registry = Registry::open().await;
        let image = format!("{}:4", registry.repository);
        let spawner = spawner(&corner, &image, PullPolicy::IfNotPresent).await;
        let request = request(ada());
        registry.open.send_replace(false);
        let (progresses, mut reports): (Vec<_>, Vec<_>) =
            (0..5).map(|_| Progress::channel()).unzip();
        let prepared = join_all(progresses.iter().map(|p| spawner.prepare(&request, p)));
        let all_wait = async {
            for reports in &mut reports {
                let first = reports.recv().await.unwrap();
                assert!(first.message.contains(&image), "{first:?}");
            }
            registry.open.send_replace(true);
        };
        let (prepared, ()) =
            beside(&registry, futures_util::future::join(prepared, all_wait)).await;
        for outcome in prepared {
            outcome.unwrap();
        }
        let asked = registry.asked.take();
        let pulls = asked.iter().filter(|path| path.ends_with("/manifests/4")).count();
        assert_eq!(pulls, 1, "{asked:?}");
        assert!(corner.engine.image_exists(&image).await.unwrap());
        corner.engine.remove_image(&image).await.unwrap();
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_14_an_image_is_pulled_by_its_digest() {
    in_a_corner(|corner| async move {
        let registry = Registry::open().await;
        let image = format!("{}@{}", registry.repository, registry.digest);
        let spawner = spawner(&corner, &image, PullPolicy::Always).await;
        let (request, progress) = (request(ada()), Progress::ignored());
        beside(&registry, spawner.prepare(&request, &progress)).await.unwrap();
        assert!(corner.engine.image_exists(&image).await.unwrap());
        corner.engine.remove_image(&image).await.unwrap();
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn api_6_a_pull_that_fails_says_why() {
    in_a_corner(|corner| async move {
        let registry = Registry::open().await;
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = format!("{}/lab:4", closed.local_addr().unwrap());
        drop(closed);
        let rows =
            [(format!("{}:5", registry.repository), "no such tag"), (nobody, "does not answer")];
        let (request, progress) = (request(ada()), Progress::ignored());
        for (image, words) in rows {
            let spawner = spawner(&corner, &image, PullPolicy::IfNotPresent).await;
            let error = beside(&registry, spawner.prepare(&request, &progress)).await.unwrap_err();
            assert!(matches!(error, SpawnError::ImageUnavailable { .. }), "{error:?}");
            assert!(error.user_message().contains(words), "{error:?}");
        }
    })
    .await;
}
