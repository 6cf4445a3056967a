//! Whether a container reaches the address at which a cloud tells its machines their
//! credentials (C10). No network of Docker keeps anybody from it, and the hub has no
//! right to the host's firewall: whoever has is told the rule.

use serde::Deserialize;

use crate::doctor::{
    Finding, Known,
    container::{self, Look},
};

/// Where clouds have it.
const ADDRESS: &str = "169.254.169.254";

/// All addresses of its kind.
const RANGE: &str = "169.254.0.0/16";

/// Docker's own chain for such rules; what is forwarded for containers goes by it.
const CHAIN: &str = "DOCKER-USER";

/// Connects once. A refusal is no answer of a service, and may be the firewall's.
const PROGRAM: &str = r#"
import json, socket, sys
try:
    socket.create_connection((sys.argv[1], 80), timeout=3).close()
    told = {"reached": True}
except OSError as error:
    told = {"reached": False}
print(json.dumps(told))
"#;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
struct Told {
    reached: bool,
}

/// `None` where nothing can be told: the image has no Python, or there is no network.
pub(super) async fn check(known: &Known) -> Option<Finding> {
    let (docker, engine) = (known.spawner()?, known.engine.as_ref()?);
    if known.image.is_none() || known.network.is_none() && docker.network != "host" {
        return None;
    }
    let look = Look {
        deployment: &docker.deployment,
        image: &docker.image,
        network: &docker.network,
        program: PROGRAM,
        arguments: vec![ADDRESS.to_owned()],
    };
    let output = container::run(engine, &look).await.ok()?;
    container::answer(&output).map(|told| judge(told, &docker.network))
}

fn judge(told: Told, network: &str) -> Finding {
    if !told.reached {
        return Finding::ok(format!("nothing answers servers at {ADDRESS}, a cloud's metadata"));
    }
    let rule = match network {
        // What shares the host's network is not forwarded.
        "host" => format!("iptables -I OUTPUT -d {RANGE} -m owner ! --uid-owner 0 -j DROP"),
        _ => format!("iptables -I {CHAIN} -d {RANGE} -j DROP"),
    };
    Finding::warning(
        format!("servers reach {ADDRESS}, where a cloud tells its machines their credentials"),
        format!("on Docker's machine, now and at each boot: `{rule}`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn c10_who_reaches_the_metadata_is_told_the_rule() {
        assert_eq!(judge(Told { reached: false }, "lab").outcome, Outcome::Ok);
        let finding = judge(Told { reached: true }, "lab");
        assert_eq!(finding.outcome, Outcome::Warning);
        let advice = finding.advice.unwrap();
        assert!(advice.contains("`iptables -I DOCKER-USER -d 169.254.0.0/16 -j DROP`"), "{advice}");
        let host = judge(Told { reached: true }, "host").advice.unwrap();
        assert!(host.contains("-I OUTPUT"), "{host}");
    }
}
