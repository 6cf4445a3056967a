//! One process takes over from another without a client noticing (Z-1).
//!
//! Both talk over a Unix stream socket. The successor says hello; its
//! predecessor offers the listening sockets themselves, so that no connection
//! in their queues is lost; the successor prepares, is told the routes, serves,
//! and says so. Only then does the predecessor stop accepting. Whatever goes
//! wrong before that leaves it serving as if nobody had asked (Z-04).
//!
//! ```text
//! successor                     predecessor
//!    | ---- Hello ----------------> |
//!    | <--- Offer + sockets ------- |
//!    | ---- Prepared -------------> |  routes cannot change from here on
//!    | <--- Routes ---------------- |
//!    | ---- Serving --------------> |  drains from here on
//!    | <--- Used, Open, ... ------- |  while it has open connections
//! ```
//!
//! The predecessor's open WebSockets live on in it. What they do is activity of
//! routes that the successor owns now, so the link stays and reports it, and how
//! many they are.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::admin::{HandedTable, Tally};

mod giving;
mod link;
mod place;
mod taking;

pub(crate) use giving::{Given, give};
pub(crate) use link::{Link, LinkError};
pub(crate) use place::Place;
pub(crate) use taking::{OfferedSocket, Predecessor, TakeError};

/// The way of talking, not the version of the program.
const PROTOCOL: u32 = 1;

/// What a listening socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    Public,
    Api,
    Redirect,
    Metrics,
}

/// What the two say to each other.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    Hello {
        protocol: u32,
        version: String,
    },
    /// Comes with as many descriptors, in the same order.
    Offer {
        sockets: Vec<SocketLabel>,
    },
    Prepared,
    Routes(Handed),
    Serving {
        pid: u32,
    },
    /// Decoded paths of routes and when data last passed.
    Used(Vec<(String, Timestamp)>),
    /// The connections that the predecessor still has.
    Open(Tally),
}

/// What a successor goes on with.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Handed {
    pub(crate) table: HandedTable,
    pub(crate) tally: Tally,
}

/// What is known about an offered socket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SocketLabel {
    pub(crate) role: Role,
    pub(crate) addr: Place,
    /// Whether a supervisor made it: then it is used whatever else is asked for,
    /// and its file is not ours to remove.
    #[serde(default)]
    pub(crate) given: bool,
}

impl Message {
    fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Offer { .. } => "offer",
            Self::Prepared => "prepared",
            Self::Routes(_) => "routes",
            Self::Serving { .. } => "serving",
            Self::Used(_) => "used",
            Self::Open(_) => "open",
        }
    }
}

#[cfg(test)]
mod tests;
