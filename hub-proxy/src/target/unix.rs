//! Unix sockets in the place of a URI's authority, which holds no slashes: the path is
//! written in hexadecimal digits.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf};

use http::{
    Uri,
    uri::{Authority, Scheme},
};

/// What the URIs are known by; nobody outside sees them.
const SCHEME: &str = "unix";

pub(super) fn scheme() -> Scheme {
    SCHEME.parse().expect("letters are a scheme")
}

/// `None` unless it is an absolute path that a socket can have.
pub(super) fn place(path: &[u8]) -> Option<Authority> {
    let is_path = path.starts_with(b"/") && !path.contains(&0);
    let digits: String = path.iter().map(|byte| format!("{byte:02x}")).collect();
    is_path.then(|| digits.parse().ok())?
}

/// The socket that a URI leads to, unless it leads elsewhere.
pub(crate) fn socket_of(uri: &Uri) -> Option<PathBuf> {
    if uri.scheme_str() != Some(SCHEME) {
        return None;
    }
    let digits = uri.host()?.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let path: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    Some(PathBuf::from(OsString::from_vec(path?)))
}
