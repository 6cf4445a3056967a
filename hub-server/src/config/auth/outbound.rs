//! `[auth.outbound]`: how the hub reaches the sites that people sign in at.

use std::path::{Path, PathBuf};

use hub_auth::Egress;
use serde::Deserialize;

use super::provider::in_section;
use crate::config::{
    ConfigError,
    key::{Key, Kind, Section},
    read,
    secret::read_secret,
};

const NAME: &str = "auth.outbound";

pub(in crate::config) const SECTION: Section = Section {
    name: NAME,
    about: "How the hub reaches the providers of [auth.github] and [auth.oidc]. A provider at an `http://` address, and whatever is on this machine, is always asked directly.",
    keys: &[
        Key::new(
            "auth.outbound.proxy_url",
            Kind::ProxyUrl,
            "A forward proxy, `http://HOST:PORT`, or `http://NAME:PASSWORD@HOST:PORT`. Also the variables `HTTPS_PROXY`, `https_proxy`, `ALL_PROXY` and `all_proxy`, the first that is set.",
        )
        .example("\"http://proxy.example.org:3128\""),
        Key::new(
            "auth.outbound.proxy_url_file",
            Kind::File,
            "File that holds the proxy's address, instead of `proxy_url`.",
        )
        .example("\"secrets/proxy\""),
        Key::new(
            "auth.outbound.no_proxy",
            Kind::List,
            "Who is reached without the proxy: a host or domain with everything below it, an address, a network such as `10.0.0.0/8`, or `*`. Also the variables `NO_PROXY` and `no_proxy`.",
        )
        .default("[]")
        .example("[\"id.example.org\", \"10.0.0.0/8\"]"),
        Key::new(
            "auth.outbound.ca_file",
            Kind::File,
            "Certificates of further authorities, PEM, that are trusted besides those of this machine: that of a provider of one's own, or of a proxy that opens TLS.",
        )
        .example("\"secrets/authorities.pem\""),
    ],
};

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawOutbound {
    proxy_url: Option<String>,
    proxy_url_file: Option<PathBuf>,
    no_proxy: Vec<String>,
    ca_file: Option<PathBuf>,
}

impl RawOutbound {
    /// The way out. Files are below `dir`.
    pub(super) fn check(self, dir: &Path) -> Result<Egress, ConfigError> {
        let proxy = match (self.proxy_url, self.proxy_url_file) {
            (Some(_), Some(_)) => {
                return Err(ConfigError::value(
                    "auth.outbound.proxy_url",
                    "is set twice, here and by proxy_url_file; remove one",
                ));
            }
            (None, Some(file)) => {
                Some(read_secret("auth.outbound.proxy_url_file", &dir.join(file))?)
            }
            (url, None) => url.filter(|url| !url.trim().is_empty()),
        };
        let mut egress = Egress::default();
        if let Some(proxy) = proxy {
            egress =
                egress.by_proxy(&proxy, &self.no_proxy).map_err(|error| in_section(NAME, error))?;
        }
        if let Some(file) = self.ca_file {
            let path = dir.join(file);
            let pem = read::text(&path)
                .map_err(|error| ConfigError::value("auth.outbound.ca_file", error.to_string()))?;
            egress = egress.trusting(&pem).map_err(|error| in_section(NAME, error))?;
        }
        Ok(egress)
    }
}
