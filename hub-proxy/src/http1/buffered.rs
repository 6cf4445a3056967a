//! A byte stream with what was read of it and what waits to be written. A stream on
//! which nothing happens holds no memory here.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::outgoing::Outgoing;

/// Read at once of a head. On the stack: what is kept is as long as what has come.
const HEAD_CHUNK: usize = 8 * 1024;

/// Read at once of a body, at least and at most (B-01).
const LEAST_OF_BODY: usize = 8 * 1024;
const MOST_OF_BODY: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Buffered<T> {
    pub(crate) io: T,
    pub(crate) read: BytesMut,
    pub(crate) out: Outgoing,
    /// How much of a body is asked for: more, the more there was.
    body_chunk: usize,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Buffered<T> {
    pub(crate) fn new(io: T) -> Self {
        Self { io, read: BytesMut::new(), out: Outgoing::default(), body_chunk: LEAST_OF_BODY }
    }

    /// Reads something that is not the middle of a body; 0 bytes are the end.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut chunk = [const { MaybeUninit::uninit() }; HEAD_CHUNK];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut chunk))?;
        self.read.extend_from_slice(chunk.filled());
        Poll::Ready(Ok(chunk.filled().len()))
    }

    /// Reads more of a body of which so much is known to come.
    pub(crate) fn poll_fill_body(
        &mut self,
        cx: &mut Context<'_>,
        wanted: u64,
    ) -> Poll<io::Result<usize>> {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let chunk = self.body_chunk.min(wanted.max(LEAST_OF_BODY));
        if chunk <= HEAD_CHUNK {
            let read = ready!(self.poll_fill(cx))?;
            if read == HEAD_CHUNK {
                self.body_chunk = 2 * HEAD_CHUNK;
            }
            return Poll::Ready(Ok(read));
        }
        self.read.reserve(chunk);
        let mut spare = (&mut self.read).limit(chunk);
        // What was made room for stays while the body lasts: most that wait go on soon.
        let filled = ready!(poll_read_buf(Pin::new(&mut self.io), cx, &mut spare))?;
        if filled == chunk {
            self.body_chunk = (2 * chunk).min(MOST_OF_BODY);
        } else if filled < chunk / 4 {
            self.body_chunk = LEAST_OF_BODY;
        }
        Poll::Ready(Ok(filled))
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.out.poll_flush(cx, Pin::new(&mut self.io))
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    /// Gives back the memory that nothing is in.
    pub(crate) fn release(&mut self) {
        if self.read.is_empty() {
            self.read = BytesMut::new();
        }
        self.out.release();
        self.body_chunk = LEAST_OF_BODY;
    }
}
