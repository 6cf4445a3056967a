//! The two containers: what they run, see and may do. Pure.

use std::{collections::BTreeMap, time::Duration};

use hub_spawner::engine::{
    ContainerDetails, ContainerSpec, HealthCheck, LogRotation, Mount, MountSource, NetworkEnd,
    PublishedPort, RestartPolicy,
};
use secrecy::SecretString;

use super::{
    environment,
    files::{CERTIFICATE, CONFIG_DIR, KEY, PROXY_TOKEN},
    handover::PROGRAM,
    layout::{
        API_PORT, DEFAULT_NAME, HTTP_PORT, HTTPS_PORT, PROGRAM_DIR, PROXY_API_PORT, PROXY_DIR,
        PROXY_METRICS_PORT, SOCKET, UID, WEB_PORT,
    },
    networks::Networks,
    settings::{Acme, Settings, Tls},
};

/// The label with the user that the hub runs as.
const RUN_AS: &str = "hub.run-as";

/// The label with the group that lets this user use Docker's socket.
const SOCKET_GROUP: &str = "hub.socket-group";

/// The label that changes with the token that the hub shows the proxy: the hub
/// reads it at its start only. The proxy reads it again when it is told to.
const TOKEN_MARK: &str = "hub.token-mark";

/// How long some files may take to be removed.
pub(super) const FORGET_DEADLINE: Duration = Duration::from_secs(60);

/// How long the hub gets to finish open requests.
pub(super) const HUB_GRACE: Duration = Duration::from_secs(30);

/// How long the proxy goes on accepting connections once it is to end, while its health
/// check says so: a balancer in front sends nobody any more by then (D-02).
const PROXY_DELAY: Duration = Duration::from_secs(5);

/// How long the proxy gets then to let open connections end (D-04).
const PROXY_DRAIN: Duration = Duration::from_secs(30);

/// How long the proxy gets to end: both, and a little to do it.
pub(super) const PROXY_GRACE: Duration = Duration::from_secs(40);

/// Whom the hub runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Whose its data is, too. Only root may use some sockets.
    pub(super) user: u32,
    /// The group that lets this user use Docker's socket.
    pub(super) socket_group: Option<u32>,
}

impl Identity {
    /// What a hub was made with.
    pub(super) fn of(hub: &ContainerDetails) -> Self {
        let number = |label| hub.labels.get(label).and_then(|value| value.parse().ok());
        Self { user: number(RUN_AS).unwrap_or(UID), socket_group: number(SOCKET_GROUP) }
    }
}

/// What is known only once other things are there.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    /// The image of both.
    pub(super) image: &'a str,
    pub(super) networks: &'a Networks,
    pub(super) identity: Identity,
    /// Changes with what hub and proxy know each other by; empty where somebody
    /// else brings it to them.
    pub(super) token_mark: &'a str,
}

/// The hub: Docker's socket and the data, no published port.
pub(super) fn hub(settings: &Settings, wanted: &Wanted<'_>) -> ContainerSpec {
    let layout = &settings.layout;
    let mut spec = hardened(&layout.hub, wanted.image);
    spec.labels = layout.labels("hub");
    spec.entrypoint = Some(vec!["/usr/bin/hub-server".to_owned()]);
    spec.command =
        Some(vec!["--config".to_owned(), layout.in_data(&format!("{CONFIG_DIR}/hub.toml"))]);
    spec.env = secret(environment::of_hub(settings, &wanted.networks.of_proxy));
    // Whoever may use the socket is root on that machine anyway; still, a
    // mistake of the hub's own is then an ordinary user's.
    let Identity { user, socket_group } = wanted.identity;
    spec.user = Some(format!("{user}:{user}"));
    spec.group_add = socket_group.iter().map(ToString::to_string).collect();
    spec.labels.insert(RUN_AS.to_owned(), user.to_string());
    if let Some(group) = socket_group {
        spec.labels.insert(SOCKET_GROUP.to_owned(), group.to_string());
    }
    if !wanted.token_mark.is_empty() {
        spec.labels.insert(TOKEN_MARK.to_owned(), wanted.token_mark.to_owned());
    }
    // Where programs look for hub.toml by themselves.
    spec.working_dir = Some(layout.in_data(CONFIG_DIR));
    spec.mounts = vec![
        volume(&layout.data, &layout.data_dir),
        Mount {
            source: MountSource::Bind(settings.socket.clone()),
            target: SOCKET.to_owned(),
            read_only: false,
        },
        tmpfs(),
    ];
    spec.networks = vec![
        end(&layout.servers, &[layout.api_host()]),
        end(&layout.control, &[layout.web_host()]),
    ];
    spec.stop_grace = Some(HUB_GRACE);
    spec.healthcheck = Some(health(&["/usr/bin/hub-server", "healthcheck"]));
    spec
}

/// The proxy: the ports and the TLS keys, no socket.
pub(super) fn proxy(settings: &Settings, wanted: &Wanted<'_>) -> ContainerSpec {
    let layout = &settings.layout;
    let mut spec = hardened(&layout.proxy, wanted.image);
    spec.labels = layout.labels("proxy");
    spec.entrypoint = Some(vec!["/usr/bin/hub-proxy".to_owned()]);
    spec.command = Some(proxy_command(settings, wanted.networks));
    spec.env = secret(BTreeMap::from([(
        "CONFIGPROXY_AUTH_TOKEN_FILE".to_owned(),
        format!("{PROXY_DIR}/{PROXY_TOKEN}"),
    )]));
    spec.user = Some(format!("{UID}:{UID}"));
    spec.mounts = vec![volume(&layout.keys, PROXY_DIR), Mount::anonymous(PROGRAM_DIR), tmpfs()];
    spec.networks = vec![end(&layout.servers, &[]), end(&layout.control, &[layout.proxy_host()])];
    spec.ports = ports(settings);
    spec.stop_grace = Some(PROXY_GRACE);
    spec.healthcheck =
        Some(health(&["/usr/bin/hub-proxy", "healthcheck", "--url", &health_url(settings)]));
    spec
}

/// A container that ends at once: it makes the data volume the hub's, and tells
/// whom the hub has to run as.
pub(super) fn prepare(settings: &Settings, image: &str) -> ContainerSpec {
    let layout = &settings.layout;
    let owner = format!("{UID}:{UID}");
    let words = ["prepare", "--data", &layout.data_dir, "--owner", &owner, "--socket", SOCKET];
    let mut spec = hardened("", image);
    spec.labels = layout.labels("helper");
    spec.entrypoint = Some(vec!["/usr/bin/hub-server".to_owned()]);
    spec.command = Some(words.map(str::to_owned).to_vec());
    spec.user = Some("0:0".to_owned());
    spec.cap_add = ["CHOWN", "DAC_OVERRIDE", "FOWNER"].map(str::to_owned).to_vec();
    spec.restart = RestartPolicy::No;
    spec.mounts = vec![
        volume(&layout.data, &layout.data_dir),
        Mount {
            source: MountSource::Bind(settings.socket.clone()),
            target: SOCKET.to_owned(),
            read_only: false,
        },
    ];
    spec
}

/// A container that ends at once: it removes files from the data volume.
pub(super) fn forget(
    settings: &Settings,
    image: &str,
    owner: u32,
    names: &[String],
) -> ContainerSpec {
    let layout = &settings.layout;
    let mut spec = hardened("", image);
    spec.labels = layout.labels("helper");
    spec.entrypoint = Some(vec!["/usr/bin/hub-server".to_owned()]);
    let words = ["forget", "--data", &layout.data_dir];
    spec.command =
        Some(words.into_iter().map(str::to_owned).chain(names.iter().cloned()).collect());
    spec.user = Some(format!("{owner}:{owner}"));
    spec.restart = RestartPolicy::No;
    spec.mounts = vec![volume(&layout.data, &layout.data_dir)];
    spec
}

/// A container that ends at once: it puts the copy of the database that was kept
/// for the program in `image` back in its place.
pub(super) fn put_back(settings: &Settings, image: &str, owner: u32, url: &str) -> ContainerSpec {
    let layout = &settings.layout;
    let mut spec = hardened("", image);
    spec.labels = layout.labels("helper");
    spec.entrypoint = Some(vec!["/usr/bin/hub-server".to_owned()]);
    spec.command = Some(["put-back-database", "--url", url].map(str::to_owned).to_vec());
    spec.user = Some(format!("{owner}:{owner}"));
    spec.restart = RestartPolicy::No;
    spec.mounts = vec![volume(&layout.data, &layout.data_dir)];
    spec
}

/// The published ports.
pub(super) fn ports(settings: &Settings) -> Vec<PublishedPort> {
    let published = |host, container| PublishedPort {
        host_ip: Some(settings.bind),
        host_port: Some(host),
        container_port: container,
    };
    match settings.tls {
        Tls::Elsewhere => vec![published(settings.port, HTTP_PORT)],
        Tls::Files { .. } | Tls::Volume(_) | Tls::Acme(_) => {
            vec![published(settings.port, HTTPS_PORT), published(settings.redirect_port, HTTP_PORT)]
        }
    }
}

fn health_url(settings: &Settings) -> String {
    match settings.tls {
        Tls::Elsewhere => format!("http://127.0.0.1:{HTTP_PORT}/_chp_healthz"),
        _ => format!("https://127.0.0.1:{HTTPS_PORT}/_chp_healthz"),
    }
}

fn proxy_command(settings: &Settings, networks: &Networks) -> Vec<String> {
    let layout = &settings.layout;
    // Where users have hosts of their own, the hub's route is above all of them.
    let has_hosts = settings.setting("http.subdomain_host").is_some();
    let origin_owner = if has_hosts { "/".to_owned() } else { settings.base_url() };
    let mut words = Words::default();
    words
        .option("--ip", "0.0.0.0")
        .option("--api-ip", layout.proxy_host())
        .option("--api-port", PROXY_API_PORT)
        .option("--metrics-ip", layout.proxy_host())
        .option("--metrics-port", PROXY_METRICS_PORT)
        .option(
            "--error-target",
            format!("http://{}:{WEB_PORT}{}hub/error", layout.web_host(), settings.base_url()),
        )
        .flag("--guard-origin")
        .option("--origin-owner", origin_owner)
        .option("--drain-delay", PROXY_DELAY.as_secs())
        .option("--drain-timeout", PROXY_DRAIN.as_secs())
        .option("--upgrade-socket", "/tmp/hub-proxy.sock")
        .option("--upgrade-binary", format!("{PROGRAM_DIR}/{PROGRAM}"))
        .flag("--stay-as-init");
    if has_hosts {
        words.flag("--host-routing");
    }
    for cookie in hub_server::reserved_cookies() {
        words.option("--reserved-cookie", cookie);
    }
    words.option("--trusted-proxies", in_front(settings, networks));
    match &settings.tls {
        Tls::Elsewhere => {
            words.option("--port", HTTP_PORT);
        }
        Tls::Files { .. } | Tls::Volume(_) => {
            words
                .option("--ssl-cert", format!("{PROXY_DIR}/{CERTIFICATE}"))
                .option("--ssl-key", format!("{PROXY_DIR}/{KEY}"))
                .flag("--serve-expired");
            for host in settings.hosts() {
                words.option("--ssl-host", host);
            }
            with_redirect(&mut words, settings);
        }
        Tls::Acme(acme) => {
            acme_words(&mut words, acme);
            with_redirect(&mut words, settings);
        }
    }
    words.0
}

/// Whose forwarded headers the proxy believes: those the operator names. A
/// terminator on the same host needs no name: nobody else reaches a port that is
/// published on its loopback address only (TLS-6).
fn in_front(settings: &Settings, networks: &Networks) -> String {
    let host = || {
        let loopback = settings.tls == Tls::Elsewhere && settings.bind.is_loopback();
        networks.host.filter(|_| loopback).map(|address| address.to_string())
    };
    let named = settings.variables.get("HUB_TRUSTED_PROXIES").map(str::to_owned);
    named.or_else(host).unwrap_or_else(|| "none".to_owned())
}

fn with_redirect(words: &mut Words, settings: &Settings) {
    words.option("--port", HTTPS_PORT).option("--redirect-port", HTTP_PORT).option(
        "--redirect-to",
        settings.public_url.port_or_known_default().unwrap_or(settings.port),
    );
    // A form that was posted to the wrong port stays one (TLS-5).
    words.flag("--redirect-keeps-method");
}

fn acme_words(words: &mut Words, acme: &Acme) {
    for domain in &acme.domains {
        words.option("--acme-domain", domain);
    }
    words.option("--acme-dir", format!("{PROXY_DIR}/acme"));
    if acme.agree_tos {
        words.flag("--acme-agree-tos");
    }
    for (option, value) in [
        ("--acme-email", &acme.email),
        ("--acme-directory", &acme.directory),
        ("--acme-challenge", &acme.challenge),
    ] {
        if let Some(value) = value {
            words.option(option, value);
        }
    }
    if acme.directory_ca.is_some() {
        words.option("--acme-directory-ca", format!("{PROXY_DIR}/{}", super::files::ACME_CA));
    }
}

/// A command line in the making.
#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn option(&mut self, name: &str, value: impl ToString) -> &mut Self {
        self.0.extend([name.to_owned(), value.to_string()]);
        self
    }

    fn flag(&mut self, name: &str) -> &mut Self {
        self.0.push(name.to_owned());
        self
    }
}

/// What both have in common: nothing of theirs can be written to but their
/// volumes, and nothing can be gained.
fn hardened(name: &str, image: &str) -> ContainerSpec {
    let mut spec = ContainerSpec::new(name, image);
    spec.read_only_root = true;
    spec.cap_drop = vec!["ALL".to_owned()];
    spec.security_opt = vec!["no-new-privileges".to_owned()];
    spec.restart = RestartPolicy::UnlessStopped;
    spec.log = Some(LogRotation { max_bytes: 10 << 20, max_files: 5 });
    spec
}

fn secret(variables: BTreeMap<String, String>) -> BTreeMap<String, SecretString> {
    variables.into_iter().map(|(name, value)| (name, SecretString::from(value))).collect()
}

fn volume(name: &str, target: &str) -> Mount {
    Mount {
        source: MountSource::Volume(name.to_owned()),
        target: target.to_owned(),
        read_only: false,
    }
}

fn tmpfs() -> Mount {
    Mount {
        source: MountSource::Tmpfs { bytes: Some(64 << 20) },
        target: "/tmp".to_owned(),
        read_only: false,
    }
}

fn end(network: &str, aliases: &[String]) -> NetworkEnd {
    NetworkEnd { network: network.to_owned(), aliases: aliases.to_vec() }
}

fn health(command: &[&str]) -> HealthCheck {
    HealthCheck {
        command: command.iter().map(|&word| word.to_owned()).collect(),
        interval: Duration::from_secs(15),
        timeout: Duration::from_secs(10),
        retries: 3,
        start_period: Duration::from_secs(30),
    }
}

/// Whether users' containers and volumes keep the reference deployment's names.
pub(super) fn has_reference_names(settings: &Settings) -> bool {
    settings.layout.name == DEFAULT_NAME
}

/// Where servers reach the hub.
pub(super) fn api_url(settings: &Settings) -> String {
    format!("http://{}:{API_PORT}{}hub/api", settings.layout.hub, settings.base_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_looks_at_hosts_where_users_have_their_own() {
        let words = |variable: &str| {
            let environment = [(variable, "https://jh.test")].into_iter().collect();
            let settings = Settings::with_problems("/nowhere".as_ref(), environment).0;
            proxy_command(&settings, &Networks::default())
        };
        let has = |words: &[String]| words.iter().any(|word| word == "--host-routing");
        assert!(!has(&words("HUB__HTTP__PUBLIC_URL")));
        assert!(has(&words("HUB__HTTP__SUBDOMAIN_HOST")));
    }

    #[test]
    fn c11_neither_container_can_do_more_than_it_has_to() {
        let settings =
            Settings::with_problems("/nowhere".as_ref(), [("", "")].into_iter().collect()).0;
        let networks = Networks::default();
        let identity = Identity { user: UID, socket_group: Some(999) };
        let wanted = Wanted { image: "i:1", networks: &networks, identity, token_mark: "" };
        let (hub, proxy) = (hub(&settings, &wanted), proxy(&settings, &wanted));
        for spec in [&hub, &proxy] {
            let name = &spec.name;
            assert_eq!(spec.user.as_deref(), Some("1000:1000"), "{name}");
            assert!(spec.read_only_root, "{name}");
            assert_eq!(spec.cap_drop, ["ALL"], "{name}");
            assert!(spec.cap_add.is_empty(), "{name}");
            assert_eq!(spec.security_opt, ["no-new-privileges"], "{name}");
        }
        let has_socket =
            |spec: &ContainerSpec| spec.mounts.iter().any(|mount| mount.target == SOCKET);
        assert!(has_socket(&hub) && hub.ports.is_empty(), "the hub is reached through the proxy");
        assert!(!has_socket(&proxy) && proxy.group_add.is_empty(), "the proxy has no engine");
        assert!(proxy.ports.iter().all(|port| port.container_port > 1024));
    }
}
