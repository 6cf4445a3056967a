//! Addresses that come a moment after the start, or never (SPN-19).

use std::{
    io,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use hub_spawner::{
    Progress, SpawnError, Spawner,
    conformance::request,
    docker::{DockerConfig, DockerSpawner},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    time::Instant,
};

use crate::{
    bench::{Corner, in_a_corner},
    spawner::key,
};

/// Where the machine's own daemon listens.
const DAEMON: &str = "/var/run/docker.sock";

/// What is before an address, and what is only in an answer about one container.
const BEFORE_ADDRESS: &[u8] = b"\"IPAddress\":\"";
const BEFORE_START: &[u8] = b"\"StartedAt\":\"";

/// Passes on what the daemon says, but for addresses in what it says first about
/// containers.
#[derive(Debug)]
struct Veil {
    listener: TcpListener,
    /// How many looks at containers are still to be without an address.
    left: AtomicUsize,
}

impl Veil {
    async fn over(left: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self { listener, left: AtomicUsize::new(left) }
    }

    /// A spawner that sees the daemon through it.
    async fn spawner(&self, corner: &Corner) -> DockerSpawner {
        let address = self.listener.local_addr().expect("bound");
        let config = DockerConfig {
            host: Some(format!("tcp://{address}")),
            use_internal_ip: Some(true),
            ..corner.config()
        };
        DockerSpawner::connect(config).await.expect("connect")
    }

    /// Does `story` while the veil is held.
    async fn beside<T>(&self, story: Pin<Box<impl Future<Output = T>>>) -> T {
        let mut visits = FuturesUnordered::new();
        let mut story = story;
        loop {
            tokio::select! {
                told = &mut story => return told,
                Ok((client, _)) = self.listener.accept() => visits.push(self.pass(client)),
                Some(_) = visits.next() => {}
            }
        }
    }

    async fn pass(&self, client: TcpStream) -> io::Result<()> {
        let (mut asks, mut hears) = client.into_split();
        let (mut answers, mut takes) = UnixStream::connect(DAEMON).await?.into_split();
        let there = async move { tokio::io::copy(&mut asks, &mut takes).await };
        let back = async move {
            let mut answer = Vec::with_capacity(64 * 1024);
            while answers.read_buf(&mut answer).await? > 0 {
                // One about a container comes in pieces, of which the last is empty.
                while is_about_a_container(&answer) && !answer.ends_with(b"\r\n0\r\n\r\n") {
                    if answers.read_buf(&mut answer).await? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                self.veil(&mut answer);
                hears.write_all(&answer).await?;
                answer.clear();
            }
            Ok(())
        };
        tokio::try_join!(there, back).map(drop)
    }

    /// Blanks the addresses, so that the length stays as it was told.
    fn veil(&self, answer: &mut [u8]) {
        let less = |left: usize| left.checked_sub(1);
        if !is_about_a_container(answer)
            || self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err()
        {
            return;
        }
        let mut rest = answer;
        while let Some(at) = position(rest, BEFORE_ADDRESS) {
            rest = &mut rest[at + BEFORE_ADDRESS.len()..];
            let end = position(rest, b"\"").expect("the address ends");
            rest[..=end].fill(b' ');
            rest[0] = b'"';
        }
    }
}

fn is_about_a_container(answer: &[u8]) -> bool {
    position(answer, BEFORE_START).is_some()
}

fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_19_an_address_that_comes_late_is_waited_for() {
    in_a_corner(|corner| async move {
        let veil = Veil::over(3).await;
        veil.beside(Box::pin(async {
            let spawner = veil.spawner(&corner).await;
            let ada = request(key("ada", ""));
            let started = spawner.start(&ada, &Progress::ignored()).await.unwrap();
            assert_eq!(veil.left.load(Ordering::Relaxed), 0, "it has looked again");
            let id = corner.container(&ada.key).await;
            let found = corner.engine.inspect(&id).await.unwrap().unwrap();
            let ip = found.addresses[&corner.name].to_string();
            assert_eq!(started.url.host_str(), Some(ip.as_str()));
        }))
        .await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_19_an_address_that_never_comes_fails_the_start_and_names_the_network() {
    in_a_corner(|corner| async move {
        let veil = Veil::over(usize::MAX).await;
        veil.beside(Box::pin(async {
            let spawner = veil.spawner(&corner).await;
            let ada = request(key("ada", ""));
            let begun = Instant::now();
            let error = spawner.start(&ada, &Progress::ignored()).await.unwrap_err();
            assert!(begun.elapsed() >= Duration::from_secs(5), "{error:?}");
            let SpawnError::GivenUp { log_tail, source } = &error else { panic!("{error:?}") };
            assert_eq!(log_tail.trim(), "serving", "SPN-33");
            assert!(matches!(**source, SpawnError::Backend { .. }), "{error:?}");
            let network = format!("no address in network {}", corner.name);
            assert!(format!("{error:?}").contains(&network), "{error:?}");
            assert_eq!(corner.engine.containers(&corner.labels()).await.unwrap(), []);
        }))
        .await;
    })
    .await;
}
