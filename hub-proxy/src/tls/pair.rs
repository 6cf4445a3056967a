//! A certificate chain with the key that belongs to it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::CertificateDer;
use secrecy::SecretString;

use super::{
    ClientAuthorities, TlsError, TlsWarning,
    check::{Checked, Expired, check, covers},
    names::Names,
    pem::{self, Text},
    provider,
};
use crate::clock;

/// What handshakes use, and what is known about it.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) key: Arc<CertifiedKey>,
    /// Who may ask for it.
    pub(super) names: Names,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) warnings: Vec<TlsWarning>,
}

/// Where a pair comes from, the hosts it has to be for, and who vouches for the clients it
/// is shown to.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
    pub(super) passphrase: Option<SecretString>,
    pub(super) hosts: Vec<String>,
    pub(super) clients: Option<ClientAuthorities>,
}

/// What is asked of a pair.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) hosts: &'a [String],
    pub(super) expired: Expired,
    pub(super) now: Timestamp,
}

impl Files {
    /// All that are read.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let clients = self.clients.as_ref().and_then(|clients| clients.path.as_ref());
        [&self.cert, &self.key].into_iter().chain(clients).cloned().collect()
    }

    pub(super) fn read(&self, expired: Expired) -> Result<Pair, TlsError> {
        let (cert, key) = (pem::read(&self.cert)?, pem::read(&self.key)?);
        let (cert, key) =
            (Text { path: &self.cert, bytes: &cert }, Text { path: &self.key, bytes: &key });
        let asked = Asked { hosts: &self.hosts, expired, now: clock::now() };
        let mut pair = Pair::parse(cert, key, self.passphrase.as_ref(), asked)?;
        pair.warnings.extend(pem::check_mode(&self.key));
        Ok(pair)
    }
}

impl Pair {
    /// From memory.
    pub(crate) fn of_texts(cert: &[u8], key: &[u8], hosts: &[String]) -> Result<Self, TlsError> {
        let cert = Text { path: Path::new("certificate"), bytes: cert };
        let key = Text { path: Path::new("key"), bytes: key };
        let asked = Asked { hosts, expired: Expired::Refused, now: clock::now() };
        Self::parse(cert, key, None, asked)
    }

    /// Whether it is for all of `hosts`.
    pub(super) fn is_for(&self, hosts: &[String]) -> bool {
        covers(&self.key.cert, hosts)
    }

    /// A pair that browsers would accept as `asked`.
    pub(super) fn parse(
        cert: Text<'_>,
        key: Text<'_>,
        passphrase: Option<&SecretString>,
        asked: Asked<'_>,
    ) -> Result<Self, TlsError> {
        let chain = pem::chain(cert)?;
        let key_der = pem::key(key, passphrase)?;
        // A key that is too short is refused here, too, but without the reason:
        // so its certificate is looked at first.
        let signing = provider().key_provider.load_private_key(key_der);
        if let Ok(signing) = &signing {
            check_belongs(cert, key, &chain, signing)?;
        }
        let Checked { not_before, not_after, named, warnings } =
            check(cert.path, &chain, asked.hosts, asked.now, asked.expired)?;
        let signing = signing
            .map_err(|error| TlsError::BadKey { path: key.path.into(), source: error.into() })?;
        let key = Arc::new(CertifiedKey::new(chain, signing));
        Ok(Self { key, names: Names::of(&named), not_before, not_after, warnings })
    }
}

/// Finds a key of another certificate before anything is said about a
/// certificate that is not the server's.
fn check_belongs(
    cert: Text<'_>,
    key: Text<'_>,
    chain: &[CertificateDer<'static>],
    signing: &Arc<dyn SigningKey>,
) -> Result<(), TlsError> {
    let matches = |cert: &CertificateDer<'static>| {
        CertifiedKey::new(vec![cert.clone()], Arc::clone(signing)).keys_match()
    };
    let Some(own) = chain.first() else { return Ok(()) };
    match matches(own) {
        Ok(()) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(match chain.iter().position(|other| matches(other).is_ok()) {
                Some(index) => {
                    TlsError::LeafNotFirst { path: cert.path.into(), position: index + 1 }
                }
                None => TlsError::KeyMismatch { cert: cert.path.into(), key: key.path.into() },
            })
        }
        Err(error) => {
            Err(TlsError::BadCertificate { path: cert.path.into(), source: error.into() })
        }
    }
}
