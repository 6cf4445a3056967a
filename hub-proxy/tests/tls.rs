//! Certificates, TLS on the client's side, and the redirect to it.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![cfg(feature = "tls")]

#[path = "support/running.rs"]
mod support;

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use hub_proxy::{ListenConfig, Listener, ProxyConfig, RedirectToHttps, TlsError, TlsKeys};
use rcgen::{CertificateParams, KeyPair};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, ServerName};
use support::*;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

struct Pair {
    cert: String,
    key: String,
    der: CertificateDer<'static>,
}

fn fresh() -> Pair {
    let params = CertificateParams::new(vec!["hub.example".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    Pair { cert: cert.pem(), key: key.serialize_pem(), der: cert.der().clone() }
}

/// A directory with `cert.pem` and `key.pem`.
struct Files(tempfile::TempDir);

impl Files {
    fn with(cert: &str, key: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write(cert, key);
        files
    }

    fn write(&self, cert: &str, key: &str) {
        fs::write(self.cert(), cert).unwrap();
        fs::write(self.key(), key).unwrap();
    }

    fn cert(&self) -> PathBuf {
        self.0.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    fn load(&self) -> Result<TlsKeys, TlsError> {
        TlsKeys::load(self.cert(), self.key())
    }
}

/// Connects as a browser that trusts just these certificates.
async fn connect(
    addr: std::net::SocketAddr,
    trusted: &[&Pair],
) -> std::io::Result<Client<TlsStream<TcpStream>>> {
    let stream = soon(TcpStream::connect(addr)).await?;
    Ok(Client::over(handshake(stream, trusted).await?))
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    trusted: &[&Pair],
) -> std::io::Result<TlsStream<S>> {
    let mut roots = RootCertStore::empty();
    for pair in trusted {
        roots.add(pair.der.clone()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("hub.example").unwrap();
    soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

async fn serving(keys: TlsKeys) -> Running {
    let mut listen = listen();
    listen.tls = Some(keys);
    Running::listening(nowhere().await, ProxyConfig::default(), listen, Duration::ZERO).await
}

#[tokio::test]
async fn l_02_l_05_beyond_a_limit_clients_of_tls_are_left_without_a_word() {
    let pair = fresh();
    for of_each in [false, true] {
        let mut config = ListenConfig::new(([127, 0, 0, 1], 0).into());
        config.tls = Some(Files::with(&pair.cert, &pair.key).load().unwrap());
        match of_each {
            true => config.max_connections_per_address = Some(1),
            false => config.max_connections = 1,
        }
        let target = nowhere().await;
        let proxy =
            Running::listening(target, ProxyConfig::default(), config, Duration::ZERO).await;
        let mut first = connect(proxy.addr, &[&pair]).await.unwrap();
        let mut second = proxy.connect().await;
        assert_eq!(second.try_rest().await.unwrap(), b"", "nothing that TLS could not read");
        first.send(get("/hub/")).await;
        assert!(first.head().await.starts_with("http/1.1 200 "), "others go on");
    }
}

#[tokio::test]
async fn s_08_a_reload_reaches_new_connections_and_spares_old_ones() {
    let (old, new) = (fresh(), fresh());
    let files = Files::with(&old.cert, &old.key);
    let keys = files.load().unwrap();
    let proxy = serving(keys.clone()).await;
    let mut early = connect(proxy.addr, &[&old]).await.unwrap();
    early.send("GET /hub/a HTTP/1.1\r\nHost: h\r\n\r\n").await;
    early.until("upgrade=-").await;

    files.write(&new.cert, &old.key);
    assert!(matches!(keys.reload(), Err(TlsError::KeyMismatch { .. })));
    connect(proxy.addr, &[&old]).await.expect("a bad pair changes nothing");

    files.write(&new.cert, &new.key);
    keys.reload().unwrap();
    connect(proxy.addr, &[&new]).await.expect("the new pair is used");
    assert!(connect(proxy.addr, &[&old]).await.is_err(), "and only that");

    early.send(get("/hub/b")).await;
    assert!(early.head().await.starts_with("http/1.1 200 "));
}

#[tokio::test]
async fn h_04_behind_tls_the_scheme_is_https() {
    let pair = fresh();
    let keys = TlsKeys::from_pem(pair.cert.as_bytes(), pair.key.as_bytes()).unwrap();
    let proxy = serving(keys).await;
    let mut client = connect(proxy.addr, &[&pair]).await.unwrap();
    client.send("GET /hub/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
    client.until("proto=https").await;
}

#[tokio::test]
async fn b_01_who_reads_slowly_gets_all_of_an_answer_under_tls() {
    const LENGTH: usize = 4 * 1024 * 1024;
    let target = target(|mut client| async move {
        client.head().await;
        client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n")).await;
        client.send(vec![b'x'; LENGTH]).await;
        client.gone().await;
    })
    .await;
    let pair = fresh();
    let mut listen = listen();
    listen.tls = Some(TlsKeys::from_pem(pair.cert.as_bytes(), pair.key.as_bytes()).unwrap());
    let config = ProxyConfig::default();
    let proxy = Running::listening(target, config, listen, Duration::ZERO).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = soon(socket.connect(proxy.addr)).await.unwrap();
    let mut client = Client::over(handshake(stream, &[&pair]).await.unwrap());
    client.send("GET /user/ada/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
    client.head().await;
    for _ in 0..LENGTH / 4096 {
        // The end of it waits in the proxy's TLS when the target has said it all.
        assert_eq!(client.take(4096).await, [b'x'; 4096]);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn ws_14_a_tunnel_under_tls_passes_data_and_its_end() {
    let target = target(|mut client| async move {
        assert!(client.head().await.contains("\r\nx-forwarded-proto: wss\r\n"));
        client
            .send(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\n\r\n",
            )
            .await;
        assert_eq!(client.rest().await, "question");
        client.send("answer").await;
    })
    .await;
    let pair = fresh();
    let mut listen = listen();
    listen.tls = Some(TlsKeys::from_pem(pair.cert.as_bytes(), pair.key.as_bytes()).unwrap());
    let proxy = Running::listening(target, ProxyConfig::default(), listen, Duration::ZERO).await;
    let mut client = connect(proxy.addr, &[&pair]).await.unwrap();
    client
        .send(
            "GET /user/ada/ HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\n\r\n",
        )
        .await;
    client.head().await;
    client.send("question").await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "answer");
}

#[tokio::test]
async fn s_11_plain_http_on_a_tls_port_gets_a_readable_answer() {
    let pair = fresh();
    let keys = TlsKeys::from_pem(pair.cert.as_bytes(), pair.key.as_bytes()).unwrap();
    let proxy = serving(keys).await;
    let mut client = proxy.connect().await;
    client.send(get("/")).await;
    assert!(client.head().await.starts_with("http/1.1 400 "));
    client.until("HTTPS only.\n").await;
}

#[tokio::test]
async fn s_11_tls_is_spoken_at_a_unix_socket_too() {
    let (pair, dir) = (fresh(), tempfile::tempdir().unwrap());
    let mut config = listen();
    config.tls = Some(TlsKeys::from_pem(pair.cert.as_bytes(), pair.key.as_bytes()).unwrap());
    let listener = Listener::bind_unix(dir.path().join("socket"), &config).await.unwrap();
    let path = listener.path().unwrap().to_owned();
    let stop = CancellationToken::new();
    let served = listener.serve(RedirectToHttps::new(1), stop.clone(), Duration::ZERO);
    TaskTracker::new().spawn(served);

    let mut client = Client::over(soon(UnixStream::connect(&path)).await.unwrap());
    client.send(get("/")).await;
    client.until("HTTPS only.\n").await;

    let stream = soon(UnixStream::connect(&path)).await.unwrap();
    let mut client = Client::over(handshake(stream, &[&pair]).await.unwrap());
    client.send(get("/")).await;
    assert!(client.head().await.contains("location: https://hub.example:1/\r\n"));
    stop.cancel();
}

#[tokio::test]
async fn s_10_t_02_a_handshake_that_does_not_come_is_given_up() {
    let pair = fresh();
    let mut listen = listen();
    listen.tls = Some(TlsKeys::from_pem(pair.cert.as_bytes(), pair.key.as_bytes()).unwrap());
    listen.tls_handshake_timeout = Duration::from_millis(50);
    let target = nowhere().await;
    let proxy = Running::listening(target, ProxyConfig::default(), listen, Duration::ZERO).await;
    proxy.connect().await.gone().await;
}

#[tokio::test]
async fn s_14_the_redirect_listener_leads_to_the_tls_port() {
    let listener = Listener::bind(&ListenConfig::new(([127, 0, 0, 1], 0).into())).await.unwrap();
    let (addr, stop) = (listener.local_addr(), CancellationToken::new());
    let tasks = TaskTracker::new();
    tasks.spawn(listener.serve(RedirectToHttps::new(8443), stop.clone(), Duration::ZERO));
    let mut client = Client::to(addr).await;
    client.send("GET /user/ada/?a=b HTTP/1.1\r\nHost: hub.example:80\r\n\r\n").await;
    let head = client.head().await;
    assert!(head.starts_with("http/1.1 308 permanent redirect\r\n"), "{head}");
    assert!(head.contains("\r\nlocation: https://hub.example:8443/user/ada/?a=b\r\n"), "{head}");
    client.gone().await;
    stop.cancel();
    tasks.close();
    soon(tasks.wait()).await;
}

#[tokio::test]
async fn s_07_a_client_that_comes_again_needs_no_full_handshake() {
    let pair = fresh();
    let keys = TlsKeys::from_pem(pair.cert.as_bytes(), pair.key.as_bytes()).unwrap();
    let proxy = serving(keys).await;
    let mut roots = RootCertStore::empty();
    roots.add(pair.der.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let stream = soon(TcpStream::connect(proxy.addr)).await.unwrap();
        let name = ServerName::try_from("hub.example").unwrap();
        let mut client = Client::over(soon(connector.connect(name, stream)).await.unwrap());
        client.send(get("/hub/")).await;
        // Tickets come with the first data.
        client.head().await;
        client.gone().await;
        kinds.push(client.stream.get_ref().1.handshake_kind().unwrap());
    }
    assert_eq!(kinds, [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed]);
}

#[tokio::test]
async fn s_13_handshakes_that_do_not_end_hold_up_nobody() {
    let pair = fresh();
    let keys = TlsKeys::from_pem(pair.cert.as_bytes(), pair.key.as_bytes()).unwrap();
    let proxy = serving(keys).await;
    let mut unfinished = Vec::new();
    for _ in 0..200 {
        let mut client = proxy.connect().await;
        // The beginning of a record that never ends.
        client.send([22, 3, 1, 2, 0, 1]).await;
        unfinished.push(client);
    }
    let mut client = connect(proxy.addr, &[&pair]).await.unwrap();
    client.send(get("/hub/")).await;
    assert!(client.head().await.starts_with("http/1.1 200 "));
}
