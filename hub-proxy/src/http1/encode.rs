//! Messages as they are written: one framing, which nothing that is passed on decides.

use std::io::Write as _;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use http_body::SizeHint;

use super::{date::push_date, outgoing::Outgoing, reason::Reason};
use crate::{forward::Question, headers::has_token};

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyEncoder {
    /// Not at all.
    Nothing,
    /// So much is still due.
    Length(u64),
    Chunked,
    /// The end of the connection is its end.
    UntilEnd,
}

/// Whom an answer is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    pub(crate) is_head: bool,
    pub(crate) version: Version,
    /// Whether the connection is to stay, as far as it is up to the client and us.
    pub(crate) keeps: bool,
}

/// What is written anew, never passed on.
const OURS: [HeaderName; 4] = [
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
];

/// What a request without a body has nothing to say about.
const NO_BODY: [HeaderName; 3] =
    [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::EXPECT];

/// Writes the head of an answer. Says how its body is written, and whether the connection
/// stays.
pub(crate) fn encode_answer(
    out: &mut Vec<u8>,
    (status, reason): (StatusCode, Option<&Reason>),
    headers: &HeaderMap,
    body: &SizeHint,
    asker: Asker,
) -> (BodyEncoder, bool) {
    push_status_line(out, status, reason);
    if status == StatusCode::SWITCHING_PROTOCOLS {
        push_fields(out, headers);
        finish_head(out, headers);
        return (BodyEncoder::Nothing, false);
    }
    push_fields_but_ours(out, headers);
    let encoder = answer_framing(out, status, headers, body, asker);
    let keeps = asker.keeps
        && encoder != BodyEncoder::UntilEnd
        && !has_token(headers, header::CONNECTION, "close");
    // P-032: also where the version says it already.
    out.extend_from_slice(match keeps {
        false => b"connection: close\r\n".as_slice(),
        true => b"connection: keep-alive\r\n",
    });
    finish_head(out, headers);
    (encoder, keeps)
}

/// Writes what says where the body ends (B-03).
fn answer_framing(
    out: &mut Vec<u8>,
    status: StatusCode,
    headers: &HeaderMap,
    body: &SizeHint,
    asker: Asker,
) -> BodyEncoder {
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        return BodyEncoder::Nothing;
    }
    let said = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if asker.is_head || status == StatusCode::NOT_MODIFIED {
        // What the body would be.
        if let Some(length) = said {
            push_length(out, length);
        }
        return BodyEncoder::Nothing;
    }
    match said.or(body.exact()) {
        Some(length) => {
            push_length(out, length);
            BodyEncoder::Length(length)
        }
        None if asker.version >= Version::HTTP_11 => {
            push_chunked(out);
            BodyEncoder::Chunked
        }
        None => BodyEncoder::UntilEnd,
    }
}

/// Writes an answer that comes before the answer.
pub(crate) fn encode_interim(out: &mut Vec<u8>, status: StatusCode, headers: &HeaderMap) {
    push_status_line(out, status, None);
    push_fields_but_ours(out, headers);
    out.extend_from_slice(b"\r\n");
}

/// Writes the head of a request, and says how its body is written. `body` is `None` if
/// there is none, `host` is for requests that name none. `Expect` without a body is
/// nobody's business.
pub(crate) fn encode_request(
    out: &mut Vec<u8>,
    question: Question<'_>,
    host: &HeaderValue,
    body: Option<SizeHint>,
) -> BodyEncoder {
    let Question { method, path, headers, is_upgrade } = question;
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(path.as_str().as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if !headers.contains_key(header::HOST) {
        push_field(out, b"host", host.as_bytes());
    }
    if is_upgrade {
        for (name, value) in headers {
            if !NO_BODY.contains(name) {
                push_field(out, name.as_str().as_bytes(), value.as_bytes());
            }
        }
        out.extend_from_slice(b"\r\n");
        return BodyEncoder::Nothing;
    }
    let is_empty = body.is_none();
    for (name, value) in headers {
        if !OURS.contains(name) && (!is_empty || *name != header::EXPECT) {
            push_field(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    let encoder = match body.map(|hint| hint.exact()) {
        Some(Some(length)) => {
            push_length(out, length);
            BodyEncoder::Length(length)
        }
        Some(None) => {
            push_chunked(out);
            BodyEncoder::Chunked
        }
        None => {
            // H-07: some servers wait for a body that these never announce.
            let is_often_with_body = !matches!(*method, Method::GET | Method::HEAD);
            if is_often_with_body || headers.contains_key(header::CONTENT_LENGTH) {
                push_length(out, 0);
            }
            BodyEncoder::Nothing
        }
    };
    out.extend_from_slice(b"\r\n");
    encoder
}

impl BodyEncoder {
    /// Whether nothing is to be written, or nothing more.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Nothing | Self::Length(0))
    }

    /// Writes a piece. An error if it is more than was announced.
    pub(crate) fn data(&mut self, out: &mut Outgoing, data: Bytes) -> Result<(), &'static str> {
        match self {
            _ if data.is_empty() => {}
            // An answer to HEAD, for instance.
            Self::Nothing => {}
            Self::UntilEnd => out.push(data),
            Self::Chunked => {
                // Writing to memory does not fail.
                out.write(|out| drop(write!(out, "{:x}\r\n", data.len())));
                out.push(data);
                out.write(|out| out.extend_from_slice(b"\r\n"));
            }
            Self::Length(left) => {
                let rest = left.checked_sub(data.len() as u64);
                *left = rest.ok_or("the body is longer than it says")?;
                out.push(data);
            }
        }
        Ok(())
    }

    /// Writes the end. An error if something is missing.
    pub(crate) fn end(
        &mut self,
        out: &mut Outgoing,
        trailers: Option<&HeaderMap>,
    ) -> Result<(), &'static str> {
        match self {
            Self::Length(1..) => return Err("the body is shorter than it says"),
            Self::Chunked => out.write(|out| {
                out.extend_from_slice(b"0\r\n");
                if let Some(trailers) = trailers {
                    push_fields(out, trailers);
                }
                out.extend_from_slice(b"\r\n");
            }),
            Self::Nothing | Self::Length(0) | Self::UntilEnd => {}
        }
        *self = Self::Nothing;
        Ok(())
    }
}

fn push_status_line(out: &mut Vec<u8>, status: StatusCode, reason: Option<&Reason>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(Reason::words(reason, status));
    out.extend_from_slice(b"\r\n");
}

fn push_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn push_fields(out: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        push_field(out, name.as_str().as_bytes(), value.as_bytes());
    }
}

fn push_fields_but_ours(out: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        if !OURS.contains(name) {
            push_field(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
}

fn push_length(out: &mut Vec<u8>, length: u64) {
    // Writing to memory does not fail.
    drop(write!(out, "content-length: {length}\r\n"));
}

fn push_chunked(out: &mut Vec<u8>) {
    out.extend_from_slice(b"transfer-encoding: chunked\r\n");
}

/// The time if nobody has said it (H-09), and the empty line.
fn finish_head(out: &mut Vec<u8>, headers: &HeaderMap) {
    if !headers.contains_key(header::DATE) {
        out.extend_from_slice(b"date: ");
        push_date(out);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use http::uri::PathAndQuery;

    use super::*;

    const BROWSER: Asker = Asker { is_head: false, version: Version::HTTP_11, keeps: true };

    fn answer(
        status: u16,
        fields: &[(&'static str, &'static str)],
        body: &SizeHint,
        asker: Asker,
    ) -> (String, BodyEncoder, bool) {
        let mut headers = HeaderMap::new();
        headers.insert("date", HeaderValue::from_static("now"));
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let mut out = Vec::new();
        let status = StatusCode::from_u16(status).unwrap();
        let (encoder, keeps) = encode_answer(&mut out, (status, None), &headers, body, asker);
        (String::from_utf8(out).unwrap().replace("date: now\r\n", ""), encoder, keeps)
    }

    #[test]
    fn b_03_the_framing_of_an_answer_is_written_anew() {
        let unknown = SizeHint::default();
        let five = SizeHint::with_exact(5);
        let (head, encoder, keeps) = answer(200, &[], &five, BROWSER);
        assert_eq!(head, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\n");
        assert_eq!((encoder, keeps), (BodyEncoder::Length(5), true));

        let odd = [("transfer-encoding", "gzip"), ("connection", "x"), ("keep-alive", "y")];
        let (head, encoder, keeps) = answer(200, &odd, &unknown, BROWSER);
        assert_eq!(
            head,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n\r\n"
        );
        assert_eq!((encoder, keeps), (BodyEncoder::Chunked, true));

        let old = Asker { version: Version::HTTP_10, ..BROWSER };
        let (head, encoder, keeps) = answer(200, &[], &unknown, old);
        assert_eq!(head, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
        assert_eq!((encoder, keeps), (BodyEncoder::UntilEnd, false));
        let (head, ..) = answer(200, &[], &five, old);
        assert_eq!(head, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\n");

        let (head, encoder, _) = answer(204, &[("content-length", "5")], &unknown, BROWSER);
        assert_eq!(
            (head.as_str(), encoder),
            ("HTTP/1.1 204 No Content\r\nconnection: keep-alive\r\n\r\n", BodyEncoder::Nothing)
        );
        let head_only = Asker { is_head: true, ..BROWSER };
        let (head, encoder, _) = answer(200, &[("content-length", "5")], &unknown, head_only);
        assert!(head.contains("\r\ncontent-length: 5\r\n"), "{head}");
        assert_eq!(encoder, BodyEncoder::Nothing);
    }

    #[test]
    fn h_07_h_11_the_framing_of_a_request_is_written_anew() {
        let request = |method: Method, said: Option<&'static str>, body: Option<SizeHint>| {
            let host = HeaderValue::from_static("h");
            let mut headers = HeaderMap::new();
            headers.insert("host", host.clone());
            if let Some(said) = said {
                headers.insert("content-length", HeaderValue::from_static(said));
            }
            let mut out = Vec::new();
            let path = PathAndQuery::from_static("/a");
            let question =
                Question { method: &method, path: &path, headers: &headers, is_upgrade: false };
            let encoder = encode_request(&mut out, question, &host, body);
            (String::from_utf8(out).unwrap().replace("host: h\r\n", ""), encoder)
        };
        let none = BodyEncoder::Nothing;
        assert_eq!(request(Method::GET, None, None), ("GET /a HTTP/1.1\r\n\r\n".into(), none));
        let empty = |method| format!("{method} /a HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(request(Method::GET, Some("0"), None), (empty("GET"), none));
        assert_eq!(request(Method::DELETE, None, None), (empty("DELETE"), none));
        let (head, encoder) = request(Method::GET, None, Some(SizeHint::default()));
        assert_eq!(head, "GET /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n");
        assert_eq!(encoder, BodyEncoder::Chunked);
        let (head, _) = request(Method::PUT, Some("5"), Some(SizeHint::with_exact(5)));
        assert_eq!(head, "PUT /a HTTP/1.1\r\ncontent-length: 5\r\n\r\n");
    }

    #[test]
    fn e_06_a_body_that_is_not_as_long_as_it_says_is_an_error() {
        let mut out = Outgoing::default();
        assert!(BodyEncoder::Length(3).data(&mut out, Bytes::from_static(b"four")).is_err());
        let mut short = BodyEncoder::Length(3);
        short.data(&mut out, Bytes::from_static(b"he")).unwrap();
        assert!(short.end(&mut out, None).is_err());
        short.data(&mut out, Bytes::from_static(b"y")).unwrap();
        assert!(short.end(&mut out, None).is_ok());
    }
}
