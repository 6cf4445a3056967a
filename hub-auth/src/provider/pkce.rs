//! Proof key for code exchange, RFC 7636, method S256.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::TokenError;

/// A SHA-256 in base64url without padding.
const CHALLENGE_CHARS: usize = 43;

/// Bounds of a verifier's length, RFC 7636 section 4.1.
const VERIFIER_CHARS: std::ops::RangeInclusive<usize> = 43..=128;

/// The hash of the verifier that the client will show when it redeems its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(String);

impl Challenge {
    /// The challenge as text, for the store.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Challenge {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_base64url = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (text.len() == CHALLENGE_CHARS && text.bytes().all(is_base64url))
            .then(|| Self(text.to_owned()))
            .ok_or(())
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks the verifier shown with a code against the challenge stored with it.
///
/// PKCE is not demanded, since single-user servers before JupyterHub 6 do not
/// know it; but a challenge once given binds the code. The other way round, a
/// verifier for a code without challenge is refused: an attacker may have
/// stripped the challenge (RFC 9700 section 4.8.2).
///
/// # Errors
///
/// [`TokenError::InvalidRequest`] for a missing verifier, otherwise
/// [`TokenError::InvalidGrant`]. Neither uses up the code.
pub fn check_pkce(
    challenge: Option<&Challenge>,
    verifier: Option<&SecretString>,
) -> Result<(), TokenError> {
    match (challenge, verifier.map(ExposeSecret::expose_secret)) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(TokenError::InvalidGrant),
        (Some(_), None) => Err(TokenError::InvalidRequest("Code verifier required.")),
        (Some(challenge), Some(verifier)) => {
            if !VERIFIER_CHARS.contains(&verifier.len()) {
                return Err(TokenError::InvalidGrant);
            }
            let shown = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
            if challenge.0.as_bytes().ct_eq(shown.as_bytes()).into() {
                Ok(())
            } else {
                Err(TokenError::InvalidGrant)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_example_of_the_rfc_passes() {
        let challenge = CHALLENGE.parse().unwrap();
        assert_eq!(check_pkce(Some(&challenge), Some(&VERIFIER.into())), Ok(()));
    }

    #[test]
    fn a_challenge_binds_the_code() {
        let challenge: Challenge = CHALLENGE.parse().unwrap();
        let wrong = VERIFIER.replace('d', "e");
        for verifier in [wrong.as_str(), "short", CHALLENGE, &"x".repeat(129)] {
            let result = check_pkce(Some(&challenge), Some(&verifier.into()));
            assert_eq!(result, Err(TokenError::InvalidGrant), "{verifier}");
        }
        assert_eq!(
            check_pkce(Some(&challenge), None),
            Err(TokenError::InvalidRequest("Code verifier required."))
        );
    }

    #[test]
    fn without_a_challenge_a_verifier_is_refused() {
        assert_eq!(check_pkce(None, None), Ok(()));
        assert_eq!(check_pkce(None, Some(&VERIFIER.into())), Err(TokenError::InvalidGrant));
    }

    #[test]
    fn only_sha_256_in_base64url_is_a_challenge() {
        let padded = format!("{CHALLENGE}=");
        let odd = CHALLENGE.replace('-', "+");
        for text in ["", VERIFIER.get(..42).unwrap(), &padded, &odd] {
            assert!(text.parse::<Challenge>().is_err(), "{text}");
        }
    }
}
