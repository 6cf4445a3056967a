//! A proxy on a real socket, targets that do exactly what a test says, and a
//! client that sees every byte.

#![allow(dead_code, reason = "each test binary uses another part")]

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use http::{Request, Response};
use hub_proxy::{
    Drained, FallbackBody, GatewayFailure, ListenConfig, Listener, Peer, Proxy, ProxyConfig,
    RouteTable,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Longer than anything takes that works.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// What is awaited, or a panic that says it never came.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("this should have happened by now")
}

/// A listening proxy with one route, `/user/ada/`.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) routes: RouteTable,
    pub(crate) stop: CancellationToken,
    drained: oneshot::Receiver<Drained>,
}

impl Running {
    /// With the default configuration.
    pub(crate) async fn to(target: SocketAddr) -> Self {
        Self::with(target, ProxyConfig::default()).await
    }

    pub(crate) async fn with(target: SocketAddr, config: ProxyConfig) -> Self {
        Self::listening(target, config, listen(), Duration::ZERO).await
    }

    pub(crate) async fn draining_for(target: SocketAddr, grace: Duration) -> Self {
        Self::listening(target, ProxyConfig::default(), listen(), grace).await
    }

    pub(crate) async fn listening(
        target: SocketAddr,
        config: ProxyConfig,
        listen: ListenConfig,
        grace: Duration,
    ) -> Self {
        let routes = RouteTable::default();
        let url = format!("http://{target}").parse().unwrap();
        routes.insert("/user/ada/".parse().unwrap(), url);
        let proxy = Proxy::new(routes.clone(), config, tower::service_fn(fallback));
        let listener = Listener::bind(&listen).await.unwrap();
        let (addr, stop) = (listener.local_addr(), CancellationToken::new());
        let (done, drained) = oneshot::channel();
        let stopped = stop.clone();
        TaskTracker::new().spawn(async move {
            let _ = done.send(listener.serve(proxy, stopped, grace).await);
        });
        Self { addr, routes, stop, drained }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::to(self.addr).await
    }

    /// One request on a connection of its own; the whole answer.
    pub(crate) async fn ask(&self, request: &str) -> String {
        let mut client = self.connect().await;
        client.send(request).await;
        client.rest().await
    }

    pub(crate) fn was_used(&self) -> bool {
        self.routes.last_used(&"/user/ada/".parse().unwrap()).is_some()
    }

    /// How draining ended, once `stop` is cancelled.
    pub(crate) async fn drained(self) -> Drained {
        soon(self.drained).await.unwrap()
    }
}

pub(crate) fn listen() -> ListenConfig {
    ListenConfig::new(([127, 0, 0, 1], 0).into())
}

/// Says what it was asked, and the number of bytes that came with it.
async fn fallback(request: Request<FallbackBody>) -> Result<Response<String>, Infallible> {
    use http_body_util::BodyExt;

    let (head, body) = request.into_parts();
    let bytes = body.collect().await.map_or(0, |body| body.to_bytes().len());
    let failure = match head.extensions.get::<GatewayFailure>() {
        Some(failure) => format!("{} for {}", failure.status.as_u16(), failure.path),
        None => "none".to_owned(),
    };
    let field =
        |name| head.headers.get(name).map_or("-", |value| value.to_str().unwrap()).to_owned();
    let text = format!(
        "fallback: {} {} failure={failure} bytes={bytes} peer={} for={} host={} proto={} \
         cookie={} length={} upgrade={}",
        head.method,
        head.uri,
        head.extensions.get::<Peer>().is_some(),
        field("x-forwarded-for"),
        field("x-forwarded-host"),
        field("x-forwarded-proto"),
        field("cookie"),
        field("content-length"),
        field("upgrade"),
    );
    Ok(Response::new(text))
}

/// A client on one connection.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    /// Read, but not asked for yet.
    pub(crate) ahead: Vec<u8>,
}

impl Client {
    pub(crate) async fn to(addr: SocketAddr) -> Self {
        Self::over(soon(TcpStream::connect(addr)).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWriteExt + Unpin> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, ahead: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.stream.write_all(bytes.as_ref())).await.unwrap();
        soon(self.stream.flush()).await.unwrap();
    }

    /// The head of the next message, in lower case, without the blank line.
    pub(crate) async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
                return String::from_utf8(head[..end + 2].to_vec()).unwrap().to_lowercase();
            }
            assert!(self.more().await.unwrap() > 0, "ended in a head: {:?}", self.ahead);
        }
    }

    /// Exactly `len` bytes.
    pub(crate) async fn take(&mut self, len: usize) -> Vec<u8> {
        while self.ahead.len() < len {
            assert!(self.more().await.unwrap() > 0, "ended after {} bytes", self.ahead.len());
        }
        self.ahead.drain(..len).collect()
    }

    /// As [`take`](Self::take); `None` if the other side closes before.
    pub(crate) async fn try_take(&mut self, len: usize) -> Option<Vec<u8>> {
        while self.ahead.len() < len {
            if !matches!(self.more().await, Ok(1..)) {
                return None;
            }
        }
        Some(self.ahead.drain(..len).collect())
    }

    /// The bytes up to and including `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.ahead).into_owned();
            if let Some(at) = text.find(end) {
                let taken: Vec<u8> = self.ahead.drain(..at + end.len()).collect();
                return String::from_utf8(taken).unwrap();
            }
            assert!(self.more().await.unwrap() > 0, "ended before {end:?}: {text}");
        }
    }

    /// Everything until the other side closes; a reset is an error.
    pub(crate) async fn try_rest(&mut self) -> std::io::Result<Vec<u8>> {
        while self.more().await? > 0 {}
        Ok(std::mem::take(&mut self.ahead))
    }

    pub(crate) async fn rest(&mut self) -> String {
        String::from_utf8(self.try_rest().await.unwrap()).unwrap()
    }

    /// Waits until the other side is gone, in whatever way.
    pub(crate) async fn gone(&mut self) {
        while matches!(self.more().await, Ok(1..)) {}
    }

    async fn more(&mut self) -> std::io::Result<usize> {
        soon(self.stream.read_buf(&mut self.ahead)).await
    }
}

/// A target that runs `script` for each connection.
pub(crate) async fn target<F, Fut>(script: F) -> SocketAddr
where
    F: Fn(Client) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let tasks = TaskTracker::new();
    tasks.clone().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tasks.spawn(script(Client::over(stream)));
        }
    });
    addr
}

/// A target that answers every request with `answer` and reports each head.
pub(crate) async fn answering(
    answer: &'static str,
) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let (heads, seen) = tokio::sync::mpsc::unbounded_channel();
    let addr = target(move |mut client| {
        let heads = heads.clone();
        async move {
            heads.send(client.head().await).unwrap();
            client.send(answer).await;
            client.gone().await;
        }
    })
    .await;
    (addr, seen)
}

/// An address where nobody listens.
pub(crate) async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A request for a page of ada's, on a connection that is closed after it.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: hub.example\r\nConnection: close\r\n\r\n")
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// As [`OK`], and the last answer on its connection.
pub(crate) const ONCE: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

/// A target whose answers have no end; it tells when one was broken off.
pub(crate) async fn sending_without_end() -> (SocketAddr, mpsc::UnboundedReceiver<()>) {
    let (event, events) = mpsc::unbounded_channel();
    let addr = target(move |mut client| {
        let event = event.clone();
        async move {
            client.head().await;
            client.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
            let piece = vec![b'#'; 1 << 16];
            while client.stream.write_all(&piece).await.is_ok() {}
            event.send(()).unwrap();
        }
    })
    .await;
    (addr, events)
}
