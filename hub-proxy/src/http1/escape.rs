//! Characters of a request's target that may not stand there and that clients send
//! nevertheless, JSON in a query for instance. They are escaped as the WHATWG URL rules say
//! and configurable-http-proxy does, so that routes and targets see one path.

use bytes::Bytes;
use http::uri::PathAndQuery;

/// Whether a byte may stay in the target of a request wherever it is.
pub(super) fn is_plain(byte: u8) -> bool {
    PLAIN[usize::from(byte)]
}

const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        plain[byte as usize] = !matches!(byte, b'"' | b'<' | b'>' | b'`' | b'{' | b'}');
        byte += 1;
    }
    plain
};

/// The target with path and query as they may be. In the query `` ` ``, `{` and `}` stay.
/// An authority before them is left alone, whatever is in it.
pub(super) fn escaped(target: &Bytes) -> Bytes {
    let path = match target.first() {
        Some(b'/') => 0,
        _ => behind_authority(target),
    };
    let query = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
    let mut escaped = Vec::with_capacity(target.len() + 16);
    for (at, &byte) in target.iter().enumerate() {
        match byte {
            b'"' | b'<' | b'>' if at >= path => push_escape(&mut escaped, byte),
            b'`' | b'{' | b'}' if at >= path && at < query => push_escape(&mut escaped, byte),
            _ => escaped.push(byte),
        }
    }
    escaped.into()
}

/// Path and query that another parser has read, that of HTTP/2 for instance, as they would
/// be if they had come over HTTP/1. `None` if they are.
pub(crate) fn escaped_path(path: &PathAndQuery) -> Option<PathAndQuery> {
    let text = path.as_str().as_bytes();
    if text.iter().all(|&byte| is_plain(byte)) {
        return None;
    }
    PathAndQuery::from_maybe_shared(escaped(&Bytes::copy_from_slice(text))).ok()
}

/// Where path or query begin in the absolute form.
fn behind_authority(target: &[u8]) -> usize {
    let scheme = target.windows(3).position(|three| three == b"://").map(|at| at + 3);
    let begin = |from: usize| {
        let len = target[from..].iter().position(|byte| matches!(byte, b'/' | b'?'))?;
        Some(from + len)
    };
    scheme.and_then(begin).unwrap_or(target.len())
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_036_what_may_not_stand_in_path_or_query_is_escaped_there() {
        for (target, expected) in [
            (r#"/a"<>`{}|^~b"#, "/a%22%3C%3E%60%7B%7D|^~b"),
            (r#"/a?f={"a":1}&g=`<b>`"#, "/a?f={%22a%22:1}&g=`%3Cb%3E`"),
            (r#"http://h/a{?"#, "http://h/a%7B?"),
            (r#"http://h?<"#, "http://h?%3C"),
            (r#"http://h{/}"#, "http://h{/%7D"),
            (r#"h{:1"#, "h{:1"),
            ("/plain?a=%22", "/plain?a=%22"),
        ] {
            assert_eq!(escaped(&Bytes::from(target)), expected, "{target}");
        }
        let path = |text: &str| escaped_path(&text.parse().unwrap());
        assert_eq!(path("/a%22b?f=%22|"), None);
        assert_eq!(path(r#"/a"{b}?f={1}"#).unwrap(), "/a%22%7Bb%7D?f={1}");
        assert!(b"/az09%?&=|^~\\'".iter().all(|&byte| is_plain(byte)));
        assert!(b" \"<>`{}\x7f\x80\0\r\n".iter().all(|&byte| !is_plain(byte)));
    }
}
