//! Certificates signed by themselves, as files.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![cfg(all(feature = "tls", feature = "self-signed"))]

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use hub_proxy::{Overwrite, SelfSigned, SelfSignedError, TlsKeys};
use rustls_pki_types::{CertificateDer, pem::PemObject};

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn cert(&self) -> PathBuf {
        self.0.path().join("hub.crt")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("hub.key")
    }

    fn write(&self, made: &SelfSigned, overwrite: Overwrite) -> Result<(), SelfSignedError> {
        made.write(&self.cert(), &self.key(), overwrite)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn tls_4_the_pair_works_for_its_hosts_and_for_this_machine() {
    let files = Files::new();
    let made = SelfSigned::new(["hub.example.org", "*.hub.example.org", "10.0.0.1"]).unwrap();
    files.write(&made, Overwrite::Never).unwrap();
    let hosts =
        ["hub.example.org", "a.hub.example.org", "10.0.0.1", "localhost", "127.0.0.1", "::1"];
    let keys =
        TlsKeys::load_for(files.cert(), files.key(), hosts.map(str::to_owned).to_vec()).unwrap();
    assert!(keys.warnings().is_empty());
    assert_eq!(files.names(), ["hub.crt", "hub.key"], "nothing is left behind");
}

#[test]
fn tls_4_it_is_ecdsa_p256_for_397_days() {
    let made = SelfSigned::new(["hub.example.org"]).unwrap();
    let der = CertificateDer::from_pem_slice(made.certificate().as_bytes()).unwrap();
    let (_, cert) = x509_parser::parse_x509_certificate(&der).unwrap();
    let valid = cert.validity();
    let days = (valid.not_after.timestamp() - valid.not_before.timestamp()) / (24 * 60 * 60);
    assert_eq!(days, 397);
    match cert.public_key().parsed().unwrap() {
        x509_parser::public_key::PublicKey::EC(point) => assert_eq!(point.key_size(), 256),
        other => panic!("{other:?}"),
    }
    assert!(!cert.is_ca());
}

#[test]
fn tls_4_the_key_is_private() {
    let files = Files::new();
    let made = SelfSigned::new(["hub.example.org"]).unwrap();
    files.write(&made, Overwrite::Never).unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(files.key()), mode(files.cert()) & 0o600), (0o600, 0o600));
    assert!(!format!("{made:?}").contains("PRIVATE"));
}

#[test]
fn tls_4_nothing_is_overwritten_unless_asked() {
    for taken in ["hub.crt", "hub.key"] {
        let files = Files::new();
        fs::write(files.0.path().join(taken), "precious").unwrap();
        let made = SelfSigned::new(["hub.example.org"]).unwrap();
        let refused = files.write(&made, Overwrite::Never).unwrap_err();
        assert!(refused.to_string().contains(&format!("{taken}: is there already")), "{refused}");
        assert_eq!(files.names(), [taken], "no half of a pair");
        assert_eq!(fs::read_to_string(files.0.path().join(taken)).unwrap(), "precious");

        files.write(&made, Overwrite::Replace).unwrap();
        TlsKeys::load(files.cert(), files.key()).unwrap();
    }
}

#[test]
fn tls_4_what_is_no_host_is_refused() {
    for host in ["", "a b", "https://hub.example.org", "hub.example.org:443", "*.*.example.org"] {
        let refused = SelfSigned::new([host]).unwrap_err();
        assert!(matches!(refused, SelfSignedError::BadHost { .. }), "{host:?}: {refused:?}");
    }
    SelfSigned::new(["[2001:db8::1]", "localhost", "LOCALHOST"]).unwrap();
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let made = SelfSigned::new(["hub.example.org"]).unwrap();
    let missing = Files::new().0.path().join("nowhere");
    let error = made
        .write(&missing.join("hub.crt"), &missing.join("hub.key"), Overwrite::Never)
        .unwrap_err();
    assert!(error.to_string().ends_with("hub.key: cannot be written"), "{error}");
}
