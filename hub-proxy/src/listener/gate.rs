//! Where connections come in, until no more are to come.

use std::{io, net::SocketAddr, time::Duration, vec};

use super::{BACKLOG, Context, bound::Bound};
use crate::{descriptors, socket::Socket};

/// How long accepting rests when the process has no file descriptors left
/// (L-03): long enough not to spin, short enough not to be noticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A connection and whose it is.
type Accepted = (Socket, Option<SocketAddr>);

/// The way in at one listening socket.
pub(super) struct Gate<'l> {
    socket: &'l Bound,
    context: &'l Context,
    state: State,
}

enum State {
    Open,
    /// Nobody comes any more; these had come.
    Closing(vec::IntoIter<Accepted>),
}

impl<'l> Gate<'l> {
    pub(super) fn new(socket: &'l Bound, context: &'l Context) -> Self {
        Self { socket, context, state: State::Open }
    }

    /// The next connection; `None` once there are to be no more.
    pub(super) async fn next(&mut self) -> Option<Accepted> {
        loop {
            match &mut self.state {
                State::Closing(rest) => return rest.next(),
                State::Open => match self.accept().await {
                    Some(connection) => return Some(connection),
                    None => self.state = State::Closing(self.rest().await.into_iter()),
                },
            }
        }
    }

    async fn accept(&self) -> Option<Accepted> {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.told_to_close() => return None,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok(connection) => return Some(connection),
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    if descriptors::are_lacking(&error) {
                        descriptors::tell_of_lack();
                    }
                    tokio::select! {
                        () = self.told_to_close() => return None,
                        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                    }
                }
            }
        }
    }

    async fn told_to_close(&self) {
        tokio::select! {
            () = self.context.stop.cancelled() => {}
            () = self.context.release.cancelled() => {}
            () = self.context.close.cancelled() => {}
        }
    }

    /// Those whom the kernel has let in and nobody has looked at: a socket that closes
    /// resets them, also when they have asked something. Whoever takes the socket over
    /// takes them, too.
    async fn rest(&self) -> Vec<Accepted> {
        let mut rest = Vec::new();
        if self.context.release.is_cancelled() {
            return rest;
        }
        // The runtime may not have heard of them.
        tokio::task::yield_now().await;
        while rest.len() < BACKLOG as usize {
            let accepted = tokio::select! {
                biased;
                accepted = self.socket.accept() => accepted,
                () = std::future::ready(()) => break,
            };
            match accepted {
                Ok(connection) => rest.push(connection),
                Err(error) if is_the_clients(&error) => {}
                Err(_) => break,
            }
        }
        rest
    }
}

/// Whether the client gave up while it waited, which concerns nobody else.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
