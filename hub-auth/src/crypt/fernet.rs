//! One Fernet key.
//!
//! Source: the specification of Fernet, as `cryptography` implements it: version
//! 0x80, 64 bits of time, 16 bytes of IV, AES-128-CBC with PKCS #7, HMAC-SHA-256
//! over all of that, in URL-safe base64. The first half of a key authenticates, the
//! second encrypts. The one Rust library for it has a licence that the workspace
//! does not take; the primitives are RustCrypto's.

use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
use base64::{Engine, engine::general_purpose::URL_SAFE};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::keys::KEY_LEN;

const VERSION: u8 = 0x80;
const IV_LEN: usize = 16;
const MAC_LEN: usize = 32;
const HALF: usize = KEY_LEN / 2;

/// Largest text that is looked at: a state with a long list of teams stays far
/// below.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// A key, in its halves.
#[derive(Clone)]
pub(super) struct Fernet {
    signing: [u8; HALF],
    encryption: [u8; HALF],
}

impl Fernet {
    pub(super) fn new(key: &[u8; KEY_LEN]) -> Self {
        let (mut signing, mut encryption) = ([0; HALF], [0; HALF]);
        signing.copy_from_slice(&key[..HALF]);
        encryption.copy_from_slice(&key[HALF..]);
        Self { signing, encryption }
    }

    /// Seals with a time, in seconds since 1970, and an IV that is used once.
    pub(super) fn seal(&self, plain: &[u8], seconds: u64, iv: [u8; IV_LEN]) -> String {
        let cipher = cbc::Encryptor::<aes::Aes128>::new(&self.encryption.into(), &iv.into());
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&seconds.to_be_bytes());
        sealed.extend_from_slice(&iv);
        sealed.extend_from_slice(&cipher.encrypt_padded_vec::<Pkcs7>(plain));
        let mac = self.mac(&sealed).finalize().into_bytes();
        sealed.extend_from_slice(&mac);
        URL_SAFE.encode(sealed)
    }

    /// The time and what was sealed; `None` if this is not the key, or anything was
    /// changed. The code is compared first, in constant time: nothing is learnt
    /// from the padding.
    pub(super) fn open(&self, sealed: &str) -> Option<(u64, Vec<u8>)> {
        if sealed.len() > MAX_BYTES {
            return None;
        }
        let bytes = URL_SAFE.decode(sealed.trim_end()).ok()?;
        let (signed, mac) = bytes.split_last_chunk::<MAC_LEN>()?;
        self.mac(signed).verify_slice(mac).ok()?;
        let (version, rest) = signed.split_first()?;
        let (seconds, rest) = rest.split_first_chunk::<8>()?;
        let (iv, encrypted) = rest.split_first_chunk::<IV_LEN>()?;
        if *version != VERSION {
            return None;
        }
        let cipher = cbc::Decryptor::<aes::Aes128>::new(&self.encryption.into(), &(*iv).into());
        let plain = cipher.decrypt_padded_vec::<Pkcs7>(encrypted).ok()?;
        Some((u64::from_be_bytes(*seconds), plain))
    }

    /// Tells keys apart without being one.
    pub(super) fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"hub crypt key fingerprint");
        hash.update(self.signing);
        hash.update(self.encryption);
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    fn mac(&self, message: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.signing)
            .expect("HMAC takes a key of any length");
        mac.update(message);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypt::keys::parse;

    /// The key of the specification's own vectors.
    fn key() -> Fernet {
        Fernet::new(&parse("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=").unwrap())
    }

    const TOKEN: &str = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
    const SECONDS: u64 = 499_162_800;

    #[test]
    fn cry_1_the_vectors_of_the_specification_hold() {
        let iv = std::array::from_fn(|index| u8::try_from(index).unwrap());
        assert_eq!(key().seal(b"hello", SECONDS, iv), TOKEN);
        assert_eq!(key().open(TOKEN), Some((SECONDS, b"hello".to_vec())));
    }

    #[test]
    fn cry_1_every_changed_byte_is_noticed() {
        let bytes = URL_SAFE.decode(TOKEN).unwrap();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert_eq!(key().open(&URL_SAFE.encode(&changed)), None, "{index}");
            assert_eq!(key().open(&URL_SAFE.encode(&bytes[..index])), None, "{index}");
        }
        assert_eq!(Fernet::new(&[7; KEY_LEN]).open(TOKEN), None);
        for odd in ["", "!", "gAAAAA==", &"A".repeat(MAX_BYTES + 4)] {
            assert_eq!(key().open(odd), None);
        }
    }

    #[test]
    fn what_is_sealed_opens_whatever_its_length() {
        for length in [0, 1, 15, 16, 17, 1000] {
            let plain = vec![7; length];
            let sealed = key().seal(&plain, 1, [9; IV_LEN]);
            assert_eq!(key().open(&sealed), Some((1, plain)), "{length}");
        }
    }
}
