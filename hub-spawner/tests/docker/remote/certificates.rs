//! An authority, and what it signs for a daemon and its clients.

use std::{fs, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("make a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).expect("sign");
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// Writes `cert.pem` and `key.pem` for a client.
    pub(crate) fn issue_client(&self, dir: &Path) {
        self.issue(dir, &[], ExtendedKeyUsagePurpose::ClientAuth);
    }

    /// Writes `cert.pem` and `key.pem` for a daemon at 127.0.0.1.
    pub(crate) fn issue_daemon(&self, dir: &Path) {
        self.issue(dir, &["127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth);
    }

    fn issue(&self, dir: &Path, names: &[&str], purpose: ExtendedKeyUsagePurpose) {
        let key = KeyPair::generate().expect("make a key");
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("valid names");
        params.extended_key_usages = vec![purpose];
        let certificate = params.signed_by(&key, &self.issuer).expect("sign");
        fs::write(dir.join("cert.pem"), certificate.pem()).expect("write");
        fs::write(dir.join("key.pem"), key.serialize_pem()).expect("write");
    }
}
