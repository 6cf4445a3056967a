//! Where the certificate comes from: what `HUB_TLS` and its kin say.

use std::path::{Path, PathBuf};

use super::Problem;
use crate::deploy::variables::Variables;

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::deploy) enum Tls {
    /// Two PEM files of the operator's.
    Files { certificate: PathBuf, key: PathBuf },
    /// `fullchain.pem` and `privkey.pem` in a volume, as Let's Encrypt's clients
    /// leave them.
    Volume(String),
    /// From an authority, by ACME.
    Acme(Acme),
    /// Something in front of the proxy does it.
    Elsewhere,
}

/// How to ask an authority for a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::deploy) struct Acme {
    pub(in crate::deploy) domains: Vec<String>,
    pub(in crate::deploy) email: Option<String>,
    pub(in crate::deploy) agree_tos: bool,
    pub(in crate::deploy) directory: Option<String>,
    pub(in crate::deploy) challenge: Option<String>,
    pub(in crate::deploy) directory_ca: Option<PathBuf>,
}

/// Where the certificate is when nobody says otherwise.
const CERTIFICATE: &str = "secrets/jupyterhub.crt";
const KEY: &str = "secrets/jupyterhub.key";

pub(super) fn read(dir: &Path, variables: &Variables, problems: &mut Vec<Problem>) -> Tls {
    let files = || Tls::Files {
        certificate: host_path(dir, variables.get("SSL_CERT"), CERTIFICATE),
        key: host_path(dir, variables.get("SSL_KEY"), KEY),
    };
    match variables.get("HUB_TLS") {
        Some("files") => files(),
        Some("off") => Tls::Elsewhere,
        Some("acme") => acme(dir, variables, problems),
        Some(other) => {
            problems.push(Problem(format!(
                "HUB_TLS: {other:?} is not known; use \"files\" (SSL_CERT, SSL_KEY), \"acme\" (ACME_DOMAINS) or \"off\" (something in front ends TLS)"
            )));
            Tls::Elsewhere
        }
        None if variables.get("ACME_DOMAINS").is_some() => acme(dir, variables, problems),
        None => match variables.get("SECRETS_VOLUME") {
            Some(volume) => Tls::Volume(volume.to_owned()),
            None => files(),
        },
    }
}

/// A file of the operator's. The reference deployment's variables name places
/// inside its image; such a path means the file that was copied there.
fn host_path(dir: &Path, given: Option<&str>, default: &str) -> PathBuf {
    match given {
        Some(path) if !path.starts_with("/srv/jupyterhub/") => dir.join(path),
        _ => dir.join(default),
    }
}

fn acme(dir: &Path, variables: &Variables, problems: &mut Vec<Problem>) -> Tls {
    let domains: Vec<String> = variables
        .or("ACME_DOMAINS", "")
        .split([',', ' '])
        .filter(|domain| !domain.is_empty())
        .map(str::to_owned)
        .collect();
    if domains.is_empty() {
        problems.push(Problem("ACME_DOMAINS: name the domains of the certificate".to_owned()));
    }
    let agree_tos = matches!(variables.get("ACME_AGREE_TOS"), Some("yes" | "true" | "1"));
    if !agree_tos {
        problems.push(Problem(
            "ACME_AGREE_TOS: set it to \"yes\" to accept the authority's terms of service"
                .to_owned(),
        ));
    }
    Tls::Acme(Acme {
        domains,
        email: variables.get("ACME_EMAIL").map(str::to_owned),
        agree_tos,
        directory: variables.get("ACME_DIRECTORY").map(str::to_owned),
        challenge: variables.get("ACME_CHALLENGE").map(str::to_owned),
        directory_ca: variables.get("ACME_DIRECTORY_CA").map(|path| dir.join(path)),
    })
}
