//! The head of a request.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri, Version, header};

use super::{
    escape::{escaped, is_plain},
    fields::{FieldsError, is_token, line_at, parse_fields},
    framing::{Framing, framing_of_request, is_persistent},
};

/// Longest target of a request (H-13).
pub(crate) const MAX_TARGET: usize = 16 * 1024;

/// What a client asks, before its body.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    /// Whether the client wants the connection to stay.
    pub(crate) is_persistent: bool,
    /// Whether the client waits before it sends the body.
    pub(crate) expects_continue: bool,
    /// Whether the client takes trailers.
    pub(crate) takes_trailers: bool,
}

/// Reads a head, the empty line included; or says with which status to refuse it.
pub(crate) fn parse_request(head: &Bytes, most_fields: usize) -> Result<RequestHead, StatusCode> {
    let (line, fields) = line_at(head, 0).ok_or(StatusCode::BAD_REQUEST)?;
    let (method, (len, is_plain), version) = request_line(line)?;
    let begin = method.len() + 1;
    let target = head.slice(begin..begin + len);
    let target = if is_plain { target } else { escaped(&target) };
    let uri = uri(method, target)?;
    let headers = parse_fields(head, fields, most_fields).map_err(|error| match error {
        FieldsError::Malformed(_) => StatusCode::BAD_REQUEST,
        FieldsError::TooMany => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    })?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let framing = framing_of_request(version, &headers)?;
    let expects_continue = framing != Framing::Empty
        && version == Version::HTTP_11
        && headers
            .get(header::EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    Ok(RequestHead {
        is_persistent: is_persistent(version, &headers),
        takes_trailers: crate::headers::has_token(&headers, header::TE, "trailers"),
        method,
        uri,
        version,
        headers,
        framing,
        expects_continue,
    })
}

/// The method, the length of the target behind it with whether it can stay as it is, and
/// the version.
fn request_line(line: &[u8]) -> Result<(&str, (usize, bool), Version), StatusCode> {
    let mut words = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(StatusCode::BAD_REQUEST);
    };
    if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
        return Err(StatusCode::BAD_REQUEST);
    }
    if target.len() > MAX_TARGET {
        return Err(StatusCode::URI_TOO_LONG);
    }
    // P-067, SM-30: what else there may be is escaped.
    let is_plain = target.iter().all(|&byte| is_plain(byte));
    if target.is_empty() || !is_plain && !target.iter().all(u8::is_ascii_graphic) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let version = match version {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        // Nobody asks that but who begins HTTP/2 (SM-35).
        _ if method == b"PRI" => return Err(StatusCode::BAD_REQUEST),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(StatusCode::HTTP_VERSION_NOT_SUPPORTED);
        }
        _ => return Err(StatusCode::BAD_REQUEST),
    };
    let method = std::str::from_utf8(method).map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok((method, (target.len(), is_plain), version))
}

/// A path, an absolute URI, `*` for OPTIONS or an authority for CONNECT (RFC 9112
/// section 3.2).
fn uri(method: &str, target: Bytes) -> Result<Uri, StatusCode> {
    let is_path = target.starts_with(b"/");
    let is_star = target.as_ref() == b"*";
    let uri = Uri::from_maybe_shared(target).map_err(|_| StatusCode::BAD_REQUEST)?;
    let is_absolute = uri.scheme().is_some();
    let is_sound = is_path
        || is_absolute
        || is_star && method == "OPTIONS"
        || method == "CONNECT" && uri.authority().is_some();
    if is_sound { Ok(uri) } else { Err(StatusCode::BAD_REQUEST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(head: &str) -> Result<RequestHead, u16> {
        let head = Bytes::from(format!("{head}\r\n\r\n"));
        parse_request(&head, 100).map_err(|status| status.as_u16())
    }

    #[test]
    fn what_a_client_asks_is_read() {
        let head = parse("POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 3").unwrap();
        assert_eq!((head.method, head.version), (Method::POST, Version::HTTP_11));
        assert_eq!(head.uri, "/a?b");
        assert_eq!(head.framing, Framing::Length(3));
        assert!(head.is_persistent && !head.expects_continue && !head.takes_trailers);
        for target in ["http://h/a", "*"] {
            assert!(parse(&format!("OPTIONS {target} HTTP/1.0")).is_ok(), "{target}");
        }
        assert!(parse("CONNECT h:1 HTTP/1.1").is_ok());
        assert!(parse("BREW /a HTTP/1.1").is_ok(), "H-12: any token is a method");
    }

    #[test]
    fn sm_31_to_sm_35_request_lines_that_are_none() {
        for (line, status) in [
            ("GET /a b HTTP/1.1", 400),
            ("GET  /a HTTP/1.1", 400),
            ("GET /a  HTTP/1.1", 400),
            ("GET /a HTTP/1.1 ", 400),
            ("GET /a", 400),
            ("GET /a http/1.1", 400),
            ("GET /a HTTP/1.2", 505),
            ("GET /a HTTP/2.0", 505),
            ("PRI * HTTP/2.0", 400),
            ("GET a HTTP/1.1", 400),
            ("GET * HTTP/1.1", 400),
            ("GET /\u{e9} HTTP/1.1", 400),
            ("G{T /a HTTP/1.1", 400),
            (" GET /a HTTP/1.1", 400),
        ] {
            assert_eq!(parse(line).map(|_| ()), Err(status), "{line}");
        }
        let long = format!("GET /{} HTTP/1.1", "a".repeat(MAX_TARGET));
        assert_eq!(parse(&long).map(|_| ()), Err(414));
    }

    #[test]
    fn x_01_who_has_a_body_may_wait_with_it() {
        let waits = |fields: &str| {
            parse(&format!("PUT / HTTP/1.1\r\nExpect: 100-Continue\r\n{fields}"))
                .unwrap()
                .expects_continue
        };
        assert!(waits("Content-Length: 3"));
        assert!(!waits("Content-Length: 0"));
        let old = parse("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3").unwrap();
        assert!(!old.expects_continue, "HTTP/1.0 knows no answers before the answer");
    }
}
