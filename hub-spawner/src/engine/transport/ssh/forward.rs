//! A socket of ours that leads to one on the other machine: needs no program
//! `docker` there.

use std::{
    fs::{self, File},
    io,
    path::Path,
    pin::Pin,
    process::Stdio,
    task::{Context, Poll, ready},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixStream,
    process::{Child, ChildStdin},
    sync::Mutex,
};

use super::{advice, command, not_started};
use crate::engine::host::SshTarget;

/// How long until the socket is there.
const DEADLINE: Duration = Duration::from_secs(20);

/// Pause between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// The process that forwards, started when first needed and again when it ended.
#[derive(Debug, Default)]
pub(super) struct Forward(Mutex<Option<Running>>);

#[derive(Debug)]
struct Running {
    child: Child,
    /// The process ends when this does, also if we are killed.
    _stdin: Option<ChildStdin>,
    /// Only we may look into it.
    dir: TempDir,
}

impl Forward {
    /// A connection to the socket `path` over there.
    pub(super) async fn dial(&self, target: &SshTarget, path: &str) -> io::Result<Forwarded> {
        let mut running = self.0.lock().await;
        if let Some(there) = running.as_mut() {
            if there.child.try_wait()?.is_none() {
                let stream = UnixStream::connect(there.dir.path().join(SOCKET)).await?;
                return Ok(Forwarded::new(stream, path));
            }
            *running = None;
        }
        let (started, stream) = start(target, path).await?;
        *running = Some(started);
        Ok(Forwarded::new(stream, path))
    }
}

/// Files in the directory: our end, and what the process complains about.
const SOCKET: &str = "docker.sock";
const COMPLAINTS: &str = "complaints";

/// Starts a process and waits for its socket.
async fn start(target: &SshTarget, path: &str) -> io::Result<(Running, UnixStream)> {
    let dir = tempfile::Builder::new().prefix("hub-docker-").tempdir()?;
    let socket = dir.path().join(SOCKET);
    let mut command = command(target);
    command.args(["-o", "ExitOnForwardFailure=yes"]);
    command.arg("-L").arg(format!("{}:{path}", socket.display()));
    // It lasts as long as we write to it, which is never.
    command.arg("--").arg(&target.host).arg("cat");
    command.stdout(Stdio::null()).stderr(File::create(dir.path().join(COMPLAINTS))?);
    let mut child = command.spawn().map_err(not_started)?;
    let looking = async {
        loop {
            if let Ok(stream) = UnixStream::connect(&socket).await {
                return Ok::<_, io::Error>(stream);
            }
            if let Some(status) = child.try_wait()? {
                let words = complaints(dir.path());
                return Err(advice::failure(status.code(), &words).into());
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    };
    match tokio::time::timeout(DEADLINE, looking).await {
        Ok(stream) => {
            let stream = stream?;
            Ok((Running { _stdin: child.stdin.take(), child, dir }, stream))
        }
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn complaints(dir: &Path) -> String {
    String::from_utf8_lossy(&fs::read(dir.join(COMPLAINTS)).unwrap_or_default()).into_owned()
}

/// A forwarded connection. If it ends before anything came back, the socket over
/// there is what is wrong.
#[derive(Debug)]
pub(super) struct Forwarded {
    stream: UnixStream,
    path: String,
    answered: bool,
}

impl Forwarded {
    fn new(stream: UnixStream, path: &str) -> Self {
        Self { stream, path: path.to_owned(), answered: false }
    }
}

impl AsyncRead for Forwarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        self.answered |= buf.filled().len() > before;
        Poll::Ready(if self.answered { read } else { Err(advice::closed(&self.path).into()) })
    }
}

impl AsyncWrite for Forwarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(Pin::new(&mut self.stream).poll_write(cx, bytes)) {
            Err(_) if !self.answered => Poll::Ready(Err(advice::closed(&self.path).into())),
            written => Poll::Ready(written),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
