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
        let driver = engine.network(name).await.map_err(failed)?.map(|network| network.driver);
        check(name, driver.as_deref())?;
        let labels = labels::of_network(&blueprint.deployment);
        engine.ensure_overlay(name, &labels).await.map_err(failed)?;
    }
    Ok(())
}

fn check(name: &str, driver: Option<&str>) -> Result<(), SpawnError> {
    match driver {
        Some("overlay") | None => Ok(()),
        Some(driver) => Err(SpawnError::Rejected {
            what: format!("the network {name}"),
            reason: format!(
                "its driver is {driver}, so that it does not span the machines of a swarm; remove \
                 it, and the hub makes an overlay network, or name another one"
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swm_1_a_network_of_one_machine_is_refused_by_its_name() {
        assert!(check("notebooks", None).is_ok(), "it is made");
        assert!(check("notebooks", Some("overlay")).is_ok());
        let said = check("notebooks", Some("bridge")).unwrap_err().user_message();
        assert!(said.contains("the network notebooks") && said.contains("bridge"), "{said}");
    }
}
