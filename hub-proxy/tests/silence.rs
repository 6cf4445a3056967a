//! Clients and targets that stop talking, where that is limited.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/running.rs"]
mod support;

use std::time::Duration;

use hub_proxy::ProxyConfig;
use support::*;
use tokio::sync::mpsc;

/// So short that nobody has to wait for it.
const SHORT: Duration = Duration::from_millis(50);

const HANDSHAKE: &str = "GET /user/ada/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

#[tokio::test]
async fn t_06_a_target_that_pauses_in_its_answer_is_broken_off() {
    let pausing = target(|mut client| async move {
        client.head().await;
        client.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
        client.gone().await;
    })
    .await;
    let mut config = ProxyConfig::default();
    config.response_idle_timeout = Some(SHORT);
    let proxy = Running::with(pausing, config).await;
    let mut client = proxy.connect().await;
    client.send(get("/user/ada/")).await;
    assert!(client.head().await.contains(" 200 "));
    assert!(client.try_rest().await.is_err(), "E-06: it must not look complete");
}

#[tokio::test]
async fn t_01_a_head_that_was_begun_behind_a_request_has_its_time_too() {
    let (target, _heads) = answering(OK).await;
    let mut listen = listen();
    listen.header_read_timeout = SHORT;
    // It is not this one that acts.
    listen.keep_alive_timeout = DEADLINE * 2;
    let proxy = Running::listening(target, ProxyConfig::default(), listen, Duration::ZERO).await;
    let mut client = proxy.connect().await;
    let request = "GET /user/ada/ HTTP/1.1\r\nHost: h\r\n\r\n";
    client.send(format!("{request}{}", &request[..request.len() - 2])).await;
    assert!(client.head().await.starts_with("http/1.1 200 "));
    assert_eq!(client.take(2).await, b"ok");
    client.gone().await;
    assert!(client.ahead.is_empty(), "half a head has no answer: {:?}", client.ahead);
}

#[tokio::test]
async fn t_03_t_07_a_websocket_may_be_silent_where_requests_may_not() {
    let target = target(|mut client| async move {
        if client.head().await.contains("upgrade: websocket") {
            client.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").await;
            while let Some(said) = client.try_take(4).await {
                client.send(said).await;
            }
        }
        client.gone().await;
    })
    .await;
    let mut listen = listen();
    // Long enough for a handshake.
    listen.busy_idle_timeout = Some(SHORT * 10);
    let proxy = Running::listening(target, ProxyConfig::default(), listen, Duration::ZERO).await;
    let mut socket = proxy.connect().await;
    socket.send(HANDSHAKE).await;
    assert!(socket.head().await.starts_with("http/1.1 101 "));
    for _ in 0..2 {
        // A request that begins after the last word is cut before the next.
        let mut client = proxy.connect().await;
        client.send(get("/user/ada/")).await;
        client.gone().await;
        socket.send("echo").await;
        assert_eq!(socket.take(4).await, b"echo");
    }
}

#[tokio::test]
async fn ws_10_a_silent_websocket_is_told_the_end_on_both_sides_where_that_is_wanted() {
    let (gone, mut told) = mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let gone = gone.clone();
        async move {
            client.head().await;
            client.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").await;
            gone.send(client.try_rest().await).unwrap();
        }
    })
    .await;
    let mut config = ProxyConfig::default();
    config.tunnel_idle_timeout = Some(SHORT);
    let proxy = Running::with(target, config).await;
    let mut sockets = Vec::new();
    for _ in 0..100 {
        let mut socket = proxy.connect().await;
        socket.send(HANDSHAKE).await;
        assert!(socket.head().await.starts_with("http/1.1 101 "));
        sockets.push(socket);
    }
    for mut socket in sockets {
        assert_eq!(socket.try_rest().await.unwrap(), b"", "an end and no reset");
        assert_eq!(soon(told.recv()).await.unwrap().unwrap(), b"", "for the target, too");
    }
}
