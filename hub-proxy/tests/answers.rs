//! Answers of targets that a strict reader would rather not have, and requests that break.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/running.rs"]
mod support;

use support::*;
use tokio::sync::mpsc;

/// A target that answers every request with this and closes.
async fn once(answer: &'static [u8]) -> std::net::SocketAddr {
    target(move |mut client| async move {
        client.head().await;
        client.send(answer).await;
    })
    .await
}

#[tokio::test]
async fn e_07_a_request_that_breaks_is_not_answered_with_a_page() {
    let (event, mut events) = mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let event = event.clone();
        async move {
            client.head().await;
            client.until("hello").await;
            event.send("begun").unwrap();
            client.gone().await;
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    let head = "POST /user/ada/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{head}5\r\nhello\r\n")).await;
    assert_eq!(soon(events.recv()).await, Some("begun"));
    client.send("no chunk\r\n").await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn sm_44_an_identity_that_is_alone_is_no_coding() {
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nto the end";
    let answer = Running::to(once(answer).await).await.ask(&get("/user/ada/")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("transfer-encoding: chunked\r\n"), "{answer}");
    assert!(answer.contains("to the end") && answer.ends_with("0\r\n\r\n"), "{answer}");
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok";
    let answer = Running::to(once(answer).await).await.ask(&get("/user/ada/")).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "two framings: {answer}");
}

#[tokio::test]
async fn a_target_has_its_own_words_behind_the_status() {
    for (said, told) in [
        (&b"409 File changed on disk"[..], &b"409 File changed on disk"[..]),
        (b"299 Not quite", b"299 Not quite"),
        (b"404 Fichier supprim\xc3\xa9", b"404 Fichier supprim\xc3\xa9"),
        (b"200 OK", b"200 OK"),
        (b"404", b"404 Not Found"),
        (b"404 Bell \x07", b"404 Not Found"),
    ] {
        let answer = [b"HTTP/1.1 ", said, b"\r\nContent-Length: 0\r\n\r\n"].concat();
        let proxy = Running::to(once(answer.leak()).await).await;
        let mut client = proxy.connect().await;
        client.send(get("/user/ada/")).await;
        let answer = client.try_rest().await.unwrap();
        let line = answer.split(|&byte| byte == b'\r').next().unwrap();
        assert_eq!(line, [b"HTTP/1.1 ", told].concat(), "{}", String::from_utf8_lossy(line));
    }
    // A WebSocket that is refused, too, but not a page that stands in for an answer.
    let refusing = once(b"HTTP/1.1 403 Kernel is gone\r\nContent-Length: 0\r\n\r\n").await;
    let handshake = "GET /user/ada/ HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
                     Upgrade: websocket\r\n\r\n";
    let refused = Running::to(refusing).await.ask(handshake).await;
    assert!(refused.starts_with("HTTP/1.1 403 Kernel is gone\r\n"), "{refused}");
}
