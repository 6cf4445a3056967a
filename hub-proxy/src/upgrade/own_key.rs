//! The key of a handshake that this proxy makes for a client of HTTP/2.
//!
//! RFC 8441 has no keys, since a stream cannot be mistaken for something else.
//! The target speaks HTTP/1.1 and wants one.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header};
use sha1::{Digest, Sha1};

use crate::ProxyError;

/// What a server adds to the key to show that it knows the protocol (RFC 6455
/// section 1.3).
const PROOF: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// 16 random bytes, written as the field wants them.
#[derive(Debug)]
pub(super) struct OwnKey(String);

impl OwnKey {
    pub(super) fn new() -> Result<Self, ProxyError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| ProxyError::NoAnswer(error.into()))?;
        Ok(Self(STANDARD.encode(bytes)))
    }

    pub(super) fn field(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("base64 is visible ASCII")
    }

    /// Whether an answer shows that this key was understood (H2-02).
    pub(super) fn is_accepted_by(&self, answer: &HeaderMap) -> bool {
        answer
            .get(header::SEC_WEBSOCKET_ACCEPT)
            .is_some_and(|accept| accept.as_bytes() == self.expected().as_bytes())
    }

    fn expected(&self) -> String {
        STANDARD.encode(Sha1::new().chain_update(&self.0).chain_update(PROOF).finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h2_02_the_answer_to_the_key_of_the_standard_is_its_own() {
        let key = OwnKey("dGhlIHNhbXBsZSBub25jZQ==".to_owned());
        let mut answer = HeaderMap::new();
        assert!(!key.is_accepted_by(&answer));
        let accept = HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        answer.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        assert!(key.is_accepted_by(&answer));
        assert!(!OwnKey::new().unwrap().is_accepted_by(&answer));
    }
}
