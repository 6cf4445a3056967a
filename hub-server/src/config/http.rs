//! `[http]` and `[hub_api]`: addresses, TLS and the public URL.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use hub_proxy::{AcmeConfig, Network};
use serde::Deserialize;
use url::Url;

use super::{
    ConfigError, ListenAddr,
    acme::{RawAcme, check_port_80},
    key::{Key, Kind, Section},
    subdomains::Subdomains,
};
use crate::web::paths::Paths;

pub(super) const SECTION: Section = Section {
    name: "http",
    about: "Where browsers reach the hub.",
    keys: &[
        Key::new(
            "http.listen",
            Kind::Address,
            "Address of the public listener.",
        )
        .default("\"127.0.0.1:8000\"")
        .restart(),
        Key::new(
            "http.redirect_listen",
            Kind::Address,
            "Address of a plain listener that sends browsers to https.",
        )
        .example("\"0.0.0.0:80\"")
        .restart(),
        Key::new(
            "http.public_url",
            Kind::Url,
            "How people write the hub's address, without a path. Without it the `Host` header has to do.",
        )
        .example("\"https://hub.example.org\"")
        .restart(),
        Key::new("http.base_url", Kind::Text, "Path below which everything is.")
            .default("\"/\"")
            .restart(),
        Key::new(
            "http.subdomain_host",
            Kind::Url,
            "The hub's address where every user gets a host of their own below it, so that notebooks share no origin. Needs DNS and a certificate for all names below the host (`*.hub.example.org`). It is `http.public_url`, too.",
        )
        .example("\"https://hub.example.org\"")
        .restart(),
        Key::new(
            "http.subdomain_hook",
            Kind::Text,
            "How a name becomes a host: `idna` (valid for every name) or `legacy` (as in JupyterHub before 5).",
        )
        .default("\"idna\"")
        .restart(),
        Key::new(
            "http.trusted_proxies",
            Kind::List,
            "Networks whose `X-Forwarded-*` headers are believed.",
        )
        .default("[]")
        .example("[\"10.0.0.0/8\"]")
        .restart(),
        Key::new(
            "http.shutdown_grace_seconds",
            Kind::Integer("seconds"),
            "How long open requests may go on after the hub was told to stop.",
        )
        .default("30")
        .restart(),
    ],
};

pub(super) const TLS_SECTION: Section = Section {
    name: "http.tls",
    about: "Certificate and key of the public listener, as files; plain HTTP without this or `[http.acme]`. The files are read again when they change.",
    keys: &[
        Key::new(
            "http.tls.certificate",
            Kind::File,
            "Certificate chain, PEM, the server's own first.",
        )
        .example("\"secrets/hub.crt\"")
        .restart(),
        Key::new("http.tls.key", Kind::File, "Private key, PEM.")
            .example("\"secrets/hub.key\"")
            .restart(),
    ],
};

pub(super) const API_SECTION: Section = Section {
    name: "hub_api",
    about: "Where notebook servers reach the hub's API: a listener of its own, that nothing outside the host needs.",
    keys: &[
        Key::new(
            "hub_api.listen",
            Kind::Text,
            "`auto:PORT` is the gateway address of the servers' network; or `IP:PORT`.",
        )
        .default("\"auto:8081\"")
        .restart(),
        Key::new(
            "hub_api.url",
            Kind::Url,
            "The URL given to servers, if it is not made from the address; for a hub that is itself a container.",
        )
        .example("\"http://jupyterhub:8081/hub/api\"")
        .restart(),
        Key::new(
            "hub_api.operator_token",
            Kind::Secret,
            "Token with which `hub` may do what an administrator may, as the service `operator`. A deployment makes one by itself.",
        ),
    ],
};

/// Where browsers reach the hub.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Address of the public listener.
    pub listen: ListenAddr,
    /// Address of a plain listener that sends browsers to https.
    pub redirect_listen: Option<SocketAddr>,
    /// How people write the hub's address, without a path; `None` when the
    /// `Host` header has to do.
    pub public_url: Option<Url>,
    /// The hosts of the users' servers, if they have their own.
    pub subdomains: Option<Subdomains>,
    /// Path below which everything is; starts and ends with `/`.
    pub base_url: String,
    /// Where certificate and key come from; plain HTTP without.
    pub tls: Option<TlsSource>,
    /// Networks whose `X-Forwarded-*` headers are believed (TLS-6).
    pub trusted_proxies: Vec<Network>,
    /// How long open requests may go on after the hub was told to stop.
    pub shutdown_grace: Duration,
}

impl HttpConfig {
    /// Whether browsers speak https to us, here or at a proxy in front.
    pub fn is_https(&self) -> bool {
        self.tls.is_some() || self.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }
}

/// Where certificate and key come from.
#[derive(Clone, Debug)]
pub enum TlsSource {
    /// Files of the operator's.
    Files(TlsFiles),
    /// An authority, asked by the hub.
    Acme(Box<AcmeConfig>),
}

/// A certificate chain and its key, both PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Where single-user servers reach the hub's API.
#[derive(Clone, Debug)]
pub struct HubApiConfig {
    /// Address of the private listener.
    pub listen: ApiListen,
    /// The URL given to servers instead of one made from the address; for a hub
    /// that is itself a container, for example `http://jupyterhub:8081/hub/api`.
    pub url: Option<Url>,
}

/// Where to bind the private listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiListen {
    /// The address under which servers reach this host, as the spawner says.
    Auto {
        /// The port; 0 lets the system choose, which only a hub may do whose
        /// servers need not outlive it.
        port: u16,
    },
    /// This address.
    At(ListenAddr),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHttp {
    pub(super) listen: Option<String>,
    pub(super) redirect_listen: Option<String>,
    pub(super) public_url: Option<String>,
    pub(super) base_url: Option<String>,
    pub(super) subdomain_host: Option<String>,
    pub(super) subdomain_hook: Option<String>,
    pub(super) tls: Option<RawTls>,
    pub(super) acme: Option<RawAcme>,
    pub(super) trusted_proxies: Vec<String>,
    pub(super) shutdown_grace_seconds: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTls {
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHubApi {
    pub(super) listen: Option<String>,
    pub(super) url: Option<String>,
    pub(super) operator_token: Option<String>,
}

impl RawHttp {
    /// Relative paths are below `dir`, those of what the hub keeps below `data_dir`.
    pub(super) fn check(self, dir: &Path, data_dir: &Path) -> Result<HttpConfig, ConfigError> {
        let listen = self.listen.as_deref().unwrap_or("127.0.0.1:8000");
        let redirect_listen = match self.redirect_listen.as_deref() {
            Some(text) => Some(address("http.redirect_listen", text)?),
            None => None,
        };
        let public_url = self.public_url.as_deref().map(public_url).transpose()?;
        let hook = self.subdomain_hook.as_deref();
        let host = self.subdomain_host.as_deref();
        let subdomains = host.map(|host| Subdomains::parse(host, hook)).transpose()?;
        let public_url = one_address(public_url, subdomains.as_ref())?;
        let tls = match (self.tls, self.acme) {
            (None, None) => None,
            (Some(files), None) => Some(TlsSource::Files(files.check(dir)?)),
            (None, Some(acme)) => {
                let acme = acme.check(dir, data_dir, public_url.as_ref())?;
                check_port_80(&acme, redirect_listen.is_some())?;
                Some(TlsSource::Acme(Box::new(acme)))
            }
            (Some(_), Some(_)) => {
                return Err(ConfigError::value(
                    "http.acme",
                    "and [http.tls] are both set (SSL_CERT and SSL_KEY count as [http.tls]); remove the one that is not meant",
                ));
            }
        };
        if redirect_listen.is_some() && tls.is_none() {
            return Err(ConfigError::value(
                "http.redirect_listen",
                "sends browsers to https, but neither [http.tls] nor [http.acme] is set",
            ));
        }
        Ok(HttpConfig {
            listen: ListenAddr::parse("http.listen", listen)?,
            redirect_listen,
            public_url,
            subdomains,
            base_url: base_url(self.base_url.as_deref().unwrap_or("/"))?,
            tls,
            trusted_proxies: self
                .trusted_proxies
                .iter()
                .map(|text| {
                    text.parse().map_err(|error: hub_proxy::InvalidNetwork| {
                        ConfigError::value("http.trusted_proxies", error.to_string())
                    })
                })
                .collect::<Result<_, _>>()?,
            shutdown_grace: Duration::from_secs(self.shutdown_grace_seconds.unwrap_or(30)),
        })
    }
}

impl RawTls {
    fn check(self, dir: &Path) -> Result<TlsFiles, ConfigError> {
        match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => {
                Ok(TlsFiles { certificate: dir.join(certificate), key: dir.join(key) })
            }
            (certificate, _) => {
                let (missing, given) = match certificate {
                    None => ("http.tls.certificate", "http.tls.key"),
                    Some(_) => ("http.tls.key", "http.tls.certificate"),
                };
                Err(ConfigError::value(
                    missing,
                    format!("is missing; {given} is set, and both are needed for https"),
                ))
            }
        }
    }
}

impl RawHubApi {
    pub(super) fn check(self, base_url: &str) -> Result<HubApiConfig, ConfigError> {
        const KEY: &str = "hub_api.listen";
        let listen = match self.listen.as_deref().unwrap_or("auto:8081") {
            "auto" => ApiListen::Auto { port: 8081 },
            text => match text.strip_prefix("auto:") {
                Some(port) => ApiListen::Auto {
                    port: port.parse().map_err(|_| {
                        ConfigError::value(KEY, format!("{port:?} is not a port number"))
                    })?,
                },
                None => ApiListen::At(ListenAddr::parse(KEY, text)?),
            },
        };
        let url = match self.url {
            None => None,
            Some(text) => {
                let url = http_url("hub_api.url", &text)?;
                let api = Paths::new(base_url).api();
                if url.path().trim_end_matches('/') != api {
                    return Err(ConfigError::value(
                        "hub_api.url",
                        format!("{text:?} is not the hub's API; its path must be {api}"),
                    ));
                }
                Some(url)
            }
        };
        Ok(HubApiConfig { listen, url })
    }
}

/// An address of this machine, where a name would not say more.
fn address(key: &str, text: &str) -> Result<SocketAddr, ConfigError> {
    match ListenAddr::parse(key, text)? {
        ListenAddr::Ip(address) => Ok(address),
        ListenAddr::Name { .. } => Err(ConfigError::value(
            key,
            format!("{text:?} is not an address; write IP:PORT, for example 0.0.0.0:80"),
        )),
    }
}

pub(super) fn http_url(key: &str, text: &str) -> Result<Url, ConfigError> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(ConfigError::value(
            key,
            format!(
                "{text:?} is not a URL; write it with its scheme, for example https://hub.example.org"
            ),
        )),
    }
}

fn public_url(text: &str) -> Result<Url, ConfigError> {
    let url = http_url("http.public_url", text)?;
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(ConfigError::value(
            "http.public_url",
            format!("{text:?} has a path; put the path into http.base_url"),
        ));
    }
    Ok(url)
}

/// With hosts for users the hub's own is known, and there is only one.
fn one_address(
    public_url: Option<Url>,
    subdomains: Option<&Subdomains>,
) -> Result<Option<Url>, ConfigError> {
    match (public_url, subdomains) {
        (Some(url), Some(subdomains)) if url != *subdomains.host() => Err(ConfigError::value(
            "http.public_url",
            format!(
                "{:?} is not http.subdomain_host {:?}; leave one of them out",
                url.as_str(),
                subdomains.host().as_str()
            ),
        )),
        (None, Some(subdomains)) => Ok(Some(subdomains.host().clone())),
        (url, _) => Ok(url),
    }
}

fn base_url(text: &str) -> Result<String, ConfigError> {
    let trimmed = text.trim_matches('/');
    if trimmed.is_empty() {
        return Ok("/".to_owned());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/@".contains(c);
    if !trimmed.chars().all(plain)
        || trimmed.split('/').any(|s| s.is_empty() || s == "." || s == "..")
    {
        return Err(ConfigError::value(
            "http.base_url",
            format!("{text:?} is not a plain path such as /jupyter/"),
        ));
    }
    Ok(format!("/{trimmed}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_start_and_end_with_a_slash() {
        for (text, expected) in [
            ("", Some("/")),
            ("/", Some("/")),
            ("jupyter", Some("/jupyter/")),
            ("/a/b/", Some("/a/b/")),
            ("/a/../b", None),
            ("/a b", None),
        ] {
            assert_eq!(base_url(text).ok().as_deref(), expected, "{text:?}");
        }
    }

    fn checked(toml: &str) -> Result<HttpConfig, String> {
        let raw: RawHttp = toml::from_str(toml).unwrap();
        raw.check(Path::new("/srv/hub"), Path::new("/data")).map_err(|error| error.to_string())
    }

    fn acme(toml: &str) -> AcmeConfig {
        match checked(toml).unwrap().tls {
            Some(TlsSource::Acme(acme)) => *acme,
            other => panic!("{other:?}"),
        }
    }

    const PUBLIC: &str = "redirect_listen = \":80\"\npublic_url = \"https://hub.example.org\"\n";

    #[test]
    fn acme_1_the_public_host_is_certified_unless_domains_are_named() {
        let plain = acme(&format!("{PUBLIC}[acme]\nagree_tos = true\n"));
        assert_eq!(plain.domains, ["hub.example.org"]);
        assert_eq!(plain.dir, Path::new("/data/acme"));
        assert!(plain.agree_tos && plain.directory.as_str().contains("acme-v02"));
        let more = acme(&format!(
            "{PUBLIC}[acme]\ndomains = [\"a.example\", \"b.example\"]\ndir = \"/srv/acme\"\ndirectory = \"letsencrypt-staging\"\n"
        ));
        assert_eq!(more.domains, ["a.example", "b.example"]);
        assert_eq!(more.dir, Path::new("/srv/acme"));
        assert!(!more.agree_tos && more.directory.as_str().contains("staging"));
    }

    #[test]
    fn acme_1_what_is_wrong_with_the_section_is_named() {
        for (toml, expected) in [
            ("[acme]\n", "http.acme.domains: is missing"),
            (
                "public_url = \"https://hub.example.org\"\n[acme]\n",
                "http.redirect_listen: is missing; the authority asks on port 80",
            ),
            (
                "public_url = \"https://10.0.0.1\"\n[acme]\nchallenge = \"tls-alpn-01\"\n",
                "http.acme: \"10.0.0.1\" cannot be certified this way",
            ),
            (
                "[acme]\ndomains = [\"a.example\"]\nchallenge = \"dns-01\"\n",
                "http.acme.challenge: \"dns-01\" is not a challenge",
            ),
            (
                "[acme]\ndomains = [\"a.example\"]\ndirectory = \"http://ca\"\n",
                "http.acme.directory: \"http://ca\" is not an ACME directory",
            ),
            (
                "[acme]\ndomains = [\"a.example\"]\nexternal_account_id = \"x\"\n",
                "http.acme.external_account_key_file: is missing",
            ),
            (
                "[tls]\ncertificate = \"a\"\nkey = \"b\"\n[acme]\ndomains = [\"a.example\"]\n",
                "http.acme: and [http.tls] are both set",
            ),
        ] {
            let told = checked(toml).unwrap_err();
            assert!(told.starts_with(expected), "{toml}: {told}");
        }
        assert!(
            checked("[acme]\ndomains = [\"a.example\"]\nchallenge = \"tls-alpn-01\"\n").is_ok()
        );
    }

    #[test]
    fn the_host_above_all_users_is_the_public_one() {
        let http = checked("subdomain_host = \"https://jh.test\"").unwrap();
        assert_eq!(http.public_url.unwrap().as_str(), "https://jh.test/");
        assert_eq!(http.subdomains.unwrap().domain(), "jh.test");
        let both = "subdomain_host = \"https://jh.test\"\npublic_url = \"https://hub.test\"";
        let told = checked(both).unwrap_err();
        assert!(
            told.starts_with("http.public_url: \"https://hub.test/\" is not http.subdomain_host"),
            "{told}"
        );
    }

    #[test]
    fn listeners_are_addresses_or_auto() {
        let check = |text: &str| {
            RawHubApi { listen: Some(text.to_owned()), ..RawHubApi::default() }
                .check("/")
                .map(|c| c.listen)
                .ok()
        };
        assert_eq!(check("auto"), Some(ApiListen::Auto { port: 8081 }));
        assert_eq!(check("auto:0"), Some(ApiListen::Auto { port: 0 }));
        assert_eq!(
            check("10.0.0.1:9"),
            Some(ApiListen::At(ListenAddr::Ip(([10, 0, 0, 1], 9).into())))
        );
        assert_eq!(check("auto:x"), None);
        assert_eq!(check("somewhere"), None);
        let named = ListenAddr::Name { host: "jupyterhub".to_owned(), port: 8081 };
        assert_eq!(check("jupyterhub:8081"), Some(ApiListen::At(named)));
    }
}
