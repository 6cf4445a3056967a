//! What is wrong with a configuration, said to the person who wrote it.

use std::path::PathBuf;

use super::Origin;

/// A configuration that cannot be used. The text names the file or key, what is
/// wrong with it and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, or a key in it is unknown or of the wrong type.
    #[error("{file}:{line}: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A value that cannot be used.
    #[error("{key}{}: {message}", place(origin))]
    Value {
        /// The key with its section, or the environment variable.
        key: String,
        /// What is wrong and what to do.
        message: String,
        /// Where the value stands, if it stands anywhere.
        origin: Option<Origin>,
    },
    /// Several at once, so that one run shows them all.
    #[error("{}", list(.0))]
    Several(Vec<ConfigError>),
}

impl ConfigError {
    pub(crate) fn value(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Value { key: key.into(), message: message.into(), origin: None }
    }

    /// No error if there is none, the error if it is one, else all of them.
    pub(super) fn none_of(mut errors: Vec<Self>) -> Result<(), Self> {
        match errors.pop() {
            None => Ok(()),
            Some(only) if errors.is_empty() => Err(only),
            Some(last) => {
                errors.push(last);
                Err(Self::Several(errors))
            }
        }
    }

    /// The errors one by one.
    pub fn each(&self) -> Vec<&Self> {
        match self {
            Self::Several(errors) => errors.iter().flat_map(Self::each).collect(),
            one => vec![one],
        }
    }

    /// Adds where the values stand, as `origin_of` knows it.
    pub(super) fn at(self, origin_of: &impl Fn(&str) -> Option<Origin>) -> Self {
        match self {
            Self::Value { key, message, origin: None } => {
                let origin = origin_of(&key);
                Self::Value { key, message, origin }
            }
            Self::Several(errors) => {
                Self::Several(errors.into_iter().map(|error| error.at(origin_of)).collect())
            }
            other => other,
        }
    }
}

fn place(origin: &Option<Origin>) -> String {
    match origin {
        None => String::new(),
        Some(origin) => format!(" ({origin})"),
    }
}

fn list(errors: &[ConfigError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
