//! Many requests and WebSockets, ended in every way: what they took is given back.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::{fs, net::SocketAddr, time::Duration};

use process::Program;
use socket2::SockRef;
use support::*;
use tokio::{io::AsyncWriteExt, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Of each half of the story.
const REQUESTS: usize = 50_000;
const SOCKETS: usize = 5_000;

/// How many clients there are at once.
const CLIENTS: usize = 32;

/// How much more memory the second half may leave behind than the first, in KiB: what
/// 170 bytes for each of its requests would be.
const MOST_GROWTH: u64 = 8 * 1024;

const REQUEST: &str = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\n\r\n";

/// Answers requests on kept connections; of a WebSocket it says the four bytes that it
/// hears again, and ends it at `bye!`. All its connections end with `stop`.
async fn server(stop: CancellationToken) -> SocketAddr {
    target(move |mut client| {
        let stop = stop.clone();
        async move {
            let story = async {
                let mut byte = [0];
                while client.stream.peek(&mut byte).await.is_ok_and(|count| count > 0) {
                    let head = client.head().await;
                    if !head.contains("upgrade: websocket") {
                        client.send(OK).await;
                        continue;
                    }
                    client.send(SWITCHED).await;
                    while let Some(heard) = client.try_take(4).await {
                        // The client may be gone by now.
                        let sent = client.stream.write_all(&heard).await;
                        if heard == b"bye!" || sent.is_err() {
                            return;
                        }
                    }
                    return;
                }
            };
            tokio::select! {
                () = story => {}
                () = stop.cancelled() => {}
            }
        }
    })
    .await
}

/// Some requests over one connection, which is given up now and then with an answer on
/// its way.
async fn ask(proxy: SocketAddr, count: usize) {
    let mut client = Client::to(proxy).await;
    for number in 0..count {
        client.send(REQUEST).await;
        assert!(client.head().await.starts_with("http/1.1 200 "));
        let _body = client.take(2).await;
        if number % 100 == 99 {
            client.send(REQUEST).await;
            client = Client::to(proxy).await;
        }
    }
}

/// One WebSocket that ends in the way of this number.
async fn open(proxy: SocketAddr, number: usize) {
    let mut client = Client::to(proxy).await;
    client.send(HANDSHAKE).await;
    assert!(client.head().await.starts_with("http/1.1 101 "));
    client.send("ping").await;
    assert_eq!(client.take(4).await, b"ping");
    match number % 4 {
        // The client goes.
        0 => {}
        // The target goes.
        1 => {
            client.send("bye!").await;
            assert_eq!(client.take(4).await, b"bye!");
            client.gone().await;
        }
        // The client breaks off.
        2 => SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap(),
        // The client has no more to say, and listens.
        _ => {
            client.stream.shutdown().await.unwrap();
            client.gone().await;
        }
    }
}

async fn half(proxy: SocketAddr) {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(async move {
            ask(proxy, REQUESTS / CLIENTS).await;
            for number in 0..SOCKETS / CLIENTS {
                open(proxy, client + number).await;
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
}

fn descriptors(program: &Program) -> usize {
    fs::read_dir(format!("/proc/{}/fd", program.pid())).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptors_and_memory_return_after_a_hundred_thousand_requests() {
    let program = Program::start(&[]).await;
    let stop = CancellationToken::new();
    let (before, target) = (descriptors(&program), server(stop.clone()).await);
    program.route("/", target).await;
    half(program.public).await;
    let first = program.memory_kib();
    half(program.public).await;
    let second = program.memory_kib();
    eprintln!("{first} KiB after one half, {second} KiB after both");
    assert!(second <= first + MOST_GROWTH, "{first} KiB, then {second} KiB");

    // What is kept for the target goes when its other end does.
    stop.cancel();
    let mut left = descriptors(&program);
    for _ in 0..600 {
        if left <= before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        left = descriptors(&program);
    }
    panic!("{left} descriptors, {before} before");
}
