//! The networks that servers of a swarm are in.

use crate::{
    SpawnError,
    docker::{blueprint::Blueprint, error::spawn_error, labels},
    engine::Engine,
};

/// Makes sure that all networks are there, and span the machines.
///
/// # Errors
///
/// [`SpawnError::Rejected`] if one is of a single machine.
pub(super) async fn ensure(engine: &Engine, blueprint: &Blueprint) -> Result<(), SpawnError> {
    let failed = |error| spawn_error("find or make the network", error);
    for name in [&blueprint.network].into_iter().chain(&blueprint.networks) {
        let found = engine.network(name).await.map_err(failed)?;
        check(name, found.as_ref().map(|found| (found.driver.as_str(), found.scope.as_str())))?;
        let labels = labels::of_network(&blueprint.deployment);
        engine.ensure_overlay(name, &labels).await.map_err(failed)?;
    }
    Ok(())
}

/// Checks an existing network by its driver and scope. Which drivers reach all machines,
/// only the daemon knows: a plugin's may, and so does a `macvlan` of the swarm's.
fn check(name: &str, found: Option<(&str, &str)>) -> Result<(), SpawnError> {
    match found {
        Some((driver, "local")) => Err(SpawnError::Rejected {
            what: format!("the network {name}"),
            reason: format!(
                "it is a {driver} network of one machine and does not span those of a swarm; \
                 remove it, and the hub makes an overlay network, or name another one"
            ),
        }),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swm_1_a_network_of_one_machine_is_refused_by_its_name() {
        assert!(check("notebooks", None).is_ok(), "it is made");
        for far in [("overlay", "swarm"), ("macvlan", "swarm"), ("weave", "global")] {
            assert!(check("notebooks", Some(far)).is_ok(), "{far:?}");
        }
        for near in [("bridge", "local"), ("macvlan", "local")] {
            let said = check("notebooks", Some(near)).unwrap_err().user_message();
            assert!(said.contains("the network notebooks") && said.contains(near.0), "{said}");
        }
    }
}
