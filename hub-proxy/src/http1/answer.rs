//! The head of an answer.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};

use super::{
    fields::{FieldsError, Malformed, line_at, parse_fields},
    framing::{Framing, framing_of_answer, is_persistent},
    reason::Reason,
};

/// Most fields of an answer.
const MAX_FIELDS: usize = 1024;

/// What a target says, before its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) reason: Option<Reason>,
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    /// Whether the target lets the connection stay.
    pub(crate) is_persistent: bool,
}

/// Reads the head of an answer to a request with `method`, the empty line included.
pub(crate) fn parse_answer(head: &Bytes, method: &Method) -> Result<Answer, Malformed> {
    let (line, fields) = line_at(head, 0).ok_or("there is no status line")?;
    let (status, version, reason) = status_line(line)?;
    let headers = parse_fields(head, fields, MAX_FIELDS).map_err(|error| match error {
        FieldsError::Malformed(what) => what,
        FieldsError::TooMany => "there are too many fields",
    })?;
    let framing = framing_of_answer(method, status, version, &headers)?;
    let is_persistent = is_persistent(version, &headers);
    Ok(Answer { status, reason, framing, is_persistent, headers })
}

/// The reason behind the status is for people, and decides nothing.
fn status_line(line: &[u8]) -> Result<(StatusCode, Version, Option<Reason>), Malformed> {
    let (version, rest) = line.split_at_checked(9).ok_or("there is no status line")?;
    let version = match version {
        b"HTTP/1.1 " => Version::HTTP_11,
        b"HTTP/1.0 " => Version::HTTP_10,
        _ => return Err("its version is not HTTP/1"),
    };
    let (status, reason) = rest.split_at_checked(3).ok_or("there is no status")?;
    if !matches!(reason, [] | [b' ', ..]) || reason.contains(&b'\r') {
        return Err("the status line is none");
    }
    let status = StatusCode::from_bytes(status).map_err(|_| "the status is no number")?;
    Ok((status, version, Reason::of(status, reason.trim_ascii())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(head: &str) -> Result<Answer, Malformed> {
        parse_answer(&Bytes::from(format!("{head}\r\n\r\n")), &Method::GET)
    }

    #[test]
    fn what_a_target_says_is_read() {
        let answer = parse("HTTP/1.1 404 Not Found\r\nContent-Length: 3").unwrap();
        assert_eq!(answer.status, 404);
        assert_eq!(answer.framing, Framing::Length(3));
        assert!(answer.is_persistent);
        assert!(!parse("HTTP/1.0 200").unwrap().is_persistent);
        assert!(parse("HTTP/1.1 200 ").is_ok());
        let bare = Bytes::from("HTTP/1.1 200 OK\nA: b\n\n");
        assert_eq!(parse_answer(&bare, &Method::GET).unwrap().headers["a"], "b");
    }

    #[test]
    fn sm_44_sm_47_what_is_no_answer() {
        for head in [
            "HTTP/2.0 200 OK",
            "HTTP/1.1 20 OK",
            "HTTP/1.1 2000 OK",
            "HTTP/1.1  200 OK",
            "HTTP/1.1 200 O\rK",
            "ICY 200 OK",
            "HTTP/1.1 200 OK\r\nA: b\r\n c",
            "HTTP/1.1 200 OK\r\nA: b\0",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        ] {
            assert!(parse(head).is_err(), "{head:?}");
        }
    }
}
