//! Whether an ID token is genuine, meant for us, and of this sign-in.
//!
//! Source: OpenID Connect Core 1.0 section 3.1.3.7, RFC 8725.

use std::time::{Duration, SystemTime};

use jsonwebtoken::{
    Algorithm, DecodingKey, Header, Validation, decode, decode_header,
    errors::ErrorKind,
    jwk::{AlgorithmParameters, Jwk, JwkSet, PublicKeyUse},
};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use crate::{clock::unix_seconds, error::excerpt};

/// What providers sign with. No HMAC, whose key would be our own secret, and no
/// "none": the header is the sender's choice.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// What a token has to say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    /// What was sent along; `None` where no nonce was.
    pub(super) nonce: Option<&'a str>,
    pub(super) now: SystemTime,
    /// How far the provider's clock may be from ours.
    pub(super) skew: Duration,
}

/// Why a token is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the token cannot be read: {0}")]
    Unreadable(String),
    #[error("the token is signed with {0}, which is not accepted")]
    Algorithm(String),
    #[error("the token is signed with a key that the provider does not publish")]
    UnknownKey,
    #[error("the signature is wrong")]
    Signature,
    #[error("the token is from {0:?}, not from the provider that was asked")]
    Issuer(String),
    #[error("the token is meant for another application ({0})")]
    Audience(String),
    #[error("the token is of another sign-in (its nonce is wrong)")]
    Nonce,
    #[error("the token expired {0} s ago; are the clocks right?")]
    Expired(u64),
    #[error("the token is not valid for another {0} s; are the clocks right?")]
    TooEarly(u64),
    #[error("the token lacks {0}")]
    Lacks(String),
}

impl Fault {
    /// Whether reading the provider's keys again could help.
    pub(super) fn may_be_a_new_key(&self) -> bool {
        matches!(self, Self::UnknownKey | Self::Signature)
    }
}

/// The claims of `token`, once all of it is in order.
pub(super) fn check(
    token: &str,
    keys: &JwkSet,
    expected: &Expected<'_>,
) -> Result<Map<String, Value>, Fault> {
    let header = decode_header(token).map_err(|error| Fault::Unreadable(error.to_string()))?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(Fault::Algorithm(format!("{:?}", header.alg)));
    }
    let mut validation = Validation::new(header.alg);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&[expected.issuer]);
    validation.set_audience(&[expected.client_id]);
    // Times are compared below, with the clock that was given.
    validation.validate_exp = false;
    let mut fault = Fault::UnknownKey;
    for key in keys.keys.iter().filter(|key| may_have_signed(key, &header)) {
        let Ok(key) = DecodingKey::from_jwk(key) else { continue };
        match decode::<Map<String, Value>>(token, &key, &validation) {
            Ok(data) => return in_order(data.claims, expected),
            Err(error) => fault = meaning(error.kind(), token),
        }
        if fault != Fault::Signature {
            break;
        }
    }
    Err(fault)
}

/// Whether `key` is one that the header speaks of.
fn may_have_signed(key: &Jwk, header: &Header) -> bool {
    let common = &key.common;
    let right_id = match &header.kid {
        Some(kid) => common.key_id.as_ref() == Some(kid),
        None => true,
    };
    let right_use = !matches!(common.public_key_use, Some(PublicKeyUse::Encryption));
    let right_algorithm = common
        .key_algorithm
        .is_none_or(|algorithm| Algorithm::try_from(algorithm).is_ok_and(|own| own == header.alg));
    // The symmetric key of a confused provider must never verify anything.
    let is_public = !matches!(key.algorithm, AlgorithmParameters::OctetKey(_));
    right_id && right_use && right_algorithm && is_public
}

/// What the library complains about, with the value that is wrong.
fn meaning(kind: &ErrorKind, token: &str) -> Fault {
    let claim = |name: &str| {
        let claims = jsonwebtoken::dangerous::insecure_decode_claims::<Map<String, Value>>(token);
        let value = claims.ok().and_then(|mut claims| claims.remove(name));
        match value {
            Some(Value::String(text)) => excerpt(&text),
            Some(value) => excerpt(&value.to_string()),
            None => String::new(),
        }
    };
    match kind {
        ErrorKind::InvalidSignature => Fault::Signature,
        ErrorKind::InvalidIssuer => Fault::Issuer(claim("iss")),
        ErrorKind::InvalidAudience => Fault::Audience(claim("aud")),
        ErrorKind::MissingRequiredClaim(name) | ErrorKind::InvalidClaimFormat(name) => {
            Fault::Lacks(excerpt(name))
        }
        // A key of another kind than the header says.
        ErrorKind::InvalidAlgorithm => Fault::Signature,
        other => Fault::Unreadable(format!("{other:?}")),
    }
}

/// What the library does not check: times by our clock, `azp` and `nonce`.
fn in_order(
    claims: Map<String, Value>,
    expected: &Expected<'_>,
) -> Result<Map<String, Value>, Fault> {
    let now = unix_seconds(expected.now);
    let skew = expected.skew.as_secs();
    // Whole seconds; fractions are allowed and mean nothing here.
    let time = |name: &str| claims.get(name)?.as_f64().filter(|t| *t >= 0.0).map(|t| t as u64);
    let expires = time("exp").ok_or_else(|| Fault::Lacks("exp".to_owned()))?;
    if expires.saturating_add(skew) <= now {
        return Err(Fault::Expired(now - expires));
    }
    for begins in [time("nbf"), time("iat")].into_iter().flatten() {
        if begins > now.saturating_add(skew) {
            return Err(Fault::TooEarly(begins - now));
        }
    }
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let several = claims.get("aud").and_then(Value::as_array).is_some_and(|aud| aud.len() > 1);
    match text("azp") {
        Some(azp) if azp != expected.client_id => return Err(Fault::Audience(excerpt(azp))),
        None if several => return Err(Fault::Lacks("azp".to_owned())),
        _ => {}
    }
    if text("sub").is_none_or(str::is_empty) {
        return Err(Fault::Lacks("sub".to_owned()));
    }
    if let Some(nonce) = expected.nonce {
        let told = text("nonce").unwrap_or_default();
        if nonce.is_empty() || !bool::from(told.as_bytes().ct_eq(nonce.as_bytes())) {
            return Err(Fault::Nonce);
        }
    }
    Ok(claims)
}
