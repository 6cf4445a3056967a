//! `[pages]`: what people see.

use std::path::PathBuf;

use serde::Deserialize;

use super::key::{Key, Kind, Section};

pub(super) const SECTION: Section = Section {
    name: "pages",
    about: "What people see.",
    keys: &[Key::new(
        "pages.templates",
        Kind::Directory,
        "Directory whose templates replace or extend the built-in pages.",
    )
    .example("\"templates\"")],
};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPages {
    pub(super) templates: Option<PathBuf>,
}
