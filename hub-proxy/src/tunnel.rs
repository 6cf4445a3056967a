//! Two byte streams joined until both have ended.
//!
//! Like `tokio::io::copy_bidirectional`, with five differences: a tunnel that
//! waits holds no buffer (thousands of idle notebook tabs cost nothing beyond
//! their sockets), the second direction gets a limited time once the first has
//! ended, who takes nothing more may still say something, each piece of data is
//! reported, and a tunnel through which nothing passes may be closed.

use std::{
    future::poll_fn,
    io,
    mem::{self, MaybeUninit},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::write_through::write_through;

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
    write_through!(stream);

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
    /// Whether something was read or written since somebody looked.
    is_moving: bool,
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

/// What a tunnel may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes that are read at once.
    pub(crate) most: usize,
    /// How long one direction may go on when the other has ended (WS-06).
    pub(crate) grace: Duration,
    /// How long nothing may pass in either direction; for ever if there is none (WS-10).
    pub(crate) idle: Option<Duration>,
}

/// Since when nothing has passed. The timer runs on over what does, and is set anew only
/// when it has run out too early.
struct Idle {
    limit: Duration,
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Idle {
    /// None for a limit that no time reaches.
    fn new(limit: Duration) -> Option<Self> {
        let since = Instant::now();
        let timer = Box::pin(sleep_until(since.checked_add(limit)?));
        Some(Self { limit, since, timer })
    }

    /// Ready once it has been too long.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let Some(end) = self.since.checked_add(self.limit) else { return Poll::Pending };
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(end);
        }
    }
}

/// Copies both ways, at most [`most`](Limits::most) bytes at once; calls `on_data` for each
/// piece, with its way and length.
///
/// The end of one direction is passed on as an end, after all its data; the
/// other direction then has [`grace`](Limits::grace) left (WS-06). Returns early with the
/// first error.
///
/// When nothing has passed for as long as [`idle`](Limits::idle) says, both sides are told
/// the end. It is an error if something still waits for one that does not take it: that
/// is no end, but something that breaks off.
pub(crate) async fn join<A, B>(
    mut a: A,
    mut b: B,
    limits: Limits,
    on_data: impl Fn(Way, usize),
) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut forth, mut back) = (Pipe::new(limits.most), Pipe::new(limits.most));
    let mut idle = limits.idle.and_then(Idle::new);
    poll_fn(|cx| {
        let (a, b) = (Pin::new(&mut a), Pin::new(&mut b));
        if poll_both(cx, &mut forth, &mut back, a, b, &on_data, Wanted::One)?.is_ready() {
            return Poll::Ready(Ok::<_, io::Error>(()));
        }
        let Some(idle) = &mut idle else { return Poll::Pending };
        if forth.has_moved() | back.has_moved() {
            idle.since = Instant::now();
        }
        ready!(idle.poll(cx));
        tracing::debug!("nothing has passed through a WebSocket for too long");
        forth.end()?;
        back.end()?;
        Poll::Ready(Ok(()))
    })
    .await?;
    let rest = poll_fn(|cx| {
        let (a, b) = (Pin::new(&mut a), Pin::new(&mut b));
        poll_both(cx, &mut forth, &mut back, a, b, &on_data, Wanted::Both)
    });
    // Time is up: dropping both streams closes whatever is still open.
    tokio::time::timeout(limits.grace, rest).await.unwrap_or(Ok(()))
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
        Self {
            most: most.min(MOST),
            pending: Vec::new(),
            written: 0,
            is_moving: false,
            stage: Stage::default(),
        }
    }

    /// Whether something has passed since this was asked last.
    fn has_moved(&mut self) -> bool {
        mem::take(&mut self.is_moving)
    }

    /// Reads no more, and passes an end on; an error if something still waits before it.
    fn end(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stage = Stage::Closing;
        Ok(())
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
                    self.is_moving = true;
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
                taken => {
                    self.is_moving = true;
                    self.written += taken;
                }
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

    const LIMITS: Limits = Limits { most: MOST, grace: GRACE, idle: None };

    /// Closed after a minute in which nothing passes.
    const IDLE: Limits = Limits { idle: Some(Duration::from_secs(60)), ..LIMITS };

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
            join(near, far, Limits { most: 16, ..LIMITS }, |_, _| pieces.set(pieces.get() + 1)),
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
        let (joined, got) = tokio::join!(join(near, Deaf(far), LIMITS, |_, _| {}), talk);
        joined.unwrap();
        assert_eq!(got, b"the last words");
    }

    #[tokio::test(start_paused = true)]
    async fn ws_06_a_half_closed_tunnel_ends_after_the_grace_period() {
        let (mut client, near) = duplex(64);
        let (far, mut server) = duplex(64);
        client.shutdown().await.unwrap();
        let before = tokio::time::Instant::now();
        join(near, far, LIMITS, |_, _| {}).await.unwrap();
        assert_eq!(before.elapsed().as_secs(), GRACE.as_secs());
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn ws_10_thousands_of_tunnels_end_once_nothing_has_passed_for_too_long() {
        let before = Instant::now();
        let mut ends = Vec::new();
        let tunnels = futures_util::future::join_all((0..3000).map(|_| {
            let ((client, near), (far, server)) = (duplex(64), duplex(64));
            ends.extend([client, server]);
            join(near, far, IDLE, |_, _| {})
        }));
        assert!(tunnels.await.iter().all(Result::is_ok));
        assert_eq!(before.elapsed().as_secs(), 60);
        for mut end in ends {
            assert_eq!(end.read(&mut [0; 8]).await.unwrap(), 0, "told the end");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ws_10_a_byte_of_either_side_counts_for_both() {
        let ((mut client, near), (far, mut server)) = (duplex(64), duplex(64));
        let before = Instant::now();
        let talk = async {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_secs(50)).await;
                client.write_all(b"a").await.unwrap();
                tokio::time::sleep(Duration::from_secs(50)).await;
                server.write_all(b"b").await.unwrap();
            }
        };
        let (joined, ()) = tokio::join!(join(near, far, IDLE, |_, _| {}), talk);
        joined.unwrap();
        assert_eq!(before.elapsed().as_secs(), 10 * 50 + 60);
        let mut got = Vec::new();
        server.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"aaaaa");
    }

    #[tokio::test(start_paused = true)]
    async fn ws_10_who_takes_slowly_is_not_idle_and_who_takes_nothing_breaks_it_off() {
        let ((mut client, near), (far, mut server)) = (duplex(64), duplex(64));
        client.write_all(&[b'#'; 64]).await.unwrap();
        let before = Instant::now();
        let talk = async {
            // More than fits on the way, so that some of it waits for its reader.
            client.write_all(&[b'#'; 96]).await.unwrap();
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_secs(50)).await;
                server.read_exact(&mut [0; 16]).await.unwrap();
            }
        };
        let (joined, ()) = tokio::join!(join(near, far, IDLE, |_, _| {}), talk);
        assert_eq!(joined.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(before.elapsed().as_secs(), 4 * 50 + 60);
    }

    #[tokio::test(start_paused = true)]
    async fn ws_10_a_limit_that_no_time_reaches_is_none() {
        for limit in [Duration::MAX, Duration::from_secs(u64::MAX)] {
            let ((mut client, near), (far, mut server)) = (duplex(64), duplex(64));
            let talk = async {
                tokio::time::sleep(Duration::from_secs(1_000_000)).await;
                client.write_all(b"a").await.unwrap();
                drop(client);
                let mut got = Vec::new();
                server.read_to_end(&mut got).await.unwrap();
                drop(server);
                got
            };
            let limits = Limits { idle: Some(limit), ..LIMITS };
            let (joined, got) = tokio::join!(join(near, far, limits, |_, _| {}), talk);
            joined.unwrap();
            assert_eq!(got, b"a");
        }
    }
}
