//! `[http]` and `[hub_api]`: addresses, TLS and the public URL.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use hub_proxy::Network;
use serde::Deserialize;
use url::Url;

use super::{
    ConfigError, ListenAddr,
    key::{Key, Kind, Section},
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
    about: "Certificate and key of the public listener; plain HTTP without. The files are read again when they change.",
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
    /// Path below which everything is; starts and ends with `/`.
    pub base_url: String,
    /// Certificate and key; plain HTTP without.
    pub tls: Option<TlsFiles>,
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
    pub(super) tls: Option<RawTls>,
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
}

impl RawHttp {
    pub(super) fn check(self, dir: &Path) -> Result<HttpConfig, ConfigError> {
        let listen = self.listen.as_deref().unwrap_or("127.0.0.1:8000");
        let redirect_listen = match self.redirect_listen.as_deref() {
            Some(text) => Some(address("http.redirect_listen", text)?),
            None => None,
        };
        let tls = match self.tls {
            None => None,
            Some(RawTls { certificate: Some(certificate), key: Some(key) }) => {
                Some(TlsFiles { certificate: dir.join(certificate), key: dir.join(key) })
            }
            Some(RawTls { certificate, .. }) => {
                let (missing, given) = match certificate {
                    None => ("http.tls.certificate", "http.tls.key"),
                    Some(_) => ("http.tls.key", "http.tls.certificate"),
                };
                return Err(ConfigError::value(
                    missing,
                    format!("is missing; {given} is set, and both are needed for https"),
                ));
            }
        };
        if redirect_listen.is_some() && tls.is_none() {
            return Err(ConfigError::value(
                "http.redirect_listen",
                "sends browsers to https, but [http.tls] is not set",
            ));
        }
        Ok(HttpConfig {
            listen: ListenAddr::parse("http.listen", listen)?,
            redirect_listen,
            public_url: self.public_url.as_deref().map(public_url).transpose()?,
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

    #[test]
    fn listeners_are_addresses_or_auto() {
        let check = |text: &str| {
            RawHubApi { listen: Some(text.to_owned()), url: None }.check("/").map(|c| c.listen).ok()
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
