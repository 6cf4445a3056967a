//! A connection that is a process: what we write it reads, what it prints we
//! read.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    sync::OwnedSemaphorePermit,
};

use super::{DialFailure, advice, not_started};

/// How much of its complaints is kept.
const COMPLAINTS: u64 = 16 * 1024;

type Ending = Pin<Box<dyn Future<Output = (Option<i32>, String)> + Send>>;

pub(super) struct Process {
    /// Taken when we have nothing more to say.
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    answer: Answer,
    no_program: Arc<AtomicBool>,
}

/// Whether something came back. Until then the end of the process is a failure
/// to connect, and its complaints say why.
enum Answer {
    Awaited {
        ending: Ending,
        /// Given back once we are let in.
        _shaking_hands: Option<OwnedSemaphorePermit>,
    },
    /// Held to end the process with the connection, and to read what it prints.
    Came {
        ending: Ending,
    },
    /// It ended after an answer.
    Over,
    Never(DialFailure),
}

impl Process {
    pub(super) fn start(
        mut command: Command,
        shaking_hands: Option<OwnedSemaphorePermit>,
        no_program: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let mut child = command.spawn().map_err(not_started)?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("ssh was started without pipes"));
        };
        let ending: Ending = Box::pin(ending(child, stderr));
        let answer = Answer::Awaited { ending, _shaking_hands: shaking_hands };
        Ok(Self { stdin: Some(stdin), stdout, answer, no_program })
    }

    /// Reads complaints as they come, so that the process never waits for us.
    fn listen(&mut self, cx: &mut Context<'_>) {
        if let Answer::Came { ending } = &mut self.answer
            && ending.as_mut().poll(cx).is_ready()
        {
            self.answer = Answer::Over;
        }
    }

    /// Why nothing came back, once the process has ended; `None` if something did.
    fn poll_failure(&mut self, cx: &mut Context<'_>) -> Poll<Option<DialFailure>> {
        if let Answer::Awaited { ending, .. } = &mut self.answer {
            let (code, words) = ready!(ending.as_mut().poll(cx));
            if code == Some(advice::NOT_FOUND) {
                self.no_program.store(true, Ordering::Relaxed);
            }
            self.answer = Answer::Never(advice::failure(code, &words));
        }
        Poll::Ready(match &self.answer {
            Answer::Never(failure) => Some(failure.clone()),
            Answer::Awaited { .. } | Answer::Came { .. } | Answer::Over => None,
        })
    }
}

/// The exit code and the first complaints of a process. Dropping the future
/// ends it.
pub(super) async fn ending(mut child: Child, stderr: ChildStderr) -> (Option<i32>, String) {
    let mut words = Vec::new();
    let mut first = stderr.take(COMPLAINTS);
    // What cannot be read was not said.
    let _ = first.read_to_end(&mut words).await;
    let _ = tokio::io::copy(&mut first.into_inner(), &mut tokio::io::sink()).await;
    let code = child.wait().await.ok().and_then(|status| status.code());
    (code, String::from_utf8_lossy(&words).into_owned())
}

impl AsyncRead for Process {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        self.listen(cx);
        ready!(Pin::new(&mut self.stdout).poll_read(cx, buf))?;
        if buf.filled().len() == before {
            return Poll::Ready(match ready!(self.poll_failure(cx)) {
                Some(failure) => Err(failure.into()),
                None => Ok(()),
            });
        }
        if let Answer::Awaited { .. } = self.answer
            && let Answer::Awaited { ending, .. } =
                std::mem::replace(&mut self.answer, Answer::Over)
        {
            self.answer = Answer::Came { ending };
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Process {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(stdin) = &mut self.stdin else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        match ready!(Pin::new(stdin).poll_write(cx, bytes)) {
            Err(error) => Poll::Ready(Err(match ready!(self.poll_failure(cx)) {
                Some(failure) => failure.into(),
                None => error,
            })),
            written => Poll::Ready(written),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Closing the pipe is the only way to say that nothing more comes.
        self.stdin = None;
        Poll::Ready(Ok(()))
    }
}
