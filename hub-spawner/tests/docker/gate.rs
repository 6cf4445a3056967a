//! A gate before the daemon's socket: notes what is asked, and can lose an
//! answer.

#![allow(dead_code, reason = "the tests with a swarm use a part of it")]

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use hub_spawner::engine::{Endpoint, EndpointUser};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
};

/// The gate. It lets through while [`Gate::beside`] is polled.
#[derive(Debug)]
pub(crate) struct Gate {
    listener: TcpListener,
    /// The daemon's.
    socket: PathBuf,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    /// Method and path of each request, without the query.
    asked: BTreeSet<(String, String)>,
    /// The request whose answer is to be lost.
    loses: Option<(&'static str, &'static str)>,
    /// The kind of request that is answered with a failure.
    refuses: Option<Endpoint>,
    /// The kind of request whose connection breaks half-way: after so many bytes of it
    /// and of its answer together.
    cuts: Option<(Endpoint, usize)>,
    /// What refused requests are answered with, if not [`REFUSAL`].
    refusal: Option<&'static str>,
    /// The kind of request that is never answered, nor seen by the daemon.
    holds: Option<Endpoint>,
    /// How many were held.
    held: usize,
}

/// What is said to a request that is refused.
const REFUSAL: &str = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n\
                       Content-Length: 30\r\nConnection: close\r\n\r\n{\"message\":\"the gate is shut\"}";

/// What a filter says.
const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n\
                         Content-Length: 30\r\nConnection: close\r\n\r\n{\"message\":\"the gate is shut\"}";

/// Whether the next bytes of a client are the beginning of a request.
#[derive(Debug)]
enum Says {
    /// They are; these came already.
    Request(Vec<u8>),
    /// They belong to one that was noted.
    More,
    /// As before, and its answer is to be lost.
    Lost,
    /// It breaks after so many bytes more, in either direction.
    Cut(usize),
    /// It is answered here, with a failure.
    Refused,
    /// It stays here.
    Held,
}

impl Gate {
    /// Before the daemon at `socket`.
    pub(crate) async fn before(socket: impl Into<PathBuf>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self { listener, socket: socket.into(), notes: Mutex::default() }
    }

    /// The address of the daemon behind it.
    pub(crate) fn address(&self) -> String {
        format!("tcp://{}", self.listener.local_addr().expect("bound"))
    }

    /// Loses the answer to the next such request: the daemon does what it is
    /// asked, and then the connection breaks.
    pub(crate) fn lose(&self, method: &'static str, path: &'static str) {
        self.notes().loses = Some((method, path));
    }

    /// Fails all requests of this kind from now on; `{}` stands for a name.
    pub(crate) fn refuse(&self, refused: Option<(&'static str, &'static str)>) {
        self.notes().refuses = refused.map(endpoint);
    }

    /// The same as a filter before the socket does, until nothing is refused any more.
    pub(crate) fn forbid(&self, forbidden: Option<(&'static str, &'static str)>) {
        self.refuse(forbidden);
        self.notes().refusal = forbidden.map(|_| FORBIDDEN);
    }

    /// Breaks all connections with requests of this kind from now on, after so many
    /// bytes.
    pub(crate) fn cut(&self, cut: Option<(&'static str, &'static str, usize)>) {
        self.notes().cuts = cut.map(|(method, path, after)| (endpoint((method, path)), after));
    }

    /// Keeps all requests of this kind for itself from now on.
    pub(crate) fn hold(&self, held: Option<(&'static str, &'static str)>) {
        let mut notes = self.notes();
        notes.holds = held.map(endpoint);
        notes.held = 0;
    }

    /// Whether it keeps one.
    pub(crate) fn is_holding(&self) -> bool {
        self.notes().held > 0
    }

    /// Whether an answer is still to be lost.
    pub(crate) fn is_losing(&self) -> bool {
        self.notes().loses.is_some()
    }

    /// What was asked so far: method and path of each, without the query.
    pub(crate) fn asked(&self) -> BTreeSet<(String, String)> {
        self.notes().asked.clone()
    }

    /// Does `story` while the gate is guarded.
    pub(crate) async fn beside<T>(&self, story: Pin<Box<impl Future<Output = T>>>) -> T {
        tokio::select! {
            told = story => told,
            () = self.guard() => unreachable!("it is guarded for ever"),
        }
    }

    async fn guard(&self) {
        let mut visits = FuturesUnordered::new();
        loop {
            tokio::select! {
                Ok((stream, _)) = self.listener.accept() => visits.push(self.pass(stream)),
                Some(_) = visits.next() => {}
            }
        }
    }

    async fn pass(&self, mut client: TcpStream) -> io::Result<()> {
        let mut daemon = UnixStream::connect(&self.socket).await?;
        let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        let mut says = Says::Request(Vec::new());
        let mut is_over = false;
        loop {
            tokio::select! {
                count = client.read(&mut asked), if !is_over => match count? {
                    0 => {
                        // The rest of the answer may still come.
                        is_over = true;
                        daemon.shutdown().await?;
                    }
                    count => {
                        self.note(&mut says, &asked[..count]);
                        if matches!(says, Says::Refused) {
                            let words = self.notes().refusal.unwrap_or(REFUSAL);
                            client.write_all(words.as_bytes()).await?;
                            client.shutdown().await?;
                            while client.read(&mut asked).await? > 0 {}
                            return Ok(());
                        }
                        if matches!(says, Says::Held) {
                            while client.read(&mut asked).await? > 0 {}
                            return Ok(());
                        }
                        let passes = spend(&mut says, count);
                        daemon.write_all(&asked[..passes]).await?;
                        if matches!(says, Says::Cut(0)) {
                            return Ok(());
                        }
                    }
                },
                count = daemon.read(&mut answered) => {
                    let count = count?;
                    if count == 0 || matches!(says, Says::Lost) {
                        return Ok(());
                    }
                    if matches!(says, Says::Cut(_)) {
                        let passes = spend(&mut says, count);
                        client.write_all(&answered[..passes]).await?;
                        if matches!(says, Says::Cut(0)) {
                            return Ok(());
                        }
                        continue;
                    }
                    // An answer has begun: what the client says next is a request.
                    says = Says::Request(Vec::new());
                    client.write_all(&answered[..count]).await?;
                }
            }
        }
    }

    fn note(&self, says: &mut Says, bytes: &[u8]) {
        let Says::Request(head) = says else { return };
        head.extend_from_slice(bytes);
        let Some(request) = request(head) else { return };
        let mut notes = self.notes();
        let loses =
            notes.loses.take_if(|(method, path)| *method == request.0 && *path == request.1);
        let refuses = notes.refuses.is_some_and(|kind| kind.allows(&request.0, &request.1));
        let holds = notes.holds.is_some_and(|kind| kind.allows(&request.0, &request.1));
        notes.held += usize::from(holds);
        let cut = notes.cuts.filter(|(kind, _)| kind.allows(&request.0, &request.1));
        *says = match (refuses, loses) {
            _ if cut.is_some() => Says::Cut(cut.map_or(0, |(_, after)| after)),
            _ if holds => Says::Held,
            (true, _) => Says::Refused,
            (false, Some(_)) => Says::Lost,
            (false, None) => Says::More,
        };
        notes.asked.insert(request);
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of `count` bytes pass, of those that are left until the cut.
fn spend(says: &mut Says, count: usize) -> usize {
    let Says::Cut(left) = says else { return count };
    let passes = count.min(*left);
    *left -= passes;
    passes
}

fn endpoint((method, path): (&'static str, &'static str)) -> Endpoint {
    Endpoint { method, path, user: EndpointUser::Hub, purpose: "" }
}

/// Method and path, once the whole first line is there.
fn request(head: &[u8]) -> Option<(String, String)> {
    let head = String::from_utf8_lossy(head);
    let mut words = head.split_once("\r\n")?.0.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let path = target.split('?').next()?;
    (version == "HTTP/1.1").then(|| (method.to_owned(), path.to_owned()))
}
