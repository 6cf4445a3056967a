//! What open tunnels take of the running program's memory while nothing passes.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/http2.rs"]
mod http2;
#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use http2::*;
use hyper::{client::conn::http2::SendRequest, ext::Protocol, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use process::Program;
use support::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// More than a tunnel reads at once, so that it has used all its buffers.
const BURST: usize = 300_000;

const HANDSHAKE: &str = "GET /user/ada/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

/// Agrees to every WebSocket, and sends all back that it is sent.
async fn echo() -> SocketAddr {
    target(|client| async move {
        let socket = tokio_tungstenite::accept_async(client.stream).await.unwrap();
        let (mut reader, mut writer) = socket.into_inner().into_split();
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    })
    .await
}

/// A WebSocket that has been used.
async fn open(program: &Program) -> Client {
    let mut client = Client::to(program.public).await;
    client.send(HANDSHAKE).await;
    assert!(client.head().await.starts_with("http/1.1 101 "));
    burst(&mut client.stream).await;
    client
}

/// The same over HTTP/2.
async fn open_http2(connection: &mut SendRequest<Full<Bytes>>) -> Client<TokioIo<Upgraded>> {
    let handshake = Request::connect("https://hub.example/user/ada/ws")
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .body(Full::default())
        .unwrap();
    let answer = soon(connection.send_request(handshake)).await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut stream = TokioIo::new(soon(hyper::upgrade::on(answer)).await.unwrap());
    burst(&mut stream).await;
    Client::over(stream)
}

/// Sends much and gets it back.
async fn burst(stream: impl AsyncRead + AsyncWrite) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let burst = vec![b'#'; BURST];
    let sending = async {
        writer.write_all(&burst).await.unwrap();
        writer.flush().await.unwrap();
    };
    let taking = async {
        let mut back = vec![0; BURST];
        reader.read_exact(&mut back).await.unwrap();
        back
    };
    let ((), back) = soon(async { tokio::join!(sending, taking) }).await;
    assert!(back == burst, "other bytes");
}

#[tokio::test]
async fn ws_05_an_idle_websocket_keeps_no_buffers() {
    const FIRST: usize = 100;
    const MORE: usize = 1000;
    let program = Program::start(&[]).await;
    program.route("/user/ada", echo().await).await;
    let mut sockets = Vec::new();
    for _ in 0..FIRST {
        sockets.push(open(&program).await);
    }
    let before = program.memory_kib();
    for _ in 0..MORE {
        sockets.push(open(&program).await);
    }
    let after = program.memory_kib();
    // The task and the sockets' own share are about 2 KiB.
    assert!(after < before + 8 * MORE as u64, "{before} KiB became {after} KiB");
    for socket in &mut sockets {
        socket.send("still there").await;
    }
    for socket in &mut sockets {
        assert_eq!(socket.take(11).await, b"still there");
    }
}

#[tokio::test]
async fn h2_06_ws_05_a_hundred_idle_websockets_of_one_connection_keep_no_buffers() {
    const MORE: usize = 100;
    let tls = Tls::new();
    let files = tls.files();
    let program = Program::start(&files.args()).await;
    program.route("/user/ada", echo().await).await;
    let mut connection = tls.open(program.public).await;
    let mut sockets = vec![open_http2(&mut connection).await];
    let before = program.memory_kib();
    for _ in 0..MORE {
        sockets.push(open_http2(&mut connection).await);
    }
    let after = program.memory_kib();
    // Streams and tasks are about 12 KiB without optimization; one buffer is 64 KiB.
    assert!(after < before + 32 * MORE as u64, "{before} KiB became {after} KiB");
    assert_eq!(program.status().await["connections"], 1, "all over one");
    assert_eq!(program.status().await["websockets"], MORE + 1);
    for socket in &mut sockets {
        socket.send("still there").await;
    }
    for socket in &mut sockets {
        assert_eq!(socket.take(11).await, b"still there");
    }
}
