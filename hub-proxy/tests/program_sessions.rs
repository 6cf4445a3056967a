//! Handshakes: which of them are short, and that they hold up nobody.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/authority.rs"]
mod authority;
#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use authority::*;
use process::Program;
use rustls::{
    ClientConfig, HandshakeKind, ServerConfig, SupportedProtocolVersion,
    client::Resumption,
    crypto::aws_lc_rs,
    version::{TLS12, TLS13},
};
use rustls_pki_types::ServerName;
use support::*;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Both versions, as the program and rustls call them.
const VERSIONS: [(&str, &SupportedProtocolVersion); 2] = [("TLSv1_2", &TLS12), ("TLSv1_3", &TLS13)];

async fn connect(connector: &TlsConnector, addr: SocketAddr) -> Client<TlsStream<TcpStream>> {
    let stream = soon(TcpStream::connect(addr)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    Client::over(soon(connector.connect(name, stream)).await.unwrap())
}

/// One request on a connection of its own, and how its handshake was.
async fn handshake(connector: &TlsConnector, addr: SocketAddr) -> HandshakeKind {
    let mut client = connect(connector, addr).await;
    client.send(get("/_chp_healthz")).await;
    // Tickets come with the first data.
    assert!(client.head().await.starts_with("http/1.1 200 "));
    client.gone().await;
    client.stream.get_ref().1.handshake_kind().unwrap()
}

#[tokio::test]
async fn s_07_clients_resume_their_sessions_however_many_came_meanwhile() {
    // More than a server remembers of those who hold no tickets.
    const OTHERS: usize = 300;
    let authority = Authority::new();
    let shown = authority.issue(&["localhost"]);
    for (version, _) in VERSIONS {
        let args = ["--ssl-cert", arg(&shown.cert), "--ssl-key", arg(&shown.key)];
        let program =
            Program::start(&[&args[..], &["--ssl-protocol", version, "--no-http2"]].concat()).await;
        let connector = TlsConnector::from(Arc::new(authority.client(None)));
        assert_eq!(handshake(&connector, program.public).await, HandshakeKind::Full);
        assert_eq!(handshake(&connector, program.public).await, HandshakeKind::Resumed);
        let mut nobody = authority.client(None);
        nobody.resumption = Resumption::disabled();
        let nobody = TlsConnector::from(Arc::new(nobody));
        for _ in 0..OTHERS {
            assert_eq!(handshake(&nobody, program.public).await, HandshakeKind::Full);
        }
        assert_eq!(
            handshake(&connector, program.public).await,
            HandshakeKind::Resumed,
            "{version}"
        );
    }
}

/// A target at https that tells how its handshake was, and closes the connection.
async fn telling(config: ServerConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    TaskTracker::new().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = acceptor.accept(stream).await.unwrap();
            let kind = format!("{:?}", stream.get_ref().1.handshake_kind().unwrap());
            let mut client = Client::over(stream);
            client.head().await;
            let len = kind.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\nConnection: close");
            client.send(format!("{head}\r\n\r\n{kind}")).await;
        }
    });
    addr
}

#[tokio::test]
async fn s_07_sessions_with_targets_are_resumed() {
    let authority = Authority::new();
    let shown = authority.issue(&["localhost"]);
    let ca = authority.file();
    for (name, version) in VERSIONS {
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(shown.chain(), shown.key())
            .unwrap();
        let target = format!("https://localhost:{}", telling(config).await.port());
        let args = ["--default-target", &target, "--client-ssl-ca", arg(&ca)];
        let program = Program::start(&args).await;
        assert_eq!(program.get("/").await.body, "Full", "{name}");
        for _ in 0..3 {
            assert_eq!(program.get("/").await.body, "Resumed", "{name}");
        }
    }
    // With a certificate of ours as well.
    let ours = authority.issue(&["proxy"]);
    let target = telling(authority.server(&shown)).await;
    let target = format!("https://localhost:{}", target.port());
    let args = ["--default-target", &target, "--client-ssl-ca", arg(&ca)];
    let identity = ["--client-ssl-cert", arg(&ours.cert), "--client-ssl-key", arg(&ours.key)];
    let program = Program::start(&[args, identity].concat()).await;
    assert_eq!(program.get("/").await.body, "Full");
    assert_eq!(program.get("/").await.body, "Resumed");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_13_handshakes_without_end_leave_others_their_turn() {
    const CROWD: usize = 64;
    const REQUESTS: usize = 30;
    let authority = Authority::new();
    let shown = authority.issue(&["localhost"]);
    let args = ["--ssl-cert", arg(&shown.cert), "--ssl-key", arg(&shown.key), "--no-http2"];
    let program = Program::start(&args).await;
    let addr = program.public;
    let mut config: ClientConfig = authority.client(None);
    config.resumption = Resumption::disabled();
    let connector = TlsConnector::from(Arc::new(config));

    let mut other = connect(&connector, addr).await;
    let (done, made) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let crowd = TaskTracker::new();
    for _ in 0..CROWD {
        let (connector, done, made) = (connector.clone(), done.clone(), Arc::clone(&made));
        crowd.spawn(async move {
            while !done.is_cancelled() {
                drop(connect(&connector, addr).await);
                made.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    soon(async {
        while made.load(Ordering::Relaxed) < CROWD {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let before = made.load(Ordering::Relaxed);
    for _ in 0..REQUESTS {
        other.send("GET /_chp_healthz HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert!(other.head().await.starts_with("http/1.1 200 "));
        other.until("\"OK\"}").await;
        assert_eq!(program.api("GET", "/api/routes", "").await.status, 200);
    }
    let meanwhile = made.load(Ordering::Relaxed) - before;
    done.cancel();
    crowd.close();
    soon(crowd.wait()).await;
    assert!(meanwhile > 0, "there were handshakes");
    // Three exchanges each: a connection's turn comes before everybody else has had many.
    let most = REQUESTS * 3 * 4 * CROWD;
    assert!(meanwhile < most, "{meanwhile} handshakes went before {REQUESTS} requests");
}
