//! The same two containers as a compose file, for people who want to keep
//! compose (CMP-1). Pure, but for writing it.
//!
//! Compose mounts the operator's files from the host, so it is for one host
//! only; and secrets are in the containers' environment, as they were in the
//! reference deployment.

use std::{collections::BTreeMap, fmt::Write, os::unix::fs::MetadataExt, path::Path};

use anyhow::Context;
use hub_spawner::engine::{ContainerSpec, RestartPolicy};
use secrecy::ExposeSecret;

use super::{
    containers::{self, Wanted},
    files::{CERTIFICATE, CONFIG_DIR, KEY, SECRETS_DIR},
    layout::{PROXY_DIR, SOCKET, UID},
    settings::{Settings, Tls},
    variables::secret_variables,
};

/// The networks Docker gives out: only hub and proxy are in the one in which
/// forwarded headers are believed.
const PRIVATE: [&str; 3] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];

/// Writes the file; `-` is standard output.
pub(super) fn write(settings: &Settings, image: &str, output: &Path) -> anyhow::Result<()> {
    let text = text(settings, image);
    if output.as_os_str() == "-" {
        super::print(&text);
        return Ok(());
    }
    std::fs::write(output, text).with_context(|| format!("cannot write {}", output.display()))?;
    eprintln!("  wrote {}", output.display());
    Ok(())
}

fn text(settings: &Settings, image: &str) -> String {
    let trusted = PRIVATE.map(str::to_owned);
    // Compose runs on the host whose socket it is.
    let socket_group = std::fs::metadata(&settings.socket).ok().map(|found| found.gid());
    let wanted = Wanted { image, trusted: &trusted, run_as: UID, socket_group };
    let prepare = containers::prepare(settings, image);
    let hub = containers::hub(settings, &wanted);
    let mut proxy = containers::proxy(settings, &wanted);
    if let Tls::Files { key, .. } = &settings.tls
        && let Ok(found) = std::fs::metadata(key)
    {
        // The file is mounted as it is, so its owner has to read it.
        proxy.user = Some(format!("{}:{}", found.uid(), found.gid()));
    }
    let layout = &settings.layout;
    let mut out = String::from(
        "# Written by `cargo xtask deploy compose`. Names without a value are taken from the\n\
         # environment and from .env beside this file; CONFIGPROXY_AUTH_TOKEN has to be set\n\
         # to a secret of your own, for example by `openssl rand -hex 32`.\n\nservices:\n",
    );
    let socket = format!("{}:{SOCKET}", settings.socket.display());
    let data = format!("data:{}", layout.data_dir);
    service(&mut out, "prepare", &prepare, vec![data, socket], BTreeMap::new(), None);
    let after = "prepare: { condition: service_completed_successfully }";
    service(
        &mut out,
        "hub",
        &hub,
        hub_volumes(settings),
        hub_environment(settings, &hub),
        Some(after),
    );
    let token = BTreeMap::from([("CONFIGPROXY_AUTH_TOKEN".to_owned(), None)]);
    service(
        &mut out,
        "proxy",
        &proxy,
        proxy_volumes(settings),
        token,
        Some("hub: { condition: service_started }"),
    );
    let _ = write!(
        out,
        "\nnetworks:\n  servers:\n    name: {}\n  control:\n    name: {}\n    internal: true\n\nvolumes:\n  data:\n    name: {}\n  keys:\n    name: {}\n",
        quoted(&layout.servers),
        quoted(&layout.control),
        quoted(&layout.data),
        quoted(&layout.keys),
    );
    out
}

fn service(
    out: &mut String,
    key: &str,
    spec: &ContainerSpec,
    volumes: Vec<String>,
    environment: BTreeMap<String, Option<String>>,
    after: Option<&str>,
) {
    let mut line = |indent: usize, text: String| {
        let _ = writeln!(out, "{:indent$}{text}", "");
    };
    line(2, format!("{key}:"));
    line(4, format!("image: {}", quoted(&spec.image)));
    if !spec.name.is_empty() {
        line(4, format!("container_name: {}", quoted(&spec.name)));
    }
    for (name, words) in [("entrypoint", &spec.entrypoint), ("command", &spec.command)] {
        if let Some(words) = words {
            line(4, format!("{name}: {}", sequence(words)));
        }
    }
    if let Some(user) = &spec.user {
        line(4, format!("user: {}", quoted(user)));
    }
    if spec.restart == RestartPolicy::UnlessStopped {
        line(4, "restart: unless-stopped".to_owned());
    }
    line(4, format!("stop_grace_period: {}s", spec.stop_grace.unwrap_or_default().as_secs()));
    line(4, format!("read_only: {}", spec.read_only_root));
    line(4, format!("cap_drop: {}", sequence(&spec.cap_drop)));
    if !spec.cap_add.is_empty() {
        line(4, format!("cap_add: {}", sequence(&spec.cap_add)));
    }
    if !spec.group_add.is_empty() {
        line(4, format!("group_add: {}", sequence(&spec.group_add)));
    }
    line(4, format!("security_opt: {}", sequence(&spec.security_opt)));
    line(4, "tmpfs: [\"/tmp\"]".to_owned());
    if !environment.is_empty() {
        line(4, "environment:".to_owned());
    }
    for (name, value) in environment {
        match value {
            // A dollar would begin a variable of compose's own.
            Some(value) => line(6, format!("{name}: {}", quoted(&value.replace('$', "$$")))),
            None => line(6, format!("{name}:")),
        }
    }
    line(4, "volumes:".to_owned());
    for volume in volumes {
        line(6, format!("- {}", quoted(&volume)));
    }
    if spec.networks.is_empty() {
        line(4, "network_mode: none".to_owned());
    } else {
        line(4, "networks:".to_owned());
    }
    for (name, end) in ["servers", "control"].iter().zip(&spec.networks) {
        line(6, format!("{name}:"));
        line(8, format!("aliases: {}", sequence(&end.aliases)));
    }
    if !spec.ports.is_empty() {
        line(4, "ports:".to_owned());
        for port in &spec.ports {
            let ip = port.host_ip.map(|ip| format!("{ip}:")).unwrap_or_default();
            let host = port.host_port.map(|port| format!("{port}:")).unwrap_or_default();
            line(6, format!("- {}", quoted(&format!("{ip}{host}{}", port.container_port))));
        }
    }
    if let Some(check) = &spec.healthcheck {
        let words: Vec<String> =
            std::iter::once("CMD".to_owned()).chain(check.command.iter().cloned()).collect();
        line(4, "healthcheck:".to_owned());
        line(6, format!("test: {}", sequence(&words)));
        line(6, format!("interval: {}s", check.interval.as_secs()));
        line(6, format!("timeout: {}s", check.timeout.as_secs()));
        line(6, format!("retries: {}", check.retries));
    }
    if let Some(after) = after {
        line(4, "depends_on:".to_owned());
        line(6, after.to_owned());
    }
}

/// The hub's variables; secrets by name only, for compose to fill in.
fn hub_environment(settings: &Settings, spec: &ContainerSpec) -> BTreeMap<String, Option<String>> {
    let inside = settings.layout.in_data(SECRETS_DIR);
    let mut all: BTreeMap<String, Option<String>> = spec
        .env
        .iter()
        .map(|(name, value)| (name.clone(), Some(value.expose_secret().to_owned())))
        // These are files that a deployment without compose brings along.
        .filter(|(_, value)| value.as_ref().is_none_or(|value| !value.starts_with(&inside)))
        .collect();
    all.insert("CONFIGPROXY_AUTH_TOKEN".to_owned(), None);
    for name in secret_variables() {
        if settings.variables.get(name).is_some() {
            all.insert(name.to_owned(), None);
        }
    }
    all
}

fn hub_volumes(settings: &Settings) -> Vec<String> {
    let layout = &settings.layout;
    let mut all = vec![
        format!("{}:{SOCKET}", settings.socket.display()),
        format!("data:{}", layout.data_dir),
        format!(
            "{}:{}:ro",
            settings.userlist.display(),
            layout.in_data(&format!("{CONFIG_DIR}/userlist"))
        ),
    ];
    if let Some(config) = &settings.config {
        all.push(format!(
            "{}:{}:ro",
            config.display(),
            layout.in_data(&format!("{CONFIG_DIR}/hub.toml"))
        ));
    }
    all
}

fn proxy_volumes(settings: &Settings) -> Vec<String> {
    let mut all = vec![format!("keys:{PROXY_DIR}")];
    if let Tls::Files { certificate, key } = &settings.tls {
        all.push(format!("{}:{PROXY_DIR}/{CERTIFICATE}:ro", certificate.display()));
        all.push(format!("{}:{PROXY_DIR}/{KEY}:ro", key.display()));
    }
    all
}

/// A double-quoted YAML scalar, which is what JSON writes.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn sequence(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", quoted.join(", "))
}
