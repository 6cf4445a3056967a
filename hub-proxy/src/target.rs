//! The right side of a route.

use std::{fmt, str::FromStr, sync::Arc};

use http::{Uri, uri::Authority, uri::PathAndQuery, uri::Scheme};
use url::Url;

/// The base URL of an upstream: `http://host[:port][/base]`.
///
/// `ws` says the same as `http`. A base path is put before the path of each request (P-034). Clones share.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(Arc<Parsed>);

#[derive(PartialEq, Eq)]
struct Parsed {
    url: Url,
    authority: Authority,
    /// Without the final slash; empty for the root.
    base: Box<str>,
    /// Without the brackets of an IPv6 literal.
    host: Box<str>,
    port: u16,
}

/// Why a URL is not a [`Target`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTarget {
    /// Not a URL at all.
    #[error("not a URL")]
    Syntax(#[source] url::ParseError),
    /// A scheme other than `http`.
    #[error("the scheme `{0}` is not supported; use http")]
    Scheme(String),
    /// No host, or one that no `Host` field could carry.
    #[error("the URL has no usable host")]
    Host,
    /// A user name, password, query or fragment: none has a meaning here.
    #[error("the URL has more than scheme, host, port and path")]
    Surplus,
}

impl Target {
    /// The URL as given, normalised by the URL rules.
    pub fn as_url(&self) -> &Url {
        &self.0.url
    }

    /// What to connect to.
    pub(crate) fn endpoint(&self) -> (&str, u16) {
        (&self.0.host, self.0.port)
    }

    /// What the target calls itself in `Host`.
    pub(crate) fn authority(&self) -> &Authority {
        &self.0.authority
    }

    /// The path and query to ask the target for: the base if it is wanted, then
    /// `original` as the client wrote it, byte for byte.
    pub(crate) fn path_for(
        &self,
        original: Option<&PathAndQuery>,
        prepend_base: bool,
    ) -> PathAndQuery {
        let original = match original {
            None => return PathAndQuery::from_static("/"),
            // `OPTIONS *` has no path of its own.
            Some(original) if original.as_str() == "*" => PathAndQuery::from_static("/*"),
            Some(original) => original.clone(),
        };
        if self.0.base.is_empty() || !prepend_base {
            return original;
        }
        PathAndQuery::try_from(format!("{}{original}", self.0.base))
            .expect("a valid base before a valid path is a valid path")
    }

    /// The absolute form of [`path_for`](Self::path_for), as the pooled client
    /// wants it to find the connection.
    pub(crate) fn uri_for(&self, original: Option<&PathAndQuery>, prepend_base: bool) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.0.authority.clone());
        parts.path_and_query = Some(self.path_for(original, prepend_base));
        Uri::from_parts(parts).expect("scheme, authority and path are all there")
    }
}

impl TryFrom<Url> for Target {
    type Error = InvalidTarget;

    fn try_from(mut url: Url) -> Result<Self, InvalidTarget> {
        if url.scheme() == "ws" {
            // Cannot fail: both are special schemes with the same default port.
            let _ = url.set_scheme("http");
        }
        if url.scheme() != "http" {
            return Err(InvalidTarget::Scheme(url.scheme().to_owned()));
        }
        let named = !url.username().is_empty() || url.password().is_some();
        if named || url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidTarget::Surplus);
        }
        let host = url.host_str().ok_or(InvalidTarget::Host)?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}").parse(),
            None => host.parse::<Authority>(),
        }
        .map_err(|_| InvalidTarget::Host)?;
        let base: Box<str> = url.path().trim_end_matches('/').into();
        // The URL rules let characters pass that a request line may not hold.
        if !base.is_empty() && PathAndQuery::try_from(&*base).is_err() {
            return Err(InvalidTarget::Surplus);
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').into();
        let port = url.port_or_known_default().unwrap_or(80);
        Ok(Self(Arc::new(Parsed { authority, base, host, port, url })))
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(raw: &str) -> Result<Self, InvalidTarget> {
        Url::parse(raw).map_err(InvalidTarget::Syntax)?.try_into()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.url.fmt(f)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: &str, path: &str) -> String {
        let path: PathAndQuery = path.parse().unwrap();
        target.parse::<Target>().unwrap().uri_for(Some(&path), true).to_string()
    }

    #[test]
    fn p_034_p_035_the_base_is_put_before_the_path_with_one_slash() {
        for (target, path, expected) in [
            ("http://h:1", "/p/rest?q", "http://h:1/p/rest?q"),
            ("http://h:1/", "/p", "http://h:1/p"),
            ("http://h:1/base", "/p/rest?q", "http://h:1/base/p/rest?q"),
            ("http://h:1/base/", "/p", "http://h:1/base/p"),
            ("http://h/foo", "/bar?query=foo", "http://h/foo/bar?query=foo"),
            ("http://[::1]:9", "/%70//a%2Fb", "http://[::1]:9/%70//a%2Fb"),
            ("http://h", "*", "http://h/*"),
        ] {
            assert_eq!(asked(target, path), expected);
        }
    }

    #[test]
    fn p_037_the_base_can_be_left_out() {
        let target: Target = "ws://h:1/base".parse().unwrap();
        let path: PathAndQuery = "/p/rest?q".parse().unwrap();
        assert_eq!(target.uri_for(Some(&path), false).to_string(), "http://h:1/p/rest?q");
    }

    #[test]
    fn ipv6_brackets_are_not_part_of_what_is_connected_to() {
        let target: Target = "http://[::1]:9".parse().unwrap();
        assert_eq!(target.endpoint(), ("::1", 9));
    }

    #[test]
    fn r_14_urls_that_cannot_be_targets_are_refused() {
        for raw in ["", "h:1", "ftp://h", "https://h", "http://", "http://u@h", "http://h/?q"] {
            assert!(raw.parse::<Target>().is_err(), "{raw}");
        }
    }
}
