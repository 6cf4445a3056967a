//! `hub import-config`: a `jupyterhub_config.py` becomes a `hub.toml`. Speaks to no hub.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::Context as _;
use hub_server::config::{Environment, parse};
use serde_json::json;

use super::new_file;
use crate::{
    args::{ImportConfig, UsageError},
    import::{Finding, Imported, NotPython, Outcome, import},
    output::Output,
};

/// No configuration comes near it.
const LONGEST_SCRIPT: u64 = 1024 * 1024;

pub(crate) fn run(what: &ImportConfig, output: &Output) -> anyhow::Result<()> {
    let script = read(&what.file)?;
    let imported = import(&script).map_err(|error| not_python(&what.file, &error))?;
    let problems = problems(&imported);
    if let Some(path) = &what.output {
        // It may hold secrets.
        new_file::write(path, &imported.document, 0o600, "--output FILE")?;
    }
    if output.is_json() {
        return Ok(output.json(&json!({
            "config": imported.document,
            "settings": imported.findings.iter().map(as_json).collect::<Vec<_>>(),
            "problems": problems,
        }))?);
    }
    let tell = |line: &str| match &what.output {
        Some(_) => output.line(line),
        // The configuration itself goes to standard output.
        None => {
            output.note(line);
            Ok(())
        }
    };
    if what.output.is_none() {
        output.text(&imported.document)?;
    }
    for line in report(what, &imported.findings, &problems) {
        tell(&line)?;
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<String> {
    let name = || path.display().to_string();
    let length = fs::metadata(path).with_context(name)?.len();
    let refuse = |message: &str| UsageError {
        message: format!("{}: {message}", path.display()),
        hint: "name a jupyterhub_config.py".to_owned(),
    };
    if length > LONGEST_SCRIPT {
        return Err(refuse("is larger than 1 MiB, which no configuration is").into());
    }
    match fs::read_to_string(path) {
        Ok(script) => Ok(script),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            Err(refuse("is not UTF-8 text").into())
        }
        Err(error) => Err(error).with_context(name),
    }
}

fn not_python(path: &Path, error: &NotPython) -> UsageError {
    UsageError {
        message: format!("{}: {error}", path.display()),
        hint: "nothing is written; python3 -m py_compile FILE tells what Python thinks of it"
            .to_owned(),
    }
}

/// What the hub would say about the file as it is.
fn problems(imported: &Imported) -> Vec<String> {
    let read = parse(&imported.document, "hub.toml", Path::new("."), &Environment::default(), true);
    match read {
        Ok(_) => Vec::new(),
        Err(error) => error.each().into_iter().map(ToString::to_string).collect(),
    }
}

fn report(what: &ImportConfig, findings: &[Finding], problems: &[String]) -> Vec<String> {
    let count =
        |wanted: fn(&Outcome) -> bool| findings.iter().filter(|one| wanted(&one.outcome)).count();
    let taken = count(|outcome| matches!(outcome, Outcome::Taken(_)));
    let needless = count(|outcome| matches!(outcome, Outcome::Needless(_)));
    let left = findings.len() - taken - needless;
    let mut lines = vec![format!(
        "{} settings: {taken} taken over, {needless} not needed, {left} to look at.",
        findings.len()
    )];
    let mut list = |title: &str, wanted: fn(&Outcome) -> Option<&str>| {
        let mut rows = findings.iter().filter_map(|one| Some((one, wanted(&one.outcome)?)));
        if let Some(first) = rows.next() {
            lines.push(format!("{title}:"));
            for (one, why) in [first].into_iter().chain(rows) {
                lines.push(format!("  line {}: {}: {why}", one.line, one.setting));
            }
        }
    };
    list("To look at", |outcome| match outcome {
        Outcome::Left(why) => Some(why),
        _ => None,
    });
    list("Not needed", |outcome| match outcome {
        Outcome::Needless(why) => Some(why),
        _ => None,
    });
    if !problems.is_empty() {
        lines.push("What the new file still lacks, unless variables set it:".to_owned());
        lines.extend(problems.iter().map(|problem| format!("  {problem}")));
    }
    if let Some(path) = &what.output {
        let path = path.display();
        lines.push(format!("{path} is written. Then: hub config check --config {path}"));
    }
    lines
}

fn as_json(finding: &Finding) -> serde_json::Value {
    let (outcome, detail) = match &finding.outcome {
        Outcome::Taken(key) => ("taken", ("key", key)),
        Outcome::Needless(why) => ("needless", ("reason", why)),
        Outcome::Left(why) => ("left", ("reason", why)),
    };
    json!({
        "line": finding.line, "setting": finding.setting, "outcome": outcome,
        detail.0: detail.1,
    })
}
