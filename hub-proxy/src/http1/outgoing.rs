//! What waits to be written.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

/// Most of a piece that is copied behind what waits, so that both leave in one piece.
const COPIED: usize = 4 * 1024;

/// Pieces in one write.
const AT_ONCE: usize = 16;

/// Heads and small pieces are put together, large ones are kept as they are.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    pieces: VecDeque<Bytes>,
    /// Behind all of them.
    tail: Vec<u8>,
    /// How much of the tail has been written, when there are no pieces.
    tail_written: usize,
    /// Of pieces and tail.
    len: usize,
    /// Of all that there ever was.
    written: u64,
    /// Whether something was written that may not have left: TLS has a buffer of its own.
    is_unflushed: bool,
}

impl Outgoing {
    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many bytes have been written, ever.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Whether all of it has left.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0 && !self.is_unflushed
    }

    /// Lets something be written at the end.
    pub(crate) fn write<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let before = self.tail.len();
        let result = write(&mut self.tail);
        self.len += self.tail.len() - before;
        result
    }

    pub(crate) fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        if piece.len() <= COPIED {
            self.write(|tail| tail.extend_from_slice(&piece));
            return;
        }
        self.len += piece.len();
        if !self.tail.is_empty() {
            let mut tail = Bytes::from(std::mem::take(&mut self.tail));
            tail.advance(std::mem::take(&mut self.tail_written));
            self.pieces.push_back(tail);
        }
        self.pieces.push_back(piece);
    }

    /// Writes all of it, and lets it leave.
    pub(crate) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        mut to: Pin<&mut impl AsyncWrite>,
    ) -> Poll<io::Result<()>> {
        if self.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while self.len > 0 {
            let written = if self.pieces.is_empty() {
                ready!(to.as_mut().poll_write(cx, &self.tail[self.tail_written..]))?
            } else {
                let mut slices = [IoSlice::new(&[]); AT_ONCE];
                let all = self.pieces.iter().map(|piece| &**piece).chain([&*self.tail]);
                let mut count = 0;
                for (slice, piece) in slices.iter_mut().zip(all) {
                    *slice = IoSlice::new(piece);
                    count += 1;
                }
                ready!(to.as_mut().poll_write_vectored(cx, &slices[..count]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.is_unflushed = true;
            self.forget(written);
        }
        ready!(to.poll_flush(cx))?;
        self.is_unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// What has been written.
    fn forget(&mut self, mut written: usize) {
        self.len -= written;
        self.written += written as u64;
        while let Some(first) = self.pieces.front_mut() {
            if written < first.len() {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.pieces.pop_front();
        }
        self.tail_written += written;
        if self.tail_written == self.tail.len() {
            self.tail.clear();
            self.tail_written = 0;
        }
    }

    /// Gives its memory back.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            *self = Self { written: self.written, ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, BufWriter, duplex};

    use super::*;

    #[tokio::test]
    async fn what_is_written_leaves_in_its_order_through_a_narrow_stream() {
        let (mut near, mut far) = duplex(7);
        let mut out = Outgoing::default();
        let mut expected = Vec::new();
        for round in 0..40_u8 {
            let piece = vec![round; if round % 3 == 0 { COPIED + 1 } else { 5 }];
            expected.extend_from_slice(&piece);
            out.push(piece.into());
            expected.extend_from_slice(b"head");
            out.write(|tail| tail.extend_from_slice(b"head"));
            assert!(!out.is_empty());
        }
        assert_eq!(out.len(), expected.len());
        let mut got = vec![0; expected.len()];
        let flush = std::future::poll_fn(|cx| out.poll_flush(cx, Pin::new(&mut near)));
        let (flushed, read) = tokio::join!(flush, far.read_exact(&mut got));
        flushed.unwrap();
        read.unwrap();
        assert_eq!(got, expected);
        assert!(out.is_empty());
    }

    #[tokio::test]
    async fn what_a_stream_keeps_back_is_flushed_later() {
        let (near, mut far) = duplex(4);
        let mut near = BufWriter::new(near);
        let mut out = Outgoing::default();
        out.write(|tail| tail.extend_from_slice(b"hello, you"));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(out.poll_flush(&mut cx, Pin::new(&mut near)).is_pending());
        assert_eq!((out.len(), out.is_empty()), (0, false), "taken, but not on its way");
        let mut got = [0; 10];
        let flush = std::future::poll_fn(|cx| out.poll_flush(cx, Pin::new(&mut near)));
        let (flushed, read) = tokio::join!(flush, far.read_exact(&mut got));
        flushed.unwrap();
        read.unwrap();
        assert_eq!(&got, b"hello, you");
        assert!(out.is_empty());
    }
}
