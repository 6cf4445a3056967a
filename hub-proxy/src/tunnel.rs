//! Two byte streams joined until both have ended.
//!
//! Like `tokio::io::copy_bidirectional`, with four differences: a tunnel that
//! waits holds no buffer (thousands of idle notebook tabs cost nothing beyond
//! their sockets), the second direction gets a limited time once the first has
//! ended, who takes nothing more may still say something, and each piece of data
//! is reported.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream of which something was read before it became one.
#[derive(Debug)]
pub(crate) struct WithEarly<S> {
    stream: S,
    early: Bytes,
}

impl<S> WithEarly<S> {
    pub(crate) fn new(stream: S, early: Bytes) -> Self {
        Self { stream, early }
    }

    pub(crate) fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WithEarly<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let here = self.early.len().min(buf.remaining());
        buf.put_slice(&self.early[..here]);
        self.early.advance(here);
        if self.early.is_empty() {
            // Its memory is a whole head's.
            self.early = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WithEarly<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Most that is read at once (B-01). On the stack, so it costs nothing between two reads.
pub(crate) const MOST: usize = 64 * 1024;

/// From the first stream to the second, or from the second to the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Forth,
    Back,
}

/// One direction.
struct Pipe {
    most: usize,
    /// Read, but not taken by the other side yet; no allocation when empty.
    pending: Vec<u8>,
    written: usize,
    stage: Stage,
}

#[derive(Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Copying,
    /// The reader has ended; its end must be passed on.
    Closing,
    Done,
}

/// Copies both ways, at most `most` bytes at once; calls `on_data` for each piece, with its
/// way and length.
///
/// The end of one direction is passed on as an end, after all its data; the
/// other direction then has `grace` left (WS-06). Returns early with the first
/// error.
pub(crate) async fn join<A, B>(
    mut a: A,
    mut b: B,
    most: usize,
    grace: Duration,
    on_data: impl Fn(Way, usize),
) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut forth, mut back) = (Pipe::new(most), Pipe::new(most));
    poll_fn(|cx| {
        let (a, b) = (Pin::new(&mut a), Pin::new(&mut b));
        poll_both(cx, &mut forth, &mut back, a, b, &on_data, Wanted::One)
    })
    .await?;
    let rest = poll_fn(|cx| {
        let (a, b) = (Pin::new(&mut a), Pin::new(&mut b));
        poll_both(cx, &mut forth, &mut back, a, b, &on_data, Wanted::Both)
    });
    // Time is up: dropping both streams closes whatever is still open.
    tokio::time::timeout(grace, rest).await.unwrap_or(Ok(()))
}

/// How many directions must have ended.
#[derive(Clone, Copy)]
enum Wanted {
    One,
    Both,
}

fn poll_both<A, B>(
    cx: &mut Context<'_>,
    forth: &mut Pipe,
    back: &mut Pipe,
    mut a: Pin<&mut A>,
    mut b: Pin<&mut B>,
    on_data: &impl Fn(Way, usize),
    wanted: Wanted,
) -> Poll<io::Result<()>>
where
    A: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    // Both are polled each time: each must leave its waker.
    let on_forth = |bytes| on_data(Way::Forth, bytes);
    let forth = forth.poll(cx, a.as_mut(), b.as_mut(), &on_forth)?.is_ready();
    let back = back.poll(cx, b, a, &|bytes| on_data(Way::Back, bytes))?.is_ready();
    let ended = match wanted {
        Wanted::One => forth || back,
        Wanted::Both => forth && back,
    };
    if ended { Poll::Ready(Ok(())) } else { Poll::Pending }
}

/// What broke off.
enum Broken {
    Reading(io::Error),
    Writing(io::Error),
}

impl Pipe {
    fn new(most: usize) -> Self {
        Self { most: most.min(MOST), pending: Vec::new(), written: 0, stage: Stage::default() }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: Pin<&mut impl AsyncRead>,
        to: Pin<&mut impl AsyncWrite>,
        on_data: &impl Fn(usize),
    ) -> Poll<io::Result<()>> {
        Poll::Ready(match ready!(self.advance(cx, from, to, on_data)) {
            // Who has closed takes no more; what it said before is still on its way.
            Err(Broken::Writing(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.pending = Vec::new();
                self.stage = Stage::Done;
                Ok(())
            }
            Err(Broken::Reading(error) | Broken::Writing(error)) => Err(error),
            Ok(()) => Ok(()),
        })
    }

    fn advance(
        &mut self,
        cx: &mut Context<'_>,
        mut from: Pin<&mut impl AsyncRead>,
        mut to: Pin<&mut impl AsyncWrite>,
        on_data: &impl Fn(usize),
    ) -> Poll<Result<(), Broken>> {
        loop {
            match self.stage {
                Stage::Copying => {
                    ready!(self.poll_pending(cx, to.as_mut())).map_err(Broken::Writing)?;
                    let mut chunk = [const { MaybeUninit::uninit() }; MOST];
                    let mut chunk = ReadBuf::uninit(&mut chunk[..self.most]);
                    let read = from.as_mut().poll_read(cx, &mut chunk);
                    if read.map_err(Broken::Reading)?.is_pending() {
                        // Nothing more for now, so what was written must not
                        // wait in the writer (TLS) for company.
                        ready!(to.as_mut().poll_flush(cx)).map_err(Broken::Writing)?;
                        return Poll::Pending;
                    }
                    let data = chunk.filled();
                    if data.is_empty() {
                        self.stage = Stage::Closing;
                        continue;
                    }
                    on_data(data.len());
                    let written = to.as_mut().poll_write(cx, data).map_err(Broken::Writing)?;
                    let taken = match written {
                        Poll::Ready(taken) => taken,
                        Poll::Pending => 0,
                    };
                    if taken < data.len() {
                        self.pending = data[taken..].to_vec();
                        self.written = 0;
                    }
                }
                Stage::Closing => {
                    ready!(to.as_mut().poll_shutdown(cx)).map_err(Broken::Writing)?;
                    self.stage = Stage::Done;
                }
                Stage::Done => return Poll::Ready(Ok(())),
            }
        }
    }

    fn poll_pending(
        &mut self,
        cx: &mut Context<'_>,
        mut to: Pin<&mut impl AsyncWrite>,
    ) -> Poll<io::Result<()>> {
        while self.written < self.pending.len() {
            match ready!(to.as_mut().poll_write(cx, &self.pending[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => self.written += taken,
            }
        }
        if !self.pending.is_empty() {
            self.pending = Vec::new();
            self.written = 0;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    /// A stream whose other side has closed for writes.
    struct Deaf<S>(S);

    impl<S: AsyncRead + Unpin> AsyncRead for Deaf<S> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    impl<S: Unpin> AsyncWrite for Deaf<S> {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }
    }

    #[tokio::test]
    async fn ws_04_bytes_pass_unchanged_through_narrow_streams() {
        let (client, near) = duplex(7);
        let (far, server) = duplex(5);
        let sent: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        let pieces = Cell::new(0);
        let (mut client_read, mut client_write) = tokio::io::split(client);
        let (mut server_read, mut server_write) = tokio::io::split(server);
        let (mut got, mut echoed) = (Vec::new(), Vec::new());
        let (joined, ..) = tokio::join!(
            join(near, far, 16, GRACE, |_, _| pieces.set(pieces.get() + 1)),
            async {
                client_write.write_all(&sent).await.unwrap();
                client_write.shutdown().await.unwrap();
            },
            async {
                server_read.read_to_end(&mut got).await.unwrap();
                server_write.write_all(b"done").await.unwrap();
                server_write.shutdown().await.unwrap();
            },
            async { client_read.read_to_end(&mut echoed).await.unwrap() },
        );
        joined.unwrap();
        assert_eq!(got, sent);
        assert_eq!(echoed, b"done");
        assert!(pieces.get() > 0);
    }

    #[tokio::test]
    async fn ws_06_the_last_words_of_who_takes_nothing_more_arrive() {
        let (mut client, near) = duplex(64);
        let (far, mut server) = duplex(2);
        let talk = async {
            client.write_all(b"to nobody").await.unwrap();
            let (mut got, last) = (Vec::new(), async {
                server.write_all(b"the last words").await.unwrap();
                drop(server);
            });
            let (read, ()) = tokio::join!(client.read_to_end(&mut got), last);
            read.unwrap();
            got
        };
        let (joined, got) = tokio::join!(join(near, Deaf(far), MOST, GRACE, |_, _| {}), talk);
        joined.unwrap();
        assert_eq!(got, b"the last words");
    }

    #[tokio::test(start_paused = true)]
    async fn ws_06_a_half_closed_tunnel_ends_after_the_grace_period() {
        let (mut client, near) = duplex(64);
        let (far, mut server) = duplex(64);
        client.shutdown().await.unwrap();
        let before = tokio::time::Instant::now();
        join(near, far, MOST, GRACE, |_, _| {}).await.unwrap();
        assert_eq!(before.elapsed().as_secs(), GRACE.as_secs());
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    }
}
