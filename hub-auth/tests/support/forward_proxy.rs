//! A forward proxy on loopback that makes real tunnels, or fails to in a known way.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What becomes of a request for a tunnel.
#[derive(Clone)]
pub(crate) enum Manner {
    /// It leads to this address, whatever was asked for.
    LeadsTo(SocketAddr),
    /// The same, for who sends this `Proxy-Authorization`.
    Wants(&'static str, SocketAddr),
    /// These bytes, and the end.
    Answers(&'static str),
    /// Nothing, ever.
    Silent,
}

/// The proxy; it stops when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let mut tasks = JoinSet::new();
        let seen = Arc::clone(&asked);
        tasks.spawn(async move {
            let mut tunnels = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                tunnels.spawn(serve(stream, manner.clone(), Arc::clone(&seen)));
            }
        });
        Self { address, asked, _tasks: tasks }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The head of each request, in the order of their arrival.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, manner: Manner, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    asked.lock().unwrap().push(head.clone());
    let target = match manner {
        Manner::LeadsTo(target) => target,
        Manner::Wants(value, target) if head.contains(&format!("proxy-authorization: {value}\r\n")) => target,
        Manner::Wants(..) => return say(stream, "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"x\"\r\ncontent-length: 5\r\n\r\nhello").await,
        Manner::Answers(text) => return say(stream, text).await,
        Manner::Silent => return std::future::pending().await,
    };
    let mut far = TcpStream::connect(target).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    // The end of either side is the end of the tunnel.
    let _ = copy_bidirectional(&mut stream, &mut far).await;
}

async fn say(mut stream: TcpStream, text: &str) {
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}
