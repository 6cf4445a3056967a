//! Where to listen, as the command line says.

use std::path::PathBuf;

use super::{
    args::RunArgs,
    settings::{BadSetting, bad},
};

/// The port of the REST API where it does not follow from the public one, as in
/// configurable-http-proxy.
const API_PORT: u16 = 8001;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// In the network.
    Tcp { host: Host, port: u16 },
    /// At a Unix socket.
    Unix(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// All interfaces, IPv6 and IPv4.
    Any,
    /// An address, or a name of one or more.
    Named(String),
}

/// The endpoints of one command line.
#[derive(Debug)]
pub(super) struct Endpoints {
    pub(super) public: Endpoint,
    pub(super) api: Endpoint,
    pub(super) metrics: Option<Endpoint>,
    pub(super) redirect: Option<Redirect>,
}

#[derive(Debug)]
pub(super) struct Redirect {
    pub(super) from: Endpoint,
    /// The port that clients are sent to; the one of the public socket without.
    pub(super) to: Option<u16>,
    /// 308 rather than 301.
    pub(super) keeps_method: bool,
}

impl Endpoints {
    pub(super) fn of(args: &RunArgs) -> Result<Self, BadSetting> {
        let host = args.ip.as_deref().map_or(Host::Any, Host::new);
        let sockets = &args.sockets;
        Ok(Self {
            api: match &sockets.api_socket {
                Some(path) => Endpoint::Unix(path.into()),
                None => Endpoint::Tcp { host: Host::new(&args.api_ip), port: api_port(args)? },
            },
            metrics: match (&sockets.metrics_socket, args.metrics_port) {
                (Some(path), _) => Some(Endpoint::Unix(path.into())),
                (None, Some(port)) => {
                    let host = args.metrics_ip.as_deref().map_or(Host::Any, Host::new);
                    Some(Endpoint::Tcp { host, port })
                }
                (None, None) => None,
            },
            redirect: match args.redirect_port {
                Some(port) => Some(Redirect {
                    from: Endpoint::Tcp { host: host.clone(), port },
                    to: redirect_to(args)?,
                    keeps_method: args.ours.redirect_keeps_method,
                }),
                None => None,
            },
            public: match &sockets.socket {
                Some(path) => Endpoint::Unix(path.into()),
                None => Endpoint::Tcp { host, port: args.port },
            },
        })
    }
}

fn api_port(args: &RunArgs) -> Result<u16, BadSetting> {
    match (args.api_port, &args.sockets.socket) {
        (Some(port), _) => Ok(port),
        (None, Some(_)) => Ok(API_PORT),
        (None, None) => args
            .port
            .checked_add(1)
            .ok_or_else(|| bad("--api-port", "there is no port above --port; choose one")),
    }
}

fn redirect_to(args: &RunArgs) -> Result<Option<u16>, BadSetting> {
    match (args.redirect_to, &args.sockets.socket) {
        (Some(port), _) => Ok(Some(port)),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(bad(
            "--redirect-to",
            "the socket of --socket has no port; give the one that clients are to be sent to",
        )),
    }
}

impl Host {
    fn new(text: &str) -> Self {
        match text.trim_start_matches('[').trim_end_matches(']') {
            "" | "*" => Self::Any,
            host => Self::Named(host.to_owned()),
        }
    }
}
