//! API tokens and one-time codes: made here, stored only as hashes.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::random;

/// A secret that stands for its owner: what follows `Authorization: token`.
///
/// There is no way to print one by accident: no `Display`, no `Serialize`, and
/// `Debug` writes a fixed word.
#[derive(Clone)]
pub struct ApiToken(SecretString);

/// The SHA-256 of a token, which is what a store keeps. A token of 256 random
/// bits needs no salt and no slow hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl ApiToken {
    /// Longest text that is looked at; anything longer is refused before it is
    /// hashed, so that a megabyte in a header costs nothing.
    pub const MAX_LEN: usize = 128;

    /// A new token: 32 random bytes as 64 hexadecimal digits.
    pub fn generate() -> Self {
        Self(random::hex::<32>().into())
    }

    /// A token as it was presented or configured. `None` if the text is empty or
    /// longer than [`ApiToken::MAX_LEN`] bytes.
    pub fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty() && text.len() <= Self::MAX_LEN).then(|| Self(text.into()))
    }

    /// The secret itself, for the one who is to hold it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What to store or look up.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.expose().as_bytes()).into())
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(secret)")
    }
}

impl TokenHash {
    /// The hash as it is stored.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `presented` is the token that was hashed; takes the same time for
    /// every wrong one.
    pub fn matches(&self, presented: &ApiToken) -> bool {
        self.0.ct_eq(&presented.hash().0).into()
    }
}

impl From<[u8; 32]> for TokenHash {
    fn from(stored: [u8; 32]) -> Self {
        Self(stored)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// A one-time code for an OAuth client: 32 random bytes, 43 characters that need
/// no escaping in a URL. A secret while it is valid; store its hash.
pub fn random_code() -> String {
    random::base64url::<32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_has_256_bits_in_hexadecimal() {
        let token = ApiToken::generate();
        assert_eq!(token.expose().len(), 64);
        assert!(token.expose().bytes().all(|b| b.is_ascii_hexdigit()));
        assert_ne!(token.expose(), ApiToken::generate().expose());
    }

    #[test]
    fn adv_long_token_is_refused_unhashed() {
        assert!(ApiToken::from_text("").is_none());
        assert!(ApiToken::from_text(&"x".repeat(128)).is_some());
        assert!(ApiToken::from_text(&"x".repeat(129)).is_none());
    }

    #[test]
    fn the_hash_is_plain_sha_256() {
        let token = ApiToken::from_text("abc").unwrap();
        let start = [0xba, 0x78, 0x16, 0xbf];
        assert_eq!(token.hash().as_bytes()[..4], start, "FIPS 180-4, example of one block");
    }

    #[test]
    fn a_hash_matches_its_token_only() {
        let token = ApiToken::generate();
        let stored = TokenHash::from(*token.hash().as_bytes());
        assert!(stored.matches(&token));
        assert!(!stored.matches(&ApiToken::generate()));
    }

    #[test]
    fn g1_a_token_cannot_be_printed() {
        let token = ApiToken::from_text("very-secret").unwrap();
        assert_eq!(format!("{token:?}"), "ApiToken(secret)");
    }

    #[test]
    fn a_code_fits_a_url() {
        let code = random_code();
        assert_eq!(code.len(), 43);
        assert!(code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        assert_ne!(code, random_code());
    }
}
