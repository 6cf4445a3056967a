//! Where a value comes from.

use std::{fmt, path::PathBuf};

/// The place that decided about a value (ENV-1). Later variants win over earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The configuration file.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A line of a `.env` file.
    EnvFile {
        /// The file, as it was named.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The variable.
        variable: String,
    },
    /// The environment of the process.
    Environment {
        /// The variable.
        variable: String,
    },
    /// The command line.
    Flag {
        /// The flag, as it was typed.
        flag: String,
    },
    /// Several places that add to one list.
    Several(Vec<Origin>),
}

impl Origin {
    /// Whether nobody set the value.
    pub fn is_default(&self) -> bool {
        *self == Self::Default
    }

    /// Both places, for a value to which each adds.
    pub(super) fn and(self, other: Self) -> Self {
        match self {
            Self::Default => other,
            Self::Several(mut all) => {
                all.push(other);
                Self::Several(all)
            }
            one @ (Self::File { .. }
            | Self::EnvFile { .. }
            | Self::Environment { .. }
            | Self::Flag { .. }) => Self::Several(vec![one, other]),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::EnvFile { path, line, variable } => {
                write!(f, "{variable} in {}:{line}", path.display())
            }
            Self::Environment { variable } => write!(f, "{variable} in the environment"),
            Self::Flag { flag } => f.write_str(flag),
            Self::Several(all) => {
                for (index, origin) in all.iter().enumerate() {
                    let joint = if index == 0 { "" } else { " and " };
                    write!(f, "{joint}{origin}")?;
                }
                Ok(())
            }
        }
    }
}
