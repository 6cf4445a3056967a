//! How many connections there are.

use std::ops::Add;

use serde::{Deserialize, Serialize};

/// Connections of one process, or of several that took over from each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Open ones, WebSockets not among them.
    pub(crate) connections: usize,
    /// Open WebSockets.
    pub(crate) websockets: usize,
    /// WebSockets that have ended.
    pub(crate) websockets_ended: usize,
}

impl Tally {
    /// The same once the process is gone, and its connections with it.
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "only the program hands over"))]
    pub(crate) fn ended(self) -> Self {
        let websockets_ended = self.websockets_ended + self.websockets;
        Self { connections: 0, websockets: 0, websockets_ended }
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            connections: self.connections + other.connections,
            websockets: self.websockets + other.websockets,
            websockets_ended: self.websockets_ended + other.websockets_ended,
        }
    }
}
