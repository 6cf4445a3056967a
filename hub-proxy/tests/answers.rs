//! Requests that break.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/running.rs"]
mod support;

use support::*;
use tokio::sync::mpsc;

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
