//! Uploads that one side breaks off, or no longer takes, while the other goes on.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![cfg(feature = "tls")]

#[path = "support/http2.rs"]
mod http2;
#[path = "support/running.rs"]
mod support;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http2::*;
use hub_proxy::{AccessLog, ProxyConfig};
use support::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Notify, mpsc},
};

/// So short that nobody has to wait for it.
const SHORT: Duration = Duration::from_millis(200);

/// Larger than all buffers on the way together.
const LARGE: usize = 48 << 20;

const POST: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "https"),
    (":authority", "hub.example"),
    (":path", "/user/ada/"),
];

const ANSWER_THAT_GOES_ON: &str =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n";

/// A proxy that offers HTTP/2.
async fn serving(tls: &Tls, target: SocketAddr, config: ProxyConfig) -> Running {
    let mut listen = listen();
    listen.tls = Some(tls.keys.clone());
    listen.http2 = true;
    Running::listening(target, config, listen, Duration::ZERO).await
}

/// A target that takes five bytes, says `answer`, and reports what else comes until the end
/// of its connection.
async fn reporting(answer: &'static str) -> (SocketAddr, mpsc::UnboundedReceiver<Vec<u8>>) {
    let (rest, seen) = mpsc::unbounded_channel();
    let addr = target(move |mut client| {
        let rest = rest.clone();
        async move {
            client.head().await;
            client.until("12345\r\n").await;
            client.send(answer).await;
            client.gone().await;
            rest.send(client.ahead).unwrap();
        }
    })
    .await;
    (addr, seen)
}

#[tokio::test]
async fn e_06_u_04_an_answer_over_http_2_breaks_off_with_its_request() {
    let (tls, (target, mut rest)) = (Tls::new(), reporting(ANSWER_THAT_GOES_ON).await);
    let mut config = ProxyConfig::default();
    config.request_idle_timeout = Some(SHORT);
    let proxy = serving(&tls, target, config).await;
    let mut raw = tls.raw(proxy.addr).await;
    raw.upload(1, &POST).await;
    raw.send(DATA, 0, 1, b"12345").await;
    assert_eq!(raw.next_of(&[HEADERS]).await.unwrap().stream, 1);
    assert_eq!(raw.next_of(&[DATA]).await.unwrap().payload, b"hi");
    // The client pauses for too long now, while the answer waits for its target.
    let end = raw.next_of(&[DATA, RST_STREAM]).await.unwrap();
    assert_eq!(end.kind, RST_STREAM, "it must not look complete: {end:?}");
    assert_eq!(soon(rest.recv()).await.unwrap(), b"", "and the request has no last chunk");
    // The connection goes on.
    raw.request(3, &[(":method", "GET"), POST[1], POST[2], (":path", "/hub/")]).await;
    assert_eq!(raw.next_of(&[HEADERS]).await.unwrap().stream, 3);
}

#[tokio::test]
async fn u_04_an_upload_over_http_2_that_is_reset_does_not_look_finished() {
    for answer in ["", ANSWER_THAT_GOES_ON] {
        let (tls, (target, mut rest)) = (Tls::new(), reporting(answer).await);
        let proxy = serving(&tls, target, ProxyConfig::default()).await;
        let mut raw = tls.raw(proxy.addr).await;
        raw.upload(1, &POST).await;
        raw.send(DATA, 0, 1, b"12345").await;
        match answer {
            // Known to have arrived.
            "" => {
                while !proxy.was_used() {
                    tokio::task::yield_now().await;
                }
            }
            _ => assert_eq!(raw.next_of(&[DATA]).await.unwrap().payload, b"hi"),
        }
        assert!(raw.try_reset(1).await);
        assert_eq!(soon(rest.recv()).await.unwrap(), b"", "no last chunk");
    }
}

/// A target that says `answer` once it has a head, takes nothing of the body until it is
/// told to, and then reports how much of it there is.
async fn stalling(
    answer: &'static str,
) -> (SocketAddr, Arc<Notify>, mpsc::UnboundedReceiver<usize>) {
    let read_on = Arc::new(Notify::new());
    let (taken, bytes) = mpsc::unbounded_channel();
    let told = Arc::clone(&read_on);
    let addr = target(move |mut client| {
        let (told, taken) = (Arc::clone(&told), taken.clone());
        async move {
            client.head().await;
            client.send(answer).await;
            told.notified().await;
            client.gone().await;
            taken.send(client.ahead.len()).unwrap();
        }
    })
    .await;
    (addr, read_on, bytes)
}

/// Uploads to a target until the proxy takes no more: how much that was, and what came back.
async fn upload(target: SocketAddr) -> (usize, String) {
    let mut config = ProxyConfig::default();
    config.upload_stall_timeout = SHORT;
    let proxy = Running::with(target, config).await;
    let mut client = proxy.connect().await;
    let head = format!("POST /user/ada/ HTTP/1.1\r\nHost: h\r\nContent-Length: {LARGE}\r\n\r\n");
    client.send(head).await;
    let (mut reading, mut writing) = client.stream.into_split();
    let upload = async {
        let piece = vec![b'#'; 1 << 16];
        let mut sent = 0;
        while sent < LARGE && writing.write_all(&piece).await.is_ok() {
            sent += piece.len();
        }
        sent
    };
    let answer = async {
        let mut answer = Vec::new();
        // What is told may be lost with what was not read.
        let _ = reading.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    soon(async { tokio::join!(upload, answer) }).await
}

#[tokio::test]
async fn b_05_what_a_target_that_has_answered_does_not_take_is_given_up() {
    let (target, read_on, mut bytes) = stalling(ANSWER_THAT_GOES_ON).await;
    let (sent, answer) = upload(target).await;
    assert!(sent < LARGE, "all of it was taken");
    assert!(answer.ends_with("2\r\nhi\r\n"), "begun, and without an end: {answer:?}");
    read_on.notify_one();
    assert!(soon(bytes.recv()).await.unwrap() < LARGE, "and nor is the request complete");
}

#[tokio::test]
async fn u_03_a_target_that_has_not_answered_and_takes_nothing_is_given_up() {
    let (target, read_on, mut bytes) = stalling("").await;
    let (sent, answer) = upload(target).await;
    assert!(sent < LARGE, "all of it was taken");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 503 "), "{answer}");
    read_on.notify_one();
    assert!(soon(bytes.recv()).await.unwrap() < LARGE, "it is not complete");
}

#[tokio::test]
async fn t_08_a_client_that_reads_nothing_is_cut_under_tls_as_well() {
    let (target, mut events) = sending_without_end().await;
    let tls = Tls::new();
    let mut listen = listen();
    listen.tls = Some(tls.keys.clone());
    listen.write_stall_timeout = SHORT;
    let proxy = Running::listening(target, ProxyConfig::default(), listen, Duration::ZERO).await;
    let mut client = Client::over(tls.connect(proxy.addr).await);
    client.send(get("/user/ada/")).await;
    client.head().await;
    soon(events.recv()).await.unwrap();
    let cut = client.try_rest().await;
    assert!(cut.is_err(), "it never looks complete");
}

#[tokio::test]
async fn l_06_uploads_that_wait_for_their_clients_leave_their_target_to_others() {
    let (asked, mut arrivals) = mpsc::unbounded_channel();
    let go_on = Arc::new(Notify::new());
    let finish = Arc::clone(&go_on);
    let target = target(move |mut client| {
        let (asked, finish) = (asked.clone(), Arc::clone(&finish));
        async move {
            if client.head().await.starts_with("post ") {
                client.take(1).await;
                asked.send("begun").unwrap();
                client.take(1).await;
                asked.send("complete").unwrap();
                finish.notified().await;
            }
            client.send(ONCE).await;
        }
    })
    .await;
    let mut config = ProxyConfig::default();
    config.max_per_target = 1;
    config.connect_timeout = SHORT;
    let proxy = Running::with(target, config).await;
    let mut uploads = Vec::new();
    for _ in 0..3 {
        let mut client = proxy.connect().await;
        client.send("POST /user/ada/ HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n1").await;
        assert_eq!(soon(arrivals.recv()).await, Some("begun"));
        uploads.push(client);
    }
    assert!(proxy.ask(&get("/user/ada/")).await.starts_with("HTTP/1.1 200 "));
    // The target works on one of them now.
    uploads[0].send("2").await;
    assert_eq!(soon(arrivals.recv()).await, Some("complete"));
    assert!(proxy.ask(&get("/user/ada/")).await.starts_with("HTTP/1.1 503 "));
    go_on.notify_one();
    assert!(uploads[0].head().await.starts_with("http/1.1 200 "));
    assert!(proxy.ask(&get("/user/ada/")).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn e_07_a_client_that_leaves_with_a_body_that_nobody_wants_is_noticed() {
    let (left, mut seen) = mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let left = left.clone();
        async move {
            client.head().await;
            // The answer lacks its body, and never gets it.
            client.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 1\r\n\r\n").await;
            client.gone().await;
            left.send(()).unwrap();
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client.send("POST /user/ada/ HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n").await;
    assert!(client.head().await.starts_with("http/1.1 401 "));
    drop(client);
    soon(seen.recv()).await.unwrap();
}

#[tokio::test]
async fn limits_that_no_clock_reaches_are_no_limits() {
    let (addr, _heads) = answering(ONCE).await;
    let mut config = ProxyConfig::default();
    config.connect_timeout = Duration::MAX;
    config.upload_stall_timeout = Duration::MAX;
    config.response_header_timeout = Some(Duration::MAX);
    config.request_idle_timeout = Some(Duration::MAX);
    config.response_idle_timeout = Some(Duration::MAX);
    config.pool_idle_timeout = Duration::MAX;
    config.access_log = Some(AccessLog::with_room_for(usize::MAX, None).0);
    let mut listen = listen();
    listen.header_read_timeout = Duration::MAX;
    listen.keep_alive_timeout = Duration::MAX;
    listen.busy_idle_timeout = Some(Duration::MAX);
    listen.write_stall_timeout = Duration::MAX;
    let proxy = Running::listening(addr, config, listen, Duration::ZERO).await;
    let mut client = proxy.connect().await;
    for _ in 0..2 {
        // In two pieces, so that somebody waits at each end.
        client.send("PUT /user/ada/ HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nha").await;
        tokio::task::yield_now().await;
        client.send("lf").await;
        assert!(client.head().await.starts_with("http/1.1 200 "));
        assert_eq!(client.take(2).await, b"ok");
    }
}
