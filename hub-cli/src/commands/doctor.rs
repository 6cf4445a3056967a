//! `hub doctor`: is everything there that a hub needs?

use std::process::ExitCode;

use hub_server::doctor;
use hub_spawner::engine::{Endpoint, EndpointUser};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::config::sources;
use crate::{args::Doctor, output::Output, token::Token};

/// Needs no hub: most of what it looks at is there before one runs.
pub(crate) async fn run(
    what: Doctor,
    token: Option<Token>,
    now: Timestamp,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    if what.docker_permissions {
        return permissions(output).map(|()| ExitCode::SUCCESS);
    }
    let examination = doctor::Examination {
        sources: sources(what.files),
        deep: what.deep,
        authorization: token.map(|token| token.authorization()),
        now,
    };
    let report = doctor::examine(&examination).await;
    if output.is_json() {
        output.json(&serde_json::to_value(&report)?)?;
    } else {
        for line in report.to_string().lines() {
            output.line(line)?;
        }
    }
    Ok(if report.has_problems() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What a filter before Docker's socket has to let through (API-7).
fn permissions(output: &Output) -> anyhow::Result<()> {
    if output.is_json() {
        let all: Vec<Value> = doctor::DOCKER_PERMISSIONS
            .iter()
            .map(|one| {
                json!({
                    "method": one.method, "path": one.path,
                    "needed_by": one.user.to_string(), "purpose": one.purpose,
                    "in_a_swarm": one.is_for_swarm(),
                })
            })
            .collect();
        return Ok(output.json(&all.into())?);
    }
    let needed_by = |one: &Endpoint| match one.user {
        EndpointUser::Hub if one.is_for_swarm() => "hub, swarm".to_owned(),
        user => user.to_string(),
    };
    let rows: Vec<[String; 4]> = doctor::DOCKER_PERMISSIONS
        .iter()
        .map(|one| [one.method, one.path, &needed_by(one), one.purpose].map(str::to_owned))
        .collect();
    Ok(output.table(["METHOD", "PATH", "NEEDED BY", "IN ORDER TO"], &rows, "")?)
}
