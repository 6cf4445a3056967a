//! How WebSockets over HTTP/2 end: with an end, or broken off (H2-02).
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![cfg(feature = "tls")]

#[path = "support/http2.rs"]
mod http2;
#[path = "support/running.rs"]
mod support;

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::Duration,
};

use http2::*;
use hub_proxy::ProxyConfig;
use support::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};

const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// What a target's side of a tunnel is to do, once the client has said "go".
#[derive(Clone, Copy)]
enum Then {
    Reset,
    End,
    /// Nothing but to listen.
    Listen,
}

/// A target that reports how each of its tunnels ended.
async fn tunnels(then: Then) -> (SocketAddr, mpsc::UnboundedReceiver<io::Result<Vec<u8>>>) {
    let (seen, ends) = mpsc::unbounded_channel();
    let target = target(move |client| {
        let seen = seen.clone();
        async move {
            let socket = tokio_tungstenite::accept_async(client.stream).await.unwrap();
            let mut client = Client::over(socket.into_inner());
            assert_eq!(client.take(2).await, b"go");
            match then {
                Then::Reset => return client.stream.set_zero_linger().unwrap(),
                Then::End => client.stream.shutdown().await.unwrap(),
                Then::Listen => client.send("on").await,
            }
            seen.send(rest(client).await).unwrap();
        }
    })
    .await;
    (target, ends)
}

async fn rest(mut client: Client<TcpStream>) -> io::Result<Vec<u8>> {
    let mut rest = std::mem::take(&mut client.ahead);
    soon(client.stream.read_to_end(&mut rest)).await?;
    Ok(rest)
}

/// A tunnel on stream 1, on which "go" was said.
async fn open(tls: &Tls, proxy: &Running) -> Raw {
    let mut raw = tls.raw(proxy.addr).await;
    let handshake = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":authority", "hub.example"),
        (":path", "/user/ada/ws"),
        ("sec-websocket-version", "13"),
    ];
    raw.upload(1, &handshake).await;
    let answer = raw.next_of(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
    // Index 8 of HPACK's static table is `:status: 200`.
    assert_eq!((answer.kind, answer.payload[0]), (HEADERS, 0x88), "{answer:?}");
    raw.send(DATA, 0, 1, b"go").await;
    raw
}

async fn serving(tls: &Tls, target: SocketAddr) -> Running {
    serving_with(tls, target, ProxyConfig::default()).await
}

async fn serving_with(tls: &Tls, target: SocketAddr, config: ProxyConfig) -> Running {
    let mut listen = listen();
    listen.tls = Some(tls.keys.clone());
    listen.http2 = true;
    Running::listening(target, config, listen, Duration::ZERO).await
}

#[tokio::test]
async fn h2_02_ws_06_a_target_that_resets_resets_the_stream() {
    let (tls, (target, _ends)) = (Tls::new(), tunnels(Then::Reset).await);
    let proxy = serving(&tls, target).await;
    let mut raw = open(&tls, &proxy).await;
    let end = raw.next_of(&[DATA, RST_STREAM, GOAWAY]).await.unwrap();
    assert_eq!((end.kind, end.stream), (RST_STREAM, 1), "{end:?}");
    assert_eq!(end.payload, CANCEL);
    raw.request(3, &PAGE).await;
    assert_eq!(raw.next_of(&[HEADERS, GOAWAY]).await.unwrap().kind, HEADERS, "others go on");
}

#[tokio::test]
async fn h2_02_ws_06_a_stream_that_is_reset_resets_the_target() {
    let (tls, (target, mut ends)) = (Tls::new(), tunnels(Then::Listen).await);
    let proxy = serving(&tls, target).await;
    let mut raw = open(&tls, &proxy).await;
    assert_eq!(raw.next_of(&[DATA]).await.unwrap().payload, b"on");
    assert!(raw.try_reset(1).await);
    let end = soon(ends.recv()).await.unwrap();
    assert_eq!(end.map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset));
    raw.request(3, &PAGE).await;
    assert_eq!(raw.next_of(&[HEADERS, GOAWAY]).await.unwrap().kind, HEADERS, "others go on");
}

#[tokio::test]
async fn h2_02_ws_06_an_end_is_an_end_and_leaves_the_other_direction_open() {
    // The client's first.
    let (tls, (target, mut ends)) = (Tls::new(), tunnels(Then::Listen).await);
    let proxy = serving(&tls, target).await;
    let mut raw = open(&tls, &proxy).await;
    assert_eq!(raw.next_of(&[DATA]).await.unwrap().payload, b"on");
    raw.data(1, b"bye").await;
    assert_eq!(soon(ends.recv()).await.unwrap().unwrap(), b"bye");
    let end = raw.next_of(&[DATA, RST_STREAM, GOAWAY]).await.unwrap();
    assert_eq!((end.kind, end.payload.len()), (DATA, 0), "{end:?}");

    // The target's first.
    let (target, mut ends) = tunnels(Then::End).await;
    let proxy = serving(&tls, target).await;
    let mut raw = open(&tls, &proxy).await;
    let end = raw.next_of(&[DATA, RST_STREAM, GOAWAY]).await.unwrap();
    assert_eq!((end.kind, end.payload.len()), (DATA, 0), "{end:?}");
    raw.data(1, b"late").await;
    assert_eq!(soon(ends.recv()).await.unwrap().unwrap(), b"late");
}

#[tokio::test]
async fn ws_10_h2_02_a_silent_stream_is_told_the_end_and_others_go_on() {
    let (tls, (target, mut ends)) = (Tls::new(), tunnels(Then::Listen).await);
    let mut config = ProxyConfig::default();
    config.tunnel_idle_timeout = Some(Duration::from_secs(2));
    let proxy = serving_with(&tls, target, config).await;
    let mut raw = open(&tls, &proxy).await;
    assert_eq!(raw.next_of(&[DATA]).await.unwrap().payload, b"on");
    let end = raw.next_of(&[DATA, RST_STREAM, GOAWAY]).await.unwrap();
    assert_eq!((end.kind, end.stream, end.payload.len()), (DATA, 1, 0), "{end:?}");
    assert_eq!(soon(ends.recv()).await.unwrap().unwrap(), b"", "for the target, too");
    raw.request(3, &PAGE).await;
    assert_eq!(raw.next_of(&[HEADERS, GOAWAY]).await.unwrap().kind, HEADERS, "others go on");
}

#[tokio::test]
async fn t_07_a_tunnel_may_be_silent_where_requests_may_not() {
    let (tls, (target, mut ends)) = (Tls::new(), tunnels(Then::Listen).await);
    let mut listen = listen();
    listen.tls = Some(tls.keys.clone());
    listen.http2 = true;
    listen.busy_idle_timeout = Some(Duration::from_secs(1));
    let proxy = Running::listening(target, ProxyConfig::default(), listen, Duration::ZERO).await;
    let mut raw = open(&tls, &proxy).await;
    assert_eq!(raw.next_of(&[DATA]).await.unwrap().payload, b"on");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    raw.data(1, b"bye").await;
    assert_eq!(soon(ends.recv()).await.unwrap().unwrap(), b"bye");
}

const PAGE: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":authority", "hub.example"), (":path", "/hub/")];
