//! A certificate authority of a test's own, as an organisation has one.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

const DAY: Duration = Duration::from_hours(24);

/// Writes `cert.pem` and `key.pem` for localhost, issued by a new authority, and
/// returns the certificate of that authority as PEM.
pub fn issue(dir: &Path) -> String {
    issue_for(dir, 365)
}

/// The same, valid from a year before now and for so many days from now.
#[expect(clippy::disallowed_methods, reason = "the programs look at the machine's clock")]
pub fn issue_for(dir: &Path, days: i32) -> String {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "Authority of a test");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = ca.self_signed(&ca_key).unwrap();

    let key = KeyPair::generate().unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = (SystemTime::now() - 365 * DAY).into();
    params.not_after = match u32::try_from(days) {
        Ok(days) => SystemTime::now() + days * DAY,
        Err(_) => SystemTime::now() - u32::try_from(-days).unwrap() * DAY,
    }
    .into();
    let leaf = params.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    fs::write(dir.join("cert.pem"), leaf.pem()).unwrap();
    fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
    authority.pem()
}
