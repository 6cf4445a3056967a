//! What the fuzz targets share: a proxy, a client that sends any bytes, and a
//! target that reads strictly what the proxy makes of them.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use http::Response;
use hub_proxy::{ListenConfig, Listener, Proxy, ProxyConfig, RouteTable};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tokio_util::sync::CancellationToken;

pub mod strict;

use strict::Read;

/// Longer than any exchange takes on this host.
const DEADLINE: Duration = Duration::from_secs(20);

/// How long the proxy waits for more of an input.
const PATIENCE: Duration = Duration::from_millis(5);

/// A request as the target read it, whole.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub head: String,
    pub body: Vec<u8>,
}

/// What begins the paths of our own requests.
const WARM: &str = "POST /warm ";

impl Arrived {
    /// Method, target and version.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The fields but those that the proxy makes, in lower case and in order.
    pub fn fields(&self) -> Vec<String> {
        let mut fields: Vec<_> = self.head.lines().skip(1).map(str::to_ascii_lowercase).collect();
        fields.retain(|field| !field.is_empty() && !field.starts_with("x-forwarded-"));
        fields.sort();
        fields
    }
}

/// Sends `input` on one connection of a proxy with a route for everything and unused
/// connections to its target, and returns the requests that arrived whole there.
///
/// # Panics
///
/// If what arrives is no well-formed request, or goes on behind its end.
pub fn forwarded(input: &[u8]) -> Vec<Arrived> {
    runtime().block_on(async {
        let (addr, arrived) = target().await;
        let _ = through(addr, input, Some(&arrived)).await;
        let mut requests = arrived.all().await;
        requests.retain(|request| !request.head.starts_with(WARM));
        requests
    })
}

/// What a client gets of a target that sends `input` and closes: the bytes, and whether
/// they ended in a way that tells that this was all.
pub fn answered(input: &[u8]) -> (Vec<u8>, bool) {
    runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let answering = async {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(input).await;
                let _ = stream.shutdown().await;
            }
        };
        let request =
            b"GET /p HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n";
        tokio::select! {
            got = through(addr, request, None) => got,
            () = answering => unreachable!("it accepts for ever"),
        }
    })
}

/// Sends `input` on one connection of a proxy to `target`: what comes back, and whether
/// that ended without a reset. First it has the proxy keep two connections, if it is told
/// what arrives.
async fn through(target: SocketAddr, input: &[u8], arrived: Option<&Collected>) -> (Vec<u8>, bool) {
    let routes = RouteTable::default();
    routes.insert("/".parse().unwrap(), format!("http://{target}").parse().unwrap());
    let fallback = tower::service_fn(async |_| Ok::<_, Infallible>(Response::new(String::new())));
    let proxy = Proxy::new(routes, ProxyConfig::default(), fallback);
    let listener = Listener::bind(&config()).await.unwrap();
    let addr = listener.local_addr();
    let stop = CancellationToken::new();
    let serving = listener.serve(proxy, stop.clone(), DEADLINE);
    let asking = async {
        if let Some(arrived) = arrived {
            warm(addr, arrived).await;
        }
        let mut client = TcpStream::connect(addr).await.unwrap();
        // The end comes from the other side: ours would be a reason to give up what was
        // asked for.
        let _ = client.write_all(input).await;
        let mut answers = Vec::new();
        let ended = client.read_to_end(&mut answers).await.is_ok();
        drop(client);
        stop.cancel();
        (answers, ended)
    };
    let both = async { tokio::join!(serving, asking).1 };
    tokio::time::timeout(DEADLINE, both).await.expect("an exchange hangs")
}

/// Has a proxy keep two connections: two requests at once that both lack their last byte
/// until both have begun. On a busy host it may have fewer: the proxy's patience is short.
async fn warm(proxy: SocketAddr, arrived: &Collected) {
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = TcpStream::connect(proxy).await.unwrap();
        let head = format!("{WARM}HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nh");
        let _ = client.write_all(head.as_bytes()).await;
        clients.push(client);
    }
    let both = async {
        while Arc::strong_count(&arrived.open) < 4 {
            tokio::task::yield_now().await;
        }
    };
    let _ = tokio::time::timeout(4 * PATIENCE, both).await;
    for client in &mut clients {
        let _ = client.write_all(b"i").await;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if !matches!(client.read_buf(&mut answer).await, Ok(1..)) {
                break;
            }
        }
    }
}

/// Waits for nobody: what has not come with an input does not come.
fn config() -> ListenConfig {
    let mut config = ListenConfig::new("127.0.0.1:0".parse().unwrap());
    config.keep_alive_timeout = PATIENCE;
    config.header_read_timeout = PATIENCE;
    config.busy_idle_timeout = Some(4 * PATIENCE);
    config
}

/// One runtime for all inputs, without threads of its own.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME
        .get_or_init(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap())
}

/// What the connections of one target have read.
#[derive(Clone, Default)]
struct Collected {
    requests: Arc<Mutex<Vec<Arrived>>>,
    /// One reference for each connection that is still read.
    open: Arc<()>,
}

impl Collected {
    /// All requests, once every connection has ended.
    async fn all(self) -> Vec<Arrived> {
        let ended = async {
            // One is the listener's, one is ours.
            while Arc::strong_count(&self.open) > 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, ended).await.expect("a connection to the target hangs");
        self.requests.lock().unwrap().clone()
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing outlives an input")]
async fn target() -> (SocketAddr, Collected) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let collected = Collected::default();
    let kept = collected.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(read(stream, kept.clone()));
        }
    });
    (addr, collected)
}

/// Reads requests and answers them; nothing may come behind one that is not answered.
async fn read(mut stream: TcpStream, collected: Collected) {
    let mut bytes = Vec::new();
    loop {
        match strict::request(&bytes) {
            Read::Whole(request, len) => {
                let behind = String::from_utf8_lossy(&bytes[len..]);
                assert!(behind.is_empty(), "behind {request:?} comes {behind:?}");
                collected.requests.lock().unwrap().push(request);
                bytes.clear();
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                let _ = stream.write_all(answer).await;
            }
            Read::Malformed(why) => panic!("{why}: {:?}", String::from_utf8_lossy(&bytes)),
            Read::Incomplete => {}
        }
        // A request that the client broke off never becomes whole.
        if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
            return;
        }
    }
}
