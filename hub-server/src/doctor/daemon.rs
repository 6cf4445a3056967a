//! Whether the Docker daemon answers, and has room.

use std::{net::IpAddr, path::Path};

use hub_spawner::engine::{DockerHost, Engine, EngineError, EngineInfo, EngineVersion};

use super::{Finding, Known, space, told};

/// One notebook image takes some gigabytes.
const WANTED_BYTES: u64 = 5 << 30;

pub(super) async fn check(known: &mut Known) -> Vec<Finding> {
    let Some(settings) = &known.docker else { return Vec::new() };
    let host = match DockerHost::resolve(settings) {
        Ok(host) => host,
        Err(error) => return vec![Finding::problem(told(&error), "")],
    };
    known.is_remote = is_remote(&host);
    let engine = match Engine::connect_to(&host).await {
        Ok(engine) => engine,
        Err(error) => return vec![judge_failure(&error)],
    };
    let mut findings = Vec::new();
    match (engine.version().await, engine.info().await) {
        (Ok(version), Ok(info)) => {
            findings.push(Finding::ok(describe(engine.endpoint(), &version, &info)));
            if engine.endpoint().starts_with("unix:") {
                findings.extend(room(&info));
            }
            known.daemon = Some(info);
        }
        (Err(error), _) | (_, Err(error)) => findings.push(judge_failure(&error)),
    }
    known.engine = Some(engine);
    findings
}

fn is_remote(host: &DockerHost) -> bool {
    host.machine().is_some_and(|name| {
        let address: Option<IpAddr> = name.parse().ok();
        name != "localhost" && !address.is_some_and(|address| address.is_loopback())
    })
}

fn describe(endpoint: &str, version: &EngineVersion, info: &EngineInfo) -> String {
    let rootless = if info.rootless { ", rootless" } else { "" };
    format!(
        "{endpoint}: version {}, API {}, {}/{}{rootless}",
        version.engine, version.api, info.os, info.architecture
    )
}

/// Only where the daemon's directory is this machine's, and can be seen.
fn room(info: &EngineInfo) -> Option<Finding> {
    let free = space::free_at(Path::new(&info.root_dir))?;
    Some(space::judge("images, containers and volumes", free, WANTED_BYTES))
}

/// An error of the engine as a finding.
pub(super) fn judge_failure(error: &EngineError) -> Finding {
    match error {
        EngineError::Unreachable { endpoint, advice, .. } => {
            Finding::problem(format!("cannot reach Docker at {endpoint}"), *advice)
        }
        EngineError::Misconfigured(error) => Finding::problem(told(error), ""),
        EngineError::TooOld { .. } => {
            Finding::problem(error.to_string(), "upgrade Docker on that machine")
        }
        EngineError::TimedOut { .. } => {
            Finding::problem(error.to_string(), "restart Docker; its log tells what it waits for")
        }
        other => Finding::problem(told(other), "Docker's log tells more (journalctl -u docker)"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Outcome, *};

    #[tokio::test]
    async fn env_4_a_socket_that_is_not_there_is_a_problem_with_advice() {
        let error = Engine::connect(Some("unix:///nowhere/docker.sock")).await.unwrap_err();
        let finding = judge_failure(&error);
        assert_eq!(finding.outcome, Outcome::Problem);
        assert_eq!(finding.seen, "cannot reach Docker at unix:///nowhere/docker.sock");
        assert!(finding.advice.unwrap().contains("DOCKER_HOST"));
    }
}
