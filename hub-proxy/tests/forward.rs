//! Ordinary requests through a proxy on real sockets.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/running.rs"]
mod support;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hub_proxy::{ProxyConfig, TrustForwarded};
use support::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    time::timeout,
};

#[tokio::test]
async fn p_062_p_065_p_070_the_target_gets_the_path_as_the_client_wrote_it() {
    let (target, mut heads) = answering(OK).await;
    let proxy = Running::to(target).await;
    let answer = proxy.ask(&get("/user/%61da//a%2Fb?q=%20&x=/../y")).await;
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    let head = soon(heads.recv()).await.unwrap();
    assert!(head.starts_with("get /user/%61da//a%2fb?q=%20&x=/../y http/1.1\r\n"), "{head}");
}

#[tokio::test]
async fn h_01_to_h_05_the_target_sees_host_and_client_but_no_hop_fields() {
    let (target, mut heads) = answering(OK).await;
    let proxy = Running::to(target).await;
    proxy
        .ask(
            "GET /user/ada/ HTTP/1.1\r\nHost: hub.example:8000\r\nConnection: close, x-secret\r\n\
             X-Secret: 1\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\nCookie: a=1\r\n\
             X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n\r\n",
        )
        .await;
    let head = soon(heads.recv()).await.unwrap();
    for line in [
        "host: hub.example:8000",
        "cookie: a=1",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-port: 8000",
        "x-forwarded-proto: http",
        "x-forwarded-host: hub.example:8000",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
    for name in ["x-secret:", "keep-alive:", "upgrade:", "forwarded: for", "x_forwarded", "6.6.6.6"]
    {
        assert!(!head.contains(name), "{name} in {head}");
    }
}

#[tokio::test]
async fn h_02_a_trusted_proxy_is_believed() {
    let (target, mut heads) = answering(OK).await;
    let mut config = ProxyConfig::default();
    config.trusted_proxies = TrustForwarded::Networks(vec!["127.0.0.0/8".parse().unwrap()]);
    let proxy = Running::with(target, config).await;
    proxy
        .ask(
            "GET /user/ada/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
             X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n\r\n",
        )
        .await;
    let head = soon(heads.recv()).await.unwrap();
    assert!(head.contains("\r\nx-forwarded-for: 9.9.9.9,127.0.0.1\r\n"), "{head}");
    assert!(head.contains("\r\nx-forwarded-proto: https,http\r\n"), "{head}");
}

#[tokio::test]
async fn sm_22_the_authority_of_an_absolute_target_is_the_host() {
    let (target, mut heads) = answering(OK).await;
    let proxy = Running::to(target).await;
    proxy
        .ask("GET http://real.example/user/ada/x HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n")
        .await;
    let head = soon(heads.recv()).await.unwrap();
    assert!(head.starts_with("get /user/ada/x http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nhost: real.example\r\n"), "{head}");
}

#[tokio::test]
async fn p_050_redirects_and_several_cookies_arrive_untouched() {
    let (target, _heads) = answering(
        "HTTP/1.1 302 Found\r\nLocation: http://elsewhere:1/x\r\nSet-Cookie: a=1\r\n\
         Set-Cookie: b=2\r\nKeep-Alive: timeout=3\r\nX-Own: yes\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    let proxy = Running::to(target).await;
    let answer = proxy.ask(&get("/user/ada/")).await.to_lowercase();
    assert!(answer.starts_with("http/1.1 302 found\r\n"), "{answer}");
    for line in
        ["location: http://elsewhere:1/x", "set-cookie: a=1", "set-cookie: b=2", "x-own: yes"]
    {
        assert!(answer.contains(&format!("\r\n{line}\r\n")), "{line} in {answer}");
    }
    assert!(!answer.contains("keep-alive"), "{answer}");
    assert!(!proxy.was_used(), "a redirect is no use of the server");
}

#[tokio::test]
async fn c4_c5_a_target_cannot_touch_the_origin_it_shares() {
    let fields = "Set-Cookie: login=evil; Path=/\r\nSet-Cookie: own=1; Path=/user/ada/\r\n\
                  Set-Cookie: wide=1; Domain=example\r\nClear-Site-Data: \"*\"\r\n\
                  Service-Worker-Allowed: /\r\nX-Own: yes\r\n";
    let target = target(move |mut client| async move {
        let head = client.head().await;
        let rest = match head.contains("upgrade: websocket") {
            true => "101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
            false => "200 OK\r\nContent-Length: 0\r\n",
        };
        client.send(format!("HTTP/1.1 {rest}{fields}\r\n")).await;
        client.gone().await;
    })
    .await;
    let mut config = ProxyConfig::default();
    config.reserved_cookies = vec!["login".to_owned()];
    config.guard_origin = true;
    let proxy = Running::with(target, config).await;

    let upgrade = "GET /user/ada/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
                   Upgrade: websocket\r\n\r\n";
    for (request, status) in [(get("/user/ada/"), "200"), (upgrade.to_owned(), "101")] {
        let mut client = proxy.connect().await;
        client.send(request).await;
        let head = client.head().await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        for kept in ["set-cookie: own=1; path=/user/ada/", "x-own: yes"] {
            assert!(head.contains(&format!("\r\n{kept}\r\n")), "{kept} in {head}");
        }
        for dropped in ["login=", "wide=", "clear-site-data", "service-worker-allowed"] {
            assert!(!head.contains(dropped), "{dropped} in {head}");
        }
    }
}

#[tokio::test]
async fn c4_the_owner_of_the_origin_sets_its_cookies_as_a_target() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: login=yes; Path=/hub/\r\n\
                  Clear-Site-Data: \"*\"\r\n\r\n";
    for (owner, kept) in [("/user/ada", true), ("/", false)] {
        let (target, _heads) = answering(answer).await;
        let mut config = ProxyConfig::default();
        config.reserved_cookies = vec!["login".to_owned()];
        config.guard_origin = true;
        config.origin_owner = Some(owner.parse().unwrap());
        let proxy = Running::with(target, config).await;
        let answer = proxy.ask(&get("/user/ada/")).await.to_lowercase();
        assert_eq!(answer.contains("login=yes"), kept, "{owner}: {answer}");
        assert_eq!(answer.contains("clear-site-data"), kept, "{owner}: {answer}");
    }
}

#[tokio::test]
async fn b_03_answers_keep_their_framing() {
    for (sent, expected) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", "\r\n\r\n"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "2\r\nok\r\n0\r\n\r\n",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "content-length: 2"),
    ] {
        let (target, _heads) = answering(sent).await;
        let proxy = Running::to(target).await;
        let answer = proxy.ask(&get("/user/ada/")).await.to_lowercase();
        assert!(answer.contains(expected), "{sent} gave {answer}");
    }
}

#[tokio::test]
async fn b_03_head_keeps_the_length_and_has_no_body() {
    let (target, _heads) = answering("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n").await;
    let proxy = Running::to(target).await;
    let answer = proxy.ask(&get("/user/ada/").replace("GET", "HEAD")).await.to_lowercase();
    assert!(answer.contains("content-length: 5000\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn h_07_h_11_sm_29_sm_40_requests_keep_their_bodies() {
    for (request, expected) in [
        ("DELETE /user/ada/ HTTP/1.1\r\nHost: h\r\n\r\n", "content-length: 0"),
        ("GET /user/ada/ HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", "\r\n\r\nhi"),
        (
            "GET /user/ada/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            "\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        ),
        (
            "DELETE /user/ada/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            "\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        ),
    ] {
        let (seen, mut got) = mpsc::unbounded_channel();
        let target = target(move |mut client| {
            let seen = seen.clone();
            async move {
                let mut all = client.head().await + "\r\n";
                if all.contains("chunked") {
                    all += &client.until("0\r\n\r\n").await;
                } else if all.contains("content-length: 2") {
                    all += &String::from_utf8(client.take(2).await).unwrap();
                }
                seen.send(all).unwrap();
                client.send(OK).await;
            }
        })
        .await;
        let proxy = Running::to(target).await;
        let mut client = proxy.connect().await;
        client.send(request).await;
        client.head().await;
        let got = soon(got.recv()).await.unwrap();
        assert!(got.contains(expected), "{request} gave {got}");
        let framings = got.matches("content-length").count() + got.matches("transfer-enc").count();
        assert_eq!(framings, 1, "SM-40: {got}");
    }
}

#[tokio::test]
async fn e_08_k_06_p_045_a_refused_connection_is_a_503_page_with_the_original_path() {
    let proxy = Running::to(nowhere().await).await;
    let answer = proxy
        .ask(
            "POST /user/ada/x%20y?z=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\nCookie: c=1\r\n\
             Content-Length: 3\r\n\r\nabc",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
    assert!(answer.to_lowercase().contains("retry-after: 1\r\n"), "{answer}");
    assert!(
        answer.contains(
            "fallback: GET /user/ada/x%20y?z=1 failure=503 for /user/ada/x%20y?z=1 bytes=0 \
             peer=true for=127.0.0.1 host=h proto=http cookie=c=1 length=- upgrade=-"
        ),
        "{answer}"
    );
    assert!(!proxy.was_used(), "P-045");
}

#[tokio::test]
async fn section_7_a_target_without_a_usable_answer_is_a_503_page() {
    for answer in [
        "",
        "gibberish\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    ] {
        let target = target(move |mut client| async move {
            client.head().await;
            client.send(answer).await;
        })
        .await;
        let proxy = Running::to(target).await;
        let got = proxy.ask(&get("/user/ada/")).await;
        assert!(got.starts_with("HTTP/1.1 503 "), "{answer:?} gave {got}");
        assert!(got.contains("failure=503 for /user/ada/"), "{answer:?} gave {got}");
        assert!(!got.to_lowercase().contains("retry-after"), "{answer:?} gave {got}");
        assert!(!proxy.was_used());
    }
}

#[tokio::test]
async fn t_05_a_silent_target_is_given_up_when_a_limit_is_set() {
    let target = target(|mut client| async move { client.gone().await }).await;
    let mut config = ProxyConfig::default();
    config.response_header_timeout = Some(Duration::from_millis(50));
    let proxy = Running::with(target, config).await;
    let answer = proxy.ask(&get("/user/ada/")).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}

#[tokio::test]
async fn e_06_b_04_an_answer_that_breaks_off_never_looks_complete() {
    for (head, version) in [
        ("Content-Length: 100\r\n", "1.1"),
        ("Transfer-Encoding: chunked\r\n", "1.1"),
        ("Transfer-Encoding: chunked\r\n", "1.0"),
    ] {
        let target = target(move |mut client| async move {
            client.head().await;
            client.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n5\r\nhello\r\n")).await;
        })
        .await;
        let proxy = Running::to(target).await;
        let mut client = proxy.connect().await;
        client.send(format!("GET /user/ada/ HTTP/{version}\r\nHost: h\r\n\r\n")).await;
        let broken = match client.try_rest().await {
            Err(_) => true,
            Ok(bytes) => {
                let text = String::from_utf8(bytes).unwrap().to_lowercase();
                // What is announced must be missing.
                text.contains("content-length: 100\r\n")
                    || (text.contains("chunked") && !text.contains("\r\n0\r\n\r\n"))
            }
        };
        assert!(broken, "{head} to HTTP/{version}");
    }
}

#[tokio::test]
async fn e_07_a_client_that_leaves_takes_its_request_along() {
    let (gone, mut left) = mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let gone = gone.clone();
        async move {
            client.head().await;
            gone.send("asked").unwrap();
            client.gone().await;
            gone.send("left").unwrap();
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client.send(get("/user/ada/")).await;
    assert_eq!(soon(left.recv()).await, Some("asked"));
    drop(client);
    assert_eq!(soon(left.recv()).await, Some("left"));
}

#[tokio::test]
async fn u_04_an_aborted_upload_does_not_look_finished() {
    let (seen, mut got) = mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let seen = seen.clone();
        async move {
            client.head().await;
            client.until("hello").await;
            seen.send(None).unwrap();
            seen.send(Some(client.try_rest().await.unwrap_or_default())).unwrap();
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client
        .send("POST /user/ada/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        .await;
    assert_eq!(soon(got.recv()).await, Some(None), "the upload began");
    drop(client);
    let rest = soon(got.recv()).await.unwrap().unwrap();
    assert_eq!(rest, b"\r\n", "and has no last chunk");
}

#[tokio::test]
async fn b_02_parts_of_an_answer_arrive_as_they_are_sent() {
    let (go_on, next) = tokio::sync::oneshot::channel::<()>();
    let next = Arc::new(tokio::sync::Mutex::new(Some(next)));
    let target = target(move |mut client| {
        let next = Arc::clone(&next);
        async move {
            client.head().await;
            client.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").await;
            client.send("data: 1\n\n").await;
            let next = next.lock().await.take().unwrap();
            soon(next).await.unwrap();
            client.send("data: 2\n\n").await;
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client.send(get("/user/ada/events")).await;
    client.until("data: 1\n\n").await;
    assert!(proxy.was_used(), "data has passed");
    go_on.send(()).unwrap();
    client.until("data: 2\n\n").await;
    client.until("\r\n0\r\n\r\n").await;
}

/// A target that sends as much as it can, and says when nobody takes it.
async fn flood(
    total: usize,
    written: Arc<AtomicUsize>,
    stalled: mpsc::UnboundedSender<()>,
) -> SocketAddr {
    target(move |mut client| {
        let (written, stalled) = (Arc::clone(&written), stalled.clone());
        async move {
            client.head().await;
            client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n")).await;
            let chunk = vec![b'x'; 64 * 1024];
            loop {
                let left = total - written.load(Ordering::Relaxed);
                let writing = client.stream.write(&chunk[..left.min(chunk.len())]);
                match timeout(Duration::from_millis(500), writing).await {
                    Ok(n) => written.fetch_add(n.unwrap(), Ordering::Relaxed),
                    // Without progress for so long, the other side has stopped.
                    Err(_) => stalled.send(()).map_or(0, |()| 0),
                };
                if left == 0 {
                    return;
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn b_01_a_slow_reader_stops_the_producer() {
    const TOTAL: usize = 100 * 1024 * 1024;
    let (written, (stalled, mut stall)) = (Arc::default(), mpsc::unbounded_channel());
    let proxy = Running::to(flood(TOTAL, Arc::clone(&written), stalled).await).await;
    let mut client = proxy.connect().await;
    client.send(get("/user/ada/big")).await;
    client.head().await;

    soon(stall.recv()).await.unwrap();
    let before_reading = written.load(Ordering::Relaxed);
    // The kernel's four socket buffers may hold some megabytes each.
    assert!(before_reading < TOTAL / 2, "{before_reading} bytes were taken from the target");

    let mut left = TOTAL - client.ahead.len();
    let mut buffer = vec![0; 1024 * 1024];
    while left > 0 {
        let n = soon(client.stream.read(&mut buffer)).await.unwrap();
        assert!(n > 0, "{left} bytes are missing");
        left -= n;
    }
}

#[tokio::test]
async fn u_03_a_slow_target_stops_the_upload_and_then_gets_all_of_it() {
    const TOTAL: usize = 100 * 1024 * 1024;
    let (read_on, reading) = tokio::sync::watch::channel(false);
    let target = target(move |mut client| {
        let mut reading = reading.clone();
        async move {
            client.head().await;
            soon(reading.wait_for(|&on| on)).await.unwrap();
            let mut left = TOTAL - client.ahead.len();
            let mut buffer = vec![0; 1024 * 1024];
            while left > 0 {
                left -= soon(client.stream.read(&mut buffer)).await.unwrap();
            }
            client.send(OK).await;
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client
        .send(format!("PUT /user/ada/f HTTP/1.1\r\nHost: h\r\nContent-Length: {TOTAL}\r\n\r\n"))
        .await;
    let chunk = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    let stalled = loop {
        let left = (TOTAL - sent).min(chunk.len());
        match timeout(Duration::from_millis(500), client.stream.write(&chunk[..left])).await {
            Ok(n) => sent += n.unwrap(),
            Err(_) => break sent,
        }
        if sent == TOTAL {
            break sent;
        }
    };
    assert!(stalled < TOTAL / 2, "{stalled} bytes were taken while nobody read");
    read_on.send(true).unwrap();
    while sent < TOTAL {
        let left = (TOTAL - sent).min(chunk.len());
        sent += soon(client.stream.write(&chunk[..left])).await.unwrap();
    }
    assert!(client.head().await.starts_with("http/1.1 200 "));
}

#[tokio::test]
async fn connections_to_a_target_are_reused() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let target = target(move |mut client| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            for _ in 0..3 {
                client.head().await;
                client.send(OK).await;
            }
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    for _ in 0..3 {
        client.send("GET /user/ada/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert!(client.head().await.starts_with("http/1.1 200 "));
        client.take(2).await;
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn k_01_a_connection_the_target_closed_while_idle_is_not_noticed() {
    let (closed, mut closing) = mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let closed = closed.clone();
        async move {
            client.head().await;
            client.send(OK).await;
            drop(client);
            closed.send(()).unwrap();
        }
    })
    .await;
    let proxy = Running::to(target).await;
    for _ in 0..5 {
        let answer = proxy.ask(&get("/user/ada/")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        soon(closing.recv()).await.unwrap();
        // The end arrives on loopback at once; the proxy's turn to see it is
        // given by a request that needs no target.
        proxy.ask(&get("/hub/")).await;
    }
}

#[tokio::test]
async fn u_05_a_target_that_drops_an_upload_is_a_503() {
    let target = target(|mut client| async move {
        client.head().await;
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client.send("PUT /user/ada/f HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345").await;
    assert!(client.head().await.starts_with("http/1.1 503 "));
}

#[tokio::test]
async fn sm_45_bytes_behind_an_answer_reach_nobody() {
    let (target, _heads) = answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nX-Evil: 1\r\n\r\n",
    )
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    for _ in 0..2 {
        client.send("GET /user/ada/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let head = client.head().await;
        assert!(!head.contains("x-evil"), "{head}");
        assert_eq!(client.take(2).await, b"ok");
    }
}

#[tokio::test]
async fn without_a_route_the_fallback_gets_the_request_and_the_same_fields() {
    let proxy = Running::to(nowhere().await).await;
    let answer = proxy
        .ask(
            "POST /hub/login?next=x HTTP/1.1\r\nHost: hub.example\r\nConnection: close\r\n\
             Content-Length: 5\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\r\nhello",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.contains(
            "fallback: POST /hub/login?next=x failure=none bytes=5 peer=true for=127.0.0.1 \
             host=hub.example proto=http"
        ),
        "{answer}"
    );
}
