//! Whose word was confirmed a moment ago, and whose is being asked for.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use hub_store::UserId;
use jiff::Timestamp;
use tokio::sync::watch;

/// What became of asking about somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmed {
    /// They may go on.
    Yes,
    /// Nobody could be asked for longer than is good: not now.
    NotNow,
    /// They have to sign in again.
    SignInAgain,
}

/// One entry for each person about whom something is known.
#[derive(Debug, Default)]
pub(crate) struct Refreshes(Mutex<HashMap<UserId, Entry>>);

#[derive(Debug)]
enum Entry {
    /// Nothing has to be looked at until then.
    Until(Timestamp),
    /// Somebody is being asked; the answer will be here.
    UnderWay(watch::Receiver<Option<Confirmed>>),
}

/// How to learn the answer about somebody.
pub(crate) enum Turn {
    /// Another request has asked already.
    Wait(watch::Receiver<Option<Confirmed>>),
    /// Nobody has: ask, and tell it here.
    Ask(watch::Sender<Option<Confirmed>>, watch::Receiver<Option<Confirmed>>),
}

/// Most people of whom something is known; above, all is forgotten, which costs a look
/// at the store each.
const MOST: usize = 10_000;

impl Refreshes {
    /// Whether nothing has to be looked at for this person at `now`.
    pub(crate) fn is_fresh(&self, user: UserId, now: Timestamp) -> bool {
        matches!(self.entries().get(&user), Some(Entry::Until(until)) if now < *until)
    }

    /// Nothing has to be looked at until then.
    pub(crate) fn fresh_until(&self, user: UserId, until: Timestamp) {
        let mut entries = self.entries();
        // An answer that is under way is the newer news.
        if matches!(entries.get(&user), Some(Entry::UnderWay(answer)) if is_open(answer)) {
            return;
        }
        if entries.len() >= MOST {
            entries.retain(|_, entry| matches!(entry, Entry::UnderWay(answer) if is_open(answer)));
        }
        entries.insert(user, Entry::Until(until));
    }

    /// Whose turn it is to ask: one at a time for each person, since a refresh token is
    /// good for one use.
    pub(crate) fn turn(&self, user: UserId) -> Turn {
        let mut entries = self.entries();
        if let Some(Entry::UnderWay(answer)) = entries.get(&user)
            && is_open(answer)
        {
            return Turn::Wait(answer.clone());
        }
        let (sender, answer) = watch::channel(None);
        entries.insert(user, Entry::UnderWay(answer.clone()));
        Turn::Ask(sender, answer)
    }

    /// The answer is there; it holds until then.
    pub(crate) fn answered(&self, user: UserId, until: Option<Timestamp>) {
        let mut entries = self.entries();
        match until {
            Some(until) => entries.insert(user, Entry::Until(until)),
            None => entries.remove(&user),
        };
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<UserId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether whoever asked is still at it.
fn is_open(answer: &watch::Receiver<Option<Confirmed>>) -> bool {
    answer.has_changed().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asks_and_the_others_wait_for_the_answer() {
        let refreshes = Refreshes::default();
        let user = UserId::new(1);
        let Turn::Ask(sender, _first) = refreshes.turn(user) else { panic!("not the first") };
        let Turn::Wait(answer) = refreshes.turn(user) else { panic!("a second one asks") };
        assert!(matches!(refreshes.turn(UserId::new(2)), Turn::Ask(..)), "others are others");
        let later: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        let now: Timestamp = "2026-11-29T11:00:00Z".parse().unwrap();
        refreshes.fresh_until(user, later);
        assert!(!refreshes.is_fresh(user, now), "the answer is newer news");
        refreshes.answered(user, Some(later));
        sender.send_replace(Some(Confirmed::Yes));
        assert_eq!(*answer.borrow(), Some(Confirmed::Yes));
        assert!(refreshes.is_fresh(user, now) && !refreshes.is_fresh(user, later));
    }

    #[test]
    fn whoever_asked_and_went_away_keeps_nobody_waiting() {
        let refreshes = Refreshes::default();
        let user = UserId::new(1);
        drop(refreshes.turn(user));
        assert!(matches!(refreshes.turn(user), Turn::Ask(..)));
    }
}
