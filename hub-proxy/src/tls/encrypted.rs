//! Private keys that are kept encrypted (S-02).

use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument, der::pem::PemLabel};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::{ExposeSecret, SecretString};

use crate::BoxError;

/// How a key is encrypted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// As PKCS#8 says it; the PEM block.
    Pkcs8(&'a str),
    /// As OpenSSL did it before 1.0, whose derivation of keys from passphrases is weak.
    Older,
}

/// Whether the key in a PEM text is encrypted.
pub(super) fn kind(text: &[u8]) -> Option<Kind<'_>> {
    let text = std::str::from_utf8(text).ok()?;
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Some(Kind::Older);
    }
    let label = EncryptedPrivateKeyInfoRef::PEM_LABEL;
    let begin = text.find(&format!("-----BEGIN {label}-----"))?;
    let end_line = format!("-----END {label}-----");
    let length = text[begin..].find(&end_line)? + end_line.len();
    Some(Kind::Pkcs8(&text[begin..begin + length]))
}

/// The key of a block that [`kind`] has found.
pub(super) fn decrypt(
    block: &str,
    passphrase: &SecretString,
) -> Result<PrivateKeyDer<'static>, BoxError> {
    let (_, encrypted) = SecretDocument::from_pem(block)?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(encrypted.as_bytes())?;
    let key = encrypted.decrypt(passphrase.expose_secret())?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}
