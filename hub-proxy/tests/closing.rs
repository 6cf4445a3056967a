//! Tunnels that end with their route, if that is wanted (WS-11).
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/http2.rs"]
mod http2;
#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::net::SocketAddr;

use http2::*;
use hub_proxy::{OpenTunnels, ProxyConfig};
use process::Program;
use support::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";

fn handshake(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
}

/// What a side of a tunnel saw until it ended; a reset is an error.
type Seen = std::io::Result<Vec<u8>>;

/// A target that answers two bytes of each tunnel with "on". Once nothing more
/// comes, it says "late", closes and reports what came.
async fn listening() -> (SocketAddr, mpsc::UnboundedReceiver<Seen>) {
    let (seen, ends) = mpsc::unbounded_channel();
    let target = target(move |client| {
        let seen = seen.clone();
        async move {
            let socket = tokio_tungstenite::accept_async(client.stream).await.unwrap();
            let (mut stream, mut rest) = (socket.into_inner(), Vec::new());
            let mut said = [0; 2];
            soon(stream.read_exact(&mut said)).await.unwrap();
            stream.write_all(b"on").await.unwrap();
            let read = soon(stream.read_to_end(&mut rest)).await;
            let _ = stream.write_all(b"late").await;
            let _ = stream.shutdown().await;
            seen.send(read.map(|_| rest)).unwrap();
        }
    })
    .await;
    (target, ends)
}

/// A client of a tunnel that works in both directions.
async fn open(proxy: SocketAddr, path: &str) -> Client {
    let mut client = Client::to(proxy).await;
    client.send(handshake(path)).await;
    assert!(client.head().await.starts_with("http/1.1 101 "));
    client.send("hi").await;
    assert_eq!(client.take(2).await, b"on");
    client
}

/// Whether the proxy has ended this side: with an end, not with a reset, although the
/// client goes on talking.
async fn is_ended(mut client: Client) -> bool {
    if !client.try_rest().await.is_ok_and(|rest| rest.is_empty()) {
        return false;
    }
    for _ in 0..3 {
        if client.stream.write_all(b"to nobody").await.is_err() {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}

/// Whether a tunnel still carries what is said.
async fn goes_on(mut client: Client, ends: &mut mpsc::UnboundedReceiver<Seen>) -> bool {
    client.send("again").await;
    client.stream.shutdown().await.unwrap();
    let heard = soon(ends.recv()).await.unwrap().unwrap();
    heard == b"again" && client.rest().await == "late"
}

async fn api(program: &Program, method: &str, path: &str, body: &str) -> u16 {
    program.api(method, path, body).await.status
}

#[tokio::test]
async fn ws_11_a_route_is_deleted_with_its_tunnels_and_no_others() {
    let (target, mut ends) = listening().await;
    let (other, mut others) = listening().await;
    let program = Program::start(&[]).await;
    for (path, to) in [("/user/ada", target), ("/user/ada/deep", other), ("/user/bob", other)] {
        program.route(path, to).await;
    }
    let (first, second) =
        (open(program.public, "/user/ada/1").await, open(program.public, "/user/ada/2").await);
    let below = open(program.public, "/user/ada/deep/1").await;
    let beside = open(program.public, "/user/bob/1").await;
    let delete = "/api/routes/user/ada?close_tunnels=true";
    assert_eq!(api(&program, "DELETE", "/api/routes/user/ada?close_tunnels=1", "").await, 400);
    assert_eq!(api(&program, "DELETE", delete, "").await, 204);
    for client in [first, second] {
        assert!(is_ended(client).await);
        assert_eq!(soon(ends.recv()).await.unwrap().unwrap(), b"", "an end for the target, too");
    }
    assert!(goes_on(below, &mut others).await);
    assert!(goes_on(beside, &mut others).await);
    assert_eq!(api(&program, "DELETE", delete, "").await, 404);
    soon(async {
        while program.status().await["websockets"] != 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn ws_11_without_the_wish_tunnels_stay() {
    let (target, mut ends) = listening().await;
    let program = Program::start(&[]).await;
    for query in ["", "?close_tunnels=false"] {
        program.route("/user/ada", target).await;
        let client = open(program.public, "/user/ada/1").await;
        assert_eq!(api(&program, "DELETE", &format!("/api/routes/user/ada{query}"), "").await, 204);
        assert!(goes_on(client, &mut ends).await);
    }
}

#[tokio::test]
async fn ws_11_a_table_is_replaced_with_the_tunnels_of_what_goes() {
    let ((stays, mut staying), (goes, mut going)) = (listening().await, listening().await);
    let program = Program::start(&[]).await;
    for (path, to) in [("/stays", stays), ("/goes", goes), ("/moves", goes)] {
        program.route(path, to).await;
    }
    let kept = open(program.public, "/stays/1").await;
    let gone = open(program.public, "/goes/1").await;
    let moved = open(program.public, "/moves/1").await;
    let table = format!(
        r#"{{"routes": {{"/stays": {{"target": "http://{stays}"}}, "/moves": {{"target": "http://{stays}"}}}}}}"#
    );
    assert_eq!(api(&program, "PUT", "/api/v2/routes?close_tunnels=true", &table).await, 200);
    for client in [gone, moved] {
        assert!(is_ended(client).await);
        assert_eq!(soon(going.recv()).await.unwrap().unwrap(), b"");
    }
    assert!(goes_on(kept, &mut staying).await);
    let again = open(program.public, "/moves/1").await;
    assert!(goes_on(again, &mut staying).await, "a new one is not closed");
}

#[tokio::test]
async fn ws_11_a_route_that_led_elsewhere_takes_older_tunnels_along() {
    let ((first, mut firsts), (second, mut seconds)) = (listening().await, listening().await);
    let proxy = Running::to(first).await;
    let (prefix, url) =
        ("/user/ada".parse().unwrap(), |to| format!("http://{to}").parse().unwrap());
    let old = open(proxy.addr, "/user/ada/1").await;
    proxy.routes.insert("/user/ada".parse().unwrap(), url(second));
    let new = open(proxy.addr, "/user/ada/2").await;
    // The same target again changes nothing.
    proxy.routes.insert_with("/user/ada".parse().unwrap(), url(second), OpenTunnels::Close);
    proxy.routes.remove_with(&prefix, OpenTunnels::Close);
    assert!(is_ended(old).await && is_ended(new).await);
    for ends in [&mut firsts, &mut seconds] {
        assert_eq!(soon(ends.recv()).await.unwrap().unwrap(), b"");
    }
    // Led elsewhere with the wish, only those to the target before are closed.
    proxy.routes.insert("/user/ada".parse().unwrap(), url(first));
    let old = open(proxy.addr, "/user/ada/1").await;
    proxy.routes.insert_with("/user/ada".parse().unwrap(), url(second), OpenTunnels::Close);
    let new = open(proxy.addr, "/user/ada/2").await;
    assert!(is_ended(old).await);
    assert!(goes_on(new, &mut seconds).await);
}

#[tokio::test]
async fn ws_11_a_handshake_that_was_on_its_way_is_closed_as_well() {
    let (asked, mut asks) = mpsc::unbounded_channel();
    let (go, gone) = tokio::sync::watch::channel(false);
    let target = target(move |mut client: Client<TcpStream>| {
        let (asked, mut gone) = (asked.clone(), gone.clone());
        async move {
            client.head().await;
            asked.send(()).unwrap();
            gone.wait_for(|gone| *gone).await.unwrap();
            client.send(SWITCHED).await;
            client.gone().await;
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client.send(handshake("/user/ada/ws")).await;
    soon(asks.recv()).await.unwrap();
    proxy.routes.remove_with(&"/user/ada".parse().unwrap(), OpenTunnels::Close);
    go.send(true).unwrap();
    assert!(client.head().await.starts_with("http/1.1 101 "));
    assert!(is_ended(client).await);
}

#[tokio::test]
async fn ws_11_h2_02_a_stream_ends_as_well_and_its_connection_stays() {
    let (target, mut ends) = listening().await;
    let tls = Tls::new();
    let mut listen = listen();
    listen.tls = Some(tls.keys.clone());
    listen.http2 = true;
    let proxy =
        Running::listening(target, ProxyConfig::default(), listen, std::time::Duration::ZERO).await;
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
    raw.send(DATA, 0, 1, b"hi").await;
    assert_eq!(raw.next_of(&[DATA, RST_STREAM, GOAWAY]).await.unwrap().payload, b"on");
    proxy.routes.remove_with(&"/user/ada".parse().unwrap(), OpenTunnels::Close);
    let end = raw.next_of(&[DATA, RST_STREAM, GOAWAY]).await.unwrap();
    assert_eq!((end.kind, end.stream, end.payload.len()), (DATA, 1, 0), "an end: {end:?}");
    raw.data(1, b"to nobody").await;
    assert_eq!(soon(ends.recv()).await.unwrap().unwrap(), b"");
    let page =
        [(":method", "GET"), (":scheme", "https"), (":authority", "hub.example"), (":path", "/x")];
    raw.request(3, &page).await;
    assert_eq!(raw.next_of(&[HEADERS, GOAWAY]).await.unwrap().kind, HEADERS, "others go on");
}
