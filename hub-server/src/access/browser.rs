//! Facts about the browser behind the proxy.

use http::{HeaderMap, HeaderName, header, request::Parts};

/// Where a request comes from, as the proxy tells it.
///
/// The proxy replaces a client's own `X-Forwarded-*` unless its peer is trusted,
/// of a trusted one's list only the browser's value is left (`web/forwarded.rs`),
/// and the private listener puts the address of its own peer in their place, so they may be
/// believed here.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    /// The address of the person's machine, or on the private listener of their server.
    pub(crate) remote: String,
    /// The `Host` the browser used.
    pub(crate) host: String,
    /// `http` or `https`.
    pub(crate) proto: String,
    /// What it calls itself.
    pub(crate) user_agent: String,
}

impl Browser {
    pub(crate) fn of(parts: &Parts) -> Self {
        Self::from_headers(&parts.headers)
    }

    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let forwarded = |name: &'static str| {
            text(headers, &HeaderName::from_static(name))
                .and_then(|list| list.split(',').next())
                .map(|first| first.trim().to_owned())
                .filter(|first| !first.is_empty())
        };
        let proto = forwarded("x-forwarded-proto").unwrap_or_else(|| "http".to_owned());
        Self {
            remote: forwarded("x-forwarded-for").unwrap_or_default(),
            host: text(headers, &header::HOST).unwrap_or_default().to_owned(),
            proto: match proto.as_str() {
                "https" | "wss" => "https".to_owned(),
                _ => "http".to_owned(),
            },
            user_agent: text(headers, &header::USER_AGENT).unwrap_or_default().to_owned(),
        }
    }
}

/// The values of all cookies called `name`, in the order the browser sent them.
///
/// A browser may send several of one name, set on different paths, or by a
/// server that wants to get in the way; callers take the one that verifies.
pub(crate) fn cookies<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| {
            value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value)
        })
        .collect()
}

/// The names of all cookies that start with `prefix`.
pub(crate) fn cookie_names(headers: &HeaderMap, prefix: &str) -> Vec<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .map(|(key, _)| key)
        .filter(|key| key.starts_with(prefix))
        .map(str::to_owned)
        .collect()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_duplicates_of_a_cookie_are_found_quoted_or_not() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "_xsrf=\"a|b\"; x=1; _xsrf=c".parse().unwrap());
        headers.append(header::COOKIE, "_xsrf=d".parse().unwrap());
        assert_eq!(cookies(&headers, "_xsrf"), ["a|b", "c", "d"]);
    }
}
