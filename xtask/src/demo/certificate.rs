//! A certificate for `localhost`, signed by itself.

use std::{fs, path::Path, time::Duration};

use jiff::{ToSpan, Zoned, civil::Date};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};

use super::state::write_private;

/// Browsers refuse certificates that are valid for longer than 398 days.
const VALID_DAYS: i32 = 397;

/// A certificate this old is made anew.
const REUSED_FOR: Duration = Duration::from_secs(300 * 24 * 60 * 60);

const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Makes sure that there is a certificate that is valid for some time yet.
pub(super) fn ensure(certificate: &Path, key: &Path) -> anyhow::Result<()> {
    if key.is_file() && is_fresh(certificate) {
        return Ok(());
    }
    let (certificate_pem, key_pem) = make(today())?;
    write_private(key, &key_pem)?;
    fs::write(certificate, certificate_pem)?;
    Ok(())
}

fn is_fresh(certificate: &Path) -> bool {
    let age = fs::metadata(certificate).and_then(|file| file.modified()).map(|time| time.elapsed());
    age.is_ok_and(|age| age.is_ok_and(|age| age < REUSED_FOR))
}

/// Certificate and key, in PEM.
fn make(today: Date) -> anyhow::Result<(String, String)> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(NAMES.map(str::to_owned))?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "localhost (hub demo)");
    // Not an authority: whoever trusts it trusts this one server.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Yesterday: clocks differ, and so do time zones.
    let from = today.yesterday()?;
    let until = from.checked_add(VALID_DAYS.days())?;
    let [not_before, not_after] = [from, until].map(|day| {
        let part = |value: i8| u8::try_from(value).expect("months and days are positive");
        date_time_ymd(i32::from(day.year()), part(day.month()), part(day.day()))
    });
    params.not_before = not_before;
    params.not_after = not_after;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

fn today() -> Date {
    Zoned::now().date()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_certificate_is_used_again_and_its_key_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        ensure(&certificate, &key).unwrap();
        let first = fs::read_to_string(&certificate).unwrap();
        assert!(first.starts_with("-----BEGIN CERTIFICATE-----"));
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        ensure(&certificate, &key).unwrap();
        assert_eq!(fs::read_to_string(&certificate).unwrap(), first);
    }

    #[test]
    fn a_certificate_without_its_key_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        ensure(&certificate, &key).unwrap();
        let first = fs::read_to_string(&certificate).unwrap();
        fs::remove_file(&key).unwrap();
        ensure(&certificate, &key).unwrap();
        assert_ne!(fs::read_to_string(&certificate).unwrap(), first);
    }
}
