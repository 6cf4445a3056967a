//! The keys that were found, as the text of a `hub.toml`.

use std::{collections::BTreeMap, fmt::Write as _};

use hub_server::config::key::{SECTIONS, Section};
use toml::Value as Toml;

/// A value, and the line of the script that it is from.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) value: Toml,
    /// From 1; 0 for what it is in JupyterHub unless it is set.
    pub(super) line: usize,
}

/// What the text begins with.
const HEAD: &str = "\
# Made of a jupyterhub_config.py by `hub import-config`. The numbers are its lines.
# All keys: hub config init FILE, and docs/configuration.md.
";

/// All keys, in the order of the reference.
pub(super) fn text(found: &BTreeMap<String, Found>) -> String {
    let mut text = HEAD.to_owned();
    for section in SECTIONS {
        // Writing to a text cannot fail.
        let _ = write_section(&mut text, section, found);
    }
    text
}

fn write_section(
    text: &mut String,
    section: &Section,
    found: &BTreeMap<String, Found>,
) -> std::fmt::Result {
    let keys: Vec<_> =
        section.keys.iter().filter_map(|key| Some((key, found.get(key.name)?))).collect();
    if section.repeats() {
        let entries =
            keys.iter().filter_map(|(_, found)| Some((found.value.as_array()?, found.line)));
        for (entries, line) in entries {
            for entry in entries.iter().filter_map(Toml::as_table) {
                writeln!(text, "\n[[{}]]  # {line}", section.name)?;
                for (name, value) in entry {
                    writeln!(text, "{} = {value}", quoted(name))?;
                }
            }
        }
    } else if !keys.is_empty() {
        writeln!(text, "\n[{}]", section.name)?;
        for (key, found) in keys {
            let line = match found.line {
                0 => "JupyterHub's default".to_owned(),
                line => line.to_string(),
            };
            writeln!(text, "{} = {}  # {line}", key.short_name(), found.value)?;
        }
    }
    Ok(())
}

/// A name as a key of TOML.
fn quoted(name: &str) -> String {
    let bare = !name.is_empty()
        && name.chars().all(|one| one.is_ascii_alphanumeric() || matches!(one, '_' | '-'));
    if bare { name.to_owned() } else { Toml::String(name.to_owned()).to_string() }
}
