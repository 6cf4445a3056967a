//! The notebook image comes from a registry.

#[path = "../../../hub-spawner/tests/docker/registry.rs"]
mod registry;

use hub_tests::{Deployment, docker};
use serde_json::Value;

use self::registry::Registry;

/// Does `story` while the registry answers.
async fn beside<T>(registry: &Registry, story: impl Future<Output = T>) -> T {
    tokio::select! {
        told = story => told,
        () = registry.serve() => unreachable!("it serves for ever"),
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn faq_4_xt_5_an_image_is_pulled_if_it_is_absent_and_its_digest_is_told() {
    let registry = Registry::open().await;
    let image = format!("{}:4", registry.repository);
    let mut deployment = Deployment::prepare();
    deployment.set("DOCKER_NOTEBOOK_IMAGE", &image);
    beside(&registry, async {
        deployment.run(&[]).await;
        assert!(!registry.asked.take().is_empty());
        let status = deployment.status().await;
        let images = status["images"].as_array().unwrap();
        let found = images.iter().find(|one| one["name"] == *image).unwrap();
        let digest = format!("{}@{}", registry.repository, registry.digest);
        assert_eq!(found["digests"], Value::from(vec![digest]), "{status:#}");
        assert!(found["id"].as_str().unwrap().starts_with("sha256:"), "{status:#}");

        // XT-1: it is there; `pull` looks for a newer one all the same.
        deployment.run(&[]).await;
        assert_eq!(registry.asked.take(), [""; 0]);
        deployment.run(&["pull"]).await;
        assert!(!registry.asked.take().is_empty());

        // Another one, or one that is gone, is seen to by `upgrade`, too.
        let engine = docker::engine().await;
        engine.remove_image(&image).await.unwrap();
        deployment.run(&["upgrade"]).await;
        assert!(engine.image_exists(&image).await.unwrap());
    })
    .await;
    docker::forget_image(&image);
}
