//! Requests a proxy must not pass on, and clients it must not wait for.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/running.rs"]
mod support;

use std::time::Duration;

use hub_proxy::ProxyConfig;
use support::*;

#[tokio::test]
async fn p_049_p_063_paths_with_two_readings_are_refused_with_a_page() {
    let (target, mut heads) = answering(OK).await;
    let proxy = Running::to(target).await;
    for path in ["/user/ada/%2e%2e/hub", "/user/ada/../x", "/%", "/user/ada/%00", "/user/ada/%ff"] {
        let answer = proxy.ask(&get(path)).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
        assert!(answer.contains(&format!("failure=400 for {path}")), "{path}: {answer}");
    }
    assert!(heads.try_recv().is_err(), "nothing reached the target");
}

#[tokio::test]
async fn h_08_h_12_what_we_do_not_do_is_refused_and_the_connection_closed() {
    let (target, mut heads) = answering(OK).await;
    let proxy = Running::to(target).await;
    for (request, status) in [
        ("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", "405"),
        ("TRACE /user/ada/ HTTP/1.1\r\nHost: h\r\n\r\n", "405"),
        ("PUT /user/ada/ HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n", "417"),
    ] {
        let answer = proxy.ask(request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
    }
    assert!(heads.try_recv().is_err(), "nothing reached the target");
}

#[tokio::test]
async fn l_07_t_01_an_unfinished_head_is_cut_off_but_a_slow_body_is_not() {
    let target = target(|mut client| async move {
        client.head().await;
        client.take(10).await;
        client.send(OK).await;
    })
    .await;
    let mut listen = listen();
    listen.header_read_timeout = Duration::from_millis(100);
    let proxy = Running::listening(target, ProxyConfig::default(), listen, Duration::ZERO).await;

    let mut uploading = proxy.connect().await;
    uploading.send("PUT /user/ada/ HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345").await;
    let mut dawdling = proxy.connect().await;
    dawdling.send("GET /user/ada/ HTTP/1.1\r\nHost:").await;
    dawdling.gone().await;

    uploading.send("67890").await;
    assert!(uploading.head().await.starts_with("http/1.1 200 "));
    // The same connection goes on: its next head has its own time.
    uploading.take(2).await;
    uploading.send("GET /hub/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(uploading.head().await.starts_with("http/1.1 200 "));
}

#[tokio::test]
async fn l_02_beyond_the_connection_limit_clients_are_turned_away() {
    let mut listen = listen();
    listen.max_connections = 1;
    let target = nowhere().await;
    let proxy = Running::listening(target, ProxyConfig::default(), listen, Duration::ZERO).await;
    let mut first = proxy.connect().await;
    first.send("GET /hub/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
    first.head().await;
    let mut second = proxy.connect().await;
    assert!(second.head().await.starts_with("http/1.1 503 "));
}

#[tokio::test]
async fn h_13_l_09_a_head_beyond_the_limit_is_a_431() {
    let proxy = Running::to(nowhere().await).await;
    let request =
        format!("GET /hub/ HTTP/1.1\r\nHost: h\r\nCookie: {}\r\n\r\n", "x".repeat(70_000));
    let mut client = proxy.connect().await;
    client.send(request).await;
    assert!(client.head().await.starts_with("http/1.1 431 "));
}
