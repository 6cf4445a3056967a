//! How many requests one target may have at once (L-06).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{ProxyConfig, ProxyError};

/// The exchanges and WebSocket handshakes at one target.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Semaphore>);

/// Counts as one of them until it is dropped.
#[derive(Debug)]
pub(crate) enum Place {
    Whole(OwnedSemaphorePermit),
    /// Whoever sends the request gives it to others while the client is waited for.
    Shared(#[expect(dead_code, reason = "held")] Shared),
}

/// Whether the place of a request is taken; in the hands of who sends the request.
#[derive(Debug)]
pub(crate) struct Attendance(Arc<Mutex<State>>);

/// In the hands of who has the answer.
#[derive(Debug)]
pub(crate) struct Shared(Arc<Mutex<State>>);

#[derive(Debug)]
enum State {
    Taken(OwnedSemaphorePermit),
    Away(Arc<Semaphore>),
    Over,
}

impl Places {
    pub(super) fn new(config: &ProxyConfig) -> Self {
        Self(Arc::new(Semaphore::new(config.max_per_target.min(Semaphore::MAX_PERMITS))))
    }

    /// One of them, waited for no longer than a connection.
    pub(super) async fn take(&self, patience: Duration) -> Result<Place, ProxyError> {
        if let Ok(free) = Arc::clone(&self.0).try_acquire_owned() {
            return Ok(Place::Whole(free));
        }
        match timeout(patience, Arc::clone(&self.0).acquire_owned()).await {
            Ok(Ok(free)) => Ok(Place::Whole(free)),
            // It is never closed.
            Ok(Err(_)) | Err(_) => Err(ProxyError::Busy),
        }
    }
}

impl Place {
    /// For a request with a body: it counts at first, and when all of it has come.
    pub(super) fn attended(self) -> (Self, Option<Attendance>) {
        let Self::Whole(permit) = self else { return (self, None) };
        let state = Arc::new(Mutex::new(State::Taken(permit)));
        (Self::Shared(Shared(Arc::clone(&state))), Some(Attendance(state)))
    }
}

impl Attendance {
    /// The client is waited for, which costs the target little: others go first.
    pub(crate) fn leave(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Taken(permit) = &*state {
            *state = State::Away(Arc::clone(permit.semaphore()));
        }
    }

    /// The request is there as a whole. If there is no place it does without: the target
    /// has begun to work on it.
    pub(crate) fn come_back(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Away(places) = &*state
            && let Ok(permit) = Arc::clone(places).try_acquire_owned()
        {
            *state = State::Taken(permit);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::Over;
    }
}
