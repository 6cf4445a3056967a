//! What a browser remembers between the two halves of a sign-in.

use std::fmt;

use base64::{
    Engine,
    engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD},
};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::random;

/// Longest `state` that is looked at; ours has 67 characters.
const MAX_STATE_CHARS: usize = 256;

/// Length of a state id: 16 random bytes in hexadecimal, OAU-2.
const STATE_ID_CHARS: usize = 32;

/// A sign-in that has begun.
///
/// The hub seals it, encrypted, in a cookie of the browser that began it: that
/// binds the provider's answer to this browser, and the PKCE verifier inside is
/// a secret. Serialised only for that cookie.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingLogin {
    state_id: String,
    code_verifier: String,
    /// Absent in cookies of an earlier version; matches nothing then.
    #[serde(default)]
    nonce: String,
}

/// What travels through the URL, in the coding of OAU-2.
#[derive(Serialize, Deserialize)]
struct State {
    state_id: String,
}

impl PendingLogin {
    /// A new sign-in with a fresh state id and PKCE verifier.
    pub fn generate() -> Self {
        // RFC 7636 section 4.1: 32 random bytes make a verifier of 43 characters.
        Self {
            state_id: random::hex::<16>(),
            code_verifier: random::base64url::<32>(),
            nonce: random::base64url::<16>(),
        }
    }

    /// The random id of this sign-in, 32 hexadecimal digits.
    pub fn state_id(&self) -> &str {
        &self.state_id
    }

    /// The `state` parameter of the authorize URL.
    pub fn state(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!(r#"{{"state_id":"{}"}}"#, self.state_id))
    }

    /// Whether `state` came from this sign-in. Takes the same time for every
    /// wrong text of the same length.
    pub fn matches(&self, state: &str) -> bool {
        state_id(state).is_some_and(|id| id.as_bytes().ct_eq(self.state_id.as_bytes()).into())
    }

    /// The PKCE verifier.
    #[cfg_attr(
        not(feature = "outbound"),
        expect(dead_code, reason = "for providers that redirect")
    )]
    pub(crate) fn code_verifier(&self) -> &str {
        &self.code_verifier
    }

    /// What an ID token has to repeat, OpenID Connect Core section 3.1.2.1.
    #[cfg_attr(not(feature = "oidc"), expect(dead_code, reason = "for providers of ID tokens"))]
    pub(crate) fn nonce(&self) -> &str {
        &self.nonce
    }
}

impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLogin").finish_non_exhaustive()
    }
}

/// The id inside a `state` parameter.
pub(super) fn state_id(state: &str) -> Option<String> {
    if state.len() > MAX_STATE_CHARS {
        return None;
    }
    let engine = if state.ends_with('=') { &URL_SAFE } else { &URL_SAFE_NO_PAD };
    let State { state_id } = serde_json::from_slice(&engine.decode(state).ok()?).ok()?;
    let well_formed = state_id.len() == STATE_ID_CHARS
        && state_id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    well_formed.then_some(state_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oau_2_the_state_in_the_url_holds_only_the_id() {
        let pending = PendingLogin::generate();
        let json = URL_SAFE_NO_PAD.decode(pending.state()).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json, serde_json::json!({ "state_id": pending.state_id() }));
        assert_eq!(pending.state_id().len(), 32);
        assert_eq!(pending.code_verifier.len(), 43);
    }

    #[test]
    fn a_state_matches_only_the_login_it_came_from() {
        let ours = PendingLogin::generate();
        assert!(ours.matches(&ours.state()));
        assert!(!ours.matches(&PendingLogin::generate().state()));
        for odd in ["", "=", "e30", "bnVsbA", "not base64!", &"A".repeat(100_000)] {
            assert!(!ours.matches(odd), "{odd:.20}");
        }
    }

    #[test]
    fn a_padded_state_is_accepted() {
        let ours = PendingLogin::generate();
        let json = format!(r#"{{"state_id": "{}"}}"#, ours.state_id());
        assert!(ours.matches(&URL_SAFE.encode(json)));
    }

    #[test]
    fn a_pending_login_survives_its_cookie_and_hides_its_secrets() {
        let pending = PendingLogin::generate();
        let sealed = serde_json::to_string(&pending).unwrap();
        assert_eq!(serde_json::from_str::<PendingLogin>(&sealed).unwrap(), pending);
        assert_eq!(format!("{pending:?}"), "PendingLogin { .. }");
    }
}
