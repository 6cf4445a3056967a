//! Bind, accept, serve, drain.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::net::{TcpListener, UnixListener};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{bound::Bound, gate::Gate, slots::Slots, socket_file::SocketFile, stream::Phase};
pub use self::{
    handler::{Handler, ResponseBody},
    slots::Room,
};
use crate::{ListenConfig, ListenError, Meter, Meters, Tunnels};

mod bound;
mod calm;
mod connection;
mod frames;
mod gate;
mod handler;
mod http1;
mod http2;
mod leave;
mod preface;
mod slots;
mod socket_file;
mod stream;
mod stream_end;
mod taking;

pub(crate) use self::{
    http2::OpenStream,
    stream::ClientStream,
    stream_end::{HyperTunnel, StreamEnd},
};

/// Connections the kernel may hold for us before they are accepted.
const BACKLOG: u32 = 1024;

/// What stands for the address of a Unix socket, which has none.
const NO_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// A bound address or path, ready to serve.
#[derive(Debug)]
pub struct Listener {
    socket: Bound,
    local: SocketAddr,
    path: Option<PathBuf>,
    config: ListenConfig,
    traffic: Traffic,
}

/// By what a [`Listener`] is told to end, in steps. Clones are the same signals.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct EndSignals {
    /// Somebody else accepts from the same socket now: this listener leaves it and
    /// its file, and every answer is the last on its connection. An idle connection may
    /// bring one more request, so that none is lost.
    pub release: CancellationToken,
    /// Nobody else is to be served: the socket is closed and its file removed; the
    /// connections that are open stay as they are, idle ones too.
    pub close: CancellationToken,
    /// Nobody is to be served any more: the socket is closed, and so are idle
    /// connections; requests in progress and tunnels go on.
    pub stop: CancellationToken,
    /// No more waiting for those. Says nothing before one of the others does.
    pub cut: CancellationToken,
}

/// What a [`Listener`] is serving. Clones see the same.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    connections: TaskTracker,
    tunnels: Tunnels,
}

/// How a [`Listener::serve`] ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Connections that were cut with a request in progress.
    pub connections_cut: usize,
    /// WebSockets that were cut.
    pub tunnels_cut: usize,
}

/// What the connections of one listener share.
struct Context {
    config: ListenConfig,
    tunnels: Tunnels,
    /// Each answer is the last on its connection.
    release: CancellationToken,
    /// No new connections.
    close: CancellationToken,
    /// No new requests; finish those in progress.
    stop: CancellationToken,
    /// No more waiting for them.
    cut: CancellationToken,
    /// How many were cut with a request in progress.
    cut_busy: AtomicUsize,
}

impl Context {
    /// A connection is cut. If it has a request in progress, that counts, and its client
    /// is told in the way that nobody takes for an end.
    fn cut(&self, phase: &Phase) {
        if phase.is_busy() {
            self.cut_busy.fetch_add(1, Ordering::Relaxed);
            phase.abort();
        }
    }
}

impl Traffic {
    /// Connections that are open, idle ones included and tunnels not.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// WebSockets that are open.
    pub fn tunnels(&self) -> usize {
        self.tunnels.open()
    }

    /// WebSockets that have ended, for whatever reason.
    pub fn tunnels_ended(&self) -> usize {
        self.tunnels.ended()
    }
}

impl Listener {
    /// Binds the address; connections queue up from here on.
    ///
    /// # Errors
    ///
    /// As [`ListenError`] says.
    pub async fn bind(config: &ListenConfig) -> Result<Self, ListenError> {
        let bound = || {
            let socket = Bound::tcp(config.addr)?;
            let local = socket.local_addr()?;
            Ok((socket, local))
        };
        let (socket, local) = bound().map_err(|error| ListenError::new(config.addr, error))?;
        Ok(Self::over(Bound::listening(socket), local, None, config))
    }

    /// Binds a Unix socket at `path`, whatever address `config` has.
    ///
    /// The file gets the permissions that the process's umask leaves. One of a
    /// socket where nobody listens is replaced. It is removed when the listener
    /// is dropped or has served, unless another process serves there by then
    /// ([`EndSignals::release`]).
    ///
    /// # Errors
    ///
    /// [`ListenError::PathInUse`], [`ListenError::NoSocket`] or
    /// [`ListenError::Path`].
    pub async fn bind_unix(
        path: impl AsRef<Path>,
        config: &ListenConfig,
    ) -> Result<Self, ListenError> {
        let path = path.as_ref();
        let (socket, file) = socket_file::bind(path, BACKLOG)?;
        let socket = Bound::Unix(socket, Some(file));
        Ok(Self::over(socket, NO_ADDRESS, Some(path.to_owned()), config))
    }

    /// Takes a socket that listens already, another process's for instance. Its
    /// address counts, not that of `config`.
    ///
    /// # Errors
    ///
    /// [`ListenError::Other`] if it is no listening TCP socket.
    pub async fn adopt(
        socket: std::net::TcpListener,
        config: &ListenConfig,
    ) -> Result<Self, ListenError> {
        let adopted = || {
            socket.set_nonblocking(true)?;
            let socket = TcpListener::from_std(socket)?;
            let local = socket.local_addr()?;
            Ok((socket, local))
        };
        let (socket, local) = adopted().map_err(|error| ListenError::new(config.addr, error))?;
        Ok(Self::over(Bound::listening(socket), local, None, config))
    }

    /// As [`adopt`](Self::adopt), for a Unix socket. Its file is left alone,
    /// also at the end; see [`removing_file`](Self::removing_file).
    ///
    /// # Errors
    ///
    /// [`ListenError::Path`] if it cannot be used.
    pub async fn adopt_unix(
        socket: std::os::unix::net::UnixListener,
        config: &ListenConfig,
    ) -> Result<Self, ListenError> {
        let mut path = PathBuf::new();
        let adopted = || {
            path.extend(socket.local_addr()?.as_pathname());
            socket.set_nonblocking(true)?;
            UnixListener::from_std(socket)
        };
        match adopted() {
            Ok(socket) => Ok(Self::over(Bound::Unix(socket, None), NO_ADDRESS, Some(path), config)),
            Err(error) => Err(ListenError::at_path(&path, error)),
        }
    }

    /// Makes it this listener's to remove the file of its Unix socket once it has
    /// served until [`EndSignals::stop`]. For who takes over from the process
    /// that made the file.
    #[must_use]
    pub fn removing_file(mut self) -> Self {
        if let (Bound::Unix(_, file @ None), Some(path)) = (&mut self.socket, &self.path) {
            *file = Some(SocketFile::shared(path));
        }
        self
    }

    fn over(
        socket: Bound,
        local: SocketAddr,
        path: Option<PathBuf>,
        config: &ListenConfig,
    ) -> Self {
        Self { socket, local, path, config: config.clone(), traffic: Traffic::default() }
    }

    /// Another handle of the listening socket, to hand over.
    ///
    /// # Errors
    ///
    /// When the process has no file descriptors left.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.socket.as_fd().try_clone_to_owned()
    }

    /// What will be served from here, also while [`serve`](Self::serve) runs.
    pub fn traffic(&self) -> Traffic {
        self.traffic.clone()
    }

    /// The address that was bound, with the port the system chose for port 0. A
    /// Unix socket has none: `0.0.0.0:0` stands for it, and it has a
    /// [`path`](Self::path).
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Where in the file system the socket is, if it is a Unix socket; empty if an
    /// adopted one has no file.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Accepts connections and serves them until `stop` is cancelled, then
    /// drains.
    ///
    /// Draining means: the socket is closed, idle connections are closed,
    /// requests in progress and open tunnels have `grace` to end, and what is
    /// left is cut. All tasks have ended when this returns.
    ///
    /// Each request carries [`Peer`](crate::Peer) in its extensions, and [`Tunnels`] if it
    /// may become one.
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops accepting but leaves connections running;
    /// cancel `stop` instead.
    pub async fn serve<S, B>(self, service: S, stop: CancellationToken, grace: Duration) -> Drained
    where
        S: Handler<B>,
        B: ResponseBody,
    {
        let signals = EndSignals { stop, ..EndSignals::default() };
        let deadline = async {
            signals.stop.cancelled().await;
            tokio::time::sleep(grace).await;
            signals.cut.cancel();
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            drained = self.serve_until(service, signals.clone()) => drained,
            never = deadline => match never {},
        }
    }

    /// As [`serve`](Self::serve), with each step of the end under control.
    pub async fn serve_until<S, B>(self, service: S, signals: EndSignals) -> Drained
    where
        S: Handler<B>,
        B: ResponseBody,
    {
        let Traffic { connections, tunnels } = self.traffic;
        let context = Arc::new(Context {
            config: self.config,
            tunnels,
            release: signals.release,
            close: signals.close,
            stop: signals.stop,
            cut: CancellationToken::new(),
            cut_busy: AtomicUsize::default(),
        });
        let slots = Slots::new(&context.config);
        let mut gate = Gate::new(&self.socket, &context);
        while let Some((stream, addr)) = gate.next().await {
            match slots.take(addr) {
                Some(slot) => {
                    let context = Arc::clone(&context);
                    let served = connection::serve(context, stream, slot, addr, service.clone());
                    connections.spawn(served);
                }
                // Who expects TLS understands nothing that is said before a handshake, which
                // is more work than there is room for.
                None if context.config.speaks_tls() => {
                    Meters::add(context.config.meters.as_ref(), Meter::TurnedAway, 1);
                    drop(stream);
                }
                None => {
                    Meters::add(context.config.meters.as_ref(), Meter::TurnedAway, 1);
                    connections.spawn(connection::turn_away(stream));
                }
            }
        }
        match context.release.is_cancelled() {
            true => self.socket.leave(),
            false => self.socket.remove(),
        }
        drain(connections, &context, signals.cut).await
    }
}

async fn drain(connections: TaskTracker, context: &Context, cut: CancellationToken) -> Drained {
    connections.close();
    // Connections first: one of them may still become a tunnel.
    tokio::select! {
        () = connections.wait() => {}
        () = cut.cancelled() => {}
    }
    context.cut.cancel();
    connections.wait().await;
    let connections_cut = context.cut_busy.load(Ordering::Relaxed);
    let tunnels_cut = context.tunnels.clone().stop_when(cut.cancelled()).await;
    Drained { connections_cut, tunnels_cut }
}
