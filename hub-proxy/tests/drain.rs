//! Stopping a listener while clients use it.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/running.rs"]
mod support;

use std::{io::Write, sync::Arc, time::Duration};

use hub_proxy::{Drained, ListenError, Listener};
use support::*;
use tokio::{
    net::TcpStream,
    sync::{Notify, mpsc},
};

const HANDSHAKE: &str = "GET /user/ada/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\n\r\n";

const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

/// A target that upgrades, or sends half an answer and the rest on `finish`.
async fn slow(
    finish: Arc<Notify>,
    events: mpsc::UnboundedSender<&'static str>,
) -> std::net::SocketAddr {
    target(move |mut client| {
        let (finish, events) = (Arc::clone(&finish), events.clone());
        async move {
            if client.head().await.contains("upgrade: websocket") {
                client.send(SWITCHED).await;
            } else {
                client.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha").await;
                finish.notified().await;
                client.send("lf").await;
            }
            client.gone().await;
            let _ = events.send("gone");
        }
    })
    .await
}

#[tokio::test]
async fn d_03_d_04_requests_in_progress_finish_and_nothing_new_begins() {
    let (finish, (events, _gone)) = (Arc::new(Notify::new()), mpsc::unbounded_channel());
    let proxy = Running::draining_for(slow(Arc::clone(&finish), events).await, DEADLINE).await;
    let mut idle = proxy.connect().await;
    idle.send("GET /hub/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
    idle.head().await;
    let mut loading = proxy.connect().await;
    loading.send("GET /user/ada/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
    loading.head().await;
    assert_eq!(loading.take(2).await, b"ha");

    let addr = proxy.addr;
    proxy.stop.cancel();
    idle.gone().await;
    assert!(soon(TcpStream::connect(addr)).await.is_err(), "the address is closed");

    finish.notify_one();
    assert_eq!(loading.rest().await, "lf");
    assert_eq!(proxy.drained().await, Drained::default());
}

#[tokio::test]
async fn d_03_those_who_wait_to_be_let_in_are_answered() {
    let proxy = Running::draining_for(nowhere().await, DEADLINE).await;
    // Nothing here gives way to the listener, which has not looked at any of them.
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let mut client = std::net::TcpStream::connect(proxy.addr).unwrap();
            client.write_all(b"GET /hub/ HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            client.set_nonblocking(true).unwrap();
            client
        })
        .collect();
    let addr = proxy.addr;
    proxy.stop.cancel();
    for client in waiting {
        let mut client = Client::over(TcpStream::from_std(client).unwrap());
        assert!(client.head().await.starts_with("http/1.1 200 "));
    }
    assert!(soon(TcpStream::connect(addr)).await.is_err(), "the address is closed");
    assert_eq!(proxy.drained().await, Drained::default());
}

#[tokio::test]
async fn d_05_tunnels_may_end_by_themselves() {
    let (finish, (events, _gone)) = (Arc::new(Notify::new()), mpsc::unbounded_channel());
    let proxy = Running::draining_for(slow(finish, events).await, DEADLINE).await;
    let mut socket = proxy.connect().await;
    socket.send(HANDSHAKE).await;
    socket.head().await;
    proxy.stop.cancel();
    drop(socket);
    assert_eq!(proxy.drained().await, Drained::default());
}

#[tokio::test]
async fn d_05_what_is_left_after_the_grace_period_is_cut_on_both_sides() {
    let (finish, (events, mut gone)) = (Arc::new(Notify::new()), mpsc::unbounded_channel());
    let proxy =
        Running::draining_for(slow(Arc::clone(&finish), events).await, Duration::from_millis(50))
            .await;
    let mut socket = proxy.connect().await;
    socket.send(HANDSHAKE).await;
    socket.head().await;
    let mut loading = proxy.connect().await;
    loading.send("GET /user/ada/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
    loading.head().await;
    loading.take(2).await;

    proxy.stop.cancel();
    let drained = proxy.drained().await;
    assert_eq!((drained.connections_cut, drained.tunnels_cut), (1, 1));
    socket.gone().await;
    loading.gone().await;
    assert_eq!(soon(gone.recv()).await, Some("gone"), "the tunnel's target");
    finish.notify_one();
    assert_eq!(soon(gone.recv()).await, Some("gone"), "the download's target");
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let first = Listener::bind(&listen()).await.unwrap();
    let taken = hub_proxy::ListenConfig::new(first.local_addr());
    match Listener::bind(&taken).await {
        Err(ListenError::InUse { addr }) => assert_eq!(addr, first.local_addr()),
        other => panic!("{other:?}"),
    }
}
