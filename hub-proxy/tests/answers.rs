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
