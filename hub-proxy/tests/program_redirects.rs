//! Where redirects lead, ours to HTTPS and those of targets.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/authority.rs"]
mod authority;
#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::{net::SocketAddr, sync::Arc};

use authority::*;
use process::{Program, ask, ask_over};
use rustls_pki_types::ServerName;
use support::*;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

/// A program with a certificate for `localhost`, a page, and a listener that leads to it.
struct Site {
    authority: Authority,
    program: Program,
    plain: SocketAddr,
}

impl Site {
    async fn start(more: &[&str]) -> Self {
        let page = target(|mut client| async move {
            client.head().await;
            client.send(ONCE).await;
        })
        .await;
        let authority = Authority::new();
        let issued = authority.issue(&["localhost"]);
        let (page, cert, key) = (format!("http://{page}"), arg(&issued.cert), arg(&issued.key));
        let args = ["--ssl-cert", cert, "--ssl-key", key, "--default-target", &page];
        let args = [&args[..], &["--redirect-port", "0"], more].concat();
        let mut program = Program::start(&args).await;
        let line = program.line("Added HTTP to HTTPS redirection from ").await;
        let plain = line.split(" from ").nth(1).unwrap().split(' ').next().unwrap();
        Self { authority, program, plain: plain.parse().unwrap() }
    }

    /// Follows one redirect as a browser does; the port it names and the page behind it.
    async fn followed(&self, path: &str) -> (u16, String) {
        let answer = ask_host(self.plain, "localhost:80", path).await;
        assert!(answer.starts_with("http/1.1 301 "), "{answer}");
        let (_, location) = answer.split_once("\r\nlocation: https://localhost:").unwrap();
        let (port, rest) = location.split_once('/').unwrap();
        let (rest, _) = rest.split_once("\r\n").unwrap();
        assert_eq!(format!("/{rest}"), path, "path and query are kept");
        let port = port.parse().unwrap();
        let stream = soon(TcpStream::connect(("127.0.0.1", port))).await.unwrap();
        let connector = TlsConnector::from(Arc::new(self.authority.client(None)));
        let name = ServerName::try_from("localhost").unwrap();
        let stream = soon(connector.connect(name, stream)).await.unwrap();
        let page = ask_over(Client::over(stream), "GET", path, "", "").await;
        assert_eq!(page.status, 200, "{page:?}");
        (port, page.body)
    }
}

/// The head of the answer to somebody who calls the server `host`.
async fn ask_host(addr: SocketAddr, host: &str, path: &str) -> String {
    let mut client = Client::to(addr).await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    client.send(request).await;
    client.head().await
}

#[tokio::test]
async fn p_015_the_page_behind_the_redirect_is_served_by_tls() {
    let site = Site::start(&[]).await;
    let (port, page) = site.followed("/user/ada/lab?a=b").await;
    assert_eq!((port, page.as_str()), (site.program.public.port(), "ok"));
}

#[tokio::test]
async fn p_016_the_page_is_behind_the_port_that_is_named() {
    // Somebody who passes one port on to another, as a load balancer or a container does.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let named = listener.local_addr().unwrap().port();
    let site = Site::start(&["--redirect-to", &named.to_string()]).await;
    let public = site.program.public;
    TaskTracker::new().spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut proxy = TcpStream::connect(public).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut proxy).await;
        }
    });
    let (port, page) = site.followed("/user/ada/lab?a=b").await;
    assert_eq!((port, page.as_str()), (named, "ok"));

    let site = Site::start(&["--redirect-to", "443"]).await;
    let head = ask_host(site.plain, "localhost:80", "/x").await;
    assert!(head.contains("\r\nlocation: https://localhost/x\r\n"), "{head}");
}

/// A target that answers `/STATUS/LOCATION`. `SELF` in it is its own address, `PORT` its
/// port.
async fn redirecting() -> SocketAddr {
    target(|mut client| async move {
        let head = client.head().await;
        let own = client.stream.local_addr().unwrap();
        let path = head.split(' ').nth(1).unwrap();
        let (status, location) = path[1..].split_once('/').unwrap();
        let location = location.replace("self", &own.to_string());
        let location = location.replace("port", &own.port().to_string());
        client
            .send(format!(
                "HTTP/1.1 {status} So\r\nLocation: {location}\r\nConnection: close\r\n\
                 Content-Length: 0\r\n\r\n"
            ))
            .await;
    })
    .await
}

#[tokio::test]
async fn h_10_locations_are_rewritten_for_redirects_of_a_target_to_itself_alone() {
    let target = redirecting().await;
    let url = format!("http://{target}");
    let location = async |program: &Program, status: &str, location: &str| {
        let path = format!("/{status}/{location}");
        let answer = ask(program.public, "GET", &path, "", "").await;
        assert_eq!(answer.status.to_string(), status);
        let (_, location) = answer.head.split_once("\r\nlocation: ").unwrap();
        location.split("\r\n").next().unwrap().to_owned()
    };
    let base = ["--default-target", &url];
    let auto = Program::start(&[&base[..], &["--auto-rewrite"]].concat()).await;
    let scheme = Program::start(&[&base[..], &["--protocol-rewrite", "https"]].concat()).await;
    let flags = ["--auto-rewrite", "--protocol-rewrite", "https"];
    let both = Program::start(&[&base[..], &flags].concat()).await;
    let neither = Program::start(&base).await;

    for status in ["201", "301", "302", "307", "308"] {
        let own = "http://self/a%20b?c=d";
        assert_eq!(location(&auto, status, own).await, "http://h/a%20b?c=d");
        assert_eq!(location(&scheme, status, own).await, format!("https://{target}/a%20b?c=d"));
        assert_eq!(location(&both, status, own).await, "https://h/a%20b?c=d");
        assert_eq!(location(&neither, status, own).await, format!("http://{target}/a%20b?c=d"));
    }
    for status in ["200", "202", "300", "303", "305", "404"] {
        let kept = location(&both, status, "http://self/x").await;
        assert_eq!(kept, format!("http://{target}/x"), "{status}");
    }
    for elsewhere in [
        "/x",
        "//other.example/x",
        "x/y?z",
        "http://other.example/x",
        "http://127.0.0.1/x",
        "http://127.0.0.1:1/x",
        "http://127.0.0.2:port/x",
        "http://localhost:port/x",
    ] {
        let expected = elsewhere.replace("port", &target.port().to_string());
        assert_eq!(location(&both, "302", elsewhere).await, expected);
    }
}
