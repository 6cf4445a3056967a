//! Timeouts and limits.

use std::{net::SocketAddr, time::Duration};

use http::{HeaderName, HeaderValue, uri::Scheme};

use crate::{AccessLog, Meters, Network, RoutePrefix, RouteTimings, TrustForwarded};

/// How a [`Proxy`](crate::Proxy) treats its targets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProxyConfig {
    /// How long a connection to a target may take; 5 s (T-04).
    pub connect_timeout: Duration,
    /// How long a refused connection to a target is tried again, with pauses between the
    /// tries; zero: not at all. A server that is just starting refuses, or has no socket
    /// yet. Nothing of a request has left by then (K-06).
    pub connect_retry: Duration,
    /// How long a target may take from the last byte of the request that it
    /// took to the head of its answer. None by default: a notebook may compute
    /// for hours before it says a word (T-05).
    pub response_header_timeout: Option<Duration>,
    /// How long a target may pause within its answer before it is broken off.
    /// None by default (T-06).
    pub response_idle_timeout: Option<Duration>,
    /// How long a client may pause within a request's body that its target waits
    /// for; 60 s (T-03).
    pub request_idle_timeout: Option<Duration>,
    /// How long a target may take nothing of a request whose body it has begun to take,
    /// before that is broken off, and with it the answer; 300 s.
    pub upload_stall_timeout: Duration,
    /// How long a target may take to answer a WebSocket handshake; 10 s.
    pub upgrade_timeout: Duration,
    /// How long a tunnel stays once one side has finished sending; 30 s (WS-06).
    pub half_close_grace: Duration,
    /// How long a tunnel may be without a byte in either direction before it is closed; no
    /// limit by default (WS-10).
    pub tunnel_idle_timeout: Option<Duration>,
    /// How long an unused connection to a target is kept; 60 s.
    pub pool_idle_timeout: Duration,
    /// How many unused connections are kept per target; 256. With fewer than it answers
    /// requests at once, connections are made anew all the time.
    pub pool_idle_per_target: usize,
    /// How many unused connections are kept at all targets together; 4,096.
    pub pool_idle_total: usize,
    /// How many requests a target may have at once; 1,024. Another one
    /// waits as long as for a connection, and gets a 503 (L-06). A WebSocket counts
    /// until its handshake is answered, and a request whose client has been waited for only
    /// when all of it has come.
    pub max_per_target: usize,
    /// Whose `X-Forwarded-*` fields are believed; nobody's.
    pub trusted_proxies: TrustForwarded,
    /// Cookies that only the fallback may set, by name, or by the beginning of
    /// the name when the entry ends in `*`; none. Targets are on the fallback's
    /// origin, so they could set its cookies, too. If there is any entry, a
    /// target's cookies with a `Domain` are dropped as well (C4,
    /// [`strip_tossed_cookies`](crate::headers::strip_tossed_cookies)).
    pub reserved_cookies: Vec<String>,
    /// Whether to drop what targets say to browsers about the whole origin; false
    /// (C5, [`strip_origin_rules`](crate::headers::strip_origin_rules)).
    pub guard_origin: bool,
    /// The route that owns the origin and is not guarded against; none. A proxy
    /// in front of a hub of its own process has it, where the hub is a target
    /// like others.
    pub origin_owner: Option<RoutePrefix>,
    /// Whether `X-Forwarded-*` are written at all; true. If not, those of the
    /// client pass as they are, whoever it is (H-06).
    pub x_forward: bool,
    /// Whether the base path of a target is put before the path of a request;
    /// true.
    pub prepend_path: bool,
    /// Whether a target sees the prefix of its route in the path; true.
    pub include_prefix: bool,
    /// Whether targets see their own host in `Host`; false: they see the one
    /// the client asked for (H-01).
    pub change_origin: bool,
    /// Whether a target's redirects to its own address get the host and port the
    /// client asked for; false (H-10).
    pub auto_rewrite: bool,
    /// The scheme that such redirects get; none: they keep theirs.
    pub protocol_rewrite: Option<Scheme>,
    /// Fields that each request to a target carries, in place of what the
    /// client may have said under these names; none.
    pub custom_headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether the first segment of every prefix is the host a client asked
    /// for, in lower case and without port; false. The root stays everybody's.
    pub host_routing: bool,
    /// Where it is counted how long it takes to find routes and to record their use; none.
    pub timings: Option<RouteTimings>,
    /// Where connections to targets, second tries and refused requests are counted; none.
    pub meters: Option<Meters>,
    /// Who hears of each request that is over; nobody. Without, requests have no id of ours
    /// (G-06).
    pub access_log: Option<AccessLog>,
    /// How targets at `https` are spoken to. None: the authorities of this system vouch
    /// for them, and they are not told who we are.
    #[cfg(feature = "tls")]
    pub target_tls: Option<crate::TargetTls>,
}

/// Where and how a [`Listener`](crate::Listener) accepts connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListenConfig {
    /// Address and port; port 0 takes a free one. A Unix socket has another way
    /// to say where: [`Listener::bind_unix`](crate::Listener::bind_unix).
    pub addr: SocketAddr,
    /// Certificate and key; plain HTTP without.
    #[cfg(feature = "tls")]
    pub tls: Option<crate::TlsKeys>,
    /// How long the head of a request may take from its first byte; 10 s (T-01).
    pub header_read_timeout: Duration,
    /// How long a TLS handshake may take; 10 s.
    pub tls_handshake_timeout: Duration,
    /// How long a connection may wait for its next request; 75 s, longer than
    /// usual load balancers, so that they never use one we are closing (K-08).
    pub keep_alive_timeout: Duration,
    /// How long a connection may be silent in both directions while a request is in
    /// progress, WebSockets apart; no limit by default (T-03, T-07).
    pub busy_idle_timeout: Option<Duration>,
    /// How long a client may take nothing of an answer that waits for it, before
    /// its connection is cut; 300 s (T-08). Over HTTP/2 a client whose windows hold back
    /// one answer loses that one. What counts there are pieces of an answer as its target
    /// sends them, of 64 KiB at most, and not bytes: who takes so little that one piece lasts
    /// longer than that has lost the answer, too.
    pub write_stall_timeout: Duration,
    /// Whether HTTP/2 is offered under TLS; false. WebSockets come over it as
    /// RFC 8441 says; targets are asked over HTTP/1.1 all the same.
    pub http2: bool,
    /// Whether a client may begin with HTTP/2 where there is no TLS; false: that is a 400. It
    /// has to know that it may (RFC 9113 section 3.3), and has the same limits.
    pub h2c: bool,
    /// Connections at once, tunnels included; more get a 503 and are closed. Under TLS
    /// they are closed without a word, which would need a handshake (L-02).
    pub max_connections: usize,
    /// Where the connections of several listeners are counted together; each of them counts
    /// its own up to `max_connections` without.
    pub room: Option<crate::Room>,
    /// Connections at once of one client, tunnels included; more are turned away as those
    /// beyond `max_connections`. A client is an IPv4 address or a /64 network of IPv6; those of
    /// a Unix socket are not counted. No limit by default (L-05).
    pub max_connections_per_address: Option<usize>,
    /// Whose connections that limit is not for, such as those of a proxy that
    /// brings many clients; none by default.
    pub uncounted_networks: Vec<Network>,
    /// Size of a request's line and fields in bytes; 64 KiB, beyond it 431.
    pub max_header_bytes: usize,
    /// Number of fields in a request; 256, beyond it 431.
    pub max_header_fields: usize,
    /// Where bytes, TLS handshakes and what was refused are counted; none.
    pub meters: Option<Meters>,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            connect_retry: Duration::ZERO,
            response_header_timeout: None,
            response_idle_timeout: None,
            request_idle_timeout: Some(Duration::from_secs(60)),
            upload_stall_timeout: Duration::from_secs(300),
            upgrade_timeout: Duration::from_secs(10),
            half_close_grace: Duration::from_secs(30),
            tunnel_idle_timeout: None,
            pool_idle_timeout: Duration::from_secs(60),
            pool_idle_per_target: 256,
            pool_idle_total: 4096,
            max_per_target: 1024,
            trusted_proxies: TrustForwarded::Nobody,
            reserved_cookies: Vec::new(),
            guard_origin: false,
            origin_owner: None,
            x_forward: true,
            prepend_path: true,
            include_prefix: true,
            change_origin: false,
            auto_rewrite: false,
            protocol_rewrite: None,
            custom_headers: Vec::new(),
            host_routing: false,
            timings: None,
            meters: None,
            access_log: None,
            #[cfg(feature = "tls")]
            target_tls: None,
        }
    }
}

impl ListenConfig {
    /// Whether clients begin with a TLS handshake.
    #[cfg_attr(not(feature = "tls"), expect(clippy::unused_self, reason = "there is no TLS"))]
    pub(crate) fn speaks_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        return false;
    }

    /// Plain HTTP on `addr` with the default limits.
    pub fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            #[cfg(feature = "tls")]
            tls: None,
            header_read_timeout: Duration::from_secs(10),
            tls_handshake_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(75),
            busy_idle_timeout: None,
            write_stall_timeout: Duration::from_secs(300),
            http2: false,
            h2c: false,
            max_connections: 10_000,
            room: None,
            max_connections_per_address: None,
            uncounted_networks: Vec::new(),
            max_header_bytes: 64 * 1024,
            max_header_fields: 256,
            meters: None,
        }
    }
}
