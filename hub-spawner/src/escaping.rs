//! Any text as part of a name that file systems, Docker and host names take. Pure.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// A container's name is also a host name, whose labels end at 63 characters.
const LONGEST_NAME: usize = 63;

/// `---` and eight hexadecimal digits.
const MARK_LENGTH: usize = 11;

/// `text` with everything but small letters and digits written as `-` and the
/// hexadecimal digits of its UTF-8 bytes, so that it fits into a host name.
///
/// Different texts stay different, if they have no control characters: those
/// would give one digit (deployment contract, 2.3).
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "-{byte:x}").expect("writing to a String cannot fail");
        }
    }
    escaped
}

/// The first eight hexadecimal digits of the SHA-256 of `text`.
fn mark(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// `name` as long as it may be: a long one is cut and marked with a hash of the
/// whole, so that it stays different from others that begin alike (SPN-5).
#[cfg(feature = "docker")]
pub(crate) fn cut(name: String) -> String {
    if name.len() <= LONGEST_NAME { name } else { marked(&name, &name) }
}

/// `name`, cut where it is long, and marked with a hash of `exact`.
pub(crate) fn marked(name: &str, exact: &str) -> String {
    let end = name.floor_char_boundary(LONGEST_NAME - MARK_LENGTH);
    format!("{}---{}", &name[..end], mark(exact))
}
