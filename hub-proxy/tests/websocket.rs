//! WebSockets through a proxy on real sockets.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/running.rs"]
mod support;

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use hub_proxy::ProxyConfig;
use support::*;
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::mpsc, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        handshake::server::{Request, Response},
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

const HANDSHAKE: &str = "GET /user/ada/ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\n\
    Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
    Origin: http://h\r\nCookie: a=1\r\n\r\n";

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\nSet-Cookie: b=2\r\n\r\n";

/// A server that greets, takes the last subprotocol offered and echoes.
async fn echo() -> SocketAddr {
    target(|client| async move {
        #[expect(clippy::result_large_err, reason = "the signature is the library's")]
        let choose = |request: &Request, mut response: Response| {
            if let Some(offered) = request.headers().get("sec-websocket-protocol") {
                let last = offered.to_str().unwrap().rsplit(',').next().unwrap().trim();
                response.headers_mut().insert("sec-websocket-protocol", last.parse().unwrap());
            }
            Ok(response)
        };
        let mut socket = tokio_tungstenite::accept_hdr_async(client.stream, choose).await.unwrap();
        socket.send(Message::text("connected")).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() || message.is_binary() {
                socket.send(message).await.unwrap();
            }
        }
    })
    .await
}

async fn open(proxy: &Running, protocols: Option<&str>) -> (WebSocketStream<TcpStream>, String) {
    let mut request = format!("ws://{}/user/ada/ws", proxy.addr).into_client_request().unwrap();
    if let Some(protocols) = protocols {
        request.headers_mut().insert("sec-websocket-protocol", protocols.parse().unwrap());
    }
    let stream = soon(TcpStream::connect(proxy.addr)).await.unwrap();
    let (socket, response) = soon(client_async(request, stream)).await.unwrap();
    let chosen = response.headers().get("sec-websocket-protocol");
    (socket, chosen.map_or(String::new(), |chosen| chosen.to_str().unwrap().to_owned()))
}

async fn next(socket: &mut WebSocketStream<TcpStream>) -> Message {
    soon(socket.next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn p_031_ws_04_messages_of_all_sizes_come_back_unchanged() {
    let proxy = Running::to(echo().await).await;
    let (mut socket, _) = open(&proxy, None).await;
    assert_eq!(next(&mut socket).await, Message::text("connected"));
    assert!(proxy.was_used());
    for message in [
        Message::text(""),
        Message::text("héllo"),
        Message::binary(vec![7; 1]),
        Message::binary((0..1024 * 1024).map(|n| n as u8).collect::<Vec<_>>()),
    ] {
        soon(socket.send(message.clone())).await.unwrap();
        assert_eq!(next(&mut socket).await, message);
    }
    soon(socket.send(Message::Ping(vec![1, 2].into()))).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::Pong(vec![1, 2].into()));
}

#[tokio::test]
async fn ws_02_the_targets_choice_of_subprotocol_arrives() {
    let proxy = Running::to(echo().await).await;
    let (_socket, chosen) = open(&proxy, Some("v1.kernel, v2.kernel")).await;
    assert_eq!(chosen, "v2.kernel");
}

#[tokio::test]
async fn close_codes_pass_in_both_directions() {
    let target = target(|client| async move {
        let mut socket = tokio_tungstenite::accept_async(client.stream).await.unwrap();
        // Sends the code it was sent, plus one.
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Text(code) = message {
                let code = CloseCode::from(code.parse::<u16>().unwrap());
                let frame = CloseFrame { code, reason: "bye".into() };
                socket.close(Some(frame)).await.unwrap();
            }
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let (mut socket, _) = open(&proxy, None).await;
    soon(socket.send(Message::text("4001"))).await.unwrap();
    match next(&mut socket).await {
        Message::Close(Some(frame)) => {
            assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4001, "bye"));
        }
        other => panic!("{other:?}"),
    }
    let (mut socket, _) = open(&proxy, None).await;
    let going = CloseFrame { code: CloseCode::Away, reason: "tab".into() };
    soon(socket.close(Some(going.clone()))).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::Close(Some(going)), "answered with the same");
}

#[tokio::test]
async fn ws_01_ws_02_the_handshake_passes_with_its_fields() {
    let (seen, mut heads) = mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let seen = seen.clone();
        async move {
            seen.send(client.head().await).unwrap();
            client.send(SWITCHED).await;
            client.gone().await;
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client.send(HANDSHAKE).await;
    let answer = client.head().await;
    assert!(answer.starts_with("http/1.1 101 switching protocols\r\n"), "{answer}");
    for line in
        ["connection: upgrade", "upgrade: websocket", "sec-websocket-accept: x", "set-cookie: b=2"]
    {
        assert!(answer.contains(&format!("\r\n{line}\r\n")), "{line} in {answer}");
    }
    let head = soon(heads.recv()).await.unwrap();
    for line in [
        "get /user/ada/ws http/1.1",
        "host: h",
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-key: aaaaaaaaaaaaaaaaaaaaaa==",
        "origin: http://h",
        "cookie: a=1",
        "x-forwarded-proto: ws",
        "x-forwarded-host: h",
        "x-forwarded-for: 127.0.0.1",
    ] {
        assert!(format!("\r\n{head}").contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
}

#[tokio::test]
async fn ws_03_bytes_sent_early_wait_for_the_101() {
    let target = target(|mut client| async move {
        client.head().await;
        assert!(client.ahead.is_empty());
        let mut early = [0];
        let peeked = timeout(Duration::from_millis(200), client.stream.peek(&mut early)).await;
        assert!(peeked.is_err(), "SM-41: bytes came before the target agreed");
        // Bytes of the target's own go with the 101.
        client.send(format!("{SWITCHED}first")).await;
        assert_eq!(client.take(5).await, b"early");
        client.send("second").await;
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client.send(format!("{HANDSHAKE}early")).await;
    client.head().await;
    assert_eq!(client.take(11).await, b"firstsecond");
}

#[tokio::test]
async fn ws_06_the_end_of_one_direction_leaves_the_other_open() {
    let target = target(|mut client| async move {
        client.head().await;
        client.send(SWITCHED).await;
        assert_eq!(client.rest().await, "request");
        client.send("answer after the end").await;
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client.send(HANDSHAKE).await;
    client.head().await;
    client.send("request").await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "answer after the end");
}

#[tokio::test]
async fn ws_06_a_target_that_ends_first_can_still_be_told_something() {
    let (seen, mut got) = mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let seen = seen.clone();
        async move {
            client.head().await;
            client.send(SWITCHED).await;
            client.stream.shutdown().await.unwrap();
            seen.send(client.rest().await).unwrap();
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client.send(HANDSHAKE).await;
    client.head().await;
    assert_eq!(client.rest().await, "");
    client.send("late").await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(soon(got.recv()).await.unwrap(), "late");
}

#[tokio::test]
async fn ws_06_a_target_that_resets_resets_its_client() {
    let target = target(|mut client| async move {
        client.head().await;
        client.send(format!("{SWITCHED}begun")).await;
        assert_eq!(client.take(4).await, b"seen");
        client.stream.set_zero_linger().unwrap();
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client.send(HANDSHAKE).await;
    client.head().await;
    assert_eq!(client.take(5).await, b"begun");
    client.send("seen").await;
    let ended = client.try_rest().await;
    assert_eq!(ended.map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn ws_06_a_client_that_resets_resets_its_target() {
    let (seen, mut ends) = mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let seen = seen.clone();
        async move {
            client.head().await;
            client.send(SWITCHED).await;
            seen.send(client.try_rest().await.map_err(|error| error.kind())).unwrap();
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client.send(HANDSHAKE).await;
    client.head().await;
    client.stream.set_zero_linger().unwrap();
    drop(client);
    assert_eq!(soon(ends.recv()).await.unwrap(), Err(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn ws_07_sm_41_a_refusal_is_passed_on_and_early_bytes_are_no_request() {
    let (seen, mut heads) = mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let seen = seen.clone();
        async move {
            seen.send(client.head().await).unwrap();
            client
                .send("HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\nX-Why: origin\r\n\r\nnope")
                .await;
            client.gone().await;
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let early = "GET /user/ada/smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut client = proxy.connect().await;
    client.send(format!("{HANDSHAKE}{early}")).await;
    let answer = client.head().await;
    assert!(answer.starts_with("http/1.1 403 forbidden\r\n"), "{answer}");
    assert!(answer.contains("x-why: origin\r\n"), "{answer}");
    assert_eq!(client.take(4).await, b"nope");
    client.gone().await;
    assert!(soon(heads.recv()).await.is_some());
    assert!(heads.try_recv().is_err(), "the early bytes reached the target");
    assert!(!proxy.was_used());
}

#[tokio::test]
async fn sm_41_early_bytes_are_no_request_to_the_fallback() {
    let proxy = Running::to(nowhere().await).await;
    let mut client = proxy.connect().await;
    let handshake = HANDSHAKE.replace("/user/ada/", "/hub/");
    client.send(format!("{handshake}GET /hub/smuggled HTTP/1.1\r\nHost: h\r\n\r\n")).await;
    let answers = client.rest().await;
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    assert!(!answers.contains("smuggled"), "{answers}");
}

#[tokio::test]
async fn e_05_ws_08_ws_15_p_045_a_failed_handshake_is_a_bare_status() {
    let closing = target(|mut client| async move {
        client.head().await;
    })
    .await;
    let other_protocol = target(|mut client| async move {
        client.head().await;
        client
            .send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
            .await;
        client.gone().await;
    })
    .await;
    let endless_head = target(|mut client| async move {
        client.head().await;
        client.send("HTTP/1.1 101 Switching Protocols\r\n").await;
        let field = format!("X-Fill: {}\r\n", "x".repeat(1000));
        // Ends with an error once the proxy has had enough (WS-15).
        while client.stream.write_all(field.as_bytes()).await.is_ok() {}
    })
    .await;
    for target in [nowhere().await, closing, other_protocol, endless_head] {
        let proxy = Running::to(target).await;
        let answer = proxy.ask(HANDSHAKE).await.to_lowercase();
        assert!(answer.starts_with("http/1.1 503 service unavailable\r\n"), "{answer}");
        assert!(answer.contains("content-length: 0\r\n"), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        assert!(!proxy.was_used());
    }
}

#[tokio::test]
async fn a_target_that_says_nothing_is_given_up() {
    let target = target(|mut client| async move { client.gone().await }).await;
    let mut config = ProxyConfig::default();
    config.upgrade_timeout = Duration::from_millis(50);
    let proxy = Running::with(target, config).await;
    let answer = proxy.ask(HANDSHAKE).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}

#[tokio::test]
async fn ws_09_a_client_that_vanishes_takes_the_target_connection_along() {
    let (seen, mut events) = mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let seen = seen.clone();
        async move {
            if client.head().await.contains("/user/ada/silent") {
                seen.send("asked").unwrap();
            } else {
                client.send(SWITCHED).await;
            }
            client.gone().await;
            seen.send("gone").unwrap();
        }
    })
    .await;
    let proxy = Running::to(target).await;

    let mut client = proxy.connect().await;
    client.send(HANDSHAKE).await;
    client.head().await;
    drop(client);
    assert_eq!(soon(events.recv()).await, Some("gone"));

    let mut client = proxy.connect().await;
    client.send(HANDSHAKE.replace("/user/ada/ws", "/user/ada/silent")).await;
    assert_eq!(soon(events.recv()).await, Some("asked"));
    drop(client);
    assert_eq!(soon(events.recv()).await, Some("gone"));
}

#[tokio::test]
async fn hb_02_sm_42_ws_13_other_upgrades_are_ordinary_requests() {
    for request in [
        HANDSHAKE.replace("WebSocket", "h2c"),
        HANDSHAKE.replace("Connection: keep-alive, Upgrade", "Connection: close"),
        HANDSHAKE.replace("GET ", "POST "),
    ] {
        let (target, mut heads) = answering(OK).await;
        let proxy = Running::to(target).await;
        let mut client = proxy.connect().await;
        client.send(&request).await;
        assert!(client.head().await.starts_with("http/1.1 200 "), "{request}");
        let head = soon(heads.recv()).await.unwrap();
        assert!(!head.contains("\r\nupgrade:"), "{head}");
    }
}

#[tokio::test]
async fn u_02_t_07_the_time_limit_for_request_heads_does_not_touch_a_tunnel() {
    let mut listen = listen();
    listen.header_read_timeout = Duration::from_millis(100);
    let target = echo().await;
    let proxy = Running::listening(target, ProxyConfig::default(), listen, Duration::ZERO).await;
    let (mut socket, _) = open(&proxy, None).await;
    next(&mut socket).await;
    soon(socket.send(Message::text("before"))).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::text("before"));

    let mut dawdling = proxy.connect().await;
    dawdling.send("GET /").await;
    dawdling.gone().await;

    soon(socket.send(Message::text("after"))).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::text("after"));
}

#[tokio::test]
async fn ws_05_a_websocket_that_reads_nothing_holds_up_no_other() {
    let (stalled, mut stall) = mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let stalled = stalled.clone();
        async move {
            let floods = client.head().await.contains("/user/ada/flood");
            client.send(SWITCHED).await;
            let piece = vec![b'x'; 64 * 1024];
            if floods {
                // No progress for so long means that nobody takes it any more.
                while timeout(Duration::from_millis(300), client.stream.write_all(&piece))
                    .await
                    .is_ok()
                {}
                stalled.send(()).unwrap();
            } else {
                let question = client.take(8).await;
                client.send(question).await;
            }
            client.gone().await;
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let mut slow = proxy.connect().await;
    slow.send(HANDSHAKE.replace("/user/ada/ws", "/user/ada/flood")).await;
    slow.head().await;
    soon(stall.recv()).await.unwrap();
    let mut quick = proxy.connect().await;
    quick.send(HANDSHAKE).await;
    quick.head().await;
    quick.send("question").await;
    assert_eq!(quick.take(8).await, b"question");
}

#[tokio::test]
async fn ws_10_the_kernel_looks_after_both_sides_of_a_silent_tunnel() {
    let target = echo().await;
    let proxy = Running::to(target).await;
    let (mut socket, _) = open(&proxy, None).await;
    next(&mut socket).await;
    let client = socket.get_ref().local_addr().unwrap();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = |addr: &str| u16::from_str_radix(addr.split(':').nth(1).unwrap(), 16).unwrap();
    let mut watched = 0;
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, remote) = (port(fields[1]), port(fields[2]));
        let from_client = (local, remote) == (proxy.addr.port(), client.port());
        // State 1 is an open connection; one of an earlier test may still be remembered.
        if fields[3] == "01" && (from_client || remote == target.port()) {
            // Timer 2 of the kernel is keep-alive.
            assert!(fields[5].starts_with("02:"), "{line}");
            watched += 1;
        }
    }
    assert_eq!(watched, 2, "{table}");
}

#[tokio::test]
async fn ws_11_a_websocket_outlives_its_route() {
    let proxy = Running::to(echo().await).await;
    let (mut socket, _) = open(&proxy, None).await;
    next(&mut socket).await;
    assert!(proxy.routes.remove(&"/user/ada/".parse().unwrap()).is_some());
    soon(socket.send(Message::text("still here"))).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::text("still here"));
}

#[tokio::test]
async fn ws_12_tunnels_leave_nothing_behind() {
    let proxy = Running::to(echo().await).await;
    for _ in 0..50 {
        let (mut socket, _) = open(&proxy, None).await;
        next(&mut socket).await;
        soon(socket.close(None)).await.unwrap();
        while let Some(Ok(_)) = soon(socket.next()).await {}
    }
    // The server side closes first and the tunnel ends with the client.
    let stop = proxy.stop.clone();
    stop.cancel();
    assert_eq!(proxy.drained().await.connections_cut, 0);
}

#[tokio::test]
async fn l_06_open_websockets_leave_their_target_free_for_more() {
    let mut config = ProxyConfig::default();
    config.max_per_target = 1;
    let proxy = Running::with(echo().await, config).await;
    let (mut first, _) = open(&proxy, None).await;
    let (mut second, _) = open(&proxy, None).await;
    for socket in [&mut first, &mut second] {
        assert_eq!(next(socket).await, Message::text("connected"));
    }
}
