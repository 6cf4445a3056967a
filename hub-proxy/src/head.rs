//! Is the head of a request unambiguous? What the parser lets pass and a target
//! might read differently ends here, before any byte goes upstream.
//!
//! What our own [listener](crate::Listener) reads has one framing already; other servers
//! leave more to be seen.

use std::net::Ipv6Addr;

use http::{HeaderMap, Method, Request, StatusCode, Uri, Version, header};

use crate::{
    http1::{Framing, MAX_TARGET, framing_of_request},
    upgrade,
};

/// The status with which to refuse a request head, if it must be.
///
/// The connection is to be closed after that answer. Rule ids: proxy contract,
/// section 15.
pub(crate) fn refusal<B>(request: &Request<B>) -> Option<StatusCode> {
    let headers = request.headers();
    // H-12: a proxy for notebooks opens no tunnels of the client's choice, and
    // TRACE would show cookies to scripts.
    match upgrade::extended_connect(request) {
        Some(upgrade::WEBSOCKET) => {}
        // H2-03.
        Some(_) => return Some(StatusCode::NOT_IMPLEMENTED),
        None if matches!(*request.method(), Method::CONNECT | Method::TRACE) => {
            return Some(StatusCode::METHOD_NOT_ALLOWED);
        }
        None => {}
    }
    // P-067: escapes are the only way to write these bytes.
    if !request.uri().path_and_query().is_none_or(|path| path.as_str().is_ascii()) {
        return Some(StatusCode::BAD_REQUEST);
    }
    // H-13: escapes may make three of what a client wrote, where HTTP/1 has looked.
    let most = if request.version() == Version::HTTP_2 { MAX_TARGET } else { 3 * MAX_TARGET };
    if request.uri().path_and_query().is_some_and(|path| path.as_str().len() > most) {
        return Some(StatusCode::URI_TOO_LONG);
    }
    if !host_is_sound(request.version(), request.uri(), headers) {
        return Some(StatusCode::BAD_REQUEST);
    }
    let framing = match framing_of_request(request.version(), headers) {
        Ok(framing) => framing,
        Err(status) => return Some(status),
    };
    // SM-43: bytes behind an upgrade request belong to the new protocol, so the
    // request may have none of its own.
    if framing != Framing::Empty && upgrade::is_websocket(request) {
        return Some(StatusCode::BAD_REQUEST);
    }
    // H-08: the only expectation there is.
    if headers
        .get_all(header::EXPECT)
        .iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        return Some(StatusCode::EXPECTATION_FAILED);
    }
    None
}

/// Whether there is exactly one well-formed `Host` (SM-19 to SM-21). HTTP/1.0
/// can do without; HTTP/2 has an authority, which no `Host` may contradict
/// (H2-04, SM-49).
fn host_is_sound(version: Version, uri: &Uri, headers: &HeaderMap) -> bool {
    // `http://user@host/` would move the real host behind the `@`.
    if uri.authority().is_some_and(|authority| !is_host(authority.as_str().as_bytes())) {
        return false;
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let authority = uri.authority().filter(|_| version == Version::HTTP_2);
    match (hosts.next(), hosts.next()) {
        (None, _) if authority.is_some() => true,
        (Some(host), None) if authority.is_some_and(|name| *host != *name.as_str()) => false,
        (Some(host), None) => is_host(host.as_bytes()),
        (None, _) => version < Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}

/// Whether a text is a host with or without a port (RFC 9110 section 7.2), which may be
/// empty behind its colon. A comma, which a name might have by RFC 3986, is what two `Host`
/// fields look like that somebody has joined.
fn is_host(text: &[u8]) -> bool {
    let Some((name, rest)) = (match text {
        [b'[', inside @ ..] => split_at(inside, b']')
            .filter(|(address, _)| is_ipv6(address))
            .map(|(address, rest)| (address, &rest[1..])),
        _ => Some(split_at(text, b':').unwrap_or((text, &[]))),
    }) else {
        return false;
    };
    let is_name = text.starts_with(b"[") || is_reg_name(name);
    is_name
        && match rest {
            [] => true,
            [b':', port @ ..] => is_port(port),
            _ => false,
        }
}

/// What is before the first such byte, and the rest from it on.
fn split_at(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    Some(text.split_at(memchr::memchr(byte, text)?))
}

fn is_ipv6(address: &[u8]) -> bool {
    std::str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// A name or an IPv4 address.
fn is_reg_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(byte))
}

fn is_port(port: &[u8]) -> bool {
    let value = || std::str::from_utf8(port).ok()?.parse::<u16>().ok();
    port.iter().all(u8::is_ascii_digit) && (port.is_empty() || value().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: &str, uri: &str, fields: &[(&'static str, &str)]) -> Option<u16> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        refusal(&request.body(()).unwrap()).map(|status| status.as_u16())
    }

    #[test]
    fn h_13_a_target_that_is_too_long_is_told_so_whoever_has_read_it() {
        let long = |version, len: usize| {
            let request = Request::builder().version(version).uri(format!("/{}", "a".repeat(len)));
            let request = request.header("host", "h").body(()).unwrap();
            refusal(&request).map(|status| status.as_u16())
        };
        assert_eq!(long(Version::HTTP_2, MAX_TARGET), Some(414));
        assert_eq!(long(Version::HTTP_2, MAX_TARGET - 1), None);
        assert_eq!(long(Version::HTTP_11, 3 * MAX_TARGET), Some(414));
        assert_eq!(long(Version::HTTP_11, 2 * MAX_TARGET), None);
    }

    #[test]
    fn h_12_connect_and_trace_are_not_allowed_but_other_methods_are() {
        assert_eq!(refused("CONNECT", "h:1", &[("host", "h")]), Some(405));
        assert_eq!(refused("TRACE", "/", &[("host", "h")]), Some(405));
        assert_eq!(refused("BREW", "/", &[("host", "h")]), None);
    }

    #[test]
    fn sm_19_to_sm_21_host_must_be_there_once_and_be_a_host() {
        for host in ["h", "h:80", "h:", "h:65535", "[::1]", "[::1]:80", "a-b.example", "1.2.3.4:5"]
        {
            assert_eq!(refused("GET", "/", &[("host", host)]), None, "{host}");
        }
        let odd = [
            "[::1",
            "::1",
            "[::1]x",
            "[]",
            "[h]",
            "[::1]:x",
            "[1.2.3.4]",
            "a:b:c",
            "h:80:80",
            "h:65536",
            "h:99999",
            "h:+80",
            "h:x",
            ":80",
            "a,b",
            "h]",
            "a[b",
        ];
        for host in ["a b", "a/b", "a@b", ""].into_iter().chain(odd) {
            assert_eq!(refused("GET", "/", &[("host", host)]), Some(400), "{host}");
        }
        assert_eq!(refused("GET", "http://h:99999/", &[("host", "h")]), Some(400));
        assert_eq!(refused("GET", "/", &[]), Some(400));
        assert_eq!(refused("GET", "/", &[("host", "h"), ("host", "h")]), Some(400));
        assert_eq!(refused("GET", "http://u@h/", &[("host", "h")]), Some(400));
    }

    #[test]
    fn sm_08_sm_09_chunked_alone_is_understood() {
        for (value, expected) in [
            ("chunked", None),
            ("Chunked", None),
            ("gzip, chunked", Some(501)),
            ("chunked, chunked", Some(400)),
            ("xchunked", Some(400)),
            ("identity", Some(400)),
        ] {
            let fields = [("host", "h"), ("transfer-encoding", value)];
            assert_eq!(refused("POST", "/", &fields), expected, "{value}");
        }
        let both = [("host", "h"), ("transfer-encoding", "chunked"), ("content-length", "5")];
        assert_eq!(refused("POST", "/", &both), Some(400));
    }

    #[test]
    fn sm_43_an_upgrade_request_has_no_body() {
        let upgrade = [("host", "h"), ("upgrade", "websocket"), ("connection", "Upgrade")];
        assert_eq!(refused("GET", "/", &upgrade), None);
        let with_body = [upgrade.as_slice(), &[("content-length", "5")]].concat();
        assert_eq!(refused("GET", "/", &with_body), Some(400));
    }

    #[test]
    fn h_08_other_expectations_fail() {
        assert_eq!(refused("PUT", "/", &[("host", "h"), ("expect", "100-Continue")]), None);
        assert_eq!(refused("PUT", "/", &[("host", "h"), ("expect", "tea")]), Some(417));
    }
}
