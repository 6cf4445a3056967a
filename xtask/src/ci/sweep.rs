//! Removing what tests left in Docker: a test that is killed cannot.

use std::collections::BTreeSet;

use hub_spawner::engine::{Engine, Labels};

use super::report::Done;

/// The label that carries the name of a hub's installation.
const DEPLOYMENT: &str = "hub.deployment";

/// How the names begin that tests give to theirs.
const TESTS: &str = "test-";

/// Removes containers, volumes, networks and images of all test deployments.
pub(super) async fn run(engine: &Engine) -> anyhow::Result<Done> {
    let mut deployments = BTreeSet::new();
    for container in engine.containers(&Labels::new()).await? {
        if let Some(deployment) = of_a_test(&container.labels) {
            eprintln!("removing container {}", container.name);
            engine.remove_container(&container.id, true).await?;
            deployments.insert(deployment);
        }
    }
    for volume in engine.volumes(&Labels::new()).await? {
        if let Some(deployment) = of_a_test(&volume.labels) {
            eprintln!("removing volume {}", volume.name);
            engine.remove_volume(&volume.name).await?;
            deployments.insert(deployment);
        }
    }
    for network in engine.networks_labelled(&Labels::new()).await? {
        if of_a_test(&network.labels).is_some() {
            eprintln!("removing network {}", network.name);
            engine.remove_network(&network.id).await?;
        }
    }
    for deployment in deployments {
        for network in engine.networks(&format!("jupyterhub-{deployment}")).await? {
            eprintln!("removing network {}", network.name);
            engine.remove_network(&network.id).await?;
        }
    }
    for image in engine.images(&Labels::new()).await? {
        if of_a_test(&image.labels).is_some() {
            let names = if image.tags.is_empty() { vec![image.id] } else { image.tags };
            for name in names {
                eprintln!("removing image {name}");
                match engine.remove_image(&name).await {
                    // It is in use, or below another, and then it goes another time.
                    Err(error) if error.is_conflict() => eprintln!("  {error}"),
                    other => other?,
                }
            }
        }
    }
    Ok(Done::default())
}

fn of_a_test(labels: &Labels) -> Option<String> {
    labels.get(DEPLOYMENT).filter(|name| name.starts_with(TESTS)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_test_deployments_are_swept() {
        let labels = |name: &str| Labels::from([(DEPLOYMENT.to_owned(), name.to_owned())]);
        assert_eq!(of_a_test(&labels("test-7f")).as_deref(), Some("test-7f"));
        assert_eq!(of_a_test(&labels("demo")), None);
        assert_eq!(of_a_test(&Labels::new()), None);
    }
}
