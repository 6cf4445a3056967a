//! The cookie secret and what is derived from it.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    Key, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::config::{ConfigError, CookieSecretSource};

/// Bytes of the secret.
const SECRET_LEN: usize = 32;
/// Bytes of an XChaCha20 nonce.
const NONCE_LEN: usize = 24;

/// Keys made from the cookie secret, one for each use.
pub(crate) struct Keys {
    signing: [u8; SECRET_LEN],
    sealing: [u8; SECRET_LEN],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl Keys {
    /// Keys from `secret`.
    pub(crate) fn new(secret: &[u8; SECRET_LEN]) -> Self {
        Self { signing: mac(secret, b"hub signing key"), sealing: mac(secret, b"hub sealing key") }
    }

    /// Reads the secret from where the configuration says; an absent file is
    /// made (RST-6).
    ///
    /// # Errors
    ///
    /// When the secret is malformed, or others than the owner may read or write
    /// its file.
    pub(crate) fn load(source: &CookieSecretSource) -> Result<Self, ConfigError> {
        let secret = match source {
            CookieSecretSource::Given(text) => decode(text).ok_or_else(|| {
                ConfigError::value(
                    "JPY_COOKIE_SECRET",
                    "is not 64 hexadecimal digits; make one with `openssl rand -hex 32`",
                )
            })?,
            CookieSecretSource::File(path) => read_or_create(path)?,
        };
        Ok(Self::new(&secret))
    }

    /// An authentication code over `parts`, unambiguous about where one ends.
    pub(crate) fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut message = Vec::new();
        for part in parts {
            message.extend_from_slice(&(part.len() as u64).to_be_bytes());
            message.extend_from_slice(part);
        }
        mac(&self.signing, &message)
    }

    /// Encrypts `value` for a cookie called `purpose`; nobody else can read or
    /// change it, or use it under another name.
    ///
    /// Returns `None` when the system has no randomness to give.
    pub(crate) fn seal<T: Serialize>(&self, purpose: &str, value: &T) -> Option<String> {
        let plain = serde_json::to_vec(value).ok()?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).ok()?;
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: &plain, aad: purpose.as_bytes() })
            .ok()?;
        Some(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// What [`seal`](Self::seal) was given, unless the text is not ours.
    pub(crate) fn open<T: DeserializeOwned>(&self, purpose: &str, sealed: &str) -> Option<T> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let plain = self
            .cipher()
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: purpose.as_bytes() })
            .ok()?;
        serde_json::from_slice(&plain).ok()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(self.sealing))
    }
}

fn mac(key: &[u8; SECRET_LEN], message: &[u8]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key)
        .expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn read_or_create(path: &Path) -> Result<[u8; SECRET_LEN], ConfigError> {
    let problem = |message: String| {
        ConfigError::value("store.cookie_secret_file", format!("{}: {message}", path.display()))
    };
    match std::fs::metadata(path) {
        Ok(metadata) => {
            if let Some(trouble) = trouble_with_mode(path, metadata.permissions().mode()) {
                return Err(problem(trouble));
            }
            let text = std::fs::read_to_string(path).map_err(|error| problem(error.to_string()))?;
            decode(text.trim()).ok_or_else(|| {
                problem("holds neither 64 hexadecimal digits nor 32 bytes or more in base64; remove it to get a new one, which signs everybody out".to_owned())
            })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut secret = [0; SECRET_LEN];
            getrandom::fill(&mut secret).map_err(|error| problem(error.to_string()))?;
            let text: String =
                secret.iter().map(|byte| format!("{byte:02x}")).chain(["\n".to_owned()]).collect();
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .and_then(|mut file| {
                    file.write_all(text.as_bytes())?;
                    file.sync_all()
                })
                .map_err(|error| problem(error.to_string()))?;
            Ok(secret)
        }
        Err(error) => Err(problem(error.to_string())),
    }
}

/// Why a secret in a file of this mode is none.
pub(crate) fn trouble_with_mode(path: &Path, mode: u32) -> Option<String> {
    let mode = mode & 0o777;
    (mode & 0o077 != 0).then(|| {
        format!("others may read or write it (mode {mode:04o}); run `chmod 600 {}`", path.display())
    })
}

/// 64 hexadecimal digits, or base64 as old deployments have it: JupyterHub before
/// 0.8 wrote 2048 bytes, later ones read whatever length there is (RST-6).
fn decode(text: &str) -> Option<[u8; SECRET_LEN]> {
    let text: String = text.split_whitespace().collect();
    if text.len() == 2 * SECRET_LEN && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let mut secret = [0; SECRET_LEN];
        for (byte, pair) in secret.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        return Some(secret);
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    let secret = match <[u8; SECRET_LEN]>::try_from(bytes.as_slice()) {
        Ok(secret) => secret,
        Err(_) if bytes.len() > SECRET_LEN => Sha256::digest(&bytes).into(),
        Err(_) => return None,
    };
    tracing::warn!("the cookie secret is in the old base64 form; it is used as it is");
    Some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_under_its_own_name_only() {
        let keys = Keys::new(&[7; 32]);
        let sealed = keys.seal("a", &"secret").unwrap();
        assert!(!sealed.contains("secret"));
        assert_eq!(keys.open::<String>("a", &sealed).as_deref(), Some("secret"));
        assert_eq!(keys.open::<String>("b", &sealed), None);
        assert_eq!(Keys::new(&[8; 32]).open::<String>("a", &sealed), None);
        assert_eq!(keys.open::<String>("a", "garbage"), None);
    }

    #[test]
    fn signatures_tell_the_parts_apart() {
        let keys = Keys::new(&[7; 32]);
        assert_ne!(keys.sign(&[b"ab", b"c"]), keys.sign(&[b"a", b"bc"]));
    }

    #[test]
    fn rst_6_secrets_of_older_hubs_are_taken() {
        let engine = base64::engine::general_purpose::STANDARD;
        for length in [32, 33, 1024, 2048] {
            let bytes: Vec<u8> = (0..length).map(|index: u32| (index * 7 % 251) as u8).collect();
            let text = engine.encode(&bytes);
            let secret = decode(&text).unwrap();
            let lines: Vec<&str> =
                text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
            assert_eq!(decode(&lines.join("\n")), Some(secret), "{length} bytes in lines");
            assert_ne!(Some(secret), decode(&engine.encode(bytes[..31].repeat(2))));
        }
        let digits = "0f".repeat(32);
        assert_eq!(decode(&format!("{digits}\n")), Some([15; 32]));
        for bad in ["", "hello", &engine.encode([1; 31]), &":f".repeat(32), "0f0f\u{e9}"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn rst_6_the_secret_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cookie_secret");
        let first = read_or_create(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.len() == 65 && text.ends_with('\n'));
        assert_eq!(read_or_create(&path).unwrap(), first);

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = read_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("mode 0644") && error.contains("chmod 600"), "{error}");
    }
}
