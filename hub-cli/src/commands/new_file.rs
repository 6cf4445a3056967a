//! Files that a command makes and never replaces.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::Context as _;

use crate::args::UsageError;

/// Makes a file with this text and mode; `another` is how another one is named.
pub(super) fn write(path: &Path, text: &str, mode: u32, another: &str) -> anyhow::Result<()> {
    let name = || path.display().to_string();
    match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).with_context(name),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(UsageError {
            message: format!("{} is there already, and is not touched", path.display()),
            hint: format!("name another file: {another}"),
        }
        .into()),
        Err(error) => Err(error).with_context(name),
    }
}
