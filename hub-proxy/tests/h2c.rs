//! HTTP/2 without TLS, by clients that know that they may (H2-01, SM-35).
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![cfg(feature = "tls")]

#[path = "support/http2.rs"]
mod http2;
#[path = "support/running.rs"]
mod support;

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use http2::*;
use hub_proxy::{ListenConfig, ProxyConfig};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::*;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_util::task::TaskTracker;

/// So short that nobody has to wait for it.
const SHORT: Duration = Duration::from_millis(50);

const PAGE: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":authority", "hub.example"), (":path", "/hub/")];

fn listening() -> ListenConfig {
    let mut listen = listen();
    listen.h2c = true;
    listen
}

async fn serving(target: SocketAddr, listen: ListenConfig) -> Running {
    Running::listening(target, ProxyConfig::default(), listen, Duration::ZERO).await
}

async fn connect(addr: SocketAddr) -> TcpStream {
    soon(TcpStream::connect(addr)).await.unwrap()
}

/// A client that keeps to the standard.
async fn open(addr: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TokioIo::new(connect(addr).await);
    let (sender, connection) = soon(handshake(TokioExecutor::new(), stream)).await.unwrap();
    TaskTracker::new().spawn(async move {
        let _ = connection.await;
    });
    sender
}

#[tokio::test]
async fn h2_01_a_client_that_knows_it_speaks_http2_without_tls() {
    let (target, mut heads) = answering(ONCE).await;
    let proxy = serving(target, listening()).await;
    let mut sender = open(proxy.addr).await;
    for path in ["/user/ada/x", "/user/ada/y"] {
        let request = http::Request::post(format!("http://hub.example{path}"));
        let request = request.body(Full::from("hi")).unwrap();
        let answer = soon(sender.send_request(request)).await.unwrap();
        assert_eq!(
            (answer.version(), answer.status()),
            (http::Version::HTTP_2, http::StatusCode::OK)
        );
        assert_eq!(soon(answer.into_body().collect()).await.unwrap().to_bytes(), "ok");
        if path.ends_with('x') {
            let head = soon(heads.recv()).await.unwrap();
            assert!(head.starts_with("post /user/ada/x http/1.1\r\n"), "{head}");
            assert!(head.contains("host: hub.example\r\n"), "{head}");
            assert!(head.contains("x-forwarded-proto: http\r\n"), "{head}");
        }
    }
}

#[tokio::test]
async fn h2_01_the_preface_may_come_in_pieces() {
    let proxy = serving(nowhere().await, listening()).await;
    let mut stream = connect(proxy.addr).await;
    stream.set_nodelay(true).unwrap();
    for byte in PREFACE {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut raw = Raw(Client::over(stream));
    raw.send(SETTINGS, 0, 0, &[]).await;
    raw.request(1, &PAGE).await;
    assert_eq!(raw.next_of(&[HEADERS, GOAWAY]).await.unwrap().kind, HEADERS);
}

#[tokio::test]
async fn h2_01_clients_of_http1_do_not_notice() {
    let (target, _heads) = answering(ONCE).await;
    let proxy = serving(target, listening()).await;
    let mut client = proxy.connect().await;
    // Begins as the preface does.
    client.send("P").await;
    tokio::task::yield_now().await;
    client.send("OST /user/ada/ HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi").await;
    assert!(client.head().await.starts_with("http/1.1 200 "));
    assert_eq!(client.take(2).await, b"ok");
    client.send(get("/hub/")).await;
    assert!(client.rest().await.contains("fallback: GET /hub/"), "on the same connection");
    let wrong = proxy.ask("PRI * HTTP/2.0\r\nHost: h\r\n\r\n").await;
    assert!(wrong.starts_with("HTTP/1.1 400 "), "no more than it looks like: {wrong}");
}

#[tokio::test]
async fn h2_05_h2_06_the_limits_are_those_under_tls() {
    let tls = Tls::new();
    let mut encrypted = listen();
    encrypted.tls = Some(tls.keys.clone());
    encrypted.http2 = true;
    let encrypted = serving(nowhere().await, encrypted).await;
    let plain = serving(nowhere().await, listening()).await;
    let told = tls.raw(encrypted.addr).await.next_of(&[SETTINGS]).await.unwrap().payload;
    let mut raw = Raw::over(connect(plain.addr).await).await;
    let settings = raw.next_of(&[SETTINGS]).await.unwrap().payload;
    assert!(!told.is_empty() && settings == told, "{settings:?} and {told:?}");
}

#[tokio::test]
async fn h2_02_websockets_come_over_it() {
    let target = target(|client| async move {
        let socket = tokio_tungstenite::accept_async(client.stream).await.unwrap();
        let mut client = Client::over(socket.into_inner());
        assert_eq!(client.take(2).await, b"go");
        client.send("on").await;
    })
    .await;
    let proxy = serving(target, listening()).await;
    let mut raw = Raw::over(connect(proxy.addr).await).await;
    let handshake = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", "hub.example"),
        (":path", "/user/ada/ws"),
        ("sec-websocket-version", "13"),
    ];
    raw.upload(1, &handshake).await;
    assert_eq!(raw.next_of(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap().kind, HEADERS);
    raw.data(1, b"go").await;
    assert_eq!(raw.next_of(&[DATA]).await.unwrap().payload, b"on");
}

#[tokio::test]
async fn t_01_who_begins_and_does_not_go_on_is_cut() {
    let mut listen = listening();
    listen.header_read_timeout = SHORT;
    // It is not this one that acts.
    listen.keep_alive_timeout = DEADLINE * 2;
    let proxy = serving(nowhere().await, listen).await;
    let mut client = proxy.connect().await;
    client.send(&PREFACE[..20]).await;
    client.gone().await;
    assert!(client.ahead.is_empty(), "{:?}", client.ahead);
}

#[tokio::test]
async fn k_08_d_03_who_says_nothing_is_closed() {
    let mut listen = listening();
    listen.keep_alive_timeout = SHORT;
    let proxy = serving(nowhere().await, listen).await;
    proxy.connect().await.gone().await;
    let proxy = serving(nowhere().await, listening()).await;
    let mut client = proxy.connect().await;
    proxy.stop.cancel();
    client.gone().await;
    assert_eq!(proxy.drained().await.connections_cut, 0);
}

#[tokio::test]
async fn sm_35_without_it_the_preface_is_refused() {
    let proxy = serving(nowhere().await, listen()).await;
    let mut client = proxy.connect().await;
    client.send(PREFACE).await;
    assert!(client.head().await.starts_with("http/1.1 400 "));
    // TLS says what is spoken under it, and nothing else is.
    let mut listen = listening();
    listen.tls = Some(Tls::new().keys);
    let proxy = serving(nowhere().await, listen).await;
    let mut client = proxy.connect().await;
    client.send(PREFACE).await;
    assert!(client.head().await.starts_with("http/1.1 400 "), "S-11");
}
