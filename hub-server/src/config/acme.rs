//! `[http.acme]`: certificates from an authority, obtained by the hub itself.

use std::path::{Path, PathBuf};

use hub_proxy::{AcmeChallenge, AcmeConfig, AcmeExternalAccount};
use serde::Deserialize;
use url::Url;

use super::{
    ConfigError,
    key::{Key, Kind, Section},
    secret::read_secret,
};

pub(super) const SECTION: Section = Section {
    name: "http.acme",
    about: "Certificates from Let's Encrypt or another ACME authority, obtained and renewed by the hub. Instead of `[http.tls]`.",
    keys: &[
        Key::new(
            "http.acme.domains",
            Kind::List,
            "DNS names that the certificate is for. Default: the host of `http.public_url`.",
        )
        .example("[\"hub.example.org\"]")
        .restart(),
        Key::new("http.acme.email", Kind::Text, "Where the authority may write to.")
            .example("\"operator@example.org\"")
            .restart(),
        Key::new(
            "http.acme.agree_tos",
            Kind::Boolean,
            "Whether you agree to the authority's terms of service; nothing is ordered without.",
        )
        .default("false")
        .restart(),
        Key::new(
            "http.acme.directory",
            Kind::Text,
            "The authority: `letsencrypt`, `letsencrypt-staging` (for trying out) or the https URL of its directory.",
        )
        .default("\"letsencrypt\"")
        .restart(),
        Key::new(
            "http.acme.directory_ca_file",
            Kind::File,
            "PEM file of authorities that vouch for the directory's https, beside the system's.",
        )
        .example("\"secrets/our-ca.pem\"")
        .restart(),
        Key::new(
            "http.acme.challenge",
            Kind::Choice(&["http-01", "tls-alpn-01"]),
            "How the authority finds out that the domains lead here: on port 80, which needs `http.redirect_listen`, or on port 443.",
        )
        .default("\"http-01\"")
        .restart(),
        Key::new(
            "http.acme.dir",
            Kind::Place,
            "Directory of account and certificates. A relative path is below `store.data_dir`.",
        )
        .default("\"acme\"")
        .restart(),
        Key::new(
            "http.acme.external_account_id",
            Kind::Text,
            "Name of the key that ties the account to a customer's, where the authority wants that.",
        )
        .example("\"kid-1\"")
        .restart(),
        Key::new(
            "http.acme.external_account_key_file",
            Kind::File,
            "File with that key, base64url as the authority gave it.",
        )
        .example("\"secrets/acme-key\"")
        .restart(),
    ],
};

/// Where account and certificates are kept unless configured.
const DIR: &str = "acme";

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAcme {
    domains: Option<Vec<String>>,
    email: Option<String>,
    agree_tos: bool,
    directory: Option<String>,
    directory_ca_file: Option<PathBuf>,
    challenge: Option<String>,
    dir: Option<PathBuf>,
    external_account_id: Option<String>,
    external_account_key_file: Option<PathBuf>,
}

impl RawAcme {
    /// Relative paths are below `dir`, that of account and certificates below
    /// `data_dir`.
    pub(super) fn check(
        self,
        dir: &Path,
        data_dir: &Path,
        public_url: Option<&Url>,
    ) -> Result<AcmeConfig, ConfigError> {
        let domains = match self.domains {
            Some(domains) if !domains.is_empty() => domains,
            _ => vec![public_host(public_url)?],
        };
        let kept_in = data_dir.join(self.dir.unwrap_or_else(|| DIR.into()));
        let mut config = AcmeConfig::new(domains, kept_in);
        config.email = self.email.filter(|email| !email.is_empty());
        config.agree_tos = self.agree_tos;
        if let Some(directory) = self.directory {
            config.directory =
                directory.parse().map_err(|error| invalid("http.acme.directory", &error))?;
        }
        config.directory_ca = self.directory_ca_file.map(|path| dir.join(path));
        if let Some(challenge) = self.challenge {
            config.challenge =
                challenge.parse().map_err(|error| invalid("http.acme.challenge", &error))?;
        }
        config.external_account =
            external_account(self.external_account_id, self.external_account_key_file, dir)?;
        config.check().map_err(|error| invalid("http.acme", &error))?;
        Ok(config)
    }
}

/// What port 80 has to do for the challenge that is configured.
pub(super) fn check_port_80(config: &AcmeConfig, listens: bool) -> Result<(), ConfigError> {
    if config.challenge == AcmeChallenge::Http01 && !listens {
        return Err(ConfigError::value(
            "http.redirect_listen",
            "is missing; the authority asks on port 80 of each domain. Write \"0.0.0.0:80\", or set http.acme.challenge = \"tls-alpn-01\" to be asked on port 443",
        ));
    }
    Ok(())
}

fn public_host(public_url: Option<&Url>) -> Result<String, ConfigError> {
    public_url.and_then(Url::host_str).map(str::to_owned).ok_or_else(|| {
        ConfigError::value(
            "http.acme.domains",
            "is missing; name the hub's domains here, or set http.public_url",
        )
    })
}

fn external_account(
    key_id: Option<String>,
    key_file: Option<PathBuf>,
    dir: &Path,
) -> Result<Option<AcmeExternalAccount>, ConfigError> {
    const FILE: &str = "http.acme.external_account_key_file";
    match (key_id, key_file) {
        (None, None) => Ok(None),
        (Some(key_id), Some(file)) => {
            let hmac_key = read_secret(FILE, &dir.join(file))?;
            Ok(Some(AcmeExternalAccount { key_id, hmac_key }))
        }
        (Some(_), None) => Err(ConfigError::value(
            FILE,
            "is missing; http.acme.external_account_id is set, and both are needed",
        )),
        (None, Some(_)) => Err(ConfigError::value(
            "http.acme.external_account_id",
            format!("is missing; {FILE} is set, and both are needed"),
        )),
    }
}

fn invalid(key: &str, error: &impl std::fmt::Display) -> ConfigError {
    ConfigError::value(key, error.to_string())
}
