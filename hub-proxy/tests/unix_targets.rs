//! Targets that listen at Unix sockets.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::path::PathBuf;

use process::Program;
use support::*;
use tokio::{net::UnixListener, sync::mpsc};
use tokio_util::task::TaskTracker;

/// A target at a socket of its own, and the heads it has seen.
struct Socket {
    dir: tempfile::TempDir,
    heads: mpsc::UnboundedReceiver<String>,
}

impl Socket {
    /// Answers with `body`, or takes a WebSocket and echoes four bytes of it.
    async fn answering(body: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("a b.sock")).unwrap();
        let (seen, heads) = mpsc::unbounded_channel();
        let tasks = TaskTracker::new();
        tasks.clone().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = seen.clone();
                tasks.spawn(async move {
                    let mut client = Client::over(stream);
                    let head = client.head().await;
                    seen.send(head.clone()).unwrap();
                    if head.contains("upgrade: websocket") {
                        client
                            .send(
                                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                                 Connection: Upgrade\r\n\r\n",
                            )
                            .await;
                        let echo = client.take(4).await;
                        client.send(echo).await;
                        return;
                    }
                    let length = body.len();
                    client
                        .send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"))
                        .await;
                    client.gone().await;
                });
            }
        });
        Self { dir, heads }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("a b.sock")
    }

    fn url(&self, scheme: &str) -> String {
        let path = self.path().to_str().unwrap().replace('/', "%2F").replace(' ', "%20");
        format!("{scheme}://{path}")
    }

    async fn head(&mut self) -> String {
        soon(self.heads.recv()).await.unwrap()
    }
}

#[tokio::test]
async fn p_055_a_route_leads_to_a_socket() {
    let mut socket = Socket::answering("from a socket").await;
    let proxy = Program::start(&[]).await;
    for scheme in ["http+unix", "unix+http"] {
        let body = format!(r#"{{"target": "{}/base"}}"#, socket.url(scheme));
        let added = proxy.api("POST", "/api/routes/user/ada", &body).await;
        assert_eq!(added.status, 201, "{added:?}");
        let answer = proxy.get("/user/ada/x?y").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "from a socket"));
        let head = socket.head().await;
        assert!(head.starts_with("get /base/user/ada/x?y http/1.1\r\nhost: h\r\n"), "{head}");
    }

    let mut client = Client::to(proxy.public).await;
    client
        .send("GET /user/ada/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .await;
    assert!(client.head().await.starts_with("http/1.1 101 "));
    client.send("echo").await;
    assert_eq!(client.take(4).await, b"echo");

    std::fs::remove_file(socket.path()).unwrap();
    assert_eq!(proxy.get("/user/ada/x").await.status, 503);
}

#[tokio::test]
async fn p_055_a_target_that_is_named_in_host_is_localhost_at_a_socket() {
    let mut socket = Socket::answering("ok").await;
    let url = socket.url("http+unix");
    let proxy = Program::start(&["--default-target", &url, "--change-origin"]).await;
    assert_eq!(proxy.get("/").await.status, 200);
    assert!(socket.head().await.contains("\r\nhost: localhost\r\n"));
    // HTTP/1.0 clients may leave it out.
    let proxy = Program::start(&["--default-target", &url]).await;
    let mut client = Client::to(proxy.public).await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert!(client.head().await.contains(" 200 "));
    assert!(socket.head().await.contains("\r\nhost: localhost\r\n"));
}

#[tokio::test]
async fn p_054_e_02_error_pages_come_from_a_socket() {
    let mut socket = Socket::answering("<p>a page</p>").await;
    let url = format!("{}/hub/error", socket.url("http+unix"));
    let proxy = Program::start(&["--error-target", &url]).await;
    let answer = proxy.get("/no/where?x").await;
    assert_eq!((answer.status, answer.body.as_str()), (404, "<p>a page</p>"));
    let head = socket.head().await;
    assert!(head.starts_with("get /hub/error/404?url=%2fno%2fwhere%3fx http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nhost: localhost\r\n"), "{head}");
}

#[tokio::test]
async fn r_14_a_socket_without_an_absolute_path_is_refused() {
    let proxy = Program::start(&[]).await;
    for target in ["http+unix://x.sock", "http+unix://", "unix+http://%2Fx:80", "file:///x"] {
        let body = format!(r#"{{"target": "{target}"}}"#);
        let answer = proxy.api("POST", "/api/routes/a", &body).await;
        assert_eq!(answer.status, 400, "{target}: {answer:?}");
    }
}
