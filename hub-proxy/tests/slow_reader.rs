//! How much the proxy keeps for a client that reads slowly all the time (B-01, L-08), on
//! sockets with little room, so that each write takes only some of what waits.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/running.rs"]
mod support;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hub_proxy::{Listener, Proxy, ProxyConfig, RouteTable};
use socket2::{Domain, Socket, Type};
use support::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Room in a socket that the system rounds up to what it must have.
const NARROW: usize = 4 * 1024;

/// What the sockets between the target and the proxy may hold when nobody reads there.
const BETWEEN: usize = 8 * 1024 * 1024;

/// A proxy whose connections have little room for what they are sent.
async fn narrow(target: SocketAddr) -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_send_buffer_size(NARROW).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(8).unwrap();
    let listener = Listener::adopt(socket.into(), &listen()).await.unwrap();
    let addr = listener.local_addr();
    let routes = RouteTable::default();
    routes.insert("/".parse().unwrap(), format!("http://{target}").parse().unwrap());
    let nothing =
        tower::service_fn(async |_| Ok::<_, Infallible>(http::Response::new(String::new())));
    let proxy = Proxy::new(routes, ProxyConfig::default(), nothing);
    TaskTracker::new().spawn(listener.serve(proxy, CancellationToken::new(), Duration::ZERO));
    addr
}

#[tokio::test]
async fn b_01_l_08_a_client_that_reads_slowly_all_the_time_stops_the_producer_too() {
    const READS: usize = 1500;
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let target = target(move |mut client| {
        let count = Arc::clone(&count);
        async move {
            client.head().await;
            client.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
            let piece = vec![b'#'; 64 * 1024];
            while let Ok(taken) = client.stream.write(&piece).await {
                count.fetch_add(taken, Ordering::Relaxed);
            }
        }
    })
    .await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(NARROW.try_into().unwrap()).unwrap();
    let stream = soon(socket.connect(narrow(target).await)).await.unwrap();
    let mut client = Client::over(stream);
    client.send(get("/big")).await;
    let mut piece = vec![0; NARROW];
    let mut read = 0;
    for _ in 0..READS {
        read += soon(client.stream.read(&mut piece)).await.unwrap();
    }
    let kept = written.load(Ordering::Relaxed) - read;
    assert!(kept < BETWEEN, "{kept} bytes are on their way of a client that has read {read}");
}
