//! Kept connections that turn out to be dead, and how many there may be.
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

use hub_proxy::{Meter, Meters, ProxyConfig};
use support::*;
use tokio::sync::{mpsc, oneshot};

/// A target whose first connection answers one request and ends with the next, after
/// it has said `last`; the others answer. Reports connection and request line.
async fn dying(last: &'static str) -> (SocketAddr, mpsc::UnboundedReceiver<(usize, String)>) {
    let (seen, lines) = mpsc::unbounded_channel();
    let connections = AtomicUsize::new(0);
    let addr = target(move |mut client| {
        let connection = connections.fetch_add(1, Ordering::Relaxed);
        let seen = seen.clone();
        async move {
            let mut byte = [0];
            for request in 0.. {
                if !client.stream.peek(&mut byte).await.is_ok_and(|n| n > 0) {
                    return;
                }
                let head = client.head().await;
                seen.send((connection, head.lines().next().unwrap().to_owned())).unwrap();
                if connection == 0 && request == 1 {
                    client.send(last).await;
                    return;
                }
                if head.contains("content-length: 2\r\n") {
                    assert_eq!(client.take(2).await, b"hi");
                }
                client.send(OK).await;
            }
        }
    })
    .await;
    (addr, lines)
}

/// Leaves a connection of the proxy behind that has served.
async fn warmed(last: &'static str) -> (Running, mpsc::UnboundedReceiver<(usize, String)>) {
    warmed_with(last, ProxyConfig::default()).await
}

async fn warmed_with(
    last: &'static str,
    config: ProxyConfig,
) -> (Running, mpsc::UnboundedReceiver<(usize, String)>) {
    let (addr, mut lines) = dying(last).await;
    let proxy = Running::with(addr, config).await;
    assert!(proxy.ask(&get("/user/ada/")).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(soon(lines.recv()).await.unwrap().0, 0);
    (proxy, lines)
}

#[tokio::test]
async fn k_01_what_never_left_is_sent_whatever_it_is() {
    let (seen, mut lines) = mpsc::unbounded_channel();
    let connections = AtomicUsize::new(0);
    let target = target(move |mut client| {
        let connection = connections.fetch_add(1, Ordering::Relaxed);
        let seen = seen.clone();
        async move {
            let head = client.head().await;
            assert_eq!(client.take(2).await, b"hi");
            // It does not say that it closes.
            client.send(OK).await;
            drop(client);
            seen.send((connection, head.lines().next().unwrap().to_owned())).unwrap();
        }
    })
    .await;
    let proxy = Running::to(target).await;
    for connection in 0..5 {
        let fields = "Host: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi";
        let request = format!("POST /user/ada/{connection} HTTP/1.1\r\n{fields}");
        let answer = proxy.ask(&request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let line = format!("post /user/ada/{connection} http/1.1");
        assert_eq!(soon(lines.recv()).await.unwrap(), (connection, line));
    }
    assert!(lines.try_recv().is_err(), "none of them came twice");
}

#[tokio::test]
async fn k_02_m_06_a_request_that_a_dead_connection_took_is_sent_once_more() {
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
        let (mut config, meters) = (ProxyConfig::default(), Meters::default());
        config.meters = Some(meters.clone());
        let (proxy, mut lines) = warmed_with("", config).await;
        let request = get("/user/ada/x").replacen("GET", method, 1);
        let answer = proxy.ask(&request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{method}: {answer}");
        let line = format!("{} /user/ada/x http/1.1", method.to_lowercase());
        assert_eq!(soon(lines.recv()).await.unwrap(), (0, line.clone()));
        assert_eq!(soon(lines.recv()).await.unwrap(), (1, line), "on a fresh connection");
        assert!(lines.try_recv().is_err());
        let counted = [Meter::Connects, Meter::Reuses, Meter::Retries];
        assert_eq!(counted.map(|meter| meters.get(meter)), [2, 1, 1]);
    }
}

#[tokio::test]
async fn k_02_half_an_answer_is_not_asked_for_again() {
    let (proxy, mut lines) = warmed("HTTP/1.1 20").await;
    let answer = proxy.ask(&get("/user/ada/x")).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(soon(lines.recv()).await.unwrap().0, 0);
    assert!(lines.try_recv().is_err(), "once");
}

#[tokio::test]
async fn k_03_so_is_one_whose_body_was_not_taken_yet() {
    let (proxy, mut lines) = warmed("").await;
    let mut client = proxy.connect().await;
    client.send("PUT /user/ada/x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n").await;
    // The body comes only when the first connection is gone for sure.
    assert_eq!(soon(lines.recv()).await.unwrap().0, 0);
    assert_eq!(soon(lines.recv()).await.unwrap().0, 1);
    client.send("hi").await;
    assert!(client.head().await.starts_with("http/1.1 200 "));
}

#[tokio::test]
async fn k_04_one_whose_body_was_taken_is_not() {
    let (proxy, mut lines) = warmed("").await;
    let mut client = proxy.connect().await;
    client.send("PUT /user/ada/x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nhi").await;
    assert!(client.head().await.starts_with("http/1.1 503 "));
    assert_eq!(soon(lines.recv()).await.unwrap().0, 0);
    assert!(lines.try_recv().is_err(), "once");
}

#[tokio::test]
async fn k_07_a_target_that_always_dies_is_asked_little_more_than_once_each() {
    // Every connection answers once and ends with the next request.
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let addr = target(move |mut client| {
        let counted = Arc::clone(&counted);
        async move {
            client.head().await;
            counted.fetch_add(1, Ordering::Relaxed);
            client.send(OK).await;
            client.head().await;
            counted.fetch_add(1, Ordering::Relaxed);
        }
    })
    .await;
    let proxy = Running::to(addr).await;
    let (mut good, mut bad) = (0, 0);
    for _ in 0..200 {
        match proxy.ask(&get("/user/ada/")).await.starts_with("HTTP/1.1 200 ") {
            true => good += 1,
            false => bad += 1,
        }
    }
    // Each second one meets a dead connection: 20 could be paid from the requests, 10
    // from what there is at the start.
    let asked = asked.load(Ordering::Relaxed);
    assert_eq!(good + bad, 200);
    assert!(bad > 0 && asked > 200, "some are sent again, not all: {bad} bad, {asked} asked");
    assert!(asked <= 200 + 10 + 20, "{asked}");
}

#[tokio::test]
async fn k_09_unused_connections_of_a_removed_route_are_closed() {
    let (closed, mut closing) = mpsc::unbounded_channel();
    let addr = target(move |mut client| {
        let closed = closed.clone();
        async move {
            client.head().await;
            client.send(OK).await;
            client.gone().await;
            closed.send(()).unwrap();
        }
    })
    .await;
    let mut config = ProxyConfig::default();
    config.pool_idle_timeout = Duration::from_secs(3600);
    let proxy = Running::with(addr, config).await;
    let prefix = || "/user/ada/".parse().unwrap();
    assert!(proxy.ask(&get("/user/ada/")).await.starts_with("HTTP/1.1 200 "));
    assert!(closing.try_recv().is_err(), "it is kept");
    proxy.routes.remove(&prefix());
    soon(closing.recv()).await.unwrap();

    // The same for one that leads elsewhere from now on.
    proxy.routes.insert(prefix(), format!("http://{addr}").parse().unwrap());
    assert!(proxy.ask(&get("/user/ada/")).await.starts_with("HTTP/1.1 200 "));
    proxy.routes.insert(prefix(), format!("http://{}", nowhere().await).parse().unwrap());
    soon(closing.recv()).await.unwrap();
}

#[tokio::test]
async fn k_09_routes_to_one_target_share_its_connections_until_the_last_is_gone() {
    let connections = Arc::new(AtomicUsize::new(0));
    let (closed, mut closing) = mpsc::unbounded_channel();
    let seen = Arc::clone(&connections);
    let addr = target(move |mut client| {
        seen.fetch_add(1, Ordering::Relaxed);
        let closed = closed.clone();
        async move {
            let mut byte = [0];
            while client.stream.peek(&mut byte).await.is_ok_and(|n| n > 0) {
                client.head().await;
                client.send(OK).await;
            }
            closed.send(()).unwrap();
        }
    })
    .await;
    let mut config = ProxyConfig::default();
    config.pool_idle_timeout = Duration::from_secs(3600);
    let proxy = Running::with(addr, config).await;
    let bob = || "/user/bob/".parse().unwrap();
    // Another base path is no other target.
    proxy.routes.insert(bob(), format!("http://{addr}/base/").parse().unwrap());
    for path in ["/user/ada/", "/user/bob/", "/user/ada/"] {
        assert!(proxy.ask(&get(path)).await.starts_with("HTTP/1.1 200 "), "{path}");
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);

    proxy.routes.remove(&"/user/ada/".parse().unwrap());
    assert!(proxy.ask(&get("/user/bob/")).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(connections.load(Ordering::Relaxed), 1, "one route still leads there");
    proxy.routes.remove(&bob());
    soon(closing.recv()).await.unwrap();
}

/// A target that answers each request when it is told to.
async fn held() -> (SocketAddr, mpsc::UnboundedReceiver<oneshot::Sender<()>>) {
    let (arrived, arriving) = mpsc::unbounded_channel();
    let addr = target(move |mut client| {
        let arrived = arrived.clone();
        async move {
            client.head().await;
            let (answer, wait) = oneshot::channel();
            arrived.send(answer).unwrap();
            wait.await.ok();
            client.send(ONCE).await;
        }
    })
    .await;
    (addr, arriving)
}

#[tokio::test]
async fn l_06_a_target_gets_no_more_than_its_share_at_once() {
    let (addr, mut arriving) = held().await;
    let mut config = ProxyConfig::default();
    config.max_per_target = 2;
    config.connect_timeout = Duration::from_millis(200);
    let proxy = Running::with(addr, config).await;
    let (mut first, mut second) = (proxy.connect().await, proxy.connect().await);
    first.send(get("/user/ada/1")).await;
    let go_on = soon(arriving.recv()).await.unwrap();
    second.send(get("/user/ada/2")).await;
    let _second = soon(arriving.recv()).await.unwrap();
    let third = proxy.ask(&get("/user/ada/3")).await;
    assert!(third.starts_with("HTTP/1.1 503 "), "{third}");
    assert!(third.to_lowercase().contains("\r\nretry-after: 1\r\n"), "{third}");

    go_on.send(()).unwrap();
    assert!(first.rest().await.starts_with("HTTP/1.1 200 "));
    // Another one gets the place as soon as it is free.
    let served = soon(async {
        loop {
            let mut fourth = proxy.connect().await;
            fourth.send(get("/user/ada/4")).await;
            tokio::select! {
                answer = arriving.recv() => {
                    answer.unwrap().send(()).unwrap();
                    break fourth.rest().await;
                }
                refused = fourth.head() => assert!(refused.starts_with("http/1.1 503 ")),
            }
        }
    })
    .await;
    assert!(served.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn l_06_who_waits_for_a_place_does_not_get_to_a_route_that_has_gone() {
    let (addr, mut arriving) = held().await;
    let mut config = ProxyConfig::default();
    config.max_per_target = 1;
    config.connect_timeout = DEADLINE;
    let proxy = Running::with(addr, config).await;
    let (mut first, mut second) = (proxy.connect().await, proxy.connect().await);
    first.send(get("/user/ada/1")).await;
    let go_on = soon(arriving.recv()).await.unwrap();
    second.send(get("/user/ada/2")).await;
    // Long enough for it to come to where it waits. Whoever is later finds no route.
    tokio::time::sleep(Duration::from_millis(100)).await;
    proxy.routes.remove(&"/user/ada/".parse().unwrap());
    go_on.send(()).unwrap();
    assert!(first.rest().await.starts_with("HTTP/1.1 200 "));
    second.rest().await;
    assert!(arriving.try_recv().is_err(), "the address may be somebody else's by now");
}
