//! The public side on a Unix socket.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/running.rs"]
mod support;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use futures_util::{SinkExt, StreamExt};
use hub_proxy::{
    Drained, EndSignals, ListenConfig, ListenError, Listener, Proxy, ProxyConfig, RouteTable,
    TrustForwarded,
};
use support::*;
use tokio::{net::UnixStream, task::JoinHandle};
use tokio_tungstenite::{
    client_async,
    tungstenite::{Message, client::IntoClientRequest},
};
use tokio_util::task::TaskTracker;

/// A proxy at a Unix socket with one route, `/user/ada/`.
struct AtSocket {
    dir: tempfile::TempDir,
    routes: RouteTable,
    signals: EndSignals,
    served: JoinHandle<Drained>,
}

impl AtSocket {
    async fn to(target: SocketAddr, config: ProxyConfig) -> Self {
        let (dir, routes) = (tempfile::tempdir().unwrap(), RouteTable::default());
        let url = format!("http://{target}").parse().unwrap();
        routes.insert("/user/ada/".parse().unwrap(), url);
        let nobody = tower::service_fn(async |_| {
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        });
        let proxy = Proxy::new(routes.clone(), config, nobody);
        let listener = Listener::bind_unix(dir.path().join("socket"), &listen()).await.unwrap();
        let signals = EndSignals::default();
        let served = TaskTracker::new().spawn(listener.serve_until(proxy, signals.clone()));
        Self { dir, routes, signals, served }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    async fn ask(&self, request: &str) -> String {
        let mut client = connect(&self.path()).await;
        client.send(request).await;
        client.rest().await
    }

    fn was_used(&self) -> bool {
        self.routes.last_used(&"/user/ada/".parse().unwrap()).is_some()
    }
}

async fn connect(path: &Path) -> Client<UnixStream> {
    Client::over(soon(UnixStream::connect(path)).await.unwrap())
}

#[tokio::test]
async fn p_056_http_and_activity_over_a_unix_socket() {
    let (target, mut heads) = answering(ONCE).await;
    let config = ProxyConfig::default();
    let proxy = AtSocket::to(target, config).await;
    assert!(!proxy.was_used());
    let asks = "GET /user/ada/x HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n\
                X-Forwarded-For: 9.9.9.9\r\n\r\n";
    let answer = proxy.ask(asks).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok"), "{answer}");
    assert!(proxy.was_used());
    let head = soon(heads.recv()).await.unwrap();
    assert!(
        !head.contains("x-forwarded-for"),
        "nobody is trusted, and there is no address: {head}"
    );
    assert!(
        head.contains("x-forwarded-proto: http\r\n") && head.contains("x-forwarded-port: 1\r\n")
    );
}

#[tokio::test]
async fn a11_a_proxy_that_comes_over_a_unix_socket_may_say_for_whom() {
    let (target, mut heads) = answering(ONCE).await;
    let mut config = ProxyConfig::default();
    config.trusted_proxies = TrustForwarded::Networks(vec!["10.0.0.0/8".parse().unwrap()]);
    let proxy = AtSocket::to(target, config).await;
    let asks = "GET /user/ada/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
                X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n\r\n";
    proxy.ask(asks).await;
    let head = soon(heads.recv()).await.unwrap();
    assert!(head.contains("x-forwarded-for: 9.9.9.9\r\n"), "{head}");
    assert!(head.contains("x-forwarded-proto: https,http\r\n"), "{head}");
}

#[tokio::test]
async fn p_057_ws_14_websockets_over_a_unix_socket() {
    let target = target(|client| async move {
        let mut socket = tokio_tungstenite::accept_async(client.stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(message).await.unwrap();
            }
        }
    })
    .await;
    let proxy = AtSocket::to(target, ProxyConfig::default()).await;
    let stream = soon(UnixStream::connect(proxy.path())).await.unwrap();
    let request = "ws://h/user/ada/ws".into_client_request().unwrap();
    let (mut socket, _) = soon(client_async(request, stream)).await.unwrap();
    soon(socket.send(Message::text("hello"))).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text("hello"));
    assert!(proxy.was_used());
}

#[tokio::test]
async fn d_03_the_file_goes_with_the_listener_unless_somebody_else_serves_there() {
    let proxy = AtSocket::to(nowhere().await, ProxyConfig::default()).await;
    proxy.signals.release.cancel();
    proxy.signals.stop.cancel();
    soon(proxy.served).await.unwrap();
    assert!(proxy.dir.path().join("socket").exists(), "released before it was stopped");

    let proxy = AtSocket::to(nowhere().await, ProxyConfig::default()).await;
    let mut idle = connect(&proxy.path()).await;
    proxy.signals.stop.cancel();
    idle.gone().await;
    soon(proxy.served).await.unwrap();
    assert!(!proxy.dir.path().join("socket").exists());
}

#[tokio::test]
async fn l_02_clients_of_a_unix_socket_are_turned_away_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = listen();
    config.max_connections = 1;
    let listener = Listener::bind_unix(dir.path().join("socket"), &config).await.unwrap();
    let path = listener.path().unwrap().to_owned();
    let hello = tower::service_fn(async |_| {
        Ok::<_, std::convert::Infallible>(http::Response::new("ok".to_owned()))
    });
    let signals = EndSignals::default();
    TaskTracker::new().spawn(listener.serve_until(hello, signals));
    let mut first = connect(&path).await;
    first.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(first.head().await.starts_with("http/1.1 200 "));
    assert!(connect(&path).await.rest().await.starts_with("HTTP/1.1 503 "));
}

#[tokio::test]
async fn errors_name_the_path_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let first = Listener::bind_unix(&path, &listen()).await.unwrap();
    assert_eq!((first.path(), first.local_addr().port()), (Some(&*path), 0));
    let said = Listener::bind_unix(&path, &listen()).await.unwrap_err().to_string();
    assert!(
        said.contains(path.to_str().unwrap()) && said.contains("choose another path"),
        "{said}"
    );
    drop(first);
    assert!(!path.exists());
    let missing = Listener::bind_unix(dir.path().join("no/socket"), &listen()).await;
    assert!(matches!(missing, Err(ListenError::Path { .. })), "{missing:?}");
}

#[tokio::test]
async fn a_socket_may_change_hands_with_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let first = Listener::bind_unix(&path, &listen()).await.unwrap();
    let config = ListenConfig::new(([127, 0, 0, 1], 0).into());
    let taken = Listener::adopt_unix(first.duplicate().unwrap().into(), &config).await.unwrap();
    assert_eq!(taken.path(), Some(&*path));
    let hello = tower::service_fn(async |_| {
        Ok::<_, std::convert::Infallible>(http::Response::new("ok".to_owned()))
    });
    let (old, new) = (EndSignals::default(), EndSignals::default());
    let tasks = TaskTracker::new();
    let leaves = tasks.spawn(first.serve_until(hello, old.clone()));
    let stays = tasks.spawn(taken.removing_file().serve_until(hello, new.clone()));
    old.release.cancel();
    soon(leaves).await.unwrap();
    let mut client = connect(&path).await;
    client.send(get("/")).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 200 "));
    new.stop.cancel();
    soon(stays).await.unwrap();
    assert!(!path.exists());
}
