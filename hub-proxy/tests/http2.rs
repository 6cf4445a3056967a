//! HTTP/2 between browsers and the proxy; targets are asked over HTTP/1.1.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![cfg(feature = "tls")]

#[path = "support/http2.rs"]
mod http2;
#[path = "support/lenient.rs"]
mod lenient;
#[path = "support/running.rs"]
mod support;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use http2::*;
use hub_proxy::ProxyConfig;
use hyper::{body::Incoming, client::conn::http2::SendRequest, ext::Protocol};
use hyper_util::rt::TokioIo;
use lenient::lenient;
use support::*;
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

/// A proxy that offers HTTP/2.
async fn serving(tls: &Tls, target: SocketAddr, grace: Duration) -> Running {
    let mut listen = listen();
    listen.tls = Some(tls.keys.clone());
    listen.http2 = true;
    Running::listening(target, ProxyConfig::default(), listen, grace).await
}

fn request(path: &str) -> http::request::Builder {
    Request::builder().uri(format!("https://hub.example{path}"))
}

async fn ask(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Response<Incoming> {
    soon(sender.ready()).await.unwrap();
    soon(sender.send_request(request)).await.unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    let bytes = soon(response.into_body().collect()).await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A handshake over HTTP/2. The settings must have come, so a request is first.
async fn websocket(
    sender: &mut SendRequest<Full<Bytes>>,
    protocol: &'static str,
) -> Response<Incoming> {
    ask(sender, request("/hub/").body(Full::default()).unwrap()).await;
    let connect = request("/user/ada/ws")
        .method(Method::CONNECT)
        .header("sec-websocket-version", "13")
        .extension(Protocol::from_static(protocol));
    ask(sender, connect.body(Full::default()).unwrap()).await
}

#[tokio::test]
async fn h2_01_s_09_http_2_is_agreed_on_by_alpn_and_targets_see_http_1() {
    let (tls, (target, seen)) = (Tls::new(), lenient().await);
    let proxy = serving(&tls, target, Duration::ZERO).await;
    let mut sender = tls.open(proxy.addr).await;
    let upload = request("/user/ada/x?y=1").method("POST").body(Full::from("hello")).unwrap();
    let response = ask(&mut sender, upload).await;
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("connection"));
    assert_eq!(text(response).await, "ok");
    let seen = seen.all().to_lowercase();
    assert!(seen.starts_with("post /user/ada/x?y=1 http/1.1\r\n"), "{seen}");
    for line in ["host: hub.example", "x-forwarded-proto: https", "content-length: 5"] {
        assert!(seen.contains(&format!("\r\n{line}\r\n")), "{line} in {seen}");
    }
    assert!(seen.ends_with("\r\n\r\nhello"), "{seen}");

    let mut listen = listen();
    listen.tls = Some(tls.keys.clone());
    let target = nowhere().await;
    let without = Running::listening(target, ProxyConfig::default(), listen, Duration::ZERO).await;
    let stream = tls.connect(without.addr).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn p_036_h2_01_what_may_not_stand_in_a_path_reaches_the_target_as_over_http_1() {
    let (tls, (target, mut heads)) = (Tls::new(), answering(ONCE).await);
    let (newer, older) = (serving(&tls, target, Duration::ZERO).await, Running::to(target).await);
    let mut raw = tls.raw(newer.addr).await;
    let fields = |path: &'static str| {
        [(":method", "GET"), (":scheme", "https"), (":authority", "hub.example"), (":path", path)]
    };
    let mut stream = 1;
    for (path, expected) in [
        (r#"/user/ada/a"{b}c|^~'"#, "/user/ada/a%22%7bb%7dc|^~'"),
        (r#"/user/ada/{"?f={1}&g=`x`|'"#, "/user/ada/%7b%22?f={1}&g=`x`|'"),
        ("/user/ada/a%22b?f=%22", "/user/ada/a%22b?f=%22"),
    ] {
        older.ask(&get(path)).await;
        let before = soon(heads.recv()).await.unwrap();
        assert_eq!(before.split(' ').nth(1).unwrap(), expected);
        raw.request(stream, &fields(path)).await;
        let head = soon(heads.recv()).await.unwrap();
        assert_eq!(head.lines().next(), before.lines().next(), "{path}");
        // A WebSocket is asked for by the same path.
        let mut handshake = vec![(":protocol", "websocket")];
        handshake.extend(fields(path));
        handshake[1].1 = "CONNECT";
        raw.upload(stream + 2, &handshake).await;
        let head = soon(heads.recv()).await.unwrap();
        assert_eq!(head.split(' ').nth(1).unwrap(), expected, "{path}");
        stream += 4;
    }
    // What the parser of HTTP/2 takes for malformed reaches nobody.
    for path in ["/user/ada/<", "/user/ada/`", "/user/ada/?\"", "/user/ada/?<"] {
        raw.request(stream, &fields(path)).await;
        let end = loop {
            let end = raw.next_of(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
            // Those before it may still have something to say.
            if end.kind == GOAWAY || end.stream == stream {
                break end;
            }
        };
        assert_eq!((end.kind, end.stream), (RST_STREAM, stream), "{path}");
        stream += 2;
    }
    assert!(heads.try_recv().is_err());
}

#[tokio::test]
async fn h2_01_the_fallback_and_its_pages_are_served_as_well() {
    let tls = Tls::new();
    let proxy = serving(&tls, nowhere().await, Duration::ZERO).await;
    let mut sender = tls.open(proxy.addr).await;
    let response = ask(&mut sender, request("/hub/x?y").body(Full::default()).unwrap()).await;
    let page = text(response).await;
    assert!(page.contains("GET /hub/x?y failure=none"), "{page}");
    assert!(page.contains("host=hub.example proto=https"), "{page}");
    let response = ask(&mut sender, request("/user/ada/").body(Full::default()).unwrap()).await;
    assert_eq!(response.status(), 503);
    assert!(text(response).await.contains("failure=503 for /user/ada/"));
}

#[tokio::test]
async fn h2_02_a_websocket_over_http_2_is_one_over_http_1_for_the_target() {
    let tls = Tls::new();
    let echo = target(|client| async move {
        let mut socket = tokio_tungstenite::accept_async(client.stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() || message.is_binary() {
                socket.send(message).await.unwrap();
            }
        }
    })
    .await;
    let proxy = serving(&tls, echo, Duration::ZERO).await;
    let mut sender = tls.open(proxy.addr).await;
    let response = websocket(&mut sender, "websocket").await;
    assert_eq!(response.status(), 200);
    for name in ["upgrade", "connection", "sec-websocket-accept"] {
        assert!(!response.headers().contains_key(name), "{name}");
    }
    let stream = TokioIo::new(soon(hyper::upgrade::on(response)).await.unwrap());
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    for message in [Message::text("héllo"), Message::binary(vec![7; 300_000])] {
        soon(socket.send(message.clone())).await.unwrap();
        assert_eq!(soon(socket.next()).await.unwrap().unwrap(), message);
    }
    // Other requests share the connection meanwhile.
    let other = ask(&mut sender, request("/hub/").body(Full::default()).unwrap()).await;
    assert_eq!(other.status(), 200);
    soon(socket.close(None)).await.unwrap();
    while let Some(Ok(_)) = soon(socket.next()).await {}
    assert!(proxy.was_used());
}

#[tokio::test]
async fn h2_02_the_end_of_either_side_is_passed_on() {
    let tls = Tls::new();
    let (seen, mut events) = tokio::sync::mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let seen = seen.clone();
        async move {
            let head = client.head().await;
            let key = head.split("sec-websocket-key: ").nth(1).map(str::to_owned);
            seen.send(key.is_some().to_string()).unwrap();
            // Not the proof that this key asks for.
            client
                .send(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
                )
                .await;
            client.gone().await;
            seen.send("gone".to_owned()).unwrap();
        }
    })
    .await;
    let proxy = serving(&tls, target, Duration::ZERO).await;
    let mut sender = tls.open(proxy.addr).await;
    let response = websocket(&mut sender, "websocket").await;
    assert_eq!(response.status(), 503, "the key was not understood");
    assert_eq!(soon(events.recv()).await.unwrap(), "true");
    assert_eq!(soon(events.recv()).await.unwrap(), "gone");
}

#[tokio::test]
async fn h2_02_a_refusal_is_the_targets() {
    let (tls, (target, _)) = (
        Tls::new(),
        lenient::lenient_with("HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\nnope").await,
    );
    let proxy = serving(&tls, target, Duration::ZERO).await;
    let mut sender = tls.open(proxy.addr).await;
    let response = websocket(&mut sender, "websocket").await;
    assert_eq!(response.status(), 403);
    assert_eq!(text(response).await, "nope");
    let other = ask(&mut sender, request("/hub/").body(Full::default()).unwrap()).await;
    assert_eq!(other.status(), 200, "the connection goes on");
}

#[tokio::test]
async fn h2_03_connect_is_for_websockets_only() {
    let (tls, (target, seen)) = (Tls::new(), lenient().await);
    let proxy = serving(&tls, target, Duration::ZERO).await;
    let mut sender = tls.open(proxy.addr).await;
    let other = websocket(&mut sender, "connect-udp").await;
    assert_eq!(other.status(), StatusCode::NOT_IMPLEMENTED);
    let plain = Request::builder().method(Method::CONNECT).uri("hub.example:22");
    let plain = ask(&mut sender, plain.body(Full::default()).unwrap()).await;
    assert_eq!(plain.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(seen.connections(), 0);
}

#[tokio::test]
async fn h2_04_cookies_are_one_field_and_the_authority_is_the_host() {
    let (tls, (target, seen)) = (Tls::new(), lenient().await);
    let proxy = serving(&tls, target, Duration::ZERO).await;
    let mut sender = tls.open(proxy.addr).await;
    let with = request("/user/ada/").header("cookie", "a=1").header("cookie", "b=2");
    ask(&mut sender, with.body(Full::default()).unwrap()).await;
    let head = seen.all().to_lowercase();
    assert!(head.contains("\r\ncookie: a=1; b=2\r\n"), "{head}");
    assert_eq!(head.matches("\r\nhost: hub.example\r\n").count(), 1, "{head}");

    let mut raw = tls.raw(proxy.addr).await;
    let other = [GET[0], GET[1], GET[2], GET[3], ("host", "other.example")];
    raw.request(1, &other).await;
    let answer = raw.next_of(&[HEADERS, RST_STREAM]).await.unwrap();
    // Index 12 of HPACK's static table is `:status: 400`.
    assert_eq!((answer.kind, answer.payload[0]), (HEADERS, 0x8c), "{answer:?}");
    assert_eq!(seen.all().to_lowercase(), head, "nothing more reached the target");
}

const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "hub.example"),
    (":path", "/user/ada/"),
];

/// Whether a name, a value or a method has bytes that none may have.
fn has_odd_bytes(fields: &[(&str, &str)]) -> bool {
    fields.iter().any(|(name, value)| match *name {
        ":method" => value.contains(' '),
        ":path" | ":authority" => false,
        _ => name.contains(char::is_uppercase) || value.contains(['\r', '\n', '\0']),
    })
}

#[tokio::test]
async fn h2_07_hb_03_sm_48_sm_49_malformed_requests_reach_no_target() {
    let (tls, (target, seen)) = (Tls::new(), lenient().await);
    let proxy = serving(&tls, target, Duration::ZERO).await;
    let more = |field: (&'static str, &'static str)| [&GET[..], &[field]].concat();
    let instead = |at: usize, value: &'static str| {
        let mut fields = GET.to_vec();
        fields[at].1 = value;
        fields
    };
    for fields in [
        more(("transfer-encoding", "chunked")),
        more(("connection", "close")),
        more(("keep-alive", "5")),
        more(("proxy-connection", "close")),
        more(("upgrade", "websocket")),
        more(("te", "gzip")),
        more(("X-Upper", "1")),
        more(("x", "a\r\nb: c")),
        more(("x", "a\0b")),
        more((":path", "/twice")),
        more(("content-length", "5")),
        instead(3, "no-slash"),
        instead(3, "/a\r\nX: b"),
        instead(3, "/a b"),
        instead(3, ""),
        instead(2, "user@hub.example"),
        instead(2, "hub example"),
        instead(2, "hub\r\nexample"),
        instead(0, "GE T"),
        GET[1..].to_vec(),
        GET[..3].to_vec(),
    ] {
        let mut raw = tls.raw(proxy.addr).await;
        raw.request(1, &fields).await;
        match raw.next_of(&[HEADERS, RST_STREAM, GOAWAY]).await {
            // 0x8c is `:status: 400`; the connection was fine.
            Some(frame) if frame.kind == HEADERS => {
                assert_eq!(frame.payload[0], 0x8c, "{fields:?} gave {frame:?}");
            }
            Some(frame) if frame.kind == RST_STREAM => {
                assert_eq!(frame.stream, 1);
                assert_eq!(frame.payload, [0, 0, 0, 1], "{fields:?}: PROTOCOL_ERROR");
            }
            // h2 takes bytes that no field may have for a fault in the compression, which
            // all streams share.
            Some(frame) if frame.kind == GOAWAY && has_odd_bytes(&fields) => {
                assert_eq!(frame.payload[4..8], [0, 0, 0, 1], "{fields:?}: PROTOCOL_ERROR");
                assert_eq!(seen.all(), "", "{fields:?}");
                continue;
            }
            other => panic!("{fields:?} ended the connection: {other:?}"),
        }
        raw.request(3, &[GET[0], GET[1], GET[2], (":path", "/hub/")]).await;
        let next = raw.next_of(&[HEADERS, GOAWAY]).await.unwrap();
        assert_eq!((next.kind, next.stream), (HEADERS, 3), "the next one is answered: {fields:?}");
        assert_eq!(seen.all(), "", "{fields:?}");
    }
}

#[tokio::test]
async fn sm_48_a_length_that_the_data_contradicts_never_looks_finished() {
    let (tls, (target, seen)) = (Tls::new(), lenient::lenient_with("").await);
    let proxy = serving(&tls, target, Duration::ZERO).await;
    let mut raw = tls.raw(proxy.addr).await;
    let post = [&[(":method", "POST")], &GET[1..], &[("content-length", "9")]].concat();
    raw.upload(1, &post).await;
    raw.data(1, b"hello").await;
    let frame = raw.next_of(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
    assert_ne!(frame.kind, HEADERS, "{frame:?}");
    let seen = seen.all();
    assert!(seen.is_empty() || seen.to_lowercase().contains("content-length: 9"), "{seen}");
}

#[tokio::test]
async fn h2_05_h2_06_streams_heads_and_windows_are_announced() {
    let tls = Tls::new();
    let proxy = serving(&tls, nowhere().await, Duration::ZERO).await;
    let mut raw = tls.raw(proxy.addr).await;
    let settings = raw.next_of(&[SETTINGS]).await.unwrap().payload;
    let setting = |id: u16| {
        let pair = settings.chunks(6).find(|pair| pair[..2] == id.to_be_bytes())?;
        Some(u32::from_be_bytes(pair[2..].try_into().unwrap()))
    };
    assert_eq!(setting(3), Some(128), "streams at once");
    assert_eq!(setting(4), Some(1024 * 1024), "the window of a stream");
    assert_eq!(setting(6), Some(64 * 1024), "all fields");
    assert_eq!(setting(8), Some(1), "extended CONNECT");
    let window = raw.next_of(&[WINDOW_UPDATE]).await.unwrap();
    assert_eq!(window.stream, 0);
    assert_eq!(window.payload, (4 * 1024 * 1024_u32 - 65_535).to_be_bytes());
}

#[tokio::test]
async fn h2_05_whoever_only_resets_is_told_to_calm_down() {
    let (tls, target) = (Tls::new(), target(|mut client| async move { client.gone().await }).await);
    let proxy = serving(&tls, target, Duration::ZERO).await;
    let mut raw = tls.raw(proxy.addr).await;
    // All at once, so that the proxy sees both frames of each together.
    for stream in (1..20_001).step_by(2) {
        raw.request_quietly(stream, &GET).await;
        if !raw.try_reset(stream).await {
            break;
        }
    }
    let goaway = raw.next_of(&[GOAWAY]).await.unwrap();
    assert_eq!(goaway.payload[4..8], [0, 0, 0, 11], "ENHANCE_YOUR_CALM");
    let mut other = tls.open(proxy.addr).await;
    let answer = ask(&mut other, request("/hub/").body(Full::default()).unwrap()).await;
    assert_eq!(answer.status(), 200, "others do not notice");
}

#[tokio::test]
async fn h2_08_d_03_draining_says_goaway_and_finishes_what_has_begun() {
    let (tls, finish) = (Tls::new(), Arc::new(Notify::new()));
    let target = {
        let finish = Arc::clone(&finish);
        target(move |mut client| {
            let finish = Arc::clone(&finish);
            async move {
                client.head().await;
                client.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha").await;
                finish.notified().await;
                client.send("lf").await;
                client.gone().await;
            }
        })
        .await
    };
    let proxy = serving(&tls, target, DEADLINE).await;
    let mut sender = tls.open(proxy.addr).await;
    let begun = ask(&mut sender, request("/user/ada/").body(Full::default()).unwrap()).await;
    let mut raw = tls.raw(proxy.addr).await;
    raw.request(1, &[GET[0], GET[1], GET[2], (":path", "/hub/")]).await;
    raw.next_of(&[HEADERS]).await.unwrap();

    proxy.stop.cancel();
    let goaway = raw.next_of(&[GOAWAY]).await.unwrap();
    assert_eq!(goaway.payload[4..8], [0, 0, 0, 0], "no error");
    finish.notify_one();
    assert_eq!(text(begun).await, "half");
    // The last one says which requests have been taken: what comes after may be repeated.
    let mut last = goaway;
    while let Some(frame) = raw.next().await {
        if frame.kind == GOAWAY {
            last = frame;
        }
    }
    assert_eq!(last.payload[..8], [0, 0, 0, 1, 0, 0, 0, 0], "stream 1 was the last");
    assert_eq!(proxy.drained().await.connections_cut, 0);
}

#[tokio::test]
async fn k_08_an_idle_connection_of_http_2_is_closed_at_last() {
    let tls = Tls::new();
    let mut listen = listen();
    listen.tls = Some(tls.keys.clone());
    listen.http2 = true;
    listen.keep_alive_timeout = Duration::from_millis(100);
    let target = nowhere().await;
    let proxy = Running::listening(target, ProxyConfig::default(), listen, Duration::ZERO).await;
    let mut raw = tls.raw(proxy.addr).await;
    raw.request(1, &[GET[0], GET[1], GET[2], (":path", "/hub/")]).await;
    raw.next_of(&[HEADERS]).await.unwrap();
    assert!(raw.next_of(&[GOAWAY]).await.is_some());
    while raw.next().await.is_some() {}
}

#[tokio::test]
async fn b_05_k_08_an_upload_behind_its_answer_keeps_the_connection() {
    let (tls, (arrived, mut arrives)) = (Tls::new(), mpsc::unbounded_channel());
    let target = target(move |mut client| {
        let arrived = arrived.clone();
        async move {
            client.head().await;
            client.send(OK).await;
            // One byte in each chunk.
            while client.take(1).await == b"1" {
                client.take(5).await;
                arrived.send("a piece").unwrap();
            }
            arrived.send("the end").unwrap();
        }
    })
    .await;
    let mut listen = listen();
    listen.tls = Some(tls.keys.clone());
    listen.http2 = true;
    listen.keep_alive_timeout = Duration::from_millis(500);
    let proxy = Running::listening(target, ProxyConfig::default(), listen, Duration::ZERO).await;
    let mut raw = tls.raw(proxy.addr).await;
    raw.upload(1, &[(":method", "POST"), GET[1], GET[2], (":path", "/user/ada/x")]).await;
    raw.send(DATA, 0, 1, b"#").await;
    while raw.next_of(&[DATA, GOAWAY]).await.unwrap().payload != b"ok" {}

    let end = tokio::time::Instant::now() + 4 * Duration::from_millis(500);
    while tokio::time::Instant::now() < end {
        assert_eq!(soon(arrives.recv()).await, Some("a piece"));
        raw.send(DATA, 0, 1, b"#").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    raw.send(PING, 0, 0, b"still up").await;
    let last = raw.next_of(&[PING, GOAWAY]).await.unwrap();
    assert_eq!((last.kind, &*last.payload), (PING, &b"still up"[..]), "nobody was told to go");
    raw.data(1, b"").await;
    soon(async { while arrives.recv().await != Some("the end") {} }).await;
    assert!(raw.next_of(&[GOAWAY]).await.is_some(), "now it is idle");
}

#[tokio::test]
async fn e_06_an_answer_that_breaks_off_resets_its_stream_only() {
    let (tls, target) = (
        Tls::new(),
        target(|mut client| async move {
            client.head().await;
            client
                .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
                .await;
        })
        .await,
    );
    let proxy = serving(&tls, target, Duration::ZERO).await;
    let mut sender = tls.open(proxy.addr).await;
    let broken = ask(&mut sender, request("/user/ada/").body(Full::default()).unwrap()).await;
    assert!(soon(broken.into_body().collect()).await.is_err(), "it looks complete");
    let other = ask(&mut sender, request("/hub/").body(Full::default()).unwrap()).await;
    assert_eq!(other.status(), 200);
}
