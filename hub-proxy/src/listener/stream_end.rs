//! How a tunnel ends whose client's side is a stream of HTTP/2 (H2-02). To who reads from
//! it, hyper shows a stream that was reset as one that has ended, and it ends a stream that
//! is dropped. Its task that writes to the stream knows better, so this one is asked.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::write_through::write_through;

/// The end of one stream, shared by its tunnel and by what writes to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamEnd(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    writer: Option<Waker>,
    tunnel: Option<Waker>,
    /// Whether the tunnel wants to know if the stream was reset, and whether the writer has
    /// looked since.
    is_asked: bool,
    is_sound: bool,
    /// The writer has ended.
    is_over: bool,
    /// The stream is to be reset.
    is_given_up: bool,
}

impl StreamEnd {
    /// Nothing in here can be half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the end of the stream a reset, once the tunnel is dropped.
    pub(crate) fn give_up(&self) {
        let mut state = self.lock();
        state.is_given_up = true;
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
    }

    /// Whether a stream from which nothing more will come was reset.
    fn poll_was_reset(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.lock();
        if state.is_over || state.is_sound {
            return Poll::Ready(state.is_over);
        }
        state.is_asked = true;
        state.tunnel = Some(cx.waker().clone());
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
        Poll::Pending
    }
}

pin_project! {
    /// The task that writes to the stream. It ends by itself when the tunnel has said all,
    /// or when the client has reset the stream; dropping it before is a reset.
    pub(super) struct Writer<F> {
        #[pin]
        task: F,
        end: StreamEnd,
    }
}

impl<F> Writer<F> {
    pub(super) fn new(task: F, end: StreamEnd) -> Self {
        Self { task, end }
    }
}

impl<F: Future<Output = ()>> Future for Writer<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let is_asked = {
            let mut state = this.end.lock();
            if state.is_given_up {
                return Poll::Ready(());
            }
            state.writer = Some(cx.waker().clone());
            state.is_asked
        };
        let ended = this.task.poll(cx);
        if is_asked || ended.is_ready() {
            let mut state = this.end.lock();
            state.is_over |= ended.is_ready();
            state.is_sound |= ended.is_pending();
            if let Some(tunnel) = state.tunnel.take() {
                tunnel.wake();
            }
        }
        ended
    }
}

/// A client's side of a tunnel that hyper serves.
pub(crate) struct HyperTunnel {
    stream: TokioIo<Upgraded>,
    /// `None` where the connection is the tunnel.
    end: Option<StreamEnd>,
    /// All has been said, so the writer may end.
    is_shut: bool,
}

impl HyperTunnel {
    pub(crate) fn new(stream: Upgraded, end: Option<StreamEnd>) -> Self {
        Self { stream: TokioIo::new(stream), end, is_shut: false }
    }

    /// Makes dropping it a reset, where that can be.
    pub(crate) fn reset_on_close(&self) {
        if let Some(end) = &self.end {
            end.give_up();
        }
    }
}

impl AsyncRead for HyperTunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let has_ended = buf.filled().len() == before;
        if has_ended
            && !self.is_shut
            && let Some(end) = &self.end
            && ready!(end.poll_was_reset(cx))
        {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for HyperTunnel {
    write_through!(stream);

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_shut = true;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
