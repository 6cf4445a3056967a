//! `hub info`: is it there, what is it, and whom does it take us for?

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    client::{CallError, Client},
    output::Output,
};

pub(super) async fn run(client: &Client, output: &Output) -> anyhow::Result<()> {
    // Needs no token: whether the hub can be reached is told apart from whether
    // it likes the token.
    let version = client.version().await?;
    let (caller, info) = match client.has_token() {
        true => (Some(client.caller().await?), optional(client.info().await)?),
        false => (None, None),
    };
    if output.is_json() {
        let told = json!({
            "url": client.hub(),
            "version": version["version"],
            "info": info,
            "user": caller.map(|caller| caller.json),
        });
        return Ok(output.json(&told)?);
    }
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let mut facts = vec![
        ["Hub".to_owned(), client.hub().to_string()],
        ["API of".to_owned(), format!("JupyterHub {}", text(&version["version"]))],
    ];
    if let Some(info) = info {
        for (label, part) in [("Spawner", &info["spawner"]), ("Sign-in", &info["authenticator"])] {
            facts.push([
                label.to_owned(),
                format!("{} ({})", text(&part["class"]), text(&part["version"])),
            ]);
        }
        if let Some(certificate) = certificate(output, &info["certificate"]) {
            facts.push(["Certificate".to_owned(), certificate]);
        }
    }
    match caller {
        None => facts.push(["You are".to_owned(), "nobody: there is no token".to_owned()]),
        Some(caller) => {
            let caller = caller.body;
            let admin = if caller.admin { ", an administrator" } else { "" };
            facts.push(["You are".to_owned(), format!("{} {}{admin}", caller.kind, caller.name)]);
            facts.push(["Scopes".to_owned(), caller.scopes.join(" ")]);
        }
    }
    Ok(output.facts(&facts)?)
}

/// How the hub's certificate is doing, where it has one.
fn certificate(output: &Output, status: &Value) -> Option<String> {
    let moment = |key: &str| status[key].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let state = status["state"].as_str()?;
    let end = match moment("not_after") {
        Some(end) => format!("until {}", end.strftime("%Y-%m-%d")),
        None => "none yet, one signed by itself stands in".to_owned(),
    };
    Some(match (state, status["problem"].as_str()) {
        ("failed", Some(problem)) => {
            let next = moment("next_try").map(|at| output.when(Some(at), ""));
            format!(
                "{end}; no new one: {problem}; {} (next try: {})",
                status["advice"].as_str().unwrap_or_default(),
                next.unwrap_or_default()
            )
        }
        ("served" | "waiting", _) => end,
        (other, _) => format!("{end}; {other}"),
    })
}

/// What a token may not see is left out.
fn optional(answer: Result<Value, CallError>) -> Result<Option<Value>, CallError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(CallError::MissingScope { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
