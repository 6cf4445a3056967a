//! What the rest of the hub sees of one server.

use hub_spawner::ProgressEvent;
use jiff::Timestamp;

use super::phase::Phase;

/// A server at one moment. Cheap enough to clone for each reader.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Where it is in its life.
    pub phase: Phase,
    /// What happened in the present or last start, oldest first; a late reader
    /// finds it all.
    pub events: Vec<ProgressEvent>,
}

impl View {
    /// A server that does not run, and of which nothing is known.
    pub(crate) fn stopped() -> Self {
        Self { phase: Phase::Stopped { last: None }, events: Vec::new() }
    }

    /// When the present run was asked for.
    pub(crate) fn started(&self) -> Option<Timestamp> {
        self.phase.since()
    }
}
