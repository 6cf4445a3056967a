//! Which daemon to talk to, and how: from what an operator sets, to a way.

mod certificates;
mod context;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::ClientConfig;
use url::{Host, Url};

use super::DEFAULT_HOST;
use crate::InvalidConfig;

/// Ports of daemons without and with TLS.
const PLAIN_PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

/// What an operator says about the daemon, in the words of Docker's own tools.
///
/// The environment is not looked at: a caller that honours `DOCKER_HOST` and
/// its like passes the values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// `DOCKER_HOST`: `unix://`, `tcp://`, `http://`, `https://` or `ssh://`.
    pub host: Option<String>,
    /// `DOCKER_TLS_VERIFY`: whether a `tcp://` address is spoken to with TLS.
    pub tls_verify: bool,
    /// `DOCKER_CERT_PATH`: the directory with `ca.pem`, `cert.pem` and
    /// `key.pem`. Default: `config_dir`.
    pub cert_path: Option<PathBuf>,
    /// `DOCKER_CONTEXT`: a context made with `docker context create`. `host`
    /// goes before it.
    pub context: Option<String>,
    /// `DOCKER_CONFIG`: where Docker's own tools keep their settings. By
    /// default that is `.docker` in the home directory, which the caller knows.
    pub config_dir: Option<PathBuf>,
    /// A configuration file for `ssh`. Default: that of the user this process
    /// runs as.
    pub ssh_config: Option<PathBuf>,
}

/// A daemon and the way to it. Certificates are read already.
#[derive(Clone)]
pub struct DockerHost {
    address: String,
    pub(super) way: Way,
}

#[derive(Clone)]
pub(super) enum Way {
    Unix(String),
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16, config: Arc<ClientConfig> },
    Ssh(SshTarget),
}

/// A machine that is reached with the program `ssh`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SshTarget {
    pub(super) user: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// The daemon's socket there, if the address names it.
    pub(super) socket: Option<String>,
    pub(super) config: Option<PathBuf>,
}

impl HostSettings {
    /// Only an address; nothing of TLS.
    pub fn at(host: Option<&str>) -> Self {
        Self { host: host.map(str::to_owned), ..Self::default() }
    }
}

impl DockerHost {
    /// Finds out which daemon is meant: `host`, else that of `context`, else the
    /// local one. Reads the context and the certificates.
    ///
    /// # Errors
    ///
    /// The setting that makes no sense, and the file that is missing or damaged.
    pub fn resolve(settings: &HostSettings) -> Result<Self, InvalidConfig> {
        let context = settings.context.as_deref().filter(|name| !matches!(*name, "" | "default"));
        match (settings.host.as_deref().filter(|host| !host.is_empty()), context) {
            (Some(address), _) => {
                let with_tls = settings.tls_verify || address.starts_with("https://");
                let certificates = with_tls
                    .then(|| certificate_dir(settings))
                    .transpose()?
                    .map(Certificates::User);
                Self::at("host", address, certificates, settings)
            }
            (None, Some(name)) => {
                let found = context::find(name, settings.config_dir.as_deref())?;
                let certificates = found.certificates.map(Certificates::Context);
                Self::at("context", &found.host, certificates, settings)
            }
            (None, None) => Self::at("host", DEFAULT_HOST, None, settings),
        }
    }

    /// Checks how an address is written, without looking at any file.
    pub(crate) fn check(address: &str) -> Result<(), InvalidConfig> {
        read(address).map(drop).map_err(|reason| InvalidConfig::new("host", reason))
    }

    /// The address, such as `tcp://192.0.2.7:2376`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Name or number of the daemon's machine, if it is asked over a network.
    pub fn machine(&self) -> Option<&str> {
        match &self.way {
            Way::Unix(_) => None,
            Way::Tcp { host, .. } | Way::Tls { host, .. } => Some(host),
            Way::Ssh(target) => Some(&target.host),
        }
    }

    /// The daemon's socket on the daemon's own machine, if the address names it.
    pub fn socket(&self) -> Option<&str> {
        match &self.way {
            Way::Unix(path) => Some(path),
            Way::Ssh(target) => target.socket.as_deref(),
            Way::Tcp { .. } | Way::Tls { .. } => None,
        }
    }

    fn at(
        key: &'static str,
        address: &str,
        certificates: Option<Certificates>,
        settings: &HostSettings,
    ) -> Result<Self, InvalidConfig> {
        let place = read(address).map_err(|reason| InvalidConfig::new(key, reason))?;
        let way = match (place, certificates) {
            (Place::Unix(path), _) => Way::Unix(path),
            (Place::Net { host, port }, None) => {
                Way::Tcp { host, port: port.unwrap_or(PLAIN_PORT) }
            }
            (Place::Net { host, port }, Some(certificates)) => Way::Tls {
                host,
                port: port.unwrap_or(TLS_PORT),
                config: match certificates {
                    Certificates::User(dir) => certificates::load("cert_path", &dir)?,
                    Certificates::Context(dir) => certificates::load("context", &dir)?,
                },
            },
            (Place::Ssh(target), _) => {
                Way::Ssh(SshTarget { config: settings.ssh_config.clone(), ..target })
            }
        };
        Ok(Self { address: address.to_owned(), way })
    }
}

impl fmt::Debug for DockerHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DockerHost").field(&self.address).finish()
    }
}

/// Who named the directory of the certificates: errors speak of that.
enum Certificates {
    User(PathBuf),
    Context(PathBuf),
}

fn certificate_dir(settings: &HostSettings) -> Result<PathBuf, InvalidConfig> {
    let dir = settings.cert_path.as_deref().filter(|dir| !dir.as_os_str().is_empty());
    dir.or(settings.config_dir.as_deref()).map(Path::to_owned).ok_or_else(|| {
        InvalidConfig::new(
            "cert_path",
            "is missing; TLS needs the directory with ca.pem, cert.pem and key.pem",
        )
    })
}

/// What an address says.
enum Place {
    Unix(String),
    Net { host: String, port: Option<u16> },
    Ssh(SshTarget),
}

/// Takes an address apart, or tells what is wrong with it.
fn read(address: &str) -> Result<Place, String> {
    let wrong = |why: &str| Err(format!("{address:?} {why}"));
    if let Some(path) = address.strip_prefix("unix://") {
        return match path.starts_with('/') {
            true => Ok(Place::Unix(path.to_owned())),
            false => wrong("names no absolute path; write unix:///var/run/docker.sock"),
        };
    }
    let Ok(url) = Url::parse(address) else {
        return wrong("is no address; write unix:///path, tcp://host:port or ssh://user@host");
    };
    let host = match url.host() {
        Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
        Some(Host::Ipv4(ip)) => ip.to_string(),
        Some(Host::Ipv6(ip)) => ip.to_string(),
        Some(Host::Domain(_)) | None
            if matches!(url.scheme(), "tcp" | "http" | "https" | "ssh") =>
        {
            return wrong("names no host");
        }
        Some(Host::Domain(_)) | None => String::new(),
    };
    if url.query().is_some() || url.fragment().is_some() || url.password().is_some() {
        return wrong("holds more than user, host, port and path");
    }
    match url.scheme() {
        "tcp" | "http" | "https" => {
            if !matches!(url.path(), "" | "/") || !url.username().is_empty() {
                return wrong("holds more than host and port");
            }
            // The usual ports of http and https are none of a daemon's.
            Ok(Place::Net { host, port: url.port() })
        }
        "ssh" => {
            let user = url.username();
            // A program would take it for an option.
            if host.starts_with('-') || user.starts_with('-') || user.contains('%') {
                return wrong("names a user or host that ssh would misunderstand");
            }
            Ok(Place::Ssh(SshTarget {
                user: (!user.is_empty()).then(|| user.to_owned()),
                host,
                port: url.port(),
                socket: (!matches!(url.path(), "" | "/")).then(|| url.path().to_owned()),
                config: None,
            }))
        }
        _ => wrong("begins with something else than unix://, tcp://, http://, https:// or ssh://"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(host: &str) -> Result<DockerHost, InvalidConfig> {
        DockerHost::resolve(&HostSettings::at(Some(host)))
    }

    #[test]
    fn dm_1_addresses_become_ways() {
        let local = DockerHost::resolve(&HostSettings::default()).unwrap();
        assert_eq!((local.address(), local.machine()), (DEFAULT_HOST, None));
        assert!(matches!(local.way, Way::Unix(path) if path == "/var/run/docker.sock"));
        let rows = [
            ("tcp://192.0.2.7:4243", "192.0.2.7", 4243),
            ("tcp://docker.example", "docker.example", 2375),
            ("http://[2001:db8::1]:99/", "2001:db8::1", 99),
        ];
        for (address, machine, expected) in rows {
            let found = resolve(address).unwrap();
            assert_eq!(found.machine(), Some(machine), "{address}");
            assert!(matches!(found.way, Way::Tcp { port, .. } if port == expected), "{address}");
        }
    }

    #[test]
    fn dm_3_an_ssh_address_may_name_user_port_and_socket() {
        let found = resolve("ssh://ada@build.example:2222/run/user/7/docker.sock").unwrap();
        assert_eq!(found.socket(), Some("/run/user/7/docker.sock"));
        let Way::Ssh(target) = found.way else { panic!("{found:?}") };
        let expected = SshTarget {
            user: Some("ada".to_owned()),
            host: "build.example".to_owned(),
            port: Some(2222),
            socket: Some("/run/user/7/docker.sock".to_owned()),
            config: None,
        };
        assert_eq!(target, expected);
        let Way::Ssh(plain) = resolve("ssh://build").unwrap().way else { panic!("not ssh") };
        assert_eq!((plain.user, plain.port, plain.socket), (None, None, None));
    }

    #[test]
    fn addresses_that_make_no_sense_are_told_apart() {
        let rows = [
            ("/var/run/docker.sock", "unix:///path"),
            ("unix://docker.sock", "absolute path"),
            ("npipe:////./pipe/docker", "something else than"),
            ("tcp://", "no host"),
            ("tcp://h:1/x", "more than host and port"),
            ("tcp://h?x=1", "more than user"),
            ("ssh://ada:hush@h", "more than user"),
            ("ssh://-oProxyCommand=x", "misunderstand"),
            ("ssh://-lx@h", "misunderstand"),
            ("tcp://h:99999", "is no address"),
        ];
        for (address, complaint) in rows {
            let error = resolve(address).unwrap_err();
            assert_eq!(error.key, "host");
            assert!(error.reason.contains(complaint), "{address}: {}", error.reason);
        }
    }

    #[test]
    fn dm_1_tls_needs_to_know_where_certificates_are() {
        let settings = HostSettings { tls_verify: true, ..HostSettings::at(Some("tcp://h")) };
        let error = DockerHost::resolve(&settings).unwrap_err();
        assert_eq!(error.key, "cert_path");
        let local = HostSettings { tls_verify: true, ..HostSettings::default() };
        DockerHost::resolve(&local).expect("a socket needs no certificates");
    }
}
