//! The left side of a route.

use std::{fmt, str::FromStr, sync::Arc};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

#[cfg(feature = "admin")]
use crate::path::check;
use crate::path::{BadPath, decode};

/// What stays as it is when a prefix is written: RFC 3986's unreserved
/// characters and `@`, as JupyterHub writes the paths of its servers.
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

/// The path prefix under which a route answers: whole segments, decoded.
///
/// Parsing takes an escaped or plain path, with or without slashes at its ends;
/// [`Display`](fmt::Display) gives the one escaped form with both slashes, which
/// JupyterHub uses too.
///
/// ```
/// # use hub_proxy::RoutePrefix;
/// let prefix: RoutePrefix = "/user/ada%40b lab".parse()?;
/// assert_eq!(prefix.to_string(), "/user/ada@b%20lab/");
/// assert_eq!(prefix, "user/ada@b%20lab/".parse()?);
/// # Ok::<(), hub_proxy::InvalidPrefix>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoutePrefix(Arc<str>);

/// Why a text is not a [`RoutePrefix`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPrefix {
    /// A request with such a path would be refused, so no route may have it.
    #[error("the prefix can match no request")]
    Path(#[source] BadPath),
    /// Longer than [`RoutePrefix::MAX_LEN`].
    #[error("the prefix has {len} bytes, at most {max} are allowed")]
    TooLong {
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
}

impl RoutePrefix {
    /// Longest accepted prefix, in bytes as given. Longer ones are certainly a
    /// mistake, and the limit bounds how deep the table can become.
    pub const MAX_LEN: usize = 4096;

    /// Whether a decoded path is that of the prefix, with its last slash, or below.
    pub(crate) fn holds(&self, decoded: &str) -> bool {
        let Some(path) = decoded.strip_prefix('/') else { return false };
        self.0.is_empty() || path.strip_prefix(&*self.0).is_some_and(|below| below.starts_with('/'))
    }

    /// A prefix that [`decoded`](Self::decoded) wrote.
    #[cfg(feature = "admin")]
    pub(crate) fn from_decoded(decoded: &str) -> Result<Self, InvalidPrefix> {
        check_len(decoded)?;
        check(decoded).map_err(InvalidPrefix::Path)?;
        Ok(Self(decoded.trim_matches('/').into()))
    }

    /// The path as configurable-http-proxy lists it: decoded, a slash at its
    /// beginning and none at its end.
    #[cfg(feature = "admin")]
    pub(crate) fn decoded(&self) -> String {
        format!("/{}", self.0)
    }

    /// How many bytes the decoded path has between its outer slashes.
    pub(crate) fn decoded_len(&self) -> usize {
        self.0.len()
    }

    /// With host routing, the first segment: a host, which has no case (P-072).
    #[cfg(feature = "admin")]
    pub(crate) fn with_lower_case_host(&self) -> Self {
        match self.0.split_once('/') {
            Some((host, path)) => Self(format!("{}/{path}", host.to_lowercase()).into()),
            None => Self(self.0.to_lowercase().into()),
        }
    }

    /// The prefix without its first segment; the root has none to lose.
    pub(crate) fn below_host(&self) -> Self {
        Self(self.0.split_once('/').map_or("", |(_, path)| path).into())
    }

    /// The decoded segments between the slashes, none for the root.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        // Splitting an empty text yields one empty segment; the root has none.
        self.0.split('/').filter(|_| !self.0.is_empty())
    }
}

impl FromStr for RoutePrefix {
    type Err = InvalidPrefix;

    fn from_str(raw: &str) -> Result<Self, InvalidPrefix> {
        check_len(raw)?;
        let decoded = decode(raw).map_err(InvalidPrefix::Path)?;
        Ok(Self(decoded.trim_matches('/').into()))
    }
}

fn check_len(text: &str) -> Result<(), InvalidPrefix> {
    let (len, max) = (text.len(), RoutePrefix::MAX_LEN);
    if len > max { Err(InvalidPrefix::TooLong { len, max }) } else { Ok(()) }
}

impl fmt::Display for RoutePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/")?;
        for segment in self.segments() {
            write!(f, "{}/", utf8_percent_encode(segment, ESCAPED))?;
        }
        Ok(())
    }
}

impl fmt::Debug for RoutePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoutePrefix({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(raw: &str) -> String {
        raw.parse::<RoutePrefix>().unwrap().to_string()
    }

    #[test]
    fn j_05_prefixes_are_written_as_jupyterhub_writes_them() {
        for (raw, expected) in [
            ("/", "/"),
            ("", "/"),
            ("/user/ada", "/user/ada/"),
            ("/user/ada/", "/user/ada/"),
            ("user/has@", "/user/has@/"),
            ("/user/has%40/", "/user/has@/"),
            ("/user/~TestJH/", "/user/~TestJH/"),
            ("/user/秀樹/", "/user/%E7%A7%80%E6%A8%B9/"),
            ("/has%20space/foo/", "/has%20space/foo/"),
            ("/a%25b/", "/a%25b/"),
        ] {
            assert_eq!(shown(raw), expected, "{raw}");
        }
    }

    #[test]
    fn prefixes_no_request_could_have_are_refused() {
        assert_eq!(
            "/user/../x".parse::<RoutePrefix>(),
            Err(InvalidPrefix::Path(BadPath::DotSegment))
        );
        let long = "a".repeat(RoutePrefix::MAX_LEN + 1);
        assert!(matches!(long.parse::<RoutePrefix>(), Err(InvalidPrefix::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn the_written_form_parses_to_the_same_prefix(raw in "(/[^/\\\\%\0]{1,8}){0,4}") {
            if let Ok(prefix) = raw.parse::<RoutePrefix>() {
                prop_assert_eq!(prefix.to_string().parse::<RoutePrefix>().unwrap(), prefix);
            }
        }
    }
}
