//! What an answer says in words behind its status (RFC 9112 section 4).

use bytes::Bytes;
use http::StatusCode;

/// The words of a target, where they are others than the status always has. An extension of
/// an answer; clients of HTTP/2 get none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    /// What they were said about: the answer may become another one.
    status: StatusCode,
    words: Bytes,
}

impl Reason {
    /// `None` for the usual words, and for what may not stand there: other than visible
    /// ASCII, blanks and what is not ASCII.
    pub(super) fn of(status: StatusCode, words: &[u8]) -> Option<Self> {
        let is_usual = status.canonical_reason().is_some_and(|usual| usual.as_bytes() == words);
        let may_stand = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        if is_usual || words.is_empty() || !words.iter().all(may_stand) {
            return None;
        }
        Some(Self { status, words: Bytes::copy_from_slice(words) })
    }

    /// The words for an answer with `status`.
    pub(super) fn words(reason: Option<&Self>, status: StatusCode) -> &[u8] {
        match reason {
            Some(reason) if reason.status == status => &reason.words,
            _ => status.canonical_reason().unwrap_or_default().as_bytes(),
        }
    }
}
