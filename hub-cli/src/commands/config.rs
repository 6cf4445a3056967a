//! `hub config`: the hub's configuration as this machine has it. Speaks to no hub.

use std::path::Path;

use hub_server::{
    StartupError, check_certificate, check_pages,
    config::{Environment, Loaded, Origin, Setting, Sources, reference},
};
use serde_json::{Value, json};

use super::new_file;
use crate::{
    args::{Config, ConfigFiles, UsageError},
    output::Output,
};

pub(crate) fn run(command: Config, output: &Output) -> anyhow::Result<()> {
    match command {
        Config::Show { files, origin, set_only } => show(&load(files)?, output, origin, set_only),
        Config::Check { files } => check(&load(files)?, output),
        Config::Init { file } => init(&file, output),
    }
}

/// Where the configuration of this machine's hub comes from.
pub(super) fn sources(files: ConfigFiles) -> Sources {
    Sources::new(Environment::of_process())
        .config_file(files.config)
        .env_file(files.env_file)
        .flags(files.set)
        .lenient(files.lenient)
}

fn load(files: ConfigFiles) -> anyhow::Result<Loaded> {
    Ok(sources(files).load()?)
}

fn show(loaded: &Loaded, output: &Output, origin: bool, only_set: bool) -> anyhow::Result<()> {
    let wanted = loaded.settings.iter().filter(|one| !only_set || !one.origin.is_default());
    if output.is_json() {
        let all: serde_json::Map<String, Value> =
            wanted.map(|one| (one.key.name.to_owned(), as_json(one))).collect();
        return Ok(output.json(&Value::Object(all))?);
    }
    if origin {
        let rows: Vec<_> = wanted
            .map(|one| [one.key.name.to_owned(), shown(one), one.origin.to_string()])
            .collect();
        return Ok(output.table(["KEY", "VALUE", "FROM"], &rows, "No key is set.")?);
    }
    for one in wanted {
        let comment = if one.origin == Origin::Default { "#" } else { "" };
        output.line(&format!("{comment}{} = {}", one.key.name, shown(one)))?;
    }
    Ok(())
}

fn shown(setting: &Setting) -> String {
    match setting.shown() {
        text if text.is_empty() => "(not set)".to_owned(),
        text => text,
    }
}

fn as_json(setting: &Setting) -> Value {
    json!({ "value": setting.to_json(), "origin": setting.origin.to_string() })
}

fn check(loaded: &Loaded, output: &Output) -> anyhow::Result<()> {
    let refused = |error: StartupError, hint: &str| UsageError {
        message: format!("{:#}", anyhow::Error::from(error)),
        hint: format!("the hub does not start with this; {hint}"),
    };
    let certificate = check_certificate(&loaded.config)
        .map_err(|error| refused(error, "docs/tls.md shows what it needs"))?;
    check_pages(&loaded.config)
        .map_err(|error| refused(error, "correct the template, or take it away"))?;
    let weak = loaded.config.weaknesses();
    let mut warnings = loaded.warnings.clone();
    warnings.extend(certificate.into_iter().map(|warning| format!("certificate: {warning}")));
    if output.is_json() {
        let weak: Vec<Value> =
            weak.iter().map(|one| json!({ "name": one.name, "message": one.message })).collect();
        let report = json!({
            "config_file": loaded.config_file, "env_file": loaded.env_file,
            "warnings": warnings, "weak_settings": weak,
        });
        return Ok(output.json(&report)?);
    }
    for file in loaded.config_file.iter().chain(&loaded.env_file) {
        output.line(&format!("read {}", file.display()))?;
    }
    for warning in &warnings {
        output.line(&format!("warning: {warning}"))?;
    }
    for one in &weak {
        output.line(&one.to_string())?;
    }
    let config = &loaded.config;
    if let Some(proxy) = &config.proxy {
        output.line(&format!("Its routes are in the proxy at {}.", proxy.api_url))?;
    }
    let servers = match config.spawner.docker() {
        Some(docker) => format!("from {}", docker.image),
        None => "as processes".to_owned(),
    };
    Ok(output.line(&format!(
        "The configuration is in order: listens on {}, runs servers {servers}.",
        config.http.listen
    ))?)
}

fn init(path: &Path, output: &Output) -> anyhow::Result<()> {
    new_file::write(path, &reference::sample(), 0o666, "hub config init FILE")?;
    if output.is_json() {
        return Ok(output.json(&json!({ "file": path }))?);
    }
    Ok(output.line(&format!(
        "{} is written. Set the image in it, then: hub config check --config {}",
        path.display(),
        path.display()
    ))?)
}
