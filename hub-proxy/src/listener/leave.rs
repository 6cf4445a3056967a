//! The last words to a client, and a moment in which it may hear them.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use crate::transport::Transport;

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(1);

/// How much is not heard, at most.
const MOST_UNHEARD: usize = 256 * 1024;

/// The end of a connection: a frame is said, then there is nothing more to say, and what
/// still comes is not heard. A socket that is closed before would take the frame along.
pub(super) struct Leave {
    words: Vec<u8>,
    said: usize,
    is_shut: bool,
    unheard: usize,
    limit: Pin<Box<Sleep>>,
}

impl Leave {
    pub(super) fn saying(words: Vec<u8>) -> Self {
        let limit = Box::pin(tokio::time::sleep(LIMIT));
        Self { words, said: 0, is_shut: false, unheard: 0, limit }
    }

    /// Ready once the connection can be closed.
    pub(super) fn poll(&mut self, transport: &mut Transport, cx: &mut Context<'_>) -> Poll<()> {
        match self.limit.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            // Whoever is gone has heard enough.
            Poll::Pending => self.poll_end(transport, cx).map(drop),
        }
    }

    fn poll_end(
        &mut self,
        transport: &mut Transport,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        while self.said < self.words.len() {
            let written = Pin::new(&mut *transport).poll_write(cx, &self.words[self.said..]);
            match ready!(written)? {
                0 => return Poll::Ready(Ok(())),
                more => self.said += more,
            }
        }
        if !self.is_shut {
            ready!(Pin::new(&mut *transport).poll_flush(cx))?;
            ready!(Pin::new(&mut *transport).poll_shutdown(cx))?;
            self.is_shut = true;
        }
        let mut bytes = [0; 4096];
        while self.unheard < MOST_UNHEARD {
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut *transport).poll_read(cx, &mut read))?;
            match read.filled().len() {
                0 => break,
                more => self.unheard += more,
            }
        }
        Poll::Ready(Ok(()))
    }
}
