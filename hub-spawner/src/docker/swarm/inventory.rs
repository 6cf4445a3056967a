//! What is there of a deployment in a swarm, for tools that look after one.

use std::collections::BTreeMap;

use bollard::models::Service;
use hub_names::ServerKey;
use jiff::Timestamp;

use super::{
    spec::{labels_of, name_of},
    task::{self, Doing},
};
use crate::{
    docker::{inventory, labels},
    engine::{ContainerSummary, Engine, EngineError, Labels},
};

/// By which a daemon says that a container is a task of a service.
const OF_SERVICE: &str = "com.docker.swarm.service.id";

/// As [`inventory::servers`]: the services of a deployment's servers, and containers of
/// servers that are of no service.
///
/// # Errors
///
/// As of the daemon's answers; one that manages no swarm refuses.
pub async fn servers(
    engine: &Engine,
    deployment: &str,
) -> Result<Vec<(Option<ServerKey>, ContainerSummary)>, EngineError> {
    let services = engine.services(&labels::of_servers(deployment)).await?;
    let nodes = engine.nodes().await?;
    let mut tasks: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for task in engine.tasks().await? {
        tasks.entry(task.service_id.clone().unwrap_or_default()).or_default().push(task);
    }
    let one = |service: Service| {
        let own = tasks.get(service.id.as_deref().unwrap_or_default());
        let seen = task::seen(own.map(Vec::as_slice).unwrap_or_default(), &nodes);
        let found = summary(&service, &seen.doing);
        (labels::server_key(&found.labels), found)
    };
    let mut all: Vec<_> = services.into_iter().map(one).collect();
    let containers = inventory::servers(engine, deployment).await?;
    all.extend(containers.into_iter().filter(|(_, one)| !one.labels.contains_key(OF_SERVICE)));
    Ok(all)
}

/// Removes one of [`servers`] if it is a service, and its secret; returns whether it was
/// one. Its tasks end by themselves after that.
///
/// # Errors
///
/// As of the daemon's answers.
pub async fn remove(
    engine: &Engine,
    deployment: &str,
    server: &ContainerSummary,
) -> Result<bool, EngineError> {
    if engine.service(&server.id).await?.is_none() {
        return Ok(false);
    }
    engine.remove_service(&server.id).await?;
    if let Some(key) = labels::server_key(&server.labels) {
        engine.remove_secrets(&labels::of_secret(deployment, &key)).await?;
    }
    Ok(true)
}

fn summary(service: &Service, doing: &Doing) -> ContainerSummary {
    let labels: Labels = labels_of(service);
    let container =
        service.spec.as_ref().and_then(|spec| spec.task_template.as_ref()?.container_spec.as_ref());
    let created = service.created_at.as_ref().map(ToString::to_string);
    ContainerSummary {
        id: service.id.clone().unwrap_or_default(),
        name: name_of(service),
        image: container.and_then(|container| container.image.clone()).unwrap_or_default(),
        state: match doing {
            Doing::Waiting { .. } => "waiting",
            Doing::Preparing { .. } | Doing::Starting { .. } => "starting",
            Doing::Running => "running",
            Doing::Ended { .. } => "exited",
        }
        .to_owned(),
        labels,
        created: created.as_deref().and_then(seconds).unwrap_or_default(),
    }
}

/// The seconds since 1970 of a time in RFC 3339.
fn seconds(text: &str) -> Option<i64> {
    text.parse().ok().map(Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rst_3_a_service_tells_when_it_was_made() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:00:00.5Z", Some(951_825_600)),
            ("2026-11-30T20:23:03.123456789Z", Some(1_796_070_183)),
            ("2026-11-30T21:23:03+01:00", Some(1_796_070_183)),
            ("2026-11-31T20:23:03Z", None),
            ("never", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
