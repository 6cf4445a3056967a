//! A `jupyterhub_config.py` as a `hub.toml` (SPN-1): what is written down in it as a
//! value is taken over, and the rest is told with what to do about it.
//!
//! Pure: text comes in, text and findings go out. The script is never run.

mod chosen;
mod convert;
mod document;
mod listen;
mod names;
mod outbound;
mod place;
mod script;
mod taking;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use self::script::NotPython;
use self::taking::Taking;

/// What came of a script.
#[derive(Debug)]
pub(crate) struct Imported {
    /// The text of a `hub.toml`.
    pub(crate) document: String,
    /// What became of each setting, in the order of the script.
    pub(crate) findings: Vec<Finding>,
}

/// What became of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// In the script, from 1.
    pub(crate) line: usize,
    /// `c.DockerSpawner.image`
    pub(crate) setting: String,
    pub(crate) outcome: Outcome,
}

/// What can become of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is this key now.
    Taken(String),
    /// Nothing has to be done, because of this.
    Needless(String),
    /// Somebody has to look at it; why, and what can be done.
    Left(String),
}

/// Reads a script.
pub(crate) fn import(script: &str) -> Result<Imported, NotPython> {
    let settings = script::settings(script)?;
    let (found, findings) = Taking::of(&settings).finish();
    Ok(Imported { document: document::text(&found), findings })
}
