//! A connection while its answer comes.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Frame, SizeHint};
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

use super::{
    link::Link,
    pool::{self, Pool},
};
use crate::{body::ClientBody, http1::Http1Error};

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
    link: Sharable,
    upload: AbortHandle,
    /// The target has refused what is sent (B-05).
    is_refused: bool,
    /// Whoever sends it does the rest.
    is_left: bool,
}

/// `None` once one of both is done with it.
type Sharable = Arc<Mutex<Option<Box<Link<ClientBody>>>>>;

impl Busy {
    pub(crate) fn new(
        link: Box<Link<ClientBody>>,
        status: StatusCode,
        pool: Option<Arc<Pool>>,
    ) -> Self {
        let link = match link.is_sending() {
            false => Held::Own(link),
            true => {
                let link = Arc::new(Mutex::new(Some(link)));
                let task = TaskTracker::new().spawn(upload(Arc::clone(&link), pool.clone()));
                let is_refused = status.is_client_error() || status.is_server_error();
                let upload = task.abort_handle();
                Held::Shared(Shared { link, upload, is_refused, is_left: false })
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
            Held::Shared(shared) => match &mut *lock(&shared.link) {
                Some(link) => link.poll_body(cx, true),
                None => Poll::Ready(None),
            },
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let nothing = || SizeHint::with_exact(0);
        match &self.link {
            Held::Own(link) => link.size_hint(),
            Held::Shared(shared) => {
                lock(&shared.link).as_ref().map_or_else(nothing, |link| link.size_hint())
            }
        }
    }

    pub(crate) fn is_answered(&self) -> bool {
        match &self.link {
            Held::Own(link) => link.is_answered(),
            Held::Shared(shared) => {
                lock(&shared.link).as_ref().is_none_or(|link| link.is_answered())
            }
        }
    }

    /// The answer is complete.
    pub(crate) fn release(self) {
        match self.link {
            Held::Own(link) => pool::keep(link, self.pool),
            // What is still wanted of the request is sent first.
            Held::Shared(mut shared) if !shared.is_refused => {
                let done = lock(&shared.link).take_if(|link| !link.is_sending());
                if let Some(link) = done {
                    pool::keep(link, self.pool);
                }
                shared.is_left = true;
            }
            Held::Shared(_) => {}
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.is_left {
            return;
        }
        // Nobody wants the answer, or it was the last that the target had to say.
        self.upload.abort();
        *lock(&self.link) = None;
    }
}

/// Sends the rest of a request.
async fn upload(link: Sharable, pool: Option<Arc<Pool>>) {
    poll_fn(|cx| {
        let mut link = lock(&link);
        let Some(sending) = link.as_mut() else { return Poll::Ready(()) };
        match sending.poll_send(cx, true) {
            Ok(()) if sending.is_sending() => Poll::Pending,
            Ok(()) => Poll::Ready(()),
            // The client broke off: the target must not take it for complete.
            Err(_) => {
                *link = None;
                Poll::Ready(())
            }
        }
    })
    .await;
    let done = lock(&link).take_if(|link| link.is_answered());
    if let Some(link) = done {
        pool::keep(link, pool);
    }
}

/// Nothing in here can be half done.
fn lock(link: &Sharable) -> MutexGuard<'_, Option<Box<Link<ClientBody>>>> {
    link.lock().unwrap_or_else(PoisonError::into_inner)
}
