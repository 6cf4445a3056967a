//! Whether a client of HTTP/2 takes its answers (T-08). Its windows hold back a stream
//! while all else on its connection goes on, so one stream ends, not the connection.
//!
//! The one who sees that a stream's task waits knows nothing of the body in it, so what
//! the body has given is left where both find it.

use std::{
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};

use super::stream_end::StreamEnd;
use crate::deadline;

tokio::task_local! {
    /// Of the stream whose task is being polled.
    static TAKING: Taking;
}

/// How many pieces of its answer a stream has been given, and 0 while it is not
/// the client who is waited for.
#[derive(Clone, Debug, Default)]
pub(super) struct Taking(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    pieces: AtomicU64,
    /// If the stream becomes a tunnel.
    end: OnceLock<StreamEnd>,
}

impl Taking {
    /// That of the stream whose task calls; of none if nobody watches it.
    pub(super) fn of_this_stream() -> Self {
        TAKING.try_with(Clone::clone).unwrap_or_default()
    }

    /// How the tunnel ends that the stream becomes.
    pub(super) fn end_of_tunnel(&self) -> StreamEnd {
        self.0.end.get_or_init(StreamEnd::default).clone()
    }

    /// As [`end_of_tunnel`](Self::end_of_tunnel), if it is a stream's task that calls.
    pub(super) fn end_of_this_tunnel() -> Option<StreamEnd> {
        TAKING.try_with(Self::end_of_tunnel).ok()
    }

    /// More of the answer is wanted: the client has taken what there was.
    pub(super) fn is_asked(&self) {
        self.0.pieces.store(0, Ordering::Relaxed);
    }

    /// The `count`th piece was given.
    pub(super) fn is_given(&self, count: u64) {
        self.0.pieces.store(count, Ordering::Relaxed);
    }
}

pin_project! {
    /// A stream's task, which ends when its client has taken no piece for too long. That
    /// resets the stream.
    pub(super) struct Watched<F> {
        #[pin]
        task: F,
        taking: Taking,
        limit: Duration,
        stall: Option<Stall>,
    }
}

/// A piece that is not taken.
struct Stall {
    piece: u64,
    timer: Pin<Box<Sleep>>,
}

impl<F> Watched<F> {
    pub(super) fn new(task: F, limit: Duration) -> Self {
        Self { task, taking: Taking::default(), limit, stall: None }
    }
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let task = this.task;
        if TAKING.sync_scope(this.taking.clone(), || task.poll(cx)).is_ready() {
            return Poll::Ready(());
        }
        let piece = this.taking.0.pieces.load(Ordering::Relaxed);
        if piece == 0 {
            *this.stall = None;
            return Poll::Pending;
        }
        let limit = *this.limit;
        let stall =
            this.stall.get_or_insert_with(|| Stall { piece, timer: Box::pin(sleep(limit)) });
        if stall.piece != piece {
            stall.piece = piece;
            stall.timer.as_mut().reset(deadline::after(Instant::now(), limit));
        }
        stall.timer.as_mut().poll(cx)
    }
}
