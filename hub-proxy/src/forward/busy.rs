//! A connection while its answer comes.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep},
};
use tokio_util::task::TaskTracker;

use super::{
    link::Link,
    pool::{self, Pool},
};
use crate::{body::ClientBody, deadline, http1::Http1Error};

/// One connection. It is kept when the exchange is complete, and closed when the answer is
/// given up.
#[derive(Debug)]
pub(crate) struct Busy {
    link: Held,
    /// Where it is kept, if it is.
    pool: Option<Arc<Pool>>,
}

#[derive(Debug)]
enum Held {
    Own(Box<Link<ClientBody>>),
    /// The target answers before it has the whole request, and the client may take nothing
    /// of the answer until it has sent that: somebody else sends it.
    Shared(Shared),
}

#[derive(Debug)]
struct Shared {
    both: Arc<Mutex<Both>>,
    upload: AbortHandle,
}

/// What the answer's body and the sender of the request share.
#[derive(Debug)]
struct Both {
    /// `None` once one of them is done with it.
    link: Option<Box<Link<ClientBody>>>,
    /// The answer has been had; the sender does the rest.
    is_answered: bool,
    /// Who waits for more of the answer, and has to hear when there will be none.
    reader: Option<Waker>,
}

impl Busy {
    /// A target that takes nothing of the rest of its request for `stall_limit` gets no
    /// more of it.
    pub(crate) fn new(
        link: Box<Link<ClientBody>>,
        pool: Option<Arc<Pool>>,
        stall_limit: Duration,
    ) -> Self {
        let link = match link.is_sending() {
            false => Held::Own(link),
            true => {
                let both = Both { link: Some(link), is_answered: false, reader: None };
                let both = Arc::new(Mutex::new(both));
                let task =
                    TaskTracker::new().spawn(upload(Arc::clone(&both), pool.clone(), stall_limit));
                let upload = task.abort_handle();
                Held::Shared(Shared { both, upload })
            }
        };
        Self { link, pool }
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        match &mut self.link {
            Held::Own(link) => link.poll_body(cx, false),
            Held::Shared(shared) => {
                let mut both = lock(&shared.both);
                // The request may have broken off.
                let Some(link) = &mut both.link else {
                    return Poll::Ready(Some(Err(Http1Error::Incomplete)));
                };
                let frame = link.poll_body(cx, true);
                both.reader = frame.is_pending().then(|| cx.waker().clone());
                frame
            }
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match &self.link {
            Held::Own(link) => link.size_hint(),
            Held::Shared(shared) => {
                let both = lock(&shared.both);
                both.link.as_ref().map_or_else(SizeHint::default, |link| link.size_hint())
            }
        }
    }

    pub(crate) fn is_answered(&self) -> bool {
        match &self.link {
            Held::Own(link) => link.is_answered(),
            Held::Shared(shared) => {
                lock(&shared.both).link.as_ref().is_some_and(|link| link.is_answered())
            }
        }
    }

    /// The answer is complete.
    pub(crate) fn release(self) {
        match self.link {
            Held::Own(link) => pool::keep(link, self.pool),
            // What is still wanted of the request is sent first.
            Held::Shared(shared) => {
                let done = {
                    let mut both = lock(&shared.both);
                    both.is_answered = true;
                    both.link.take_if(|link| !link.is_sending())
                };
                if let Some(link) = done {
                    pool::keep(link, self.pool);
                }
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut both = lock(&self.both);
        if !both.is_answered {
            // Nobody wants the answer.
            self.upload.abort();
            both.link = None;
        }
    }
}

/// Sends the rest of a request, to a target that goes on taking it.
async fn upload(both: Arc<Mutex<Both>>, pool: Option<Arc<Pool>>, stall_limit: Duration) {
    let mut stall = pin!(sleep(stall_limit));
    let mut written = 0;
    poll_fn(|cx| {
        let mut both = lock(&both);
        let Some(link) = &mut both.link else { return Poll::Ready(()) };
        let sent = link.poll_send(cx, true);
        if sent.is_ok() && !link.is_sending() {
            return Poll::Ready(());
        }
        if link.written() != written || !link.is_blocked() {
            written = link.written();
            stall.as_mut().reset(deadline::after(Instant::now(), stall_limit));
        }
        let is_stalled = stall.as_mut().poll(cx).is_ready();
        if sent.is_ok() && !is_stalled {
            return Poll::Pending;
        }
        // The client broke off, or the target takes no more: it must not take the request
        // for complete, nor anybody the answer.
        both.link = None;
        if let Some(reader) = both.reader.take() {
            reader.wake();
        }
        Poll::Ready(())
    })
    .await;
    let done = {
        let mut both = lock(&both);
        if both.is_answered { both.link.take() } else { None }
    };
    if let Some(link) = done {
        pool::keep(link, pool);
    }
}

/// Nothing in here can be half done.
fn lock(both: &Mutex<Both>) -> MutexGuard<'_, Both> {
    both.lock().unwrap_or_else(PoisonError::into_inner)
}
