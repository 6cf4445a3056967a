//! Whose turn it is on a connection to a target.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

/// Nothing was read yet.
const FRESH: u8 = 0;
/// The target spoke last.
const HEARD: u8 = 1;
/// We have spoken since, and the target has not.
const ASKED_AGAIN: u8 = 2;

/// A connection's, shared with those who want to know what became of a request.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<AtomicU8>);

impl Turns {
    pub(super) fn fresh() -> Self {
        Self(Arc::new(AtomicU8::new(FRESH)))
    }

    /// The target has sent something.
    pub(super) fn heard(&self) {
        self.0.store(HEARD, Ordering::Relaxed);
    }

    /// A request is about to be sent.
    pub(crate) fn asked(&self) {
        if self.0.load(Ordering::Relaxed) == HEARD {
            self.0.store(ASKED_AGAIN, Ordering::Relaxed);
        }
    }

    /// Whether this is not the connection's first request, and nothing of its answer
    /// has come: the target may have closed it before it saw the request.
    pub(crate) fn is_reused_without_answer(&self) -> bool {
        self.0.load(Ordering::Relaxed) == ASKED_AGAIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k_02_only_a_connection_that_served_before_and_says_nothing_now() {
        let turns = Turns::fresh();
        turns.asked();
        assert!(!turns.is_reused_without_answer(), "its first request");
        turns.heard();
        assert!(!turns.is_reused_without_answer(), "half an answer");
        turns.asked();
        turns.asked();
        assert!(turns.is_reused_without_answer());
        turns.heard();
        assert!(!turns.is_reused_without_answer(), "half an answer to the next");
    }
}
