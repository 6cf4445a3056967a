//! Writes that only note that somebody was here. Whoever asks gets their answer also if the
//! database takes none, because its disk is full for instance (security-reliability 3).

use std::sync::Mutex;

use hub_store::StoreError;
use jiff::{SignedDuration, Timestamp};

/// How often it is said that nothing can be noted.
const TOLD_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// When it was last said that a note could not be written.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<Option<Timestamp>>);

impl Notes {
    /// Goes on whatever became of a note.
    pub(crate) fn settle(&self, written: Result<(), StoreError>, now: Timestamp) {
        let Err(error) = written else { return };
        if self.is_to_be_told(now) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "last uses are not written down; people go on working");
        }
    }

    fn is_to_be_told(&self, now: Timestamp) -> bool {
        // A time is whole whatever became of who held it.
        let mut last = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.duration_since(last) >= TOLD_EVERY);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_does_not_fill_the_log() {
        let notes = Notes::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        let told: Vec<bool> = [0, 1, 59, 60, 61].map(|now| notes.is_to_be_told(at(now))).into();
        assert_eq!(told, [true, false, false, true, false]);
    }
}
