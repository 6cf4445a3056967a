//! Clients of HTTP/2: one that is right, and one that sends whatever frames a test
//! says, mostly over TLS.

#![allow(dead_code, reason = "each test binary uses another part")]

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::Full;
use hub_proxy::TlsKeys;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::task::TaskTracker;

use crate::support::{Client, soon};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;

pub(crate) const PING: u8 = 6;
pub(crate) const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A certificate for `hub.example`, and its keys for a listener.
pub(crate) struct Tls {
    der: CertificateDer<'static>,
    pub(crate) keys: TlsKeys,
    pub(crate) cert_pem: String,
    pub(crate) key_pem: String,
}

/// A certificate and its key, until this is dropped.
pub(crate) struct TlsFiles {
    _dir: tempfile::TempDir,
    cert: String,
    key: String,
}

impl TlsFiles {
    pub(crate) fn args(&self) -> [&str; 4] {
        ["--ssl-cert", &self.cert, "--ssl-key", &self.key]
    }
}

impl Tls {
    pub(crate) fn new() -> Self {
        let params = CertificateParams::new(vec!["hub.example".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let cert = params.self_signed(&key).unwrap();
        let (cert_pem, key_pem) = (cert.pem(), key.serialize_pem());
        let keys = TlsKeys::from_pem(cert_pem.as_bytes(), key_pem.as_bytes()).unwrap();
        Self { der: cert.der().clone(), keys, cert_pem, key_pem }
    }

    /// The same in files, for a program.
    pub(crate) fn files(&self) -> TlsFiles {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (cert, key) = (write("cert.pem", &self.cert_pem), write("key.pem", &self.key_pem));
        TlsFiles { _dir: dir, cert, key }
    }

    /// Connects and offers HTTP/2 before HTTP/1.1.
    pub(crate) async fn connect(&self, addr: SocketAddr) -> TlsStream<TcpStream> {
        self.connect_offering(addr, &["h2", "http/1.1"]).await
    }

    /// Connects and offers HTTP/1.1 alone.
    pub(crate) async fn connect_http1(&self, addr: SocketAddr) -> TlsStream<TcpStream> {
        self.connect_offering(addr, &["http/1.1"]).await
    }

    async fn connect_offering(&self, addr: SocketAddr, offered: &[&str]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = soon(TcpStream::connect(addr)).await.unwrap();
        let name = ServerName::try_from("hub.example").unwrap();
        soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
    }

    /// A client that keeps to the standard.
    pub(crate) async fn open(&self, addr: SocketAddr) -> SendRequest<Full<Bytes>> {
        let stream = TokioIo::new(self.connect(addr).await);
        let (sender, connection) = soon(handshake(TokioExecutor::new(), stream)).await.unwrap();
        TaskTracker::new().spawn(async move {
            let _ = connection.await;
        });
        sender
    }

    /// A client that does not.
    pub(crate) async fn raw(&self, addr: SocketAddr) -> Raw {
        Raw::over(self.connect(addr).await).await
    }
}

/// Frames as they are.
pub(crate) struct Raw<S = TlsStream<TcpStream>>(pub(crate) Client<S>);

/// What a client begins with.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub(crate) async fn over(stream: S) -> Self {
        let mut client = Client::over(stream);
        client.send(PREFACE).await;
        let mut raw = Self(client);
        raw.send(SETTINGS, 0, 0, &[]).await;
        raw
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.0.send(frame(kind, flags, stream, payload)).await;
    }

    /// As [`send`](Self::send), if the other side still listens.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        let sent = tokio::io::AsyncWriteExt::write_all(&mut self.0.stream, bytes);
        soon(sent).await.is_ok()
    }

    /// A request without a body, with these fields and no others.
    pub(crate) async fn request(&mut self, stream: u32, fields: &[(&str, &str)]) {
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, &block(fields)).await;
    }

    /// As [`request`](Self::request), if the other side still listens.
    pub(crate) async fn request_quietly(&mut self, stream: u32, fields: &[(&str, &str)]) {
        let _ =
            self.try_send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(fields))).await;
    }

    /// A request whose body comes later.
    pub(crate) async fn upload(&mut self, stream: u32, fields: &[(&str, &str)]) {
        self.send(HEADERS, END_HEADERS, stream, &block(fields)).await;
    }

    pub(crate) async fn data(&mut self, stream: u32, data: &[u8]) {
        self.send(0, END_STREAM, stream, data).await;
    }

    /// As [`send`](Self::send), if the other side still listens.
    pub(crate) async fn try_reset(&mut self, stream: u32) -> bool {
        self.try_send(&frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())).await
    }

    /// The next frame; `None` once the connection is closed.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let frame = self.next_quietly().await?;
        if frame.kind == PING && frame.flags & ACK == 0 {
            self.send(PING, ACK, 0, &frame.payload).await;
        }
        Some(frame)
    }

    /// As [`next`](Self::next), but nothing is answered.
    pub(crate) async fn next_quietly(&mut self) -> Option<Frame> {
        let head = self.0.try_take(9).await?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = self.0.try_take(usize::try_from(len).unwrap()).await?;
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of one of these kinds.
    pub(crate) async fn next_of(&mut self, kinds: &[u8]) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if kinds.contains(&frame.kind) {
                return Some(frame);
            }
        }
    }
}

/// Fields in the one encoding that needs no table and no compression.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).ok().filter(|len| *len < 127).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}
