//! A socket that listens, in the network or at a path.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

use super::{BACKLOG, socket_file::SocketFile};
use crate::{socket::Socket, upgrade::TCP_KEEPALIVE};

#[derive(Debug)]
pub(super) enum Bound {
    Tcp(TcpListener),
    /// Without a file if somebody else removes it, or nobody.
    Unix(UnixListener, Option<SocketFile>),
}

impl Bound {
    pub(super) fn tcp(addr: SocketAddr) -> io::Result<TcpListener> {
        let socket = match addr {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A restart must not wait for the last connections to time out.
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        socket.listen(BACKLOG)
    }

    /// Serves a socket that listens.
    ///
    /// No-delay and keep-alive are set here: Linux gives a listening socket's options to its
    /// connections, which saves three calls for each. A socket that refuses still works, just
    /// worse.
    pub(super) fn listening(socket: TcpListener) -> Self {
        let options = SockRef::from(&socket);
        let keepalive = TcpKeepalive::new().with_time(TCP_KEEPALIVE);
        let set =
            options.set_tcp_nodelay(true).and_then(|()| options.set_tcp_keepalive(&keepalive));
        if let Err(error) = set {
            tracing::debug!(%error, "cannot set socket options");
        }
        Self::Tcp(socket)
    }

    /// The next connection, and its address if it has one. Safe to cancel.
    pub(super) async fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match self {
            Self::Tcp(socket) => {
                let (stream, addr) = socket.accept().await?;
                Ok((Socket::Tcp(stream), Some(addr)))
            }
            Self::Unix(socket, _) => Ok((Socket::Unix(socket.accept().await?.0), None)),
        }
    }

    /// Leaves the socket to another process.
    pub(super) fn leave(self) {
        if let Self::Unix(_, Some(file)) = self {
            file.leave();
        }
    }

    /// Ends the socket for good.
    pub(super) fn remove(self) {
        if let Self::Unix(_, Some(file)) = self {
            file.remove();
        }
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket, _) => socket.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn ws_10_a_connection_has_the_options_of_its_listener() {
        let listening = Bound::tcp(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let addr = listening.local_addr().unwrap();
        let listening = Bound::listening(listening);
        let _client = TcpStream::connect(addr).await.unwrap();
        let (Socket::Tcp(stream), Some(_)) = listening.accept().await.unwrap() else {
            panic!("no TCP connection");
        };
        let options = SockRef::from(&stream);
        assert!(options.tcp_nodelay().unwrap());
        assert!(options.keepalive().unwrap());
        assert_eq!(options.tcp_keepalive_time().unwrap(), TCP_KEEPALIVE);
    }
}
