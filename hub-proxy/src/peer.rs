//! Who is at the other end of a client connection.

use std::net::SocketAddr;

/// The client side of a connection, put into every request's extensions by
/// [`Listener`](crate::Listener).
///
/// [`Proxy`](crate::Proxy) derives the `X-Forwarded-*` fields from it. With an
/// accept loop of your own, insert it yourself; without it the proxy treats the
/// connection as plain and adds no `X-Forwarded-For`.
///
/// Who comes over a Unix socket has no address, and none is made up for it: it
/// adds nothing to `X-Forwarded-For`. The permissions of the socket's file say
/// who that can be, usually a proxy of the same host, so what it says of others
/// is believed as soon as anybody is ([`TrustForwarded`](crate::TrustForwarded)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The client's address and port; an IPv4 client of an IPv6 socket is
    /// written as IPv4. None over a Unix socket.
    pub addr: Option<SocketAddr>,
    /// Whether this listener ended TLS for the connection.
    pub tls: bool,
}
