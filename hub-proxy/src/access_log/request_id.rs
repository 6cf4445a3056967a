//! By what a request is known.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    sync::atomic::{AtomicU64, Ordering},
};

use http::{HeaderMap, HeaderValue};

use super::REQUEST_ID;

/// Longest id that is taken over, as the hub does.
const MOST: usize = 64;

/// Ids that nobody else makes: 32 hexadecimal digits, of which the first half is random and
/// the second counts. They are no secrets, so none is drawn for each request.
#[derive(Debug)]
pub(super) struct Ids {
    ours: u64,
    next: AtomicU64,
}

impl Default for Ids {
    fn default() -> Self {
        Self { ours: RandomState::new().build_hasher().finish(), next: AtomicU64::new(0) }
    }
}

impl Ids {
    pub(super) fn another(&self) -> HeaderValue {
        let (ours, next) = (self.ours, self.next.fetch_add(1, Ordering::Relaxed));
        HeaderValue::try_from(format!("{ours:016x}{next:016x}")).expect("digits are visible ASCII")
    }
}

/// The id that a client gives, if it is one that may stand in a log.
pub(super) fn given(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut fields = headers.get_all(REQUEST_ID).iter();
    let (Some(only), None) = (fields.next(), fields.next()) else { return None };
    let is_fine = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let id = only.as_bytes();
    (!id.is_empty() && id.len() <= MOST && id.iter().all(is_fine)).then_some(only)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g_06_only_a_short_and_plain_id_is_taken_over() {
        let longest = "x".repeat(MOST);
        let too_long = "x".repeat(MOST + 1);
        for (fields, is_taken) in [
            (&["019ab-1c_2.D"][..], true),
            (&[&longest], true),
            (&[&too_long], false),
            (&[""], false),
            (&["a b"], false),
            (&["a\"b"], false),
            (&["a", "a"], false),
            (&[], false),
        ] {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(REQUEST_ID, field.parse().unwrap());
            }
            assert_eq!(given(&headers).is_some(), is_taken, "{fields:?}");
        }
    }

    #[test]
    fn g_06_no_two_ids_are_the_same() {
        let (ids, others) = (Ids::default(), Ids::default());
        let (one, two, other) = (ids.another(), ids.another(), others.another());
        assert!(one != two && one != other && one.len() == 32);
    }
}
