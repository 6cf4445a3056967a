//! A client's socket, and the deadlines for what it does: a browser may wait long
//! before it asks, but a client that began to speak must finish soon (L-07), and one
//! that is spoken to must listen (T-08).

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use super::{calm::Calm, leave::Leave, slots::Slot};
use crate::{Meter, Meters, deadline, transport::Transport};

/// A client connection after a TLS handshake, or without one.
pub(crate) struct ClientStream {
    transport: Transport,
    phase: Arc<Phase>,
    limits: Limits,
    head_deadline: Option<Pin<Box<Sleep>>>,
    silence: Option<Silence>,
    /// Runs while the client takes nothing of what waits for it.
    stall: Option<Pin<Box<Sleep>>>,
    /// What a client of HTTP/2 says about the connection itself.
    calm: Option<Box<Calm>>,
    /// The end has begun; nothing else passes any more.
    leave: Option<Box<Leave>>,
    meters: Option<Meters>,
    /// Given back when the socket is closed, also after an upgrade.
    _slot: Slot,
}

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From the first byte of a request's head to its last.
    pub(crate) head: Option<Duration>,
    /// Without a byte in either direction while a request is in progress.
    pub(crate) busy_idle: Option<Duration>,
    /// Without taking a byte of what it is sent (T-08).
    pub(crate) write_stall: Duration,
}

/// Runs while a request is in progress, if that is limited (T-03).
struct Silence {
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

/// What a connection is doing, shared by its socket and its requests.
#[derive(Debug, Default)]
pub(crate) struct Phase {
    state: AtomicU8,
    abort: AtomicBool,
}

/// Waiting for a request.
const IDLE: u8 = 0;
/// Some of a request's head has arrived.
const HEAD: u8 = 1;
/// A request is being answered.
const BUSY: u8 = 2;
/// There are tunnels, and no other requests.
const TUNNEL: u8 = 3;

impl Phase {
    /// The head is complete.
    pub(crate) fn request_began(&self) {
        self.state.store(BUSY, Ordering::Relaxed);
    }

    /// The answer is complete.
    pub(crate) fn request_ended(&self) {
        self.state.store(IDLE, Ordering::Relaxed);
    }

    /// Makes closing the socket a reset: what was sent is not all there was,
    /// and an HTTP/1.0 client could not tell otherwise (E-06).
    pub(crate) fn abort(&self) {
        self.abort.store(true, Ordering::Relaxed);
    }

    /// What was asked for was a tunnel, whose ends may be silent for days (T-07).
    pub(crate) fn tunnel_began(&self) {
        self.state.store(TUNNEL, Ordering::Relaxed);
    }

    /// Whether a request is in progress, or a tunnel.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.state.load(Ordering::Relaxed), BUSY | TUNNEL)
    }

    fn is_answering(&self) -> bool {
        self.state.load(Ordering::Relaxed) == BUSY
    }

    /// Some of a head has come, unless a request is in progress: then it is its body's.
    pub(crate) fn bytes_arrived(&self) {
        let _ = self.state.compare_exchange(IDLE, HEAD, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl ClientStream {
    pub(crate) fn new(
        transport: Transport,
        phase: Arc<Phase>,
        limits: Limits,
        slot: Slot,
        meters: Option<Meters>,
    ) -> Self {
        Self {
            transport,
            phase,
            limits,
            head_deadline: None,
            silence: None,
            stall: None,
            calm: None,
            leave: None,
            meters,
            _slot: slot,
        }
    }

    /// Ends the connection of a client that does nothing but talk about it (H2-05).
    /// It has said `early` already, which is too little to be a flood.
    pub(super) fn keeping_calm(mut self, early: &[u8]) -> Self {
        let mut calm = Calm::new();
        calm.arrived(early);
        self.calm = Some(Box::new(calm));
        self
    }

    /// Takes note of what was read; whether it may be handed on.
    fn bytes_read(&mut self, bytes: &[u8]) -> bool {
        Meters::add(self.meters.as_ref(), Meter::BytesFromClients, bytes.len());
        self.phase.bytes_arrived();
        self.bytes_passed();
        let Some(calm) = self.calm.as_mut() else { return true };
        if calm.arrived(bytes) {
            tracing::debug!("a client sends nothing but pings and settings: its connection ends");
            let words = calm.goaway().map(|goaway| goaway.to_vec());
            self.leave = Some(Box::new(Leave::saying(words.unwrap_or_default())));
        }
        self.leave.is_none()
    }

    /// Takes note of what was written of `bufs`.
    fn bytes_written(&mut self, written: &Poll<io::Result<usize>>, bufs: &[io::IoSlice<'_>]) {
        let &Poll::Ready(Ok(mut count)) = written else { return };
        Meters::add(self.meters.as_ref(), Meter::BytesToClients, count);
        let Some(calm) = self.calm.as_mut() else { return };
        for buf in bufs {
            let here = count.min(buf.len());
            calm.left(&buf[..here]);
            count -= here;
        }
    }

    /// Makes dropping it a reset (WS-06).
    pub(crate) fn reset_on_close(&self) {
        self.phase.abort();
    }

    /// Whether dropping it tells the client all that there is to tell.
    pub(crate) fn closing_says_all(&self) -> bool {
        matches!(self.transport, Transport::Plain(_))
    }

    /// The head that was read is complete; the next has its own time.
    pub(crate) fn head_is_complete(&mut self) {
        self.head_deadline = None;
    }

    /// Requests have no heads that are a stretch of this stream.
    pub(crate) fn has_no_heads(&mut self) {
        self.limits.head = None;
        self.head_deadline = None;
    }

    /// Ready once the client took too long for what it is doing.
    fn poll_deadlines(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.poll_head_deadline(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => self.poll_silence(cx),
        }
    }

    /// Ready once nothing was read or written for too long.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = self.limits.busy_idle.filter(|_| self.phase.is_answering()) else {
            self.silence = None;
            return Poll::Pending;
        };
        let silence = self.silence.get_or_insert_with(|| {
            let since = Instant::now();
            Silence {
                since,
                timer: Box::pin(tokio::time::sleep_until(deadline::after(since, limit))),
            }
        });
        loop {
            ready!(silence.timer.as_mut().poll(cx));
            let end = deadline::after(silence.since, limit);
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            silence.timer.as_mut().reset(end);
        }
    }

    fn bytes_passed(&mut self) {
        if let Some(silence) = &mut self.silence {
            silence.since = Instant::now();
        }
    }

    /// Ready once a request head takes too long.
    fn poll_head_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.phase.state.load(Ordering::Relaxed) != HEAD {
            self.head_deadline = None;
            return Poll::Pending;
        }
        let Some(limit) = self.limits.head else { return Poll::Pending };
        self.head_deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)))
            .as_mut()
            .poll(cx)
    }

    /// The outcome of a write; an error once the client took nothing for too
    /// long.
    fn poll_stall<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let limit = self.limits.write_stall;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(stall.as_mut().poll(cx));
        // What waits in the kernel will not be taken either.
        self.phase.abort();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        if self.phase.abort.load(Ordering::Relaxed) {
            self.transport.socket().reset_on_close();
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.leave.is_none() {
            let before = buf.filled().len();
            match Pin::new(&mut this.transport).poll_read(cx, buf) {
                Poll::Ready(result) => {
                    let read = &buf.filled()[before..];
                    if read.is_empty() || this.bytes_read(read) {
                        return Poll::Ready(result);
                    }
                    buf.set_filled(before);
                }
                Poll::Pending => {
                    return this.poll_deadlines(cx).map(|()| Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        if let Some(leave) = &mut this.leave {
            ready!(leave.poll(&mut this.transport, cx));
        }
        Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.leave.is_some() {
            return Poll::Ready(Ok(buf.len()));
        }
        self.bytes_passed();
        let written = Pin::new(&mut self.transport).poll_write(cx, buf);
        self.bytes_written(&written, &[io::IoSlice::new(buf)]);
        self.poll_stall(cx, written)
    }

    // TLS keeps some of what was written: it may wait for the client here, too.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.leave.is_some() {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.transport).poll_flush(cx);
        self.poll_stall(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.leave.is_some() {
            return Poll::Ready(Ok(()));
        }
        let shut = Pin::new(&mut self.transport).poll_shutdown(cx);
        self.poll_stall(cx, shut)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.leave.is_some() {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        self.bytes_passed();
        let written = Pin::new(&mut self.transport).poll_write_vectored(cx, bufs);
        self.bytes_written(&written, bufs);
        self.poll_stall(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }
}
