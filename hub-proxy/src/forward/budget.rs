//! How often a request may be sent a second time (K-07): one in ten, so that a target in
//! trouble does not get twice the work.

use std::sync::atomic::{AtomicU32, Ordering};

/// What a second time costs; each first time brings one.
const PRICE: u32 = 10;

/// What can be saved up, and what there is at the start.
const MOST: u32 = 100 * PRICE;
const FIRST: u32 = 10 * PRICE;

/// Savings of first times.
#[derive(Debug)]
pub(super) struct Budget(AtomicU32);

impl Budget {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(FIRST))
    }

    /// A request is sent for the first time.
    pub(super) fn deposit(&self) {
        // Whether it is one more or less does not matter, so a full one is left alone.
        if self.0.load(Ordering::Relaxed) < MOST {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether one may be sent a second time; taken from the savings if so.
    pub(super) fn withdraw(&self) -> bool {
        let paid = |saved: u32| saved.checked_sub(PRICE);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k_07_one_in_ten_and_a_few_at_the_start() {
        let budget = Budget::new();
        let spent = (0..1000).filter(|_| budget.withdraw()).count();
        assert_eq!(spent, 10, "at the start");
        (0..25).for_each(|_| budget.deposit());
        assert_eq!((0..1000).filter(|_| budget.withdraw()).count(), 2);
        (0..100_000).for_each(|_| budget.deposit());
        assert_eq!((0..1000).filter(|_| budget.withdraw()).count(), 100, "no more is saved");
    }
}
