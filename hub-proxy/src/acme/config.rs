//! What an operator decides about automatic certificates.

use std::{fmt, path::PathBuf, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use url::Url;

use super::{AcmeError, storage::Storage};
use crate::TlsOffer;

/// For which hosts, from whom and how certificates are obtained.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AcmeConfig {
    /// DNS names; one certificate is for all of them. The first names it.
    pub domains: Vec<String>,
    /// Where the authority may write to; nobody by default.
    pub email: Option<String>,
    /// Whether the operator accepts the authority's terms (ACME-3); false, with
    /// which nothing is ordered.
    pub agree_tos: bool,
    /// The authority; Let's Encrypt.
    pub directory: AcmeDirectory,
    /// PEM file of authorities that vouch for the directory's own https, beside
    /// those that the system trusts; none. For an organisation's own authority.
    pub directory_ca: Option<PathBuf>,
    /// How the authority finds out that the domains lead here.
    pub challenge: AcmeChallenge,
    /// Which versions and ciphers of TLS are spoken with the certificate.
    pub offer: TlsOffer,
    /// A customer account to tie the new account to, where the authority wants
    /// one.
    pub external_account: Option<AcmeExternalAccount>,
    /// Directory of account and certificates; made with mode 0700.
    pub dir: PathBuf,
}

impl AcmeConfig {
    /// From Let's Encrypt by [`AcmeChallenge::Http01`], the terms not accepted.
    pub fn new(domains: Vec<String>, dir: impl Into<PathBuf>) -> Self {
        Self {
            domains,
            email: None,
            agree_tos: false,
            directory: AcmeDirectory::default(),
            directory_ca: None,
            challenge: AcmeChallenge::Http01,
            offer: TlsOffer::default(),
            external_account: None,
            dir: dir.into(),
        }
    }

    /// Where the newest certificate is kept once there is one: PEM, the key and
    /// then the chain, the server's own certificate first.
    pub fn certificate_path(&self) -> PathBuf {
        Storage::at(&self.dir, &self.directory).certificate_path()
    }

    /// Finds what cannot work whatever the authority says. Reads no file and
    /// asks nobody; whether the terms are agreed to is not looked at.
    ///
    /// # Errors
    ///
    /// [`AcmeError::NoDomains`], `BadDomain` or `ExternalAccountKey`.
    pub fn check(&self) -> Result<(), AcmeError> {
        self.checked_domains()?;
        self.external_key().map(drop)
    }

    /// The domains in the form certificates have them.
    pub(super) fn checked_domains(&self) -> Result<Vec<String>, AcmeError> {
        let mut domains: Vec<String> = Vec::new();
        for domain in &self.domains {
            // Punycode and lower case, as browsers do.
            match url::Host::parse(domain) {
                Ok(url::Host::Domain(name)) if is_dns_name(&name) => {
                    if !domains.contains(&name) {
                        domains.push(name);
                    }
                }
                _ => return Err(AcmeError::BadDomain { domain: domain.clone() }),
            }
        }
        if domains.is_empty() { Err(AcmeError::NoDomains) } else { Ok(domains) }
    }

    /// Name and key of the external account, decoded.
    pub(super) fn external_key(&self) -> Result<Option<(String, Vec<u8>)>, AcmeError> {
        let Some(external) = &self.external_account else { return Ok(None) };
        // Some authorities pad it.
        let key = URL_SAFE_NO_PAD
            .decode(external.hmac_key.trim().trim_end_matches('='))
            .map_err(|_| AcmeError::ExternalAccountKey)?;
        Ok(Some((external.key_id.clone(), key)))
    }
}

fn is_dns_name(name: &str) -> bool {
    rustls_pki_types::DnsName::try_from(name).is_ok()
}

/// How an authority finds out that a domain leads here (RFC 8555 section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcmeChallenge {
    /// It asks for a file on port 80 of each domain; see
    /// [`RedirectToHttps::answering`](crate::RedirectToHttps::answering).
    Http01,
    /// It makes a TLS connection to port 443 of each domain (RFC 8737). Every
    /// listener with [`Acme::keys`](crate::Acme::keys) answers.
    TlsAlpn01,
}

/// Neither of the two challenges.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a challenge; use http-01 (port 80) or tls-alpn-01 (port 443)")]
pub struct InvalidAcmeChallenge(String);

impl AcmeChallenge {
    /// The port of each domain that the authority connects to.
    pub fn port(self) -> u16 {
        match self {
            Self::Http01 => 80,
            Self::TlsAlpn01 => 443,
        }
    }
}

impl fmt::Display for AcmeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        })
    }
}

impl FromStr for AcmeChallenge {
    type Err = InvalidAcmeChallenge;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "http-01" => Ok(Self::Http01),
            "tls-alpn-01" => Ok(Self::TlsAlpn01),
            _ => Err(InvalidAcmeChallenge(text.to_owned())),
        }
    }
}

/// The https URL under which an authority lists what it offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeDirectory(Url);

/// Neither an https URL nor a known name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an ACME directory; use letsencrypt, letsencrypt-staging or a URL that begins \
     with https://"
)]
pub struct InvalidAcmeDirectory(String);

/// Names for directories that are used often.
const PRESETS: [(&str, &str); 2] = [
    ("letsencrypt", "https://acme-v02.api.letsencrypt.org/directory"),
    ("letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory"),
];

impl AcmeDirectory {
    /// The URL.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Where the terms of service are, if that is known without asking; the
    /// authority itself tells the exact text.
    pub fn known_terms(&self) -> Option<&'static str> {
        let is_preset = PRESETS.iter().any(|(_, url)| *url == self.as_str());
        is_preset.then_some("https://letsencrypt.org/repository/")
    }

    /// The URL as the name of a directory on disk: one for each authority, so
    /// that a certificate for trying out is never taken for a real one.
    pub(super) fn file_name(&self) -> String {
        let kept = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let text = self.as_str().trim_start_matches("https://");
        text.trim_end_matches('/').chars().map(kept).collect()
    }
}

impl Default for AcmeDirectory {
    fn default() -> Self {
        Self(PRESETS[0].1.parse().expect("the presets are URLs"))
    }
}

impl fmt::Display for AcmeDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AcmeDirectory {
    type Err = InvalidAcmeDirectory;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let preset = PRESETS.iter().find(|(name, _)| *name == text).map(|(_, url)| *url);
        match Url::parse(preset.unwrap_or(text)) {
            Ok(url) if url.scheme() == "https" && url.has_host() => Ok(Self(url)),
            _ => Err(InvalidAcmeDirectory(text.to_owned())),
        }
    }
}

/// What ties an ACME account to a customer account (RFC 8555 section 7.3.4).
#[derive(Clone)]
pub struct AcmeExternalAccount {
    /// The key's name, as the authority gave it.
    pub key_id: String,
    /// The key in base64url, as the authority gave it.
    pub hmac_key: String,
}

impl fmt::Debug for AcmeExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcmeExternalAccount").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acme_1_directories_are_presets_or_https_urls() {
        let url = |text: &str| text.parse::<AcmeDirectory>().map(|found| found.to_string()).ok();
        let own = "https://ca.example.org/acme/dir";
        assert_eq!(url("letsencrypt"), Some(AcmeDirectory::default().to_string()));
        assert!(url("letsencrypt-staging").unwrap().contains("staging"));
        let known = |text: &str| text.parse::<AcmeDirectory>().unwrap().known_terms().is_some();
        assert!(known("letsencrypt") && known("letsencrypt-staging") && !known(own));
        assert_eq!(url(own).as_deref(), Some(own));
        for text in ["", "letsencript", "http://ca.example.org/dir", "https://"] {
            assert_eq!(url(text), None, "{text:?}");
        }
    }

    #[test]
    fn acme_1_each_directory_has_a_place_of_its_own() {
        let name = |text: &str| text.parse::<AcmeDirectory>().unwrap().file_name();
        assert_eq!(name("letsencrypt"), "acme-v02.api.letsencrypt.org-directory");
        assert_eq!(name("https://localhost:14000/dir/"), "localhost-14000-dir");
    }

    #[test]
    fn acme_1_domains_are_dns_names_without_wildcards() {
        let checked = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            AcmeConfig::new(names, "acme").checked_domains()
        };
        assert_eq!(checked(&["Hub.Example", "hub.example"]).unwrap(), ["hub.example"]);
        assert_eq!(checked(&["bücher.example"]).unwrap(), ["xn--bcher-kva.example"]);
        for name in ["*.example.org", "10.0.0.1", "[::1]", "", "a b", "hub.example:443"] {
            let refused = checked(&[name]).unwrap_err();
            assert!(matches!(refused, AcmeError::BadDomain { .. }), "{name:?}: {refused:?}");
        }
    }

    #[test]
    fn challenges_are_written_as_in_the_standard() {
        for text in ["http-01", "tls-alpn-01"] {
            assert_eq!(text.parse::<AcmeChallenge>().unwrap().to_string(), text);
        }
        assert!("dns-01".parse::<AcmeChallenge>().is_err());
    }
}
