//! Whether the servers' network and the deployment's volume are there.

use hub_spawner::engine::{EngineError, Network};

use super::{Examination, Finding, Known, daemon::judge_failure};

pub(super) async fn check(known: &mut Known) -> Vec<Finding> {
    let (Some(docker), Some(engine)) = (known.spawner(), &known.engine) else { return Vec::new() };
    let name = &docker.network;
    let found = engine.network(name).await;
    let finding = judge(name, &found, known.is_remote);
    known.network = found.ok().flatten();
    vec![finding]
}

fn judge(name: &str, found: &Result<Option<Network>, EngineError>, is_remote: bool) -> Finding {
    match found {
        Ok(Some(network)) => {
            let host = if is_remote { "the daemon's host" } else { "this host" };
            let gateway = network.gateway.map(|ip| format!(", {host} is {ip} in it"));
            let kind = if network.internal { "internal " } else { "" };
            Finding::ok(format!(
                "{name}: {kind}{} {}{}",
                network.driver,
                network.subnets.join(" "),
                gateway.unwrap_or_default()
            ))
        }
        Ok(None) => Finding::warning(
            format!("there is no network {name}"),
            format!("the hub makes it when it starts; or `docker network create {name}`"),
        ),
        Err(EngineError::Ambiguous { ids, .. }) => Finding::problem(
            format!("{} networks are called {name}: {}", ids.len(), ids.join(", ")),
            "keep the one that containers are in and remove the others: `docker network rm ID`",
        ),
        Err(error) => judge_failure(error),
    }
}

pub(super) async fn check_data_volume(examination: &Examination, known: &Known) -> Vec<Finding> {
    let Some(engine) = &known.engine else { return Vec::new() };
    let Some(name) = examination.sources.variable("DATA_VOLUME_HOST") else {
        return vec![Finding::skipped("DATA_VOLUME_HOST is not set; the hub's files are its own")];
    };
    vec![match engine.volume(&name).await {
        Ok(Some(_)) => Finding::ok(name),
        Ok(None) => Finding::problem(
            format!("there is no volume {name}"),
            format!("`cargo xtask deploy volumes`, or `docker volume create {name}`"),
        ),
        Err(error) => judge_failure(&error),
    }]
}

#[cfg(test)]
mod tests {
    use super::{super::Outcome, *};

    #[test]
    fn env_4_an_absent_network_is_told() {
        let finding = judge("lab-net", &Ok(None), false);
        assert_eq!(finding.outcome, Outcome::Warning);
        assert!(finding.advice.unwrap().contains("docker network create lab-net"));
    }

    #[test]
    fn xt_7_a_name_that_two_networks_have_is_a_problem_with_their_ids() {
        let ids = vec!["one".to_owned(), "two".to_owned()];
        let found = Err(EngineError::Ambiguous { what: "network", name: "n".to_owned(), ids });
        let finding = judge("n", &found, false);
        assert_eq!(finding.outcome, Outcome::Problem);
        assert!(finding.seen.contains("one, two"), "{finding:?}");
    }
}
