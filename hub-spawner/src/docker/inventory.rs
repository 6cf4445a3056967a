//! What is there of a deployment, for tools that look after one.

use hub_names::ServerKey;

use super::labels;
use crate::engine::{ContainerSummary, Engine, EngineError, Labels};

/// The containers of a deployment's servers, each with the server it says it is;
/// `None` if its labels make no sense.
///
/// # Errors
///
/// As [`Engine::containers`].
pub async fn servers(
    engine: &Engine,
    deployment: &str,
) -> Result<Vec<(Option<ServerKey>, ContainerSummary)>, EngineError> {
    let found = engine.containers(&labels::of_servers(deployment)).await?;
    Ok(found.into_iter().map(|one| (labels::server_key(&one.labels), one)).collect())
}

/// Those of `found` whose server is not among the `known` ones of a hub's store:
/// its orphans (RST-3).
pub fn orphans(
    found: Vec<(Option<ServerKey>, ContainerSummary)>,
    known: &[ServerKey],
) -> Vec<(Option<ServerKey>, ContainerSummary)> {
    let is_known = |key: &Option<ServerKey>| key.as_ref().is_some_and(|key| known.contains(key));
    found.into_iter().filter(|(key, _)| !is_known(key)).collect()
}

/// What a container that is not a server is labelled with: it belongs to the
/// deployment and has this `kind`.
pub fn labels_of(deployment: &str, kind: &str) -> Labels {
    labels::of_kind(deployment, kind)
}
