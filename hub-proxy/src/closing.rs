//! Tunnels that end with their route, if whoever removes it wants that (WS-11).

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    sync::{Notify, futures::Notified},
};

use crate::write_through::write_through;

/// What becomes of the open tunnels of a route that is taken out of the table or led
/// elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenTunnels {
    /// They go on until one of their ends closes, as in configurable-http-proxy.
    #[default]
    Stay,
    /// They are closed, with an end in both directions.
    Close,
}

/// Tells the tunnels of a route that they are to close. Clones tell the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closing(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_asked: AtomicBool,
    tunnels: Notify,
}

/// A side of a tunnel from which nothing more comes once the tunnel is to close.
///
/// That costs a look at a flag for each piece of data. Whoever reads has to be woken by
/// [`Closing::asked`].
pub(crate) struct Closable<'a, S> {
    stream: S,
    closing: &'a Closing,
}

impl Closing {
    /// Closes the tunnels that there are, and those whose handshake is still on its way.
    pub(crate) fn ask(&self) {
        self.0.is_asked.store(true, Ordering::Release);
        self.0.tunnels.notify_waiters();
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.0.is_asked.load(Ordering::Acquire)
    }

    /// Wakes who has polled it once tunnels are to close.
    pub(crate) fn asked(&self) -> Notified<'_> {
        self.0.tunnels.notified()
    }
}

impl<'a, S> Closable<'a, S> {
    pub(crate) fn new(stream: S, closing: &'a Closing) -> Self {
        Self { stream, closing }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Closable<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.closing.is_asked() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Closable<'_, S> {
    write_through!(stream);

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Reads what still comes of both sides, for nobody, until both have ended: a socket that
/// is closed with bytes in it resets its connection, and the end may get lost with that.
pub(crate) async fn read_out(a: &mut (impl AsyncRead + Unpin), b: &mut (impl AsyncRead + Unpin)) {
    tokio::join!(to_its_end(a), to_its_end(b));
}

/// In small pieces: many tunnels may close at once. Who breaks off has ended, too.
async fn to_its_end(stream: &mut (impl AsyncRead + Unpin)) {
    let mut nobody = [0; 512];
    while matches!(stream.read(&mut nobody).await, Ok(1..)) {}
}
