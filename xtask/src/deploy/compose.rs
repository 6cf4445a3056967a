//! The same two containers as a compose file, for people who want to keep
//! compose (CMP-1). Pure, but for looking at the operator's files.
//!
//! Compose mounts the operator's files from the host, so it is for one host
//! only; and secrets are in the containers' environment, as they were in the
//! reference deployment. The file has none in it: it names them, for compose to
//! fill in.

mod service;
mod yaml;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use hub_spawner::engine::ContainerSpec;
use secrecy::ExposeSecret;

use self::{
    service::service,
    yaml::{Map, Node, map, plain, some, text},
};
use super::{
    containers::{self, Identity, Wanted},
    files::{self, ACME_CA, CERTIFICATE, CONFIG_DIR, KEY, SECRETS_DIR},
    layout::{PROXY_DIR, SOCKET, UID},
    networks::Networks,
    report,
    settings::{Settings, Tls},
    variables::secret_variables,
};
use crate::workspace::shown;

/// Where the operator's configuration is in the hub's container.
const ETC_HUB: &str = "/etc/hub";

/// Where certificate and key are in the proxy's container.
const ETC_TLS: &str = "/etc/hub-proxy";

/// Where the reference deployment mounts a volume of certificates.
const ETC_LETSENCRYPT: &str = "/etc/letsencrypt";

/// Where files with a secret are in the hub's container.
const RUN_SECRETS: &str = "/run/secrets";

/// What hub and proxy know each other by. Compose refuses to start without.
const TOKEN: &str = "CONFIGPROXY_AUTH_TOKEN";

/// What `hub` in the hub's container is known to the hub by, under the names by
/// which the hub and the tool read it.
const OPERATOR: &str = "HUB_OPERATOR_TOKEN";
const OPERATORS: [&str; 2] = [OPERATOR, "HUB_TOKEN"];

/// How long the proxy gets to end (CMP-1), and how much of that open connections: it goes on
/// accepting before, and needs a little behind.
const PROXY_GRACE: Duration = Duration::from_secs(30);
const DRAIN: Duration = Duration::from_secs(20);

const HEAD: &str = "\
# Written by `cargo xtask deploy compose`, which made the image, the networks and the volumes.
# Secrets are not in it: names without a value are taken from the environment, or from .env
# beside this file. Add there a line CONFIGPROXY_AUTH_TOKEN=... with a secret of your own, for
# example from `openssl rand -hex 32`, and another one, HUB_OPERATOR_TOKEN=..., to have
# `docker exec CONTAINER hub users list` and its like work in the hub's container.
# Files are mounted one by one: overwrite them in place (cp, not mv) to have a change seen, or
# restart the container.

";

/// The log driver whose files grow for ever unless something is said.
const ROTATED: &str = "json-file";

/// Writes the file; `-` is standard output.
pub(super) fn write(
    settings: &Settings,
    image: &str,
    networks: &Networks,
    log_driver: &str,
    output: &Path,
    dry_run: bool,
) -> anyhow::Result<()> {
    let file = Compose::new(settings, image, networks, log_driver).map_err(report::problems)?;
    for path in file.unreadable() {
        eprintln!(
            "  warning: {} is mounted, and the hub runs as user {UID}, who may not read it: \
             chmod o+r {0}, or give it to that user",
            shown(&path)
        );
    }
    let text = file.text();
    if dry_run {
        let place = output.display();
        super::print(&match output.as_os_str() == "-" {
            true => "write the compose file to standard output".to_owned(),
            false => format!("write {place}"),
        });
        return Ok(());
    }
    if output.as_os_str() == "-" {
        super::print(&text);
        return Ok(());
    }
    fs::write(output, text).with_context(|| format!("cannot write {}", output.display()))?;
    eprintln!("  wrote {}", output.display());
    Ok(())
}

/// Compose mounts this machine's files, and asks the engine that is meant by it.
pub(super) fn refuse_elsewhere(settings: &Settings) -> anyhow::Result<()> {
    if let Some(machine) = settings.docker()?.machine() {
        anyhow::bail!(
            "the Docker engine is on {machine}, and a compose file mounts the files of its own \
             host: run this there, with a copy of {}",
            shown(&settings.dir)
        );
    }
    Ok(())
}

/// What the file is made from.
struct Compose<'a> {
    settings: &'a Settings,
    prepare: ContainerSpec,
    hub: ContainerSpec,
    proxy: ContainerSpec,
    /// What the configuration names: path below its directory, and where it is.
    beside_config: Vec<(String, PathBuf)>,
}

impl<'a> Compose<'a> {
    fn new(
        settings: &'a Settings,
        image: &str,
        networks: &Networks,
        log_driver: &str,
    ) -> Result<Self, Vec<super::settings::Problem>> {
        // Compose runs on the host whose socket it is.
        let socket_group = fs::metadata(&settings.socket).ok().map(|found| found.gid());
        let identity = Identity { user: UID, socket_group };
        let wanted = Wanted { image, networks, identity, token_mark: "" };
        let mut hub = containers::hub(settings, &wanted);
        let config = settings.layout.in_data(CONFIG_DIR);
        hub.command = match &settings.config.file {
            Some(_) => hub.command.map(|words| replaced(&words, &config, ETC_HUB)),
            None => None,
        };
        hub.working_dir = Some(ETC_HUB.to_owned());
        let mut prepare = containers::prepare(settings, image);
        let mut proxy = proxy(settings, &wanted);
        // Files of `local` are rotated by themselves, and other drivers have none.
        if log_driver != ROTATED {
            for spec in [&mut prepare, &mut hub, &mut proxy] {
                spec.log = None;
            }
        }
        Ok(Self { settings, prepare, hub, proxy, beside_config: files::beside_config(settings)? })
    }

    fn text(&self) -> String {
        let layout = &self.settings.layout;
        let volumes = [
            ("data", Some(&layout.data)),
            ("keys", self.keys()),
            ("certificates", self.certificates()),
        ];
        let external = |name: &String| {
            Node::Map(map([("external", Some(plain(true))), ("name", Some(text(name)))]))
        };
        let file = map([
            ("services", some(self.services())),
            (
                "networks",
                some(map([
                    ("servers", Some(external(&layout.servers))),
                    ("control", Some(external(&layout.control))),
                ])),
            ),
            (
                "volumes",
                some(
                    volumes
                        .into_iter()
                        .filter_map(|(key, name)| Some((key.to_owned(), external(name?))))
                        .collect(),
                ),
            ),
        ]);
        format!("{HEAD}{}", yaml::written(&file))
    }

    /// The proxy's volume: what an authority gave.
    fn keys(&self) -> Option<&String> {
        matches!(self.settings.tls, Tls::Acme(_)).then_some(&self.settings.layout.keys)
    }

    /// The operator's volume of certificates.
    fn certificates(&self) -> Option<&String> {
        match &self.settings.tls {
            Tls::Volume(volume) => Some(volume),
            _ => None,
        }
    }

    fn services(&self) -> Map {
        let after = |service: &str, condition: &str| {
            Node::Map(map([(service, some(map([("condition", Some(text(condition)))])))]))
        };
        let data = format!("data:{}", self.settings.layout.data_dir);
        let prepare = vec![self.socket(), data];
        let token = [(TOKEN.to_owned(), required(TOKEN))];
        map([
            (
                "prepare",
                Some(Node::Map(service(&self.prepare, &prepare, Vec::new(), Vec::new(), None))),
            ),
            (
                "hub",
                Some(Node::Map(service(
                    &self.hub,
                    &self.hub_volumes(),
                    self.hub_environment(),
                    self.env_files(),
                    Some(after("prepare", "service_completed_successfully")),
                ))),
            ),
            (
                "proxy",
                Some(Node::Map(service(
                    &self.proxy,
                    &self.proxy_volumes(),
                    token.to_vec(),
                    Vec::new(),
                    Some(after("hub", "service_started")),
                ))),
            ),
        ])
    }

    fn socket(&self) -> String {
        format!("{}:{SOCKET}", self.settings.socket.display())
    }

    /// The hub's variables (CMP-2).
    fn hub_environment(&self) -> Map {
        let layout = &self.settings.layout;
        let secrets = layout.in_data(SECRETS_DIR);
        let config = layout.in_data(CONFIG_DIR);
        let mut all: BTreeMap<String, Node> = self
            .hub
            .env
            .iter()
            .map(|(name, value)| (name, value.expose_secret()))
            // These are files that a deployment without compose brings along.
            .filter(|(_, value)| !value.starts_with(&secrets))
            .map(|(name, value)| {
                let value = value.replace(&config, ETC_HUB);
                // A dollar would begin a variable of compose's own.
                (name.clone(), text(value.replace('$', "$$")))
            })
            .collect();
        for name in secret_variables() {
            let variables = &self.settings.variables;
            if variables.get(name).is_some() {
                if self.env_file(name).is_none() {
                    all.insert(name.to_owned(), Node::Nothing);
                }
            } else if self.secret_file(name).is_some() {
                all.insert(format!("{name}_FILE"), text(format!("{RUN_SECRETS}/{name}")));
            }
        }
        all.insert(TOKEN.to_owned(), required(TOKEN));
        for name in OPERATORS {
            all.insert(name.to_owned(), text(format!("${{{OPERATOR}:-}}")));
        }
        all.into_iter().collect()
    }

    /// The file of variables in which compose does not look by itself, if that is
    /// where a variable is from.
    fn env_file(&self, name: &str) -> Option<&Path> {
        let file = self.settings.variables.file_of(name)?;
        (file != self.settings.dir.join(".env")).then_some(file)
    }

    fn env_files(&self) -> Vec<String> {
        let files: BTreeSet<&Path> =
            secret_variables().filter_map(|name| self.env_file(name)).collect();
        files.into_iter().map(|path| path.display().to_string()).collect()
    }

    /// The file that `NAME_FILE` names.
    fn secret_file(&self, name: &str) -> Option<PathBuf> {
        let variables = &self.settings.variables;
        let path = variables.get(&format!("{name}_FILE"))?;
        variables.get(name).is_none().then(|| self.settings.dir.join(path))
    }

    /// What is mounted into the hub's container: where from, and where to.
    fn hub_files(&self) -> Vec<(PathBuf, String)> {
        let settings = self.settings;
        let mut all = vec![(settings.userlist.clone(), format!("{ETC_HUB}/userlist"))];
        if let Some(config) = &settings.config.file {
            all.push((config.clone(), format!("{ETC_HUB}/hub.toml")));
        }
        let beside = self.beside_config.iter();
        all.extend(beside.map(|(path, from)| (from.clone(), format!("{ETC_HUB}/{path}"))));
        all.extend(
            secret_variables().filter_map(|name| {
                Some((self.secret_file(name)?, format!("{RUN_SECRETS}/{name}")))
            }),
        );
        let mut seen = BTreeSet::new();
        all.retain(|(_, to)| seen.insert(to.clone()));
        all
    }

    fn hub_volumes(&self) -> Vec<String> {
        let mut all = vec![self.socket(), format!("data:{}", self.settings.layout.data_dir)];
        all.extend(self.hub_files().iter().map(|(from, to)| mounted(from, to)));
        all
    }

    /// The hub's files that it could not read.
    fn unreadable(&self) -> Vec<PathBuf> {
        let is_for_hub = |path: &PathBuf| {
            fs::metadata(path).is_ok_and(|found| found.mode() & 0o004 != 0 || found.uid() == UID)
        };
        let files = self.hub_files().into_iter().map(|(from, _)| from);
        files.filter(|path| !is_for_hub(path)).collect()
    }

    fn proxy_volumes(&self) -> Vec<String> {
        match &self.settings.tls {
            Tls::Files { certificate, key } => vec![
                mounted(certificate, &format!("{ETC_TLS}/{CERTIFICATE}")),
                mounted(key, &format!("{ETC_TLS}/{KEY}")),
            ],
            Tls::Volume(_) => vec![format!("certificates:{ETC_LETSENCRYPT}:ro")],
            Tls::Acme(acme) => {
                let mut all = vec![format!("keys:{PROXY_DIR}")];
                let authority = acme.directory_ca.iter();
                all.extend(authority.map(|path| mounted(path, &format!("{ETC_TLS}/{ACME_CA}"))));
                all
            }
            Tls::Elsewhere => Vec::new(),
        }
    }
}

/// The proxy, with its files where compose mounts them.
fn proxy(settings: &Settings, wanted: &Wanted<'_>) -> ContainerSpec {
    let mut spec = containers::proxy(settings, wanted);
    let words = spec.command.unwrap_or_default();
    let (chain, private) = match &settings.tls {
        Tls::Volume(_) => {
            (format!("{ETC_LETSENCRYPT}/fullchain.pem"), format!("{ETC_LETSENCRYPT}/privkey.pem"))
        }
        _ => (format!("{ETC_TLS}/{CERTIFICATE}"), format!("{ETC_TLS}/{KEY}")),
    };
    let words = replaced(&words, &format!("{PROXY_DIR}/{CERTIFICATE}"), &chain);
    let words = replaced(&words, &format!("{PROXY_DIR}/{KEY}"), &private);
    let words =
        replaced(&words, &format!("{PROXY_DIR}/{ACME_CA}"), &format!("{ETC_TLS}/{ACME_CA}"));
    spec.command = Some(with_drain(words));
    spec.stop_grace = Some(PROXY_GRACE);
    // Files are mounted as they are, so their owner has to read them; those of
    // Let's Encrypt's clients are root's. Neither can do anything else.
    match &settings.tls {
        Tls::Files { key, .. } => {
            if let Ok(found) = fs::metadata(key) {
                spec.user = Some(format!("{}:{}", found.uid(), found.gid()));
            }
        }
        Tls::Volume(_) => spec.user = Some("0:0".to_owned()),
        Tls::Acme(_) | Tls::Elsewhere => {}
    }
    spec
}

fn with_drain(mut words: Vec<String>) -> Vec<String> {
    if let Some(at) = words.iter().position(|word| word == "--drain-timeout")
        && let Some(value) = words.get_mut(at + 1)
    {
        *value = DRAIN.as_secs().to_string();
    }
    words
}

/// A variable that compose takes from elsewhere, and does not go on without.
fn required(name: &str) -> Node {
    text(format!("${{{name}:?set it in .env: openssl rand -hex 32}}"))
}

fn mounted(from: &Path, to: &str) -> String {
    format!("{}:{to}:ro", from.display())
}

fn replaced(words: &[String], from: &str, to: &str) -> Vec<String> {
    words.iter().map(|word| word.replace(from, to)).collect()
}

#[cfg(test)]
mod tests;
