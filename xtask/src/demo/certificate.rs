//! A certificate for `localhost`, signed by itself.

use std::{fs, path::Path, time::Duration};

use hub_proxy::{Overwrite, SelfSigned};

/// A certificate this old is made anew; it is valid for 397 days.
const REUSED_FOR: Duration = Duration::from_secs(300 * 24 * 60 * 60);

/// Makes sure that there is a certificate that is valid for some time yet.
pub(super) fn ensure(certificate: &Path, key: &Path) -> anyhow::Result<()> {
    if key.is_file() && is_fresh(certificate) {
        return Ok(());
    }
    // It is for this machine's own names always.
    let made = SelfSigned::new(["localhost"])?;
    Ok(made.write(certificate, key, Overwrite::Replace)?)
}

fn is_fresh(certificate: &Path) -> bool {
    let age = fs::metadata(certificate).and_then(|file| file.modified()).map(|time| time.elapsed());
    age.is_ok_and(|age| age.is_ok_and(|age| age < REUSED_FOR))
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
