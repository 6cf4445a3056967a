#![doc = include_str!("../README.md")]

mod access_log;
#[cfg(feature = "acme")]
mod acme;
mod activity;
#[cfg(feature = "admin")]
pub mod admin;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod body;
#[cfg(feature = "acme")]
mod certificate;
mod clock;
mod closing;
mod config;
mod deadline;
mod descriptors;
mod error;
#[cfg(feature = "admin")]
mod error_pages;
mod forward;
#[cfg(feature = "cli")]
mod handover;
mod head;
pub mod headers;
#[cfg(feature = "admin")]
mod health;
mod http1;
mod listener;
mod log_writer;
mod meters;
mod path;
mod peer;
mod prefix;
#[cfg(feature = "self-signed")]
mod private_file;
#[cfg(feature = "cli")]
pub mod program;
mod redirect;
mod request_body;
#[cfg(feature = "self-signed")]
mod self_signed;
mod service;
mod socket;
mod table;
mod target;
mod timings;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod trust;
mod tunnel;
mod tunnels;
pub mod upgrade;
mod upstream;
mod write_through;

pub use access_log::{AccessEntries, AccessEntry, AccessLog};
#[cfg(feature = "acme")]
pub use acme::{
    Acme, AcmeCause, AcmeChallenge, AcmeConfig, AcmeDirectory, AcmeError, AcmeExternalAccount,
    AcmeProblem, AcmeState, AcmeStatus, HttpChallenges, InvalidAcmeChallenge, InvalidAcmeDirectory,
};
pub use body::{FallbackBody, ProxyBody};
#[cfg(feature = "acme")]
pub use certificate::{Certificate, CertificateStatus};
pub use closing::OpenTunnels;
pub use config::{ListenConfig, ProxyConfig};
pub use error::{BoxError, GatewayFailure, ListenError, ProxyError};
#[cfg(feature = "admin")]
pub use error_pages::ErrorPages;
#[cfg(feature = "admin")]
pub use health::HealthCheck;
pub use listener::{Drained, EndSignals, Handler, Listener, ResponseBody, Room, Traffic};
pub use log_writer::LogWriter;
pub use meters::{Meter, Meters};
pub use path::BadPath;
pub use peer::Peer;
pub use prefix::{InvalidPrefix, RoutePrefix};
pub use redirect::RedirectToHttps;
pub use request_body::RequestBody;
#[cfg(feature = "self-signed")]
pub use self_signed::{Overwrite, SelfSigned, SelfSignedError};
pub use service::Proxy;
pub use table::{Resolved, RouteStatus, RouteTable};
pub use target::{InvalidTarget, Target};
pub use timings::{RouteTimings, Timing};
#[cfg(feature = "tls")]
pub use tls::{
    ClientAuthorities, FreshKeys, NoCiphers, TargetTls, TargetTlsConfig, TlsError, TlsKeys,
    TlsOffer, TlsOptions, TlsVersion, TlsWarning,
};
pub use trust::{InvalidNetwork, Network, TrustForwarded};
pub use tunnels::Tunnels;
