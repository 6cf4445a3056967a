//! A socket that listens, in the network or at a path.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
};

use tokio::net::{TcpListener, TcpSocket, UnixListener};

use super::{BACKLOG, socket_file::SocketFile};
use crate::socket::Socket;

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
