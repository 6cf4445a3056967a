//! PEM files to certificates and keys.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};

use secrecy::SecretString;

use super::{TlsError, TlsWarning, encrypted};

/// A text and what to call it in errors.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) path: &'a Path,
    pub(super) bytes: &'a [u8],
}

/// Reads a whole file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => TlsError::Missing { path: path.into() },
        _ => TlsError::Unreadable { path: path.into(), source: error.into() },
    })
}

/// Says so when everybody may read the key. A group may: that is how
/// distributions share keys among the servers of a machine.
pub(super) fn check_mode(path: &PathBuf) -> Option<TlsWarning> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o004 != 0).then(|| TlsWarning::KeyReadable { path: path.clone(), mode })
}

/// At least one certificate, in the order of the text.
pub(super) fn chain(text: Text<'_>) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let path = || text.path.into();
    let chain = CertificateDer::pem_slice_iter(text.bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| TlsError::NotPem { path: path() })?;
    match chain.is_empty() {
        false => Ok(chain),
        true if has_pem(text.bytes) => Err(TlsError::NoCertificate { path: path() }),
        true => Err(TlsError::NotPem { path: path() }),
    }
}

/// The first private key: PKCS#8, PKCS#1 or SEC1; PKCS#8 may be encrypted.
pub(super) fn key(
    text: Text<'_>,
    passphrase: Option<&SecretString>,
) -> Result<PrivateKeyDer<'static>, TlsError> {
    let path = || text.path.into();
    match encrypted::kind(text.bytes) {
        Some(encrypted::Kind::Pkcs8(block)) => {
            let Some(passphrase) = passphrase else {
                return Err(TlsError::EncryptedKey { path: path() });
            };
            return encrypted::decrypt(block, passphrase)
                .map_err(|source| TlsError::Undecipherable { path: path(), source });
        }
        Some(encrypted::Kind::Older) => return Err(TlsError::OldEncryption { path: path() }),
        None => {}
    }
    PrivateKeyDer::from_pem_slice(text.bytes).map_err(|error| match error {
        pem::Error::NoItemsFound if has_pem(text.bytes) => TlsError::NoKey { path: path() },
        _ => TlsError::NotPem { path: path() },
    })
}

const BEGIN: &[u8] = b"-----BEGIN ";

fn has_pem(text: &[u8]) -> bool {
    text.windows(BEGIN.len()).any(|window| window == BEGIN)
}
