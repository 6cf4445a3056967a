//! The three files with which a daemon and its client know each other.

use std::{fs, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::InvalidConfig;

/// Reads `ca.pem`, `cert.pem` and `key.pem` in `dir`. Only the authority in
/// `ca.pem` is trusted, not those of the system, as Docker's own tools do.
///
/// # Errors
///
/// Under `key`: the file that is missing or damaged, with its path.
pub(super) fn load(key: &'static str, dir: &Path) -> Result<Arc<ClientConfig>, InvalidConfig> {
    let fail = |name: &str, why: String| {
        InvalidConfig::new(key, format!("{} {why}", dir.join(name).display()))
    };
    let read = |name: &str| {
        fs::read(dir.join(name)).map_err(|error| fail(name, format!("cannot be read: {error}")))
    };
    let certificates = |name: &str| {
        let text = read(name)?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) => Err(fail(name, "holds no certificate in PEM form".to_owned())),
            Err(error) => Err(fail(name, format!("is damaged: {error}"))),
        }
    };
    let mut roots = RootCertStore::empty();
    for authority in certificates("ca.pem")? {
        roots
            .add(authority)
            .map_err(|error| fail("ca.pem", format!("holds no authority: {error}")))?;
    }
    let chain = certificates("cert.pem")?;
    let private = PrivateKeyDer::from_pem_slice(&read("key.pem")?).map_err(|error| {
        fail("key.pem", format!("holds no private key without password: {error}"))
    })?;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| InvalidConfig::new(key, error.to_string()))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, private)
        .map_err(|error| fail("key.pem", format!("does not fit cert.pem: {error}")))?;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pair(name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn dm_1_each_file_that_is_missing_or_damaged_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let ((certificate, key), (_, other_key)) = (pair("a"), pair("b"));
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        let complaint = || {
            let error = load("cert_path", dir.path()).unwrap_err();
            assert_eq!(error.key, "cert_path");
            assert!(error.reason.contains(&dir.path().display().to_string()), "{error}");
            error.reason
        };
        assert!(complaint().contains("ca.pem cannot be read"));
        write("ca.pem", "nothing\n");
        assert!(complaint().contains("ca.pem holds no certificate"));
        write("ca.pem", &certificate);
        assert!(complaint().contains("cert.pem cannot be read"));
        write("cert.pem", &certificate);
        assert!(complaint().contains("key.pem cannot be read"));
        write("key.pem", "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n");
        assert!(complaint().contains("key.pem holds no private key"));
        write("key.pem", &other_key);
        assert!(complaint().contains("key.pem does not fit cert.pem"));
        write("key.pem", &key);
        load("cert_path", dir.path()).unwrap();
    }
}
