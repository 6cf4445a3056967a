//! Deadlines as they are by default, on real sockets, in a time that the test makes pass.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/running.rs"]
mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{RecvTimeoutError, Sender},
    },
    time::Duration,
};

use hub_proxy::ProxyConfig;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{broadcast, mpsc},
    time::advance,
};

/// Time that passes only by [`advance`], however long the kernel takes.
///
/// What is stopped would go on by itself whenever nothing is left to do but waiting, unless
/// a thread of the runtime is at work. This one is, until the test ends or hangs: then time
/// passes, and the test fails.
struct Stopped {
    _until_dropped: Sender<()>,
    hung: Arc<AtomicBool>,
}

fn stop_time() -> Stopped {
    let (until_dropped, dropped) = std::sync::mpsc::channel();
    let hung = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&hung);
    tokio::task::spawn_blocking(move || {
        let waited = dropped.recv_timeout(DEADLINE * 2);
        noted.store(waited == Err(RecvTimeoutError::Timeout), Ordering::Relaxed);
    });
    tokio::time::pause();
    Stopped { _until_dropped: until_dropped, hung }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let hung = self.hung.load(Ordering::Relaxed);
        assert!(!hung || std::thread::panicking(), "this should have happened without time");
    }
}

/// A target that sends what it gets to `taken`, byte by byte, and what is in `given` to
/// whoever asks for `/down` or opens a tunnel.
async fn exchanging(
    taken: mpsc::UnboundedSender<u8>,
    given: broadcast::Sender<u8>,
) -> std::net::SocketAddr {
    target(move |mut client| {
        let (taken, mut given) = (taken.clone(), given.subscribe());
        async move {
            let head = client.head().await;
            let answer = match head.split(' ').nth(1).unwrap() {
                "/user/ada/ws" => {
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\n\r\n"
                }
                "/user/ada/down" => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
                _ => "",
            };
            client.send(answer).await;
            loop {
                tokio::select! {
                    byte = client.stream.read_u8() => match byte {
                        // An upload's last byte.
                        Ok(b'!') => client.send(OK).await,
                        // The bytes of chunks that are not theirs.
                        Ok(b'1' | b'\r' | b'\n') => {}
                        Ok(byte) => taken.send(byte).unwrap(),
                        Err(_) => return,
                    },
                    Ok(byte) = given.recv(), if !answer.is_empty() => client.send([byte]).await,
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn u_02_t_07_what_makes_progress_may_last_longer_than_any_limit() {
    /// Shorter than any limit.
    const STEP: Duration = Duration::from_secs(20);
    /// As long as limits are that a program may set.
    const LIMIT: Option<Duration> = Some(Duration::from_secs(30));
    /// Twelve minutes.
    const STEPS: usize = 36;

    let _stopped = stop_time();
    let (taken, mut takes) = mpsc::unbounded_channel();
    let (give, _) = broadcast::channel(16);
    let mut listen = listen();
    listen.busy_idle_timeout = LIMIT;
    let mut config = ProxyConfig::default();
    config.response_header_timeout = LIMIT;
    config.response_idle_timeout = LIMIT;
    let target = exchanging(taken, give.clone()).await;
    let proxy = Running::listening(target, config, listen, Duration::ZERO).await;

    let began = tokio::time::Instant::now();
    let put = "PUT /user/ada/up HTTP/1.1\r\nHost: h\r\n";
    let mut sized = proxy.connect().await;
    sized.send(format!("{put}Content-Length: {}\r\n\r\n", STEPS + 1)).await;
    let mut chunked = proxy.connect().await;
    chunked.send(format!("{put}Transfer-Encoding: chunked\r\n\r\n")).await;
    let mut download = proxy.connect().await;
    download.send("GET /user/ada/down HTTP/1.1\r\nHost: h\r\n\r\n").await;
    download.head().await;
    let mut tunnel = proxy.connect().await;
    tunnel
        .send(
            "GET /user/ada/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\n\r\n",
        )
        .await;
    assert!(tunnel.head().await.starts_with("http/1.1 101 "));

    for _ in 0..STEPS {
        advance(STEP).await;
        sized.send("s").await;
        chunked.send("1\r\nc\r\n").await;
        tunnel.send("t").await;
        give.send(b'g').unwrap();
        let mut arrived = [0; 3];
        for byte in &mut arrived {
            *byte = soon(takes.recv()).await.unwrap();
        }
        arrived.sort_unstable();
        assert_eq!(arrived, *b"cst", "each of them once");
        for client in [&mut download, &mut tunnel] {
            assert_eq!(client.take(1).await, b"g");
        }
    }
    assert!(began.elapsed() >= Duration::from_secs(720));
    sized.send("!").await;
    chunked.send("1\r\n!\r\n0\r\n\r\n").await;
    for mut client in [sized, chunked] {
        assert!(client.head().await.starts_with("http/1.1 200 "));
        assert_eq!(client.take(2).await, b"ok");
    }
}

/// As many connections as the rule speaks of, if this process may have both ends of them.
fn crowd() -> usize {
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard }).unwrap();
    let may_have = hard.map_or(usize::MAX, |hard| usize::try_from(hard).unwrap());
    let crowd = (may_have.saturating_sub(200) / 2).min(5000);
    assert!(crowd >= 100, "this test needs more files: ulimit -n is {may_have}");
    crowd
}

#[tokio::test]
async fn l_07_t_01_thousands_who_dawdle_over_a_head_are_gone_after_ten_seconds() {
    let _stopped = stop_time();
    let (target, _heads) = answering(OK).await;
    let mut listen = listen();
    listen.max_connections = usize::MAX;
    let mut config = ProxyConfig::default();
    config.max_per_target = usize::MAX;
    let proxy = Running::listening(target, config, listen, Duration::ZERO).await;
    let mut other = proxy.connect().await;
    let mut others_are_served = async || {
        for _ in 0..50 {
            other.send("GET /hub/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
            assert!(other.head().await.starts_with("http/1.1 200 "));
            other.until("upgrade=-").await;
        }
    };
    let mut dawdling = Vec::new();
    for _ in 0..crowd() {
        let mut client = proxy.connect().await;
        client.send("G").await;
        dawdling.push(client);
    }
    for byte in ["E", "T"] {
        others_are_served().await;
        advance(Duration::from_millis(4900)).await;
        for client in &mut dawdling {
            client.send(byte).await;
        }
    }
    others_are_served().await;
    let nothing = |client: &Client| {
        let error = client.stream.try_read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    };
    // 9.8 s: all are there.
    dawdling.iter().for_each(nothing);
    advance(Duration::from_millis(5200)).await;
    others_are_served().await;
    for client in &mut dawdling {
        assert!(!matches!(client.stream.read(&mut [0]).await, Ok(1..)), "no request, no answer");
    }
    others_are_served().await;
    // Whoever dawdles over the next one has no more time.
    let mut second = proxy.connect().await;
    second.send("GET /hub/ HTTP/1.1\r\nHost: h\r\n\r\nG").await;
    second.until("upgrade=-").await;
    others_are_served().await;
    advance(Duration::from_millis(10_100)).await;
    let _ = second.stream.write_all(b"E").await;
    second.gone().await;
}
