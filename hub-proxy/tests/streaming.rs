//! Bodies on their way, and connections to targets, on real sockets.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/lenient.rs"]
mod lenient;
#[path = "support/running.rs"]
mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hub_proxy::ProxyConfig;
use lenient::{lenient, lenient_with};
use support::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::mpsc,
};

/// Larger than all buffers on the way together.
const LARGE: usize = 48 * 1024 * 1024;

/// Bytes that differ from their neighbours, so that none can be lost unseen.
fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|n| (n % 251) as u8).collect()
}

#[tokio::test]
async fn hb_01_fields_of_one_hop_stay_there_in_both_directions() {
    let fields = "Connection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
                  Proxy-Connection: x\r\nProxy-Authenticate: x\r\nProxy-Authorization: x\r\n\
                  Proxy-Authentication-Info: x\r\nUpgrade: h2c\r\nTE: gzip\r\nX-End: to-end\r\n";
    let (target, seen) =
        lenient_with(format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{fields}\r\nok")).await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client.send(format!("GET /user/ada/ HTTP/1.1\r\nHost: h\r\n{fields}\r\n")).await;
    let answer = client.head().await;
    for head in [answer, seen.all().to_lowercase()] {
        assert!(head.contains("\r\nx-end: to-end\r\n"), "{head}");
        for name in ["x-mine", "keep-alive:", "proxy-", "upgrade", "\r\nte:"] {
            assert!(!head.contains(name), "{name} in {head}");
        }
    }
}

#[tokio::test]
async fn h_06_without_forwarded_fields_those_of_the_client_pass() {
    let (target, seen) = lenient().await;
    let mut config = ProxyConfig::default();
    config.x_forward = false;
    let proxy = Running::with(target, config).await;
    proxy
        .ask(
            "GET /user/ada/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
             X-Forwarded-For: 6.6.6.6\r\n\r\n",
        )
        .await;
    let seen = seen.all().to_lowercase();
    assert!(seen.contains("\r\nx-forwarded-for: 6.6.6.6\r\n"), "{seen}");
    assert_eq!(seen.matches("x-forwarded").count(), 1, "{seen}");
}

#[tokio::test]
async fn h_09_p_032_answers_have_a_date_and_connections_last_as_clients_wish() {
    let (target, _seen) = lenient().await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    for _ in 0..2 {
        client.send("GET /user/ada/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let head = client.head().await;
        assert!(head.contains("\r\ndate: ") && !head.contains("close"), "{head}");
        assert!(head.contains("\r\nconnection: keep-alive\r\n"), "{head}");
        client.take(2).await;
    }
    client.send("GET /user/ada/ HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n").await;
    let head = client.head().await;
    assert!(head.contains("\r\nconnection: keep-alive\r\n"), "{head}");
    client.take(2).await;
    client.send("GET /user/ada/ HTTP/1.0\r\nHost: h\r\n\r\n").await;
    assert!(client.rest().await.ends_with("\r\n\r\nok"), "and then it ends");
}

#[tokio::test]
async fn b_05_an_answer_before_the_end_of_a_request_arrives() {
    let target = target(|mut client| async move {
        client.head().await;
        client
            .send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
            .await;
        client.gone().await;
    })
    .await;
    let mut config = ProxyConfig::default();
    config.request_idle_timeout = Some(Duration::from_millis(200));
    let proxy = Running::with(target, config).await;
    let mut client = proxy.connect().await;
    client.send("PUT /user/ada/f HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n12345").await;
    assert!(client.head().await.starts_with("http/1.1 413 "));
    assert_eq!(client.take(3).await, b"big");
    client.gone().await;
}

#[tokio::test]
async fn b_05_who_would_have_to_send_too_much_for_nobody_is_told_that_it_ends() {
    const MOST: usize = 64 * 1024;
    let refusal = "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig";
    let (target, _heads) = answering(refusal).await;
    let proxy = Running::to(target).await;
    for (path, status, len, said) in [
        ("/user/ada/f", "413", MOST, "keep-alive"),
        ("/user/ada/f", "413", MOST + 1, "close"),
        ("/hub/nobody", "200", MOST + 1, "keep-alive"),
    ] {
        let mut client = proxy.connect().await;
        let fields = format!("Host: h\r\nContent-Length: {len}");
        client.send(format!("PUT {path} HTTP/1.1\r\n{fields}\r\n\r\n")).await;
        if status == "200" {
            // The fallback reads all of it before it answers.
            client.send(vec![b'x'; len]).await;
        }
        let head = client.head().await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        assert!(head.contains(&format!("\r\nconnection: {said}\r\n")), "{len}: {head}");
        if said == "close" {
            client.gone().await;
        } else if status == "413" {
            assert_eq!(client.take(3).await, b"big");
            client.send(vec![b'x'; len]).await;
            client.send(get("/hub/next")).await;
            assert!(client.head().await.starts_with("http/1.1 200 "));
        }
    }
}

#[tokio::test]
async fn e_06_an_answer_has_no_end_when_its_request_broke_off() {
    let target = target(|mut client| async move {
        client.head().await;
        client.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n").await;
        client.gone().await;
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    let head = "POST /user/ada/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{head}1\r\na\r\n")).await;
    assert!(client.head().await.starts_with("http/1.1 200 "));
    client.until("hi\r\n").await;
    client.send("no size\r\n").await;
    client.gone().await;
    assert!(!client.ahead.ends_with(b"0\r\n\r\n"), "it looks complete");
}

const WAITS: &str = "PUT /user/ada/f HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\
                     Expect: 100-continue\r\n\r\n";

#[tokio::test]
async fn x_01_a_client_is_told_to_go_on_once_the_target_wants_its_body() {
    for says_so in [true, false] {
        let (go_on, may) = tokio::sync::watch::channel(false);
        let target = target(move |mut client| {
            let mut may = may.clone();
            async move {
                assert!(client.head().await.contains("\r\nexpect: 100-continue\r\n"));
                if says_so {
                    may.wait_for(|may| *may).await.unwrap();
                    client.send("HTTP/1.1 100 Continue\r\n\r\n").await;
                }
                // Who says nothing gets it after a while.
                assert_eq!(client.take(5).await, b"hello");
                client.send(OK).await;
            }
        })
        .await;
        let proxy = Running::to(target).await;
        let mut client = proxy.connect().await;
        client.send(WAITS).await;
        go_on.send(true).unwrap();
        let interim = client.head().await;
        assert!(interim.starts_with("http/1.1 100 ") && !interim.contains("date"), "{interim}");
        client.send("hello").await;
        assert!(client.head().await.starts_with("http/1.1 200 "));
    }
}

#[tokio::test]
async fn x_01_a_client_is_not_told_to_go_on_if_nobody_wants_its_body() {
    let (refuses, seen) = lenient_with("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").await;
    for (target, status) in [(refuses, 413), (nowhere().await, 503)] {
        let proxy = Running::to(target).await;
        let mut client = proxy.connect().await;
        client.send(WAITS).await;
        let head = client.head().await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        // What it might still send is no request.
        assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
        client.rest().await;
    }
    assert!(seen.all().ends_with("\r\n\r\n"), "{}", seen.all());
}

#[tokio::test]
async fn x_02_what_a_target_says_before_its_answer_arrives() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\n\
                   Set-Cookie: hub=1\r\nClear-Site-Data: \"*\"\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (target, _seen) =
        lenient_with(format!("{interim}HTTP/1.1 102 Processing\r\n\r\n{answer}")).await;
    let proxy = Running::to(target).await;
    let answered = proxy.ask(&get("/user/ada/")).await;
    let before = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
    assert!(answered.starts_with(&format!("{before}HTTP/1.1 200 ")), "{answered}");
    assert!(answered.ends_with("\r\n\r\nok"), "{answered}");
    let old = proxy.ask("GET /user/ada/ HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.1 200 "), "HTTP/1.0 knows no such answers: {old}");

    let (target, _seen) = lenient_with(format!("{}{answer}", interim.repeat(9))).await;
    let answered = Running::to(target).await.ask(&get("/user/ada/")).await;
    assert_eq!(answered.matches("HTTP/1.1 103 ").count(), 8, "{answered}");
    assert!(answered.contains("HTTP/1.1 200 ") && answered.ends_with("ok"), "{answered}");

    let (target, _seen) = lenient_with(format!("{}{answer}", interim.repeat(1000))).await;
    let answered = Running::to(target).await.ask(&get("/user/ada/")).await;
    assert!(answered.contains("HTTP/1.1 503 "), "a flood: {answered}");
}

#[tokio::test]
async fn x_03_trailers_pass_in_both_directions() {
    let trailed = "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\
                   X-Sum: 1\r\n\r\n";
    let (target, seen) = lenient_with(format!("HTTP/1.1 200 OK\r\n{trailed}")).await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client
        .send(format!(
            "POST /user/ada/ HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\n{trailed}"
        ))
        .await;
    let head = client.head().await;
    assert!(head.contains("\r\ntrailer: x-sum\r\n"), "{head}");
    let answer = client.until("\r\n\r\n").await.to_lowercase();
    assert!(answer.ends_with("0\r\nx-sum: 1\r\n\r\n"), "{answer}");
    seen.until(|seen| seen.to_lowercase().ends_with("0\r\nx-sum: 1\r\n\r\n")).await;
}

#[tokio::test]
async fn u_01_large_uploads_arrive_whole_with_a_length_and_in_chunks() {
    let (done, mut sums) = mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let done = done.clone();
        async move {
            let head = client.head().await;
            let mut body = Vec::new();
            if head.contains("content-length") {
                body = client.take(LARGE).await;
            } else {
                loop {
                    let size = client.until("\r\n").await;
                    let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
                    body.extend(client.take(size).await);
                    client.take(2).await;
                    if size == 0 {
                        break;
                    }
                }
            }
            done.send(body == pattern(0, LARGE)).unwrap();
            client.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let body = pattern(0, LARGE);
    let mut client = proxy.connect().await;
    client
        .send(format!("PUT /user/ada/f HTTP/1.1\r\nHost: h\r\nContent-Length: {LARGE}\r\n\r\n"))
        .await;
    client.send(&body).await;
    assert!(client.head().await.starts_with("http/1.1 200 "));
    assert!(soon(sums.recv()).await.unwrap(), "with a length");

    client.send("PUT /user/ada/f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for chunk in body.chunks(300_007) {
        client.send(format!("{:x}\r\n", chunk.len())).await;
        client.send(chunk).await;
        client.send("\r\n").await;
    }
    client.send("0\r\n\r\n").await;
    assert!(client.head().await.starts_with("http/1.1 200 "));
    assert!(soon(sums.recv()).await.unwrap(), "in chunks");
}

#[tokio::test]
async fn v_01_large_downloads_and_ranges_arrive_whole() {
    let target = target(|mut client| async move {
        loop {
            let head = client.head().await;
            let (status, from, len) = match head.contains("range: bytes=1000-1999\r\n") {
                true => ("206 Partial Content\r\nContent-Range: bytes 1000-1999/*", 1000, 1000),
                false => ("200 OK", 0, LARGE),
            };
            client.send(format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\n\r\n")).await;
            client.send(pattern(from, len)).await;
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client.send("GET /user/ada/f HTTP/1.1\r\nHost: h\r\n\r\n").await;
    client.head().await;
    assert!(client.take(LARGE).await == pattern(0, LARGE), "bytes differ");
    client.send("GET /user/ada/f HTTP/1.1\r\nHost: h\r\nRange: bytes=1000-1999\r\n\r\n").await;
    let head = client.head().await;
    assert!(head.starts_with("http/1.1 206 "), "{head}");
    assert!(head.contains("\r\ncontent-range: bytes 1000-1999/*\r\n"), "{head}");
    assert_eq!(client.take(1000).await, pattern(1000, 1000));
}

#[tokio::test]
async fn v_02_l_08_a_client_that_breaks_off_a_download_ends_it_and_a_slow_one_holds_up_nobody() {
    let (event, mut events) = mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let event = event.clone();
        async move {
            if client.head().await.contains("/big") {
                client.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
                let chunk = [b"10000\r\n".to_vec(), pattern(0, 0x10000), b"\r\n".to_vec()].concat();
                while client.stream.write_all(&chunk).await.is_ok() {}
                event.send("broken off").unwrap();
            } else {
                client.send(ONCE).await;
            }
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let mut slow = proxy.connect().await;
    slow.send(get("/user/ada/big")).await;
    slow.head().await;
    // While it reads nothing more:
    for _ in 0..20 {
        assert!(proxy.ask(&get("/user/ada/small")).await.ends_with("ok"));
    }
    drop(slow);
    assert_eq!(soon(events.recv()).await, Some("broken off"));
    assert!(proxy.ask(&get("/user/ada/small")).await.ends_with("ok"), "on a connection of its own");
}

#[tokio::test]
async fn t_03_an_upload_that_pauses_too_long_is_broken_off_on_both_sides() {
    let (event, mut events) = mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let event = event.clone();
        async move {
            client.head().await;
            client.take(5).await;
            event.send("begun").unwrap();
            client.gone().await;
            event.send("broken off").unwrap();
        }
    })
    .await;
    let mut config = ProxyConfig::default();
    config.request_idle_timeout = Some(Duration::from_millis(200));
    let proxy = Running::with(target, config).await;
    let mut client = proxy.connect().await;
    client.send("PUT /user/ada/f HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n12345").await;
    assert_eq!(soon(events.recv()).await, Some("begun"));
    assert_eq!(soon(events.recv()).await, Some("broken off"));
    assert!(client.head().await.starts_with("http/1.1 400 "));
    client.gone().await;
}

#[tokio::test]
async fn t_08_a_client_that_reads_nothing_is_cut_at_last() {
    let (event, mut events) = mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let event = event.clone();
        async move {
            client.head().await;
            client.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
            let piece = pattern(0, 0x10000);
            while client.stream.write_all(&piece).await.is_ok() {}
            event.send(()).unwrap();
        }
    })
    .await;
    let mut listen = listen();
    listen.write_stall_timeout = Duration::from_millis(200);
    let proxy = Running::listening(target, ProxyConfig::default(), listen, Duration::ZERO).await;
    let mut client = proxy.connect().await;
    client.send(get("/user/ada/")).await;
    client.head().await;
    soon(events.recv()).await.unwrap();
    let cut = client.try_rest().await;
    assert!(cut.is_err(), "it never looks complete");
}

#[tokio::test]
async fn t_04_a_connection_that_is_not_made_in_time_is_a_503() {
    // Its queue is full, so the kernel answers no more connections.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let full = socket.listen(1).unwrap();
    let addr = full.local_addr().unwrap();
    let mut queued = Vec::new();
    let patience = Duration::from_millis(300);
    while let Ok(connected) = tokio::time::timeout(patience, TcpStream::connect(addr)).await {
        queued.push(connected.unwrap());
        assert!(queued.len() < 100, "the queue never fills");
    }
    let mut config = ProxyConfig::default();
    config.connect_timeout = Duration::from_millis(100);
    let proxy = Running::with(addr, config).await;
    let answer = proxy.ask(&get("/user/ada/")).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(!answer.to_lowercase().contains("retry-after"), "{answer}");
}

/// A target that answers `answered` requests on each connection and closes when
/// it has read one more; reports each request line.
async fn closing_after(
    answered: usize,
) -> (std::net::SocketAddr, Arc<AtomicUsize>, mpsc::UnboundedReceiver<String>) {
    let (seen, lines) = mpsc::unbounded_channel();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let addr = target(move |mut client| {
        counted.fetch_add(1, Ordering::Relaxed);
        let seen = seen.clone();
        async move {
            for request in 0..=answered {
                let head = client.head().await;
                seen.send(head.lines().next().unwrap().to_owned()).unwrap();
                if request < answered {
                    client.send(OK).await;
                }
            }
        }
    })
    .await;
    (addr, connections, lines)
}

#[tokio::test]
async fn k_04_a_post_that_may_have_arrived_is_not_sent_again() {
    let (target, connections, mut lines) = closing_after(1).await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client.send("GET /user/ada/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
    client.head().await;
    client.take(2).await;
    client.send("POST /user/ada/p HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi").await;
    assert!(client.head().await.starts_with("http/1.1 503 "));
    assert_eq!(connections.load(Ordering::Relaxed), 1, "on the connection that was there");
    assert_eq!(soon(lines.recv()).await.unwrap(), "get /user/ada/ http/1.1");
    assert_eq!(soon(lines.recv()).await.unwrap(), "post /user/ada/p http/1.1");
    assert!(lines.try_recv().is_err(), "once");
}

#[tokio::test]
async fn k_05_a_failure_on_a_fresh_connection_is_not_retried() {
    let (target, connections, mut lines) = closing_after(0).await;
    let proxy = Running::to(target).await;
    let answer = proxy.ask(&get("/user/ada/")).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    assert!(soon(lines.recv()).await.is_some() && lines.try_recv().is_err());
}

#[tokio::test]
async fn k_10_a_websocket_has_a_connection_of_its_own() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let target = target(move |mut client| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            let mut byte = [0];
            while client.stream.peek(&mut byte).await.is_ok_and(|n| n > 0) {
                if client.head().await.contains("upgrade: websocket") {
                    client
                        .send(
                            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                             Connection: Upgrade\r\n\r\n",
                        )
                        .await;
                    return client.gone().await;
                }
                client.send(OK).await;
            }
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    for expected in [1, 2] {
        client.send("GET /user/ada/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
        client.head().await;
        client.take(2).await;
        assert_eq!(connections.load(Ordering::Relaxed), expected, "the pooled one again");
        let mut socket = proxy.connect().await;
        socket
            .send(
                "GET /user/ada/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\n\r\n",
            )
            .await;
        assert!(socket.head().await.starts_with("http/1.1 101 "));
        assert_eq!(connections.load(Ordering::Relaxed), expected + 1);
    }
}

#[tokio::test]
async fn u_02_an_upload_may_last_longer_than_every_limit() {
    let (taken, mut bytes) = mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let taken = taken.clone();
        async move {
            client.head().await;
            for _ in 0..20 {
                client.take(1).await;
                taken.send(()).unwrap();
            }
            client.send(OK).await;
        }
    })
    .await;
    let mut listen = listen();
    listen.header_read_timeout = Duration::from_millis(50);
    listen.keep_alive_timeout = Duration::from_millis(50);
    listen.busy_idle_timeout = Some(Duration::from_secs(1));
    let mut config = ProxyConfig::default();
    config.response_header_timeout = Some(Duration::from_secs(1));
    let proxy = Running::listening(target, config, listen, Duration::ZERO).await;
    let mut client = proxy.connect().await;
    client.send("PUT /user/ada/f HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n").await;
    let began = tokio::time::Instant::now();
    for _ in 0..20 {
        client.send("#").await;
        soon(bytes.recv()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    assert!(began.elapsed() > Duration::from_secs(1), "longer than each of them");
    let mut byte = [0];
    assert_eq!(soon(client.stream.read(&mut byte)).await.unwrap(), 1, "there is an answer");
}
