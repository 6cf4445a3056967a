//! `[events]`: a record of servers' starts and stops, for programs.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::key::{Key, Kind, Section};

pub(super) const SECTION: Section = Section {
    name: "events",
    about: "A record of servers' starts and stops: JSON lines with JupyterHub's schema `server-action`.",
    keys: &[
        Key::new(
            "events.file",
            Kind::Place,
            "File that they are appended to. It may be moved away at any time: the next event begins a new one.",
        )
        .example("\"events.jsonl\""),
        Key::new("events.log", Kind::Boolean, "Whether they are in the hub's log, too.")
            .default("false"),
    ],
};

/// Where events go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventsConfig {
    /// The file that they are appended to.
    pub file: Option<PathBuf>,
    /// Whether they are in the log.
    pub log: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawEvents {
    file: Option<PathBuf>,
    log: bool,
}

impl RawEvents {
    pub(super) fn check(self, dir: &Path) -> EventsConfig {
        EventsConfig { file: self.file.map(|path| dir.join(path)), log: self.log }
    }
}
