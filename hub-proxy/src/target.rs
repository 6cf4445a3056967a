//! The right side of a route.

use std::{fmt, str::FromStr, sync::Arc};

use http::{HeaderValue, Uri, uri::Authority, uri::PathAndQuery, uri::Scheme};
use percent_encoding::percent_decode_str;
use url::Url;

mod unix;

pub(crate) use self::unix::socket_of;

/// Most that comes before a request's path and query.
const MAX_BASE: usize = 8 * 1024;

/// The base URL of an upstream: `http[s]://host[:port][/base]`, or
/// `http+unix://%2Fpath%2Fof%2Fsocket[/base]` for a Unix socket.
///
/// `ws` says the same as `http`, `wss` as `https` and `unix+http` as `http+unix`. A base
/// path is put before the path of each request (P-034), and a query before its query.
/// `https` needs the feature `tls`. Clones share.
///
/// Its text is for logs and has no query, which may hold a token (G-05);
/// [`as_url`](Self::as_url) has all of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(Arc<Parsed>);

#[derive(PartialEq, Eq)]
struct Parsed {
    url: Url,
    /// What it calls itself in `Host`.
    authority: Authority,
    /// Under what its connections are kept, and what leads to it.
    scheme: Scheme,
    place: Authority,
    /// Without the final slash; empty for the root.
    base: Box<str>,
    /// Without the question mark; empty if there is none.
    query: Box<str>,
}

/// Why a URL is not a [`Target`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTarget {
    /// Not a URL at all.
    #[error("not a URL")]
    Syntax(#[source] url::ParseError),
    /// A scheme that no target has.
    #[error("the scheme `{0}` is not supported; use http, https or http+unix")]
    Scheme(String),
    /// `https` without the feature `tls`.
    #[error("this program is built without TLS; use http")]
    NoTls,
    /// `http+unix` without an absolute path.
    #[error("no path of a socket; write it like http+unix://%2Frun%2Fhub.sock")]
    Socket,
    /// No host, or one that no `Host` field could carry.
    #[error("the URL has no usable host")]
    Host,
    /// A user name, password or fragment: none has a meaning here.
    #[error("the URL has more than scheme, host, port, path and query")]
    Surplus,
    /// A path and query of more than 8 KiB in all, which come before those of each request.
    #[error("the path and query are longer than 8 KiB")]
    TooLong,
}

impl Target {
    /// The URL as given, normalised by the URL rules.
    pub fn as_url(&self) -> &Url {
        &self.0.url
    }

    /// What the target calls itself in `Host`: its host, or `localhost` for a socket.
    pub(crate) fn host(&self) -> HeaderValue {
        HeaderValue::from_str(self.0.authority.as_str())
            .expect("an authority holds only visible ASCII")
    }

    /// The path and query to ask the target for: base and query of the target if they are
    /// wanted, each before what is in `original` as the client wrote it, byte for byte.
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
        let Parsed { base, query, .. } = &*self.0;
        if base.is_empty() && query.is_empty() || !prepend_base {
            return original;
        }
        let joined = match (&**query, original.query().unwrap_or_default()) {
            ("", _) => format!("{base}{original}"),
            (query, "") => format!("{base}{}?{query}", original.path()),
            (query, more) => format!("{base}{}?{query}&{more}", original.path()),
        };
        PathAndQuery::try_from(joined).expect("what is valid before what is valid is valid")
    }

    /// The absolute form of [`path_for`](Self::path_for), as the pooled client
    /// wants it to find the connection.
    pub(crate) fn uri_for(&self, original: Option<&PathAndQuery>, prepend_base: bool) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.0.scheme.clone());
        parts.authority = Some(self.0.place.clone());
        parts.path_and_query = Some(self.path_for(original, prepend_base));
        Uri::from_parts(parts).expect("scheme, authority and path are all there")
    }
}

impl TryFrom<Url> for Target {
    type Error = InvalidTarget;

    fn try_from(mut url: Url) -> Result<Self, InvalidTarget> {
        // Cannot fail: each is as special as the other and has the same default port.
        let _ = match url.scheme() {
            "ws" => url.set_scheme("http"),
            "wss" => url.set_scheme("https"),
            _ => Ok(()),
        };
        let named = !url.username().is_empty() || url.password().is_some();
        if named || url.fragment().is_some() {
            return Err(InvalidTarget::Surplus);
        }
        let (scheme, authority, place) = match url.scheme() {
            "http" => over_tcp(&url, Scheme::HTTP)?,
            "https" if cfg!(feature = "tls") => over_tcp(&url, Scheme::HTTPS)?,
            "https" => return Err(InvalidTarget::NoTls),
            "http+unix" | "unix+http" => {
                (unix::scheme(), Authority::from_static("localhost"), place_of_socket(&url)?)
            }
            other => return Err(InvalidTarget::Scheme(other.to_owned())),
        };
        let base: Box<str> = url.path().trim_end_matches('/').into();
        let query: Box<str> = url.query().unwrap_or_default().into();
        if base.len() + query.len() > MAX_BASE {
            return Err(InvalidTarget::TooLong);
        }
        // The URL rules let characters pass that a request line may not hold.
        if PathAndQuery::try_from(format!("{base}/?{query}")).is_err() {
            return Err(InvalidTarget::Surplus);
        }
        Ok(Self(Arc::new(Parsed { url, authority, scheme, place, base, query })))
    }
}

fn over_tcp(url: &Url, scheme: Scheme) -> Result<(Scheme, Authority, Authority), InvalidTarget> {
    let host = url.host_str().ok_or(InvalidTarget::Host)?;
    let authority: Authority = match url.port() {
        Some(port) => format!("{host}:{port}").parse(),
        None => host.parse(),
    }
    .map_err(|_| InvalidTarget::Host)?;
    Ok((scheme, authority.clone(), authority))
}

fn place_of_socket(url: &Url) -> Result<Authority, InvalidTarget> {
    let host = url.host_str().filter(|_| url.port().is_none()).ok_or(InvalidTarget::Socket)?;
    let path: Vec<u8> = percent_decode_str(host).collect();
    unix::place(&path).ok_or(InvalidTarget::Socket)
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(raw: &str) -> Result<Self, InvalidTarget> {
        Url::parse(raw).map_err(InvalidTarget::Syntax)?.try_into()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.0.url.as_str();
        f.write_str(url.split_once('?').map_or(url, |(shown, _)| shown))
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
            // Section 5: a query of the target's comes first.
            ("http://h/base?a=1", "/p?q", "http://h/base/p?a=1&q"),
            ("http://h?a=1&b", "/p", "http://h/p?a=1&b"),
            ("http://h/?a=1", "/p?", "http://h/p?a=1"),
            ("http://h/?", "/p?q", "http://h/p?q"),
            ("http://h/?", "/p", "http://h/p"),
        ] {
            assert_eq!(asked(target, path), expected);
        }
    }

    #[test]
    fn p_037_the_base_can_be_left_out() {
        let target: Target = "ws://h:1/base?a=1".parse().unwrap();
        let path: PathAndQuery = "/p/rest?q".parse().unwrap();
        assert_eq!(target.uri_for(Some(&path), false).to_string(), "http://h:1/p/rest?q");
    }

    #[test]
    fn p_055_a_socket_is_found_again_in_what_is_asked() {
        for scheme in ["http+unix", "unix+http"] {
            let target = format!("{scheme}://%2Ftmp%2Fa%20b.sock/base");
            let target: Target = target.parse().unwrap();
            let uri = target.uri_for(Some(&PathAndQuery::from_static("/p?q")), true);
            assert_eq!(uri.path_and_query().unwrap(), "/base/p?q");
            assert_eq!(socket_of(&uri).unwrap().to_str(), Some("/tmp/a b.sock"));
            assert_eq!(target.host(), "localhost");
        }
        assert_eq!(socket_of(&"http://2f746d70/".parse().unwrap()), None);
    }

    #[test]
    #[cfg(feature = "tls")]
    fn p_053_https_targets_keep_their_scheme() {
        assert_eq!(asked("https://h", "/p"), "https://h/p");
        assert_eq!(asked("wss://h:444/b/", "/p"), "https://h:444/b/p");
    }

    #[test]
    fn r_14_urls_that_cannot_be_targets_are_refused() {
        let raws = ["", "h:1", "ftp://h", "http://", "http://u@h", "http://h/#f"];
        let sockets = ["http+unix://", "http+unix:/x", "http+unix://x", "http+unix://%2Fx%00"];
        for raw in raws.into_iter().chain(sockets) {
            assert!(raw.parse::<Target>().is_err(), "{raw}");
        }
        for (long, is_one) in [(MAX_BASE - 2, true), (MAX_BASE, false)] {
            let raw = format!("http://h/{}?q", "a".repeat(long));
            assert_eq!(raw.parse::<Target>().is_ok(), is_one, "{long}");
        }
    }
}
