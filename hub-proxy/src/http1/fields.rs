//! The lines of a head: where they end, and the fields in them.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::{memchr, memchr_iter};

/// How lines may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// With CR and LF only (SM-15): requests, and all that decides about lengths.
    Strict,
    /// With LF alone, too, which RFC 9112 section 2.2 lets a recipient take: answers,
    /// which are written anew anyway.
    Tolerant,
}

/// Why a head is none.
pub(crate) type Malformed = &'static str;

/// How many fields are made room for at first.
const USUAL_FIELDS: usize = 16;

/// Where the head ends that `bytes` begin with: behind the empty line. `None` if there is
/// more to come. The first `seen` bytes were looked at before.
pub(crate) fn find_end(bytes: &[u8], seen: usize, ends: Ends) -> Result<Option<usize>, Malformed> {
    // An empty line may have begun in what was seen.
    let from = seen.saturating_sub(3);
    for at in memchr_iter(b'\n', &bytes[from..]).map(|at| from + at) {
        let line = &bytes[..at];
        match line {
            [.., b'\n', b'\r'] => return Ok(Some(at + 1)),
            [.., b'\r'] => {}
            _ if ends == Ends::Strict => return Err("a line ends without CR"),
            [.., b'\n'] => return Ok(Some(at + 1)),
            _ => {}
        }
    }
    Ok(None)
}

/// The line at `at` without its end, and where the next begins.
pub(super) fn line_at(head: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = head.get(at..)?;
    let end = memchr(b'\n', rest)?;
    let line = &rest[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), at + end + 1))
}

/// The fields from `at` to the empty line; their values are parts of `head`.
pub(super) fn parse_fields(
    head: &Bytes,
    mut at: usize,
    most: usize,
) -> Result<HeaderMap, FieldsError> {
    let mut fields = HeaderMap::with_capacity(USUAL_FIELDS);
    while let Some((line, next)) = line_at(head, at) {
        if line.is_empty() {
            return Ok(fields);
        }
        if fields.len() == most {
            return Err(FieldsError::TooMany);
        }
        let (name, value) = split(line)?;
        let begin = at + value.0;
        let value = HeaderValue::from_maybe_shared(head.slice(begin..at + value.1))
            .map_err(|_| FieldsError::Malformed("a value has bytes that it may not have"))?;
        fields.append(name, value);
        at = next;
    }
    Ok(fields)
}

/// Why fields cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldsError {
    Malformed(Malformed),
    TooMany,
}

impl From<Malformed> for FieldsError {
    fn from(what: Malformed) -> Self {
        Self::Malformed(what)
    }
}

/// The name of a field, and where its value is in the line, without blanks around it.
fn split(line: &[u8]) -> Result<(HeaderName, (usize, usize)), Malformed> {
    // A fold begins with a blank, which no name does (SM-13, SM-14).
    let colon = memchr(b':', line).ok_or("a line without a colon")?;
    let name = &line[..colon];
    if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) {
        return Err("the name of a field has bytes that it may not have");
    }
    let name = HeaderName::from_bytes(name).map_err(|_| "the name of a field is too long")?;
    let is_blank = |byte: &&u8| matches!(**byte, b' ' | b'\t');
    let before = line[colon + 1..].iter().take_while(is_blank).count();
    let begin = colon + 1 + before;
    let behind = line[begin..].iter().rev().take_while(is_blank).count();
    Ok((name, (begin, line.len() - behind)))
}

/// The bytes of names (RFC 9110 section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    const TOKENS: [bool; 256] = {
        let mut tokens = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            #[expect(clippy::cast_possible_truncation, reason = "it is below 256")]
            let this = byte as u8;
            tokens[byte] = this.is_ascii_alphanumeric()
                || matches!(
                    this,
                    b'!' | b'#'
                        | b'$'
                        | b'%'
                        | b'&'
                        | b'\''
                        | b'*'
                        | b'+'
                        | b'-'
                        | b'.'
                        | b'^'
                        | b'_'
                        | b'`'
                        | b'|'
                        | b'~'
                );
            byte += 1;
        }
        tokens
    };
    TOKENS[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Result<Vec<(String, String)>, FieldsError> {
        let head = Bytes::from(format!("{text}\r\n\r\n"));
        let fields = parse_fields(&head, 0, 3)?;
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        Ok(fields.iter().map(|(name, value)| (name.to_string(), text(value))).collect())
    }

    #[test]
    fn values_are_without_the_blanks_around_them() {
        let pairs = |all: &[(&str, &str)]| {
            Ok(all.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
        };
        assert_eq!(fields("A: b"), pairs(&[("a", "b")]));
        assert_eq!(fields("A:\t b c \t"), pairs(&[("a", "b c")]));
        assert_eq!(fields("A:"), pairs(&[("a", "")]));
        assert_eq!(fields("A: 1\r\nB: 2\r\na: 3"), pairs(&[("a", "1"), ("a", "3"), ("b", "2")]));
    }

    #[test]
    fn sm_11_sm_13_sm_14_sm_16_to_sm_18_lines_that_are_no_fields() {
        let lines = [
            "A : b",
            " A: b",
            "A: b\r\n c",
            ": b",
            "A",
            "A\x01: b",
            "A: b\rc",
            "A: b\0",
            "\"A\": b",
        ];
        for line in lines {
            assert!(matches!(fields(line), Err(FieldsError::Malformed(_))), "{line:?}");
        }
        assert_eq!(fields("A: 1\r\nA: 1\r\nA: 1\r\nA: 1"), Err(FieldsError::TooMany));
    }

    #[test]
    fn a_head_ends_with_an_empty_line_wherever_it_was_cut() {
        let head = b"GET / HTTP/1.1\r\nA: b\r\n\r\nbody\n";
        for seen in 0..24 {
            assert_eq!(find_end(&head[..seen], 0, Ends::Strict), Ok(None), "{seen}");
            assert_eq!(find_end(head, seen, Ends::Strict), Ok(Some(24)), "{seen}");
        }
    }

    #[test]
    fn sm_15_a_bare_line_end_ends_no_line_of_a_request() {
        for head in ["A: b\n\n", "A: b\n\r\n", "A: b\r\n\n", "\n"] {
            assert!(find_end(head.as_bytes(), 0, Ends::Strict).is_err(), "{head:?}");
        }
        for head in ["A: b\n\n", "A: b\n\r\n", "A: b\r\n\n"] {
            let all = Ok(Some(head.len()));
            assert_eq!(find_end(head.as_bytes(), 0, Ends::Tolerant), all, "{head:?}");
        }
    }
}
