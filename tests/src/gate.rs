//! A gate between a program and Docker's socket. It holds one request until the
//! test has done what is to happen at that moment: no test has to hit it by luck.
//! Or it lets requests of a kind not through at all.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::JoinSet,
};

use crate::wait::DEADLINE;

/// The gate. Gone when dropped, with all that goes through it.
#[derive(Debug)]
pub struct Gate {
    address: String,
    state: watch::Sender<State>,
    /// Ends when this is dropped.
    _keeper: JoinSet<()>,
}

/// A request to be held.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    method: &'static str,
    /// A part of its path and query.
    part: String,
    /// How many bytes of it go through before.
    after: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// All goes through.
    Open,
    /// All but the first request like this.
    Waiting(Wanted),
    /// That request has come, and waits.
    Holding,
    /// Connections end at each request like this.
    Losing(Wanted),
}

/// What one connection is about to say.
#[derive(Debug)]
enum Says {
    /// A request; these bytes of it came already.
    Request(Vec<u8>),
    /// More of one that was looked at.
    More,
    /// More of the one to be held, after so many bytes.
    Held(usize),
    /// One that does not go through.
    Lost,
}

impl Gate {
    /// Opens one before the daemon's socket.
    pub async fn before(socket: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let (state, _) = watch::channel(State::Open);
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(listener, socket.to_owned(), state.clone()));
        Self { address, state, _keeper: keeper }
    }

    /// Where the daemon is reached through the gate.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Holds the next request of this method whose path and query have `part` in
    /// them, after `after` bytes of it have gone through.
    pub fn hold(&self, method: &'static str, part: &str, after: usize) {
        self.state.send_replace(State::Waiting(Wanted { method, part: part.to_owned(), after }));
    }

    /// Ends the connection at each request of this method whose path and query have
    /// `part` in them, before the daemon sees any of it.
    pub fn lose(&self, method: &'static str, part: &str) {
        let wanted = Wanted { method, part: part.to_owned(), after: 0 };
        self.state.send_replace(State::Losing(wanted));
    }

    /// Waits until that request has come.
    pub async fn held(&self) {
        let mut states = self.state.subscribe();
        let held = states.wait_for(|state| *state == State::Holding);
        match tokio::time::timeout(DEADLINE, held).await {
            Ok(held) => drop(held.unwrap()),
            Err(_) => panic!("never asked: {:?}", self.state.borrow()),
        }
    }

    /// Lets it go on, and everything after it.
    pub fn open(&self) {
        self.state.send_replace(State::Open);
    }
}

impl Wanted {
    fn is(&self, method: &str, target: &str) -> bool {
        self.method == method && target.contains(&self.part)
    }
}

async fn keep(listener: TcpListener, socket: PathBuf, state: watch::Sender<State>) {
    let state = Arc::new(state);
    // Dropped with this future, and then they are over.
    let mut visits = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                visits.spawn(pass(client, socket.clone(), Arc::clone(&state)));
            }
            Some(_) = visits.join_next() => {}
        }
    }
}

async fn pass(
    mut client: TcpStream,
    socket: PathBuf,
    state: Arc<watch::Sender<State>>,
) -> io::Result<()> {
    let mut daemon = UnixStream::connect(&socket).await?;
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
                    look(&mut says, &asked[..count], &state);
                    if matches!(says, Says::Lost) {
                        return Ok(());
                    }
                    hold(&mut says, count, &state).await;
                    daemon.write_all(&asked[..count]).await?;
                }
            },
            count = daemon.read(&mut answered) => match count? {
                0 => return Ok(()),
                count => {
                    // An answer has begun: what the client says next is a request.
                    if !matches!(says, Says::Held(_)) {
                        says = Says::Request(Vec::new());
                    }
                    client.write_all(&answered[..count]).await?;
                }
            },
        }
    }
}

/// Looks whether a request is the one to be held.
fn look(says: &mut Says, bytes: &[u8], state: &watch::Sender<State>) {
    let Says::Request(head) = says else { return };
    head.extend_from_slice(bytes);
    let Some((method, target)) = request(head) else { return };
    let next = match &*state.borrow() {
        State::Waiting(wanted) if wanted.is(&method, &target) => Says::Held(wanted.after),
        State::Losing(wanted) if wanted.is(&method, &target) => Says::Lost,
        _ => Says::More,
    };
    *says = next;
}

/// Waits as long as it is held, if what follows is not to go through yet.
async fn hold(says: &mut Says, count: usize, state: &watch::Sender<State>) {
    let Says::Held(left) = says else { return };
    if *left > count {
        *left -= count;
        return;
    }
    *says = Says::More;
    state.send_replace(State::Holding);
    // The gate is dropped together with this.
    let _ = state.subscribe().wait_for(|state| *state != State::Holding).await;
}

/// Method, and path with query, once the whole first line is there.
fn request(head: &[u8]) -> Option<(String, String)> {
    let head = String::from_utf8_lossy(head);
    let mut words = head.split_once("\r\n")?.0.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    (version == "HTTP/1.1").then(|| (method.to_owned(), target.to_owned()))
}
