//! Secrets of a configuration: reading them from files, and talking about them.

use std::{fmt::Write as _, path::Path};

use sha2::{Digest, Sha256};

use super::{ConfigError, read};

/// What may be said about a secret: its length and the first four hexadecimal
/// digits of its SHA-256 (ENV-5). Enough to see whether two places hold the same
/// one.
///
/// ```
/// assert_eq!(hub_server::config::fingerprint("hush"), "4 characters, fingerprint dc83");
/// ```
pub fn fingerprint(secret: &str) -> String {
    let hash = Sha256::digest(secret.as_bytes());
    let digits = hash.iter().take(2).fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    format!("{} characters, fingerprint {digits}", secret.chars().count())
}

/// Reads a secret from a file, without the newline at its end (ENV-5).
pub(super) fn read_secret(key: &str, path: &Path) -> Result<String, ConfigError> {
    let text = read::text(path).map_err(|error| match error {
        ConfigError::Unreadable { path, source } => {
            ConfigError::value(key, format!("{}: {source}", path.display()))
        }
        other => ConfigError::value(key, other.to_string()),
    })?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(ConfigError::value(key, format!("{}: the file is empty", path.display())));
    }
    Ok(secret.to_owned())
}
