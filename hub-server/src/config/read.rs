//! Files that people write: read whole, as text.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use super::ConfigError;

/// Largest file that is read, in bytes; a user list of 100,000 lines fits.
const LARGEST: u64 = 16 << 20;

/// The text of `path`, without a byte order mark.
///
/// # Errors
///
/// [`ConfigError::Unreadable`], or [`ConfigError::Syntax`] for what is not text.
pub(super) fn text(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let refuse = |kind, reason: &str| unreadable(io::Error::new(kind, reason.to_owned()));
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(refuse(io::ErrorKind::IsADirectory, "this is a directory; name a file in it"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(refuse(
            io::ErrorKind::FileTooLarge,
            "larger than 16 MiB; is this the right file?",
        ));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        ConfigError::Syntax {
            file: path.display().to_string(),
            line: 1 + good.iter().filter(|byte| **byte == b'\n').count(),
            message: "this is not UTF-8 text".to_owned(),
        }
    })?;
    match text.strip_prefix('\u{feff}') {
        Some(rest) => Ok(rest.to_owned()),
        None => Ok(text),
    }
}
