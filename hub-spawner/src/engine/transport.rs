//! The bytes between us and the daemon: a socket, TCP, TLS, or the program `ssh`.

mod failure;
mod ssh;
mod tls;

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker, errors::Error};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo},
};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

use super::{
    CLIENT_TIMEOUT,
    host::{DockerHost, Way},
};
use crate::BoxError;

pub(super) use failure::DialFailure;

/// How long a machine may take to answer at all.
const DIAL_DEADLINE: Duration = Duration::from_secs(10);

/// How often a silent connection is asked for a sign of life: a watch for
/// events would wait for ever for a machine that is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Idle connections that are kept. Each call over `ssh` would otherwise start a
/// process and prove who we are.
const IDLE_CONNECTIONS: usize = 4;

/// How long an idle connection is kept.
const IDLE_TIME: Duration = Duration::from_secs(60);

/// How a connection to the daemon is made.
type Dial = Arc<dyn Fn() -> BoxFuture<'static, io::Result<Wire>> + Send + Sync>;

/// A client that reaches the daemon the given way. Nothing is sent yet.
pub(super) fn client(host: &DockerHost) -> Result<Docker, Error> {
    if let Way::Unix(path) = &host.way {
        return Docker::connect_with_unix(path, CLIENT_TIMEOUT.as_secs(), API_DEFAULT_VERSION);
    }
    let client = http(dialer(host));
    let transport = move |request: BollardRequest| {
        let client = client.clone();
        async move { client.request(request).await.map_err(Error::from) }
    };
    // The name is for the `Host` header only; the connector knows the way.
    Docker::connect_with_custom_transport(
        transport,
        Some("http://docker"),
        CLIENT_TIMEOUT.as_secs(),
        API_DEFAULT_VERSION,
    )
}

/// What the daemon answers to `GET path`, for answers that the client library cuts.
pub(super) async fn get(host: &DockerHost, path: &str) -> Result<Bytes, BoxError> {
    let request = http::Request::get(format!("http://docker{path}"));
    let request = request.body(bollard::body_full(Bytes::new()))?;
    let answer = http(dialer(host)).request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    match status.is_success() {
        true => Ok(body),
        false => Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into()),
    }
}

fn dialer(host: &DockerHost) -> Dial {
    match &host.way {
        Way::Unix(path) => {
            let path = path.clone();
            Arc::new(move || {
                let path = path.clone();
                async move { Ok(Wire::new(UnixStream::connect(path).await?)) }.boxed()
            })
        }
        Way::Tcp { host, port } => {
            let (host, port) = (host.clone(), *port);
            Arc::new(move || {
                let host = host.clone();
                async move { Ok(Wire::new(tcp(&host, port).await?)) }.boxed()
            })
        }
        Way::Tls { host, port, config } => {
            let (host, port, config) = (host.clone(), *port, Arc::clone(config));
            Arc::new(move || {
                let (host, config) = (host.clone(), Arc::clone(&config));
                async move {
                    let stream = tcp(&host, port).await?;
                    Ok(Wire::new(tls::Watched::handshake(&host, config, stream).await?))
                }
                .boxed()
            })
        }
        Way::Ssh(target) => {
            let dialer = Arc::new(ssh::Dialer::new(target.clone()));
            Arc::new(move || {
                let dialer = Arc::clone(&dialer);
                async move { dialer.dial().await }.boxed()
            })
        }
    }
}

/// Speaks HTTP over whatever `dial` connects to.
fn http<B>(dial: Dial) -> Client<impl Connect + Clone + Send + Sync + 'static, B>
where
    B: BodyExt + Send + 'static,
    B::Data: Send,
{
    let connector = tower::service_fn(move |_| dial().map(|wire| wire.map(TokioIo::new)).boxed());
    Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_TIME)
        .pool_timer(hyper_util::rt::TokioTimer::new())
        .build(connector)
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let connecting = TcpStream::connect((host, port));
    let stream = tokio::time::timeout(DIAL_DEADLINE, connecting)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    let probes = TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE);
    SockRef::from(&stream).set_tcp_keepalive(&probes)?;
    Ok(stream)
}

/// An open connection of any kind.
struct Wire(Pin<Box<dyn Duplex>>);

trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

impl Wire {
    fn new(stream: impl Duplex + 'static) -> Self {
        Self(Box::pin(stream))
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_shutdown(cx)
    }
}
