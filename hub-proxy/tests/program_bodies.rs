//! Bodies far larger than memory may grow, through the running program (B-01).
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/http2.rs"]
mod http2;
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
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use http2::Tls;
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use process::Program;
use socket2::SockRef;
use support::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;

const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// Most that may have left a sender and not arrived: what the buffers of four sockets
/// hold, with much to spare.
const MOST_ON_THE_WAY: usize = 192 * MIB;

/// How much more memory a transfer may take than there was before, in KiB.
const MOST_GROWTH: u64 = 24 * 1024;

/// After so long without progress a sender is stopped.
const STALL: Duration = Duration::from_millis(500);

/// Bytes that differ from their neighbours, over and over. Its length is no multiple of
/// any buffer's.
struct Pattern {
    block: Vec<u8>,
    at: usize,
}

impl Pattern {
    fn new() -> Self {
        Self { block: (0..1_000_003).map(|n| (n % 251) as u8).collect(), at: 0 }
    }

    /// The next bytes, `most` of them or fewer.
    fn next(&mut self, most: usize) -> &[u8] {
        let from = self.at % self.block.len();
        let piece = &self.block[from..(from + most).min(self.block.len())];
        self.at += piece.len();
        piece
    }

    fn assert_is(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let at = self.at;
            let piece = self.next(bytes.len());
            assert!(bytes[..piece.len()] == *piece, "other bytes than were sent, from {at} on");
            bytes = &bytes[piece.len()..];
        }
    }
}

/// What has left a sender, and when it was stopped first.
#[derive(Clone)]
struct Sender {
    sent: Arc<AtomicUsize>,
    stalled: mpsc::UnboundedSender<()>,
}

impl Sender {
    fn new() -> (Self, mpsc::UnboundedReceiver<()>) {
        let (stalled, stall) = mpsc::unbounded_channel();
        (Self { sent: Arc::default(), stalled }, stall)
    }

    fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    /// Sends `bytes` as fast as they are taken.
    async fn send(&self, stream: &mut TcpStream, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Ok(sent) = timeout(STALL, stream.write(bytes)).await else {
                let _ = self.stalled.send(());
                continue;
            };
            bytes = &bytes[sent.unwrap()..];
        }
    }

    /// Sends the pattern, in chunks or not.
    async fn send_all(&self, stream: &mut TcpStream, total: usize, chunked: bool) {
        let mut pattern = Pattern::new();
        while pattern.at < total {
            let piece = pattern.next((total - pattern.at).min(300_007));
            let len = piece.len();
            if chunked {
                self.send(stream, format!("{len:x}\r\n").as_bytes()).await;
            }
            self.send(stream, piece).await;
            if chunked {
                self.send(stream, b"\r\n").await;
            }
            self.sent.fetch_add(len, Ordering::Relaxed);
        }
        if chunked {
            self.send(stream, b"0\r\n\r\n").await;
        }
    }
}

/// Somebody who takes less than is sent, and looks at the proxy meanwhile.
struct SlowReader<'a> {
    program: &'a Program,
    before: u64,
    sender: Sender,
    pattern: Pattern,
    paused: usize,
}

impl<'a> SlowReader<'a> {
    fn new(program: &'a Program, sender: Sender) -> Self {
        let (before, pattern) = (program.memory_kib(), Pattern::new());
        Self { program, before, sender, pattern, paused: 0 }
    }

    async fn take(&mut self, bytes: &[u8]) {
        self.pattern.assert_is(bytes);
        if self.pattern.at - self.paused >= 4 * MIB {
            self.paused = self.pattern.at;
            self.assert_bounded();
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn taken(&self) -> usize {
        self.pattern.at
    }

    fn assert_bounded(&self) {
        let on_the_way = self.sender.sent().saturating_sub(self.taken());
        assert!(on_the_way < MOST_ON_THE_WAY, "{on_the_way} bytes are somewhere");
        let (before, now) = (self.before, self.program.memory_kib());
        assert!(now < before + MOST_GROWTH, "{before} KiB became {now} KiB");
    }
}

/// The program with a route that has been used, so that what it needs once is there.
async fn started(target: SocketAddr) -> Program {
    let program = Program::start(&[]).await;
    program.route("/warm", warm().await).await;
    for _ in 0..10 {
        assert_eq!(program.get("/warm").await.body, "ok");
    }
    program.route("/", target).await;
    program
}

async fn warm() -> SocketAddr {
    target(|mut client| async move {
        client.head().await;
        client.send(ONCE).await;
    })
    .await
}

/// A target with a page of `total` bytes, in chunks if it is asked for `/chunked`.
async fn sending(total: usize, sender: Sender) -> SocketAddr {
    target(move |mut client| {
        let sender = sender.clone();
        async move {
            let chunked = client.head().await.contains("/chunked ");
            let framing = match chunked {
                true => "Transfer-Encoding: chunked".to_owned(),
                false => format!("Content-Length: {total}"),
            };
            client.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n")).await;
            sender.send_all(&mut client.stream, total, chunked).await;
            client.gone().await;
        }
    })
    .await
}

/// A target whose connections are the test's.
async fn held() -> (SocketAddr, mpsc::UnboundedReceiver<Client>) {
    let (accepted, connections) = mpsc::unbounded_channel();
    let addr = target(move |client| {
        let accepted = accepted.clone();
        async move { accepted.send(client).unwrap() }
    })
    .await;
    (addr, connections)
}

/// Takes a body of this size, slowly.
async fn read_sized(client: &mut Client, reader: &mut SlowReader<'_>, total: usize) {
    reader.take(&std::mem::take(&mut client.ahead)).await;
    let mut piece = vec![0; MIB];
    while reader.taken() < total {
        let most = piece.len().min(total - reader.taken());
        let read = soon(client.stream.read(&mut piece[..most])).await.unwrap();
        assert!(read > 0, "ended after {} bytes", reader.taken());
        reader.take(&piece[..read]).await;
    }
}

/// Takes a body in chunks, slowly.
async fn read_chunked(client: &mut Client, reader: &mut SlowReader<'_>) {
    loop {
        let size = client.until("\r\n").await;
        let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
        let chunk = client.take(size).await;
        reader.take(&chunk).await;
        assert_eq!(client.take(2).await, b"\r\n");
        if size == 0 {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b_01_v_01_a_gibibyte_for_a_slow_reader_is_not_kept_in_memory() {
    for path in ["/sized", "/chunked"] {
        let (sender, mut stalls) = Sender::new();
        let program = started(sending(GIB, sender.clone()).await).await;
        let mut reader = SlowReader::new(&program, sender);
        let mut client = Client::to(program.public).await;
        // To HTTP/1.0 there are no chunks to take apart.
        client.send(format!("GET {path} HTTP/1.0\r\nHost: h\r\n\r\n")).await;
        client.head().await;
        soon(stalls.recv()).await.unwrap();
        reader.assert_bounded();
        read_sized(&mut client, &mut reader, GIB).await;
        assert_eq!(client.rest().await, "", "{path}: and no more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b_01_u_01_a_gibibyte_for_a_slow_target_is_not_kept_in_memory() {
    for chunked in [false, true] {
        let (target, mut connections) = held().await;
        let program = started(target).await;
        let (sender, mut stalls) = Sender::new();
        let mut reader = SlowReader::new(&program, sender.clone());
        let mut client = Client::to(program.public).await;
        let uploading = TaskTracker::new().spawn(async move {
            let framing = match chunked {
                true => "Transfer-Encoding: chunked".to_owned(),
                false => format!("Content-Length: {GIB}"),
            };
            client.send(format!("PUT /f HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n")).await;
            sender.send_all(&mut client.stream, GIB, chunked).await;
            client.head().await
        });
        let mut target = soon(connections.recv()).await.unwrap();
        target.head().await;
        soon(stalls.recv()).await.unwrap();
        reader.assert_bounded();
        match chunked {
            true => read_chunked(&mut target, &mut reader).await,
            false => read_sized(&mut target, &mut reader, GIB).await,
        }
        assert_eq!(reader.taken(), GIB);
        target.send(OK).await;
        assert!(soon(uploading).await.unwrap().starts_with("http/1.1 200 "));
    }
}

/// As much as shows that windows are opened again, over and over.
const OVER_HTTP_2: usize = 256 * MIB;

/// A program that speaks HTTP/2, with a route to `target`.
async fn over_http_2(target: SocketAddr) -> (Program, Tls) {
    let tls = Tls::new();
    let files = tls.files();
    let program = Program::start(&files.args()).await;
    program.route("/warm", warm().await).await;
    for _ in 0..10 {
        let mut client = Client::over(tls.connect_http1(program.public).await);
        client.send("GET /warm HTTP/1.0\r\nHost: h\r\n\r\n").await;
        assert!(client.head().await.contains(" 200 "));
    }
    program.route("/", target).await;
    (program, tls)
}

#[tokio::test(flavor = "multi_thread")]
async fn b_01_h2_06_nor_is_what_a_slow_client_of_http_2_is_sent() {
    let (sender, mut stalls) = Sender::new();
    let target = sending(OVER_HTTP_2, sender.clone()).await;
    let (program, tls) = over_http_2(target).await;
    let mut reader = SlowReader::new(&program, sender);
    let mut client = tls.open(program.public).await;
    let request = Request::get("https://hub.example/sized").body(Default::default()).unwrap();
    let mut body = soon(client.send_request(request)).await.unwrap().into_body();
    soon(stalls.recv()).await.unwrap();
    reader.assert_bounded();
    while let Some(frame) = soon(body.frame()).await {
        reader.take(frame.unwrap().data_ref().unwrap()).await;
    }
    assert_eq!(reader.taken(), OVER_HTTP_2);
}

#[tokio::test(flavor = "multi_thread")]
async fn b_01_h2_06_nor_is_what_a_client_of_http_2_sends_to_a_slow_target() {
    let (target, mut connections) = held().await;
    let (program, tls) = over_http_2(target).await;
    let (sender, mut stalls) = Sender::new();
    let mut reader = SlowReader::new(&program, sender.clone());

    let stream = TokioIo::new(tls.connect(program.public).await);
    let (mut client, connection) = soon(handshake(TokioExecutor::new(), stream)).await.unwrap();
    let tasks = TaskTracker::new();
    tasks.spawn(connection);
    let (pieces, body) = mpsc::channel::<Bytes>(1);
    let body = futures_util::stream::unfold(body, |mut body| async move {
        let piece = body.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(Frame::data(piece)), body))
    });
    let request = Request::put("https://hub.example/f")
        .header("content-length", OVER_HTTP_2)
        .body(StreamBody::new(Box::pin(body)))
        .unwrap();
    tasks.spawn(async move {
        let mut pattern = Pattern::new();
        while pattern.at < OVER_HTTP_2 {
            let piece = pattern.next((OVER_HTTP_2 - pattern.at).min(100_003));
            let mut sending = Box::pin(pieces.send(Bytes::copy_from_slice(piece)));
            while timeout(STALL, &mut sending).await.is_err() {
                let _ = sender.stalled.send(());
            }
            sender.sent.fetch_add(piece.len(), Ordering::Relaxed);
        }
    });
    let answer = TaskTracker::new().spawn(async move { client.send_request(request).await });
    let mut target = soon(connections.recv()).await.unwrap();
    target.head().await;
    soon(stalls.recv()).await.unwrap();
    // What the client holds back is not on the way.
    reader.assert_bounded();
    read_sized(&mut target, &mut reader, OVER_HTTP_2).await;
    target.send(OK).await;
    assert_eq!(soon(answer).await.unwrap().unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn l_08_a_hundred_who_read_nothing_hold_their_own_connections_and_no_more() {
    const READERS: usize = 100;
    let (sender, mut stalls) = Sender::new();
    let (gone, mut ends) = mpsc::unbounded_channel();
    let endless = target(move |mut client| {
        let (sender, gone) = (sender.clone(), gone.clone());
        async move {
            // Ours is not the buffer that is looked at.
            SockRef::from(&client.stream).set_send_buffer_size(64 * 1024).unwrap();
            client.head().await;
            client.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
            let (piece, mut told) = (vec![b'#'; 64 * 1024], false);
            loop {
                match timeout(STALL, client.stream.write(&piece)).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(_)) => return gone.send(()).unwrap(),
                    Err(_) if told => {}
                    Err(_) => {
                        told = true;
                        sender.stalled.send(()).unwrap();
                    }
                }
            }
        }
    })
    .await;
    let program = started(endless).await;
    let before = program.memory_kib();
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let mut client = Client::over(soon(socket.connect(program.public)).await.unwrap());
        client.send(get("/endless")).await;
        client.head().await;
        readers.push(client);
        assert_eq!(program.get("/warm").await.body, "ok", "others are served throughout");
    }
    for _ in 0..READERS {
        soon(stalls.recv()).await.unwrap();
        assert_eq!(program.get("/warm").await.body, "ok");
    }
    let after = program.memory_kib();
    // B-01: 64 KiB of an answer, and what a connection needs, with much to spare.
    assert!(after < before + 256 * READERS as u64, "{before} KiB became {after} KiB");
    assert_eq!(program.status().await["connections"], READERS);
    drop(readers);
    for _ in 0..READERS {
        soon(ends.recv()).await.unwrap();
    }
    soon(async { while program.status().await["connections"] != 0 {} }).await;
}
