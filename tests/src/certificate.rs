//! A certificate authority of a test's own, as an organisation has one.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::hub::HOST;

const DAY: Duration = Duration::from_hours(24);

/// The authority.
#[derive(Debug)]
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new one, which nobody knows yet.
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Writes `cert.pem` and `key.pem` for a server with these names and addresses.
    pub fn issue_server(&self, dir: &Path, names: &[&str]) {
        let mut params = params(names);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(dir, params);
    }

    /// Writes `cert.pem` and `key.pem` for a client.
    pub fn issue_client(&self, dir: &Path) {
        let mut params = params(&[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(dir, params);
    }

    fn issue(&self, dir: &Path, params: CertificateParams) {
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(dir.join("cert.pem"), leaf.pem()).unwrap();
        fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    CertificateParams::new(names).unwrap()
}

/// Writes `cert.pem` and `key.pem` for localhost and for [`HOST`] with all names below
/// it, issued by a new authority, and returns the certificate of that authority as PEM.
pub fn issue(dir: &Path) -> String {
    issue_for(dir, 365)
}

/// The same, valid from a year before now and for so many days from now.
#[expect(clippy::disallowed_methods, reason = "the programs look at the machine's clock")]
pub fn issue_for(dir: &Path, days: i32) -> String {
    let authority = Authority::new();
    let mut params = params(&["localhost", "127.0.0.1", HOST, &format!("*.{HOST}")]);
    params.not_before = (SystemTime::now() - 365 * DAY).into();
    params.not_after = match u32::try_from(days) {
        Ok(days) => SystemTime::now() + days * DAY,
        Err(_) => SystemTime::now() - u32::try_from(-days).unwrap() * DAY,
    }
    .into();
    authority.issue(dir, params);
    authority.pem
}
