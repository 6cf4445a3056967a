//! Targets that do not listen yet (K-06).
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/running.rs"]
mod support;

use std::{net::SocketAddr, time::Duration};

use hub_proxy::{AccessEntries, AccessLog, Meter, Meters, OpenTunnels, ProxyConfig, RouteTable};
use support::*;
use tokio::net::{TcpSocket, UnixListener};
use tokio_util::task::TaskTracker;

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_secs(3600);

const HANDSHAKE: &str = "GET /user/ada/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\n\r\n";

const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

/// An address that refuses until somebody listens at the socket.
fn reserved() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// A proxy that tries again for so long.
struct Patient {
    proxy: Running,
    meters: Meters,
    entries: AccessEntries,
}

impl Patient {
    async fn to(target: SocketAddr, patience: Duration) -> Self {
        Self::limited(target, patience, None).await
    }

    /// With a limit for answers.
    async fn limited(target: SocketAddr, patience: Duration, limit: Option<Duration>) -> Self {
        let meters = Meters::default();
        let (log, entries) = AccessLog::with_room_for(100, None);
        let mut config = ProxyConfig::default();
        config.connect_retry = patience;
        config.response_header_timeout = limit;
        config.meters = Some(meters.clone());
        config.access_log = Some(log);
        Self { proxy: Running::with(target, config).await, meters, entries }
    }

    /// Waits until there were more tries.
    async fn tries_again(&self) {
        let before = self.meters.get(Meter::ConnectRetries);
        soon(async {
            while self.meters.get(Meter::ConnectRetries) == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

async fn serve(mut client: Client) {
    let head = client.head().await;
    if head.contains("upgrade: websocket") {
        client.send(SWITCHED).await;
        assert_eq!(client.take(2).await, b"hi");
        return client.send("ho").await;
    }
    if head.starts_with("put ") {
        assert_eq!(client.take(2).await, b"hi");
    } else if head.starts_with("post ") {
        assert_eq!(client.until("0\r\n\r\n").await, "2\r\nhi\r\n0\r\n\r\n");
    }
    client.send(ONCE).await;
}

#[tokio::test]
async fn k_06_requests_and_websockets_wait_for_a_server_that_is_just_starting() {
    let (socket, target) = reserved();
    let patient = Patient::to(target, FOR_EVER).await;
    let mut waiting = Vec::new();
    for (method, rest) in [
        ("GET", "\r\n"),
        ("PUT", "Content-Length: 2\r\n\r\nhi"),
        ("POST", "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
    ] {
        let mut client = patient.proxy.connect().await;
        client.send(format!("{method} /user/ada/ HTTP/1.1\r\nHost: h\r\n{rest}")).await;
        waiting.push(client);
    }
    let mut tunnel = patient.proxy.connect().await;
    tunnel.send(HANDSHAKE).await;
    patient.tries_again().await;

    let listener = socket.listen(16).unwrap();
    let tasks = TaskTracker::new();
    tasks.clone().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tasks.spawn(serve(Client::over(stream)));
        }
    });
    for mut client in waiting {
        assert!(client.head().await.starts_with("http/1.1 200 "));
        assert_eq!(client.take(2).await, b"ok");
    }
    assert!(tunnel.head().await.starts_with("http/1.1 101 "));
    tunnel.send("hi").await;
    assert_eq!(tunnel.take(2).await, b"ho");
    let counted = [Meter::Connects, Meter::FailedConnects].map(|meter| patient.meters.get(meter));
    assert_eq!(counted, [4, 0], "what came to be has not failed");
}

#[tokio::test]
async fn k_06_a_socket_that_is_missing_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let patient = Patient::to(nowhere().await, FOR_EVER).await;
    let url = format!("http+unix://{}", path.to_str().unwrap().replace('/', "%2F"));
    patient.proxy.routes.insert("/user/ada/".parse().unwrap(), url.parse().unwrap());
    let mut client = patient.proxy.connect().await;
    client.send(get("/user/ada/")).await;
    patient.tries_again().await;
    let listener = UnixListener::bind(&path).unwrap();
    let (stream, _) = soon(listener.accept()).await.unwrap();
    let mut served = Client::over(stream);
    served.head().await;
    served.send(ONCE).await;
    assert!(client.rest().await.ends_with("ok"));
}

#[tokio::test]
async fn k_06_a_client_that_leaves_ends_the_tries() {
    let (_socket, target) = reserved();
    let mut patient = Patient::to(target, FOR_EVER).await;
    for request in [
        &get("/user/ada/"),
        HANDSHAKE,
        // Nobody has read any of it, so its end is behind it.
        "POST /user/ada/ HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nsome",
        "POST /user/ada/ HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nsome",
    ] {
        let mut client = patient.proxy.connect().await;
        client.send(request).await;
        patient.tries_again().await;
        drop(client);
        let entry = soon(patient.entries.next()).await.unwrap();
        assert_eq!(entry.status, None, "{request}");
    }
}

#[tokio::test]
async fn k_06_e_08_the_tries_have_an_end() {
    let (_socket, target) = reserved();
    let patient = Patient::to(target, Duration::from_millis(50)).await;
    let answer = patient.proxy.ask(&get("/user/ada/")).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.to_lowercase().contains("\r\nretry-after: 1\r\n"), "{answer}");
    assert!(patient.meters.get(Meter::ConnectRetries) > 0);
    assert_eq!(patient.meters.get(Meter::FailedConnects), 1);
}

#[tokio::test]
async fn k_06_nothing_is_tried_again_unasked() {
    let (_socket, target) = reserved();
    let patient = Patient::to(target, Duration::ZERO).await;
    let answer = patient.proxy.ask(&get("/user/ada/")).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let counted = [Meter::ConnectRetries, Meter::FailedConnects];
    assert_eq!(counted.map(|meter| patient.meters.get(meter)), [0, 1]);
}

#[tokio::test]
async fn k_06_what_did_connect_and_broke_is_not_tried_again() {
    let target = target(|client| async move { drop(client) }).await;
    let patient = Patient::to(target, FOR_EVER).await;
    let answer = patient.proxy.ask(&get("/user/ada/")).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(patient.meters.get(Meter::ConnectRetries), 0);
}

/// A way in which a route goes away.
type Going = fn(&RouteTable, &str);

#[tokio::test]
async fn k_06_nothing_comes_to_who_listens_where_a_route_led() {
    let remove: Going = |routes, prefix| {
        routes.remove(&prefix.parse().unwrap());
    };
    let close: Going = |routes, prefix| {
        routes.remove_with(&prefix.parse().unwrap(), OpenTunnels::Close);
    };
    let lead_elsewhere: Going = |routes, prefix| {
        routes.insert(prefix.parse().unwrap(), "http://127.0.0.1:1".parse().unwrap());
    };
    let replace: Going = |routes, _| routes.replace([]);
    for goes in [remove, close, lead_elsewhere, replace] {
        let (socket, target) = reserved();
        let patient = Patient::to(target, FOR_EVER).await;
        let mut waiting = Vec::new();
        for request in [&*get("/user/ada/"), HANDSHAKE] {
            let mut client = patient.proxy.connect().await;
            client.send(request).await;
            patient.tries_again().await;
            waiting.push(client);
        }
        goes(&patient.proxy.routes, "/user/ada/");
        let listener = socket.listen(16).unwrap();
        for mut client in waiting {
            assert!(client.head().await.starts_with("http/1.1 503 "));
        }
        let came = listener.into_std().unwrap().accept();
        assert_eq!(came.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[tokio::test]
async fn k_06_t_05_the_limit_for_an_answer_ends_the_tries() {
    let (_socket, target) = reserved();
    let patient = Patient::limited(target, FOR_EVER, Some(Duration::from_millis(50))).await;
    for request in [&*get("/user/ada/"), HANDSHAKE] {
        let mut client = patient.proxy.connect().await;
        client.send(request).await;
        assert!(client.head().await.starts_with("http/1.1 503 "), "{request}");
    }
    assert!(patient.meters.get(Meter::ConnectRetries) > 0);
}
