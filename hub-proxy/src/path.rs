//! The path of a request as routes see it: percent-decoded once, never trusted.
//!
//! Routing looks at the decoded path while the target receives the original
//! bytes, so a path that two readers could understand differently must not get
//! through. It is refused instead of being repaired (security rule A12).

use std::borrow::Cow;

/// Why a request path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPath {
    /// A `%` without two hexadecimal digits behind it.
    #[error("the path has a percent sign without two hexadecimal digits")]
    Escape,
    /// The decoded bytes are not UTF-8; overlong forms included.
    #[error("the decoded path is not UTF-8")]
    NotUtf8,
    /// A NUL, plain or escaped.
    #[error("the path contains a NUL")]
    Nul,
    /// A bare `\`, which some readers take for `/`.
    #[error("the path contains a backslash")]
    Backslash,
    /// A `.` or `..` segment, plain or escaped: it would lead elsewhere.
    #[error("the path contains a dot segment")]
    DotSegment,
}

/// Decodes the path of a request target; borrows when nothing was escaped.
///
/// An escaped `/` becomes a separator, as in configurable-http-proxy, so
/// `/user%2Fada` and `/user/ada` are the same to the route table.
pub(crate) fn decode(path: &str) -> Result<Cow<'_, str>, BadPath> {
    if path.contains('\\') {
        return Err(BadPath::Backslash);
    }
    let decoded =
        if path.contains('%') { Cow::Owned(unescape(path)?) } else { Cow::Borrowed(path) };
    check(&decoded)?;
    Ok(decoded)
}

/// Refuses a decoded path that could be understood in two ways.
pub(crate) fn check(decoded: &str) -> Result<(), BadPath> {
    if decoded.contains('\0') {
        return Err(BadPath::Nul);
    }
    // `%5C` alone may stand in a file name; between dots it may not.
    if decoded.split(['/', '\\']).any(|segment| matches!(segment, "." | "..")) {
        return Err(BadPath::DotSegment);
    }
    Ok(())
}

/// The escaped path behind its first `len` decoded bytes, not counting slashes
/// at the beginning; always with one at its own.
///
/// For a path that [`decode`] accepts and a prefix that it begins with.
pub(crate) fn behind(path: &str, len: usize) -> String {
    if len == 0 {
        return path.to_owned();
    }
    let mut rest = path;
    while let Some(behind) = strip_slash(rest) {
        rest = behind;
    }
    for _ in 0..len {
        rest = match rest.as_bytes() {
            [b'%', ..] => rest.get(3..),
            _ => rest.get(1..),
        }
        .unwrap_or_default();
    }
    format!("/{}", strip_slash(rest).unwrap_or(rest))
}

/// What follows a slash, plain or escaped.
fn strip_slash(path: &str) -> Option<&str> {
    path.strip_prefix('/').or_else(|| path.strip_prefix("%2F")).or_else(|| path.strip_prefix("%2f"))
}

/// Undoes percent-encoding, strictly: the `percent-encoding` crate lets a lone
/// `%` pass, and the target may not.
pub(crate) fn unescape(text: &str) -> Result<String, BadPath> {
    let bytes = text.as_bytes();
    let broken = bytes.iter().enumerate().any(|(at, &byte)| {
        byte == b'%'
            && !bytes
                .get(at + 1..at + 3)
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if broken {
        return Err(BadPath::Escape);
    }
    let decoded: Vec<u8> = percent_encoding::percent_decode(bytes).collect();
    String::from_utf8(decoded).map_err(|_| BadPath::NotUtf8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a12_paths_with_two_readings_are_refused() {
        for (path, expected) in [
            ("/user/../hub", BadPath::DotSegment),
            ("/user/./ada", BadPath::DotSegment),
            ("/user/%2e%2e/hub", BadPath::DotSegment),
            ("/user/.%2E/hub", BadPath::DotSegment),
            ("/user/a%2f..%2fb", BadPath::DotSegment),
            ("/user/a%5C..%5Cb", BadPath::DotSegment),
            ("/user/..", BadPath::DotSegment),
            ("/user\\ada", BadPath::Backslash),
            ("/user/%00", BadPath::Nul),
            ("/%", BadPath::Escape),
            ("/%z1", BadPath::Escape),
            ("/%f", BadPath::Escape),
            ("/%ff", BadPath::NotUtf8),
            ("/%c0%ae", BadPath::NotUtf8),
        ] {
            assert_eq!(decode(path), Err(expected), "{path}");
        }
    }

    #[test]
    fn p_065_an_escaped_slash_separates_and_dots_inside_names_stay() {
        assert_eq!(decode("/a%2Fb/c").as_deref(), Ok("/a/b/c"));
        assert_eq!(decode("/user/a.b/..c/...").as_deref(), Ok("/user/a.b/..c/..."));
        assert_eq!(decode("/f/a%5Cb.txt").as_deref(), Ok("/f/a\\b.txt"));
    }

    #[test]
    fn p_038_a_prefix_is_taken_off_however_it_is_escaped() {
        for (path, len, expected) in [
            ("/p/rest", 1, "/rest"),
            ("/p", 1, "/"),
            ("/p/", 1, "/"),
            ("//p/q", 1, "/q"),
            ("/%70/%71", 1, "/%71"),
            ("/b%40r/b%20r/x", "b@r/b r".len(), "/x"),
            ("/a%2Fb%2Fc", "a/b".len(), "/c"),
            ("/%e7%a7%80/x", "秀".len(), "/x"),
            ("/x//y", 0, "/x//y"),
            ("/p//q", 1, "//q"),
        ] {
            assert_eq!(behind(path, len), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn a12_no_accepted_path_has_a_dot_segment_or_nul(path in "/([a-c./\\\\]|%2[eEfF]|%5[cC]|%00|%[0-9a-f]{2}){0,12}") {
            if let Ok(decoded) = decode(&path) {
                prop_assert!(!decoded.contains('\0'));
                prop_assert!(decoded.split(['/', '\\']).all(|s| s != "." && s != ".."));
            }
        }
    }
}
