//! `hub auth`: who is let in, and why. Speaks to no hub and to no provider.

use std::process::ExitCode;

use hub_server::{
    config::Config,
    rules::{self, Affected, Assumed, Effect},
};

use super::config::sources;
use crate::{
    args::{Auth, ConfigFiles, Explain},
    output::Output,
};

/// The parts of a configuration that say who is let in. What is wrong in the others is
/// none of this command's business.
const SECTIONS: &[&str] =
    &["http", "store", "auth", "custom_scopes", "roles", "groups", "services"];

pub(crate) async fn run(command: Auth, output: &Output) -> anyhow::Result<ExitCode> {
    match command {
        Auth::Explain(what) => explain(what, output).await,
        Auth::Check { mut files, rules } => {
            let config = load(files.clone())?;
            files.config = Some(rules);
            let new = load(files)?;
            let effect = rules::compare(&config, &new).await?;
            check(&effect, output)
        }
    }
}

fn load(files: ConfigFiles) -> anyhow::Result<Config> {
    Ok(sources(files).load_sections(SECTIONS)?.config)
}

async fn explain(what: Explain, output: &Output) -> anyhow::Result<ExitCode> {
    let Explain { files, name, provider, id, groups, scopes, claims } = what;
    let config = load(files)?;
    let groups = groups.as_deref().map(words);
    let assumed = Assumed { provider, id, groups, scopes: words(&scopes), claims };
    let explained = rules::explain(&config, &name, &assumed).await?;
    if output.is_json() {
        output.json(&serde_json::to_value(&explained)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if explained.is_empty() {
        output.line("No way of signing in is configured, so nobody is let in.")?;
    }
    for one in &explained {
        output.line(&format!("As {}:", one.identity))?;
        for line in one.text.lines() {
            output.line(line)?;
        }
        for hint in &one.hints {
            output.line(&format!("Note: {hint}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check(effect: &Effect, output: &Output) -> anyhow::Result<ExitCode> {
    let code = match effect.locked_out.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    };
    if output.is_json() {
        output.json(&serde_json::to_value(effect)?)?;
        return Ok(code);
    }
    let lists = [
        ("locked out", &effect.locked_out),
        ("let in", &effect.let_in),
        ("administrators no longer", &effect.admin_lost),
        ("made administrators", &effect.admin_gained),
    ];
    for (what, list) in lists {
        for Affected { who, rule_before, rule_after, refusal } in list {
            let why = refusal.as_ref().map(|refusal| format!(": {refusal}")).unwrap_or_default();
            output.line(&format!(
                "{who} would be {what}; {rule_before} decides now, {rule_after} then{why}"
            ))?;
        }
    }
    if !effect.unknown.is_empty() {
        output.line(&format!(
            "Not known for {}: the hub does not remember the groups or claims that decide. Ask about \
             each with some of them assumed: hub auth explain NAME --groups A,B --claim NAME=VALUE",
            effect.unknown.join(", ")
        ))?;
    }
    let unchanged = effect.unchanged;
    output.line(&format!(
        "Nothing changes for {unchanged} {}.",
        if unchanged == 1 { "other" } else { "others" }
    ))?;
    Ok(code)
}

/// The words of a list with commas.
fn words(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
