//! Whether a container in the servers' network reaches the hub's API. A server
//! that does not, starts and is of no use to anybody.
//!
//! Where no hub runs, the doctor listens in its place for the moment, so that the
//! way is proved before the first start.

mod judge;
mod metadata;
mod stand_in;

use std::io;

use serde::Deserialize;
use tokio::net::TcpListener;

use self::judge::{Listener, Way, judge};
use super::{
    Finding, Known, addresses,
    container::{self, Look},
    daemon::judge_failure,
};
use hub_spawner::engine::EngineError;

/// Asks once, and tells why there is no answer. Proxies of the image's
/// environment are passed by, as single-user servers do.
const PROGRAM: &str = r#"
import errno, http.client, json, socket, ssl, sys
from urllib.parse import urlsplit
url = urlsplit(sys.argv[1])
def ask():
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname, url.port, timeout=10)
    connection.request("GET", url.path)
    answer = connection.getresponse()
    body = answer.read(500).decode("utf-8", "replace")
    return {"kind": "answer", "status": answer.status, "body": body}
try:
    told = ask()
except socket.gaierror as error:
    told = {"kind": "name"}
except ConnectionRefusedError:
    told = {"kind": "refused"}
except (socket.timeout, TimeoutError):
    told = {"kind": "timeout"}
except OSError as error:
    away = error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH)
    told = {"kind": "unreachable" if away else "failed", "why": str(error)}
except http.client.HTTPException as error:
    told = {"kind": "failed", "why": repr(error)}
print(json.dumps(told))
"#;

/// How the call from the container ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Reached {
    Answer {
        status: u16,
        body: String,
    },
    Refused,
    Timeout,
    /// The host's name is not known there.
    Name,
    Unreachable {
        why: String,
    },
    Failed {
        why: String,
    },
}

pub(super) async fn check(known: &Known) -> Vec<Finding> {
    let mut findings = to_the_hub(known).await;
    findings.extend(metadata::check(known).await);
    findings
}

async fn to_the_hub(known: &Known) -> Vec<Finding> {
    let (Some(config), Some(engine)) = (&known.config, &known.engine) else { return Vec::new() };
    let Some(docker) = config.spawner.docker() else { return Vec::new() };
    if known.network.is_none() && docker.network != "host" {
        return vec![Finding::skipped("the servers' network is not there yet")];
    }
    if known.image.is_none() {
        return vec![Finding::skipped("the image is not there yet")];
    }
    let gateway = known.gateway();
    let Some(mut api) = addresses::api(config, gateway) else {
        return vec![Finding::problem(
            format!(
                "the network {} does not tell under which address servers reach this host",
                docker.network
            ),
            "set hub_api.listen to IP:PORT",
        )];
    };
    if api.listen.port() == 0 && known.serves {
        return vec![Finding::skipped("the system has chosen the port of hub_api.listen")];
    }
    let address = api.listen.resolve().await.ok().and_then(|found| found.first().copied());
    let bound = match address {
        Some(address) => TcpListener::bind(address).await,
        // The name of a container, perhaps.
        None => Err(io::ErrorKind::AddrNotAvailable.into()),
    };
    let (listener, bound) = match bound {
        Ok(bound) => {
            api.chosen_port(bound.local_addr().map_or(0, |address| address.port()));
            (Listener::StandIn, Some(bound))
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => (Listener::Somebody, None),
        Err(_) => (Listener::Elsewhere, None),
    };
    let look = Look {
        deployment: &docker.deployment,
        image: &docker.image,
        network: &docker.network,
        program: PROGRAM,
        arguments: vec![api.url.clone()],
    };
    let run = container::run(engine, &look);
    let output = match &bound {
        Some(bound) => tokio::select! {
            output = run => output,
            never = stand_in::answer_all(bound) => match never {},
        },
        None => run.await,
    };
    let way = Way { url: &api.url, network: known.network.as_ref(), listen: &api.listen, listener };
    vec![match output {
        Ok(output) => match container::answer(&output) {
            Some(reached) => judge(&way, &reached),
            None => unknown(&container::last_words(&output)),
        },
        Err(error) if is_without_python(&error) => unknown("the image has no python3"),
        Err(error) => judge_failure(&error),
    }]
}

fn is_without_python(error: &EngineError) -> bool {
    error.text().is_some_and(|text| text.contains("executable file not found"))
}

fn unknown(why: &str) -> Finding {
    Finding::warning(
        format!("whether servers reach the hub cannot be told ({why})"),
        "start a server and look at its log: `hub servers start NAME`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_container_tells_is_read() {
        for (line, expected) in [
            (r#"{"kind": "refused"}"#, Reached::Refused),
            (r#"{"kind": "timeout"}"#, Reached::Timeout),
            (r#"{"kind": "name"}"#, Reached::Name),
            (
                r#"{"kind": "answer", "status": 200, "body": "x"}"#,
                Reached::Answer { status: 200, body: "x".to_owned() },
            ),
            (r#"{"kind": "failed", "why": "x"}"#, Reached::Failed { why: "x".to_owned() }),
        ] {
            assert_eq!(serde_json::from_str::<Reached>(line).unwrap(), expected);
        }
    }
}
