//! Frames of WebSockets byte by byte: compressed, large, fragmented, tiny (WS-01, WS-04).
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![cfg(feature = "tls")]

#[path = "support/http2.rs"]
mod http2;
#[path = "support/running.rs"]
mod support;

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use http::Request;
use http_body_util::Full;
use http2::*;
use hub_proxy::ProxyConfig;
use hyper::{ext::Protocol, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use support::*;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::server::{Request as Handshake, Response},
        protocol::Role,
    },
};

/// What a browser offers, and what a server may agree to.
const OFFERED: &str = "permessage-deflate; client_max_window_bits";
const AGREED: &str = "permessage-deflate; server_no_context_takeover; client_max_window_bits=12";

const MIB: usize = 1 << 20;

/// A target that says what extensions it is offered, agrees to [`AGREED`], and sends back
/// each byte that it gets.
async fn mirror() -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let (seen, offers) = mpsc::unbounded_channel();
    let addr = target(move |client| {
        let seen = seen.clone();
        async move {
            #[expect(clippy::result_large_err, reason = "the signature is the library's")]
            let agree = |request: &Handshake, mut response: Response| {
                let offered = request.headers()["sec-websocket-extensions"].to_str().unwrap();
                seen.send(offered.to_owned()).unwrap();
                let headers = response.headers_mut();
                headers.insert("sec-websocket-extensions", AGREED.parse().unwrap());
                Ok(response)
            };
            let socket = tokio_tungstenite::accept_hdr_async(client.stream, agree).await.unwrap();
            let (mut reader, mut writer) = socket.into_inner().into_split();
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
        }
    })
    .await;
    (addr, offers)
}

/// A target that sends messages back.
async fn echo() -> SocketAddr {
    target(|client| async move {
        let mut socket = tokio_tungstenite::accept_async(client.stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() || message.is_binary() {
                socket.send(message).await.unwrap();
            }
        }
    })
    .await
}

/// A WebSocket over HTTP/1.1, and which extensions were agreed on.
async fn open(proxy: &Running) -> (TcpStream, String) {
    let mut client = proxy.connect().await;
    client
        .send(format!(
            "GET /user/ada/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
             Sec-WebSocket-Extensions: {OFFERED}\r\n\r\n"
        ))
        .await;
    let head = client.head().await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    let agreed = head.split("\r\nsec-websocket-extensions: ").nth(1).unwrap_or_default();
    assert!(client.ahead.is_empty());
    (client.stream, agreed.split("\r\n").next().unwrap().to_owned())
}

/// The same over HTTP/2.
async fn open_http2(proxy: &Running, tls: &Tls) -> (TokioIo<Upgraded>, String) {
    let request = Request::connect("https://hub.example/user/ada/ws")
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-extensions", OFFERED)
        .body(Full::default())
        .unwrap();
    let answer = soon(tls.open(proxy.addr).await.send_request(request)).await.unwrap();
    assert_eq!(answer.status(), 200);
    let agreed = answer.headers().get("sec-websocket-extensions");
    let agreed = agreed.map_or("", |agreed| agreed.to_str().unwrap()).to_owned();
    (TokioIo::new(soon(hyper::upgrade::on(answer)).await.unwrap()), agreed)
}

async fn serving_http2(tls: &Tls, target: SocketAddr) -> Running {
    let mut listen = listen();
    listen.tls = Some(tls.keys.clone());
    listen.http2 = true;
    Running::listening(target, ProxyConfig::default(), listen, Duration::ZERO).await
}

/// Sends bytes in pieces of some size and gets each of them back.
async fn assert_comes_back(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    bytes: &[u8],
    piece: usize,
) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let sending = async {
        for piece in bytes.chunks(piece) {
            writer.write_all(piece).await.unwrap();
            writer.flush().await.unwrap();
        }
    };
    let taking = async {
        let mut back = vec![0; bytes.len()];
        reader.read_exact(&mut back).await.unwrap();
        back
    };
    let ((), back) = soon(async { tokio::join!(sending, taking) }).await;
    assert!(back == bytes, "other bytes");
}

/// A client's frame: its first byte, and a payload that is masked.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first];
    match payload.len() {
        len @ ..126 => frame.push(0x80 | len as u8),
        len @ 126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// "Hello", "Hello" again by what is remembered of the first, and "Hello" in two fragments,
/// compressed as RFC 7692 section 7.2.3 shows it.
fn compressed() -> Vec<u8> {
    [
        masked(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]),
        masked(0xc1, &[0xf2, 0x00, 0x11, 0x00, 0x00]),
        masked(0x41, &[0xf2, 0x48, 0xcd]),
        masked(0x80, &[0xc9, 0xc9, 0x07, 0x00]),
    ]
    .concat()
}

#[tokio::test]
async fn ws_01_ws_02_compression_is_agreed_on_and_used_end_to_end() {
    let (target, mut offers) = mirror().await;
    let proxy = Running::to(target).await;
    let (mut stream, agreed) = open(&proxy).await;
    assert_eq!(soon(offers.recv()).await.unwrap(), OFFERED);
    assert_eq!(agreed, AGREED);
    for piece in [1, 3, 1024] {
        assert_comes_back(&mut stream, &compressed(), piece).await;
    }

    let tls = Tls::new();
    let proxy = serving_http2(&tls, target).await;
    let (mut stream, agreed) = open_http2(&proxy, &tls).await;
    assert_eq!(soon(offers.recv()).await.unwrap(), OFFERED);
    assert_eq!(agreed, AGREED);
    for piece in [1, 3, 1024] {
        assert_comes_back(&mut stream, &compressed(), piece).await;
    }
}

/// Frames of every kind: one byte each, tens of megabytes, fragments with pings between
/// them, pings alone.
fn frames() -> Vec<u8> {
    let large: Vec<u8> = (0..10 * MIB).map(|at| (at % 251) as u8).collect();
    let mut bytes = masked(0x82, &large);
    for byte in 0..5_000_u32 {
        bytes.extend(masked(0x82, &[byte as u8]));
    }
    let (last, others) = (large.chunks(MIB / 3).last().unwrap(), large.chunks(MIB / 3));
    for (at, fragment) in others.enumerate() {
        bytes.extend(masked(if at == 0 { 0x02 } else { 0x00 }, fragment));
        bytes.extend(masked(0x89, b"are you there"));
    }
    bytes.extend(masked(0x80, last));
    for _ in 0..5_000 {
        bytes.extend(masked(0x89, b""));
    }
    bytes.extend(masked(0x81, b""));
    bytes
}

#[tokio::test]
async fn ws_04_frames_of_every_kind_and_size_come_back_byte_by_byte() {
    let (target, _offers) = mirror().await;
    let frames = frames();
    let proxy = Running::to(target).await;
    let (mut stream, _) = open(&proxy).await;
    assert_comes_back(&mut stream, &frames, 100_003).await;

    let tls = Tls::new();
    let proxy = serving_http2(&tls, target).await;
    let (mut stream, _) = open_http2(&proxy, &tls).await;
    assert_comes_back(&mut stream, &frames, 100_003).await;
}

/// Sends messages of ten megabytes and of one byte, and gets them back.
async fn assert_echoes<S: AsyncRead + AsyncWrite + Unpin>(stream: S) {
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    let large: Vec<u8> = (0..10 * MIB).map(|at| (at % 251) as u8).collect();
    soon(socket.send(Message::binary(large.clone()))).await.unwrap();
    assert!(soon(socket.next()).await.unwrap().unwrap() == Message::binary(large), "other bytes");
    for byte in 0..100 {
        soon(socket.send(Message::binary(vec![byte]))).await.unwrap();
        assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::binary(vec![byte]));
    }
    soon(socket.send(Message::Ping(vec![1, 2].into()))).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::Pong(vec![1, 2].into()));
}

#[tokio::test]
async fn ws_04_messages_of_ten_megabytes_and_of_one_byte_come_back() {
    let target = echo().await;
    let proxy = Running::to(target).await;
    assert_echoes(open(&proxy).await.0).await;
    let tls = Tls::new();
    let proxy = serving_http2(&tls, target).await;
    assert_echoes(open_http2(&proxy, &tls).await.0).await;
}
