//! Containers of servers that the hub's database does not know (RST-3).

use hub_names::ServerKey;
use hub_spawner::{docker::inventory, engine::ContainerSummary, swarm};

use super::{Finding, Known, daemon::judge_failure};

/// So many are named.
const NAMED: usize = 5;

pub(super) async fn check(known: &Known) -> Vec<Finding> {
    let (Some(docker), Some(engine)) = (known.spawner(), &known.engine) else { return Vec::new() };
    let Some(servers) = &known.servers else { return Vec::new() };
    let is_swarm = known.config.as_ref().is_some_and(|c| c.spawner.kind() == "swarm");
    let found = match is_swarm {
        true => swarm::inventory::servers(engine, &docker.deployment).await,
        false => inventory::servers(engine, &docker.deployment).await,
    };
    vec![match found {
        Ok(found) => judge(found, servers),
        Err(error) => judge_failure(&error),
    }]
}

fn judge(found: Vec<(Option<ServerKey>, ContainerSummary)>, servers: &[ServerKey]) -> Finding {
    let count = found.len();
    let orphans: Vec<String> = inventory::orphans(found, servers)
        .into_iter()
        .map(|(_, container)| container.name)
        .collect();
    if orphans.is_empty() {
        return Finding::ok(format!("none among {count} containers of servers"));
    }
    let more = orphans.len().saturating_sub(NAMED);
    let named = orphans[..orphans.len().min(NAMED)].join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Finding::warning(
        format!(
            "{} of {count} containers of servers are not in the database: {named}{more}",
            orphans.len(),
        ),
        "a hub that starts adopts those whose token it knows; remove the others with `hub gc --orphans`",
    )
}

#[cfg(test)]
mod tests {
    use super::{super::Outcome, *};

    fn container(user: &str) -> (Option<ServerKey>, ContainerSummary) {
        let key = ServerKey::default_of(user.parse().unwrap());
        let container = ContainerSummary {
            id: String::new(),
            name: format!("jupyter-{user}"),
            image: String::new(),
            state: "running".to_owned(),
            labels: Default::default(),
            created: 0,
        };
        (Some(key), container)
    }

    #[test]
    fn rst_3_a_container_that_no_row_knows_is_named() {
        let (ada, bob) = (container("ada"), container("bob"));
        let servers = [ada.0.clone().unwrap()];
        assert_eq!(judge(vec![ada.clone()], &servers).outcome, Outcome::Ok);
        let finding = judge(vec![ada, bob], &servers);
        assert_eq!(finding.outcome, Outcome::Warning);
        assert!(finding.seen.contains("jupyter-bob") && !finding.seen.contains("jupyter-ada"));
        assert!(
            finding.advice.as_deref().is_some_and(|advice| advice.contains("hub gc --orphans"))
        );
    }
}
