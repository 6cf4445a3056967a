//! How long a body is: one answer, or none (RFC 9112 section 6).

use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    Empty,
    Length(u64),
    Chunked,
    /// It goes on to the end of the connection; only answers may.
    UntilEnd,
}

/// The framing of a request, or the status to refuse it with: two lengths, two codings,
/// or one of each are never taken for one (SM-01 to SM-10).
pub(crate) fn framing_of_request(
    version: Version,
    headers: &HeaderMap,
) -> Result<Framing, StatusCode> {
    let length = length(headers).map_err(|_| StatusCode::BAD_REQUEST)?;
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(length.map_or(Framing::Empty, of_length));
    };
    // HTTP/1.0 knows none (SM-12).
    let is_ambiguous = length.is_some() || codings.next().is_some() || version < Version::HTTP_11;
    if is_ambiguous {
        return Err(StatusCode::BAD_REQUEST);
    }
    if coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Ok(Framing::Chunked);
    }
    // Well said, but nothing that we know (SM-08); what is not chunked at its end, and only
    // there, has no end that two readers agree on.
    let is_chunked = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
    let mut rest = coding.as_bytes().rsplit(|&byte| byte == b',');
    let is_sound = rest.next().is_some_and(is_chunked) && !rest.any(is_chunked);
    Err(if is_sound { StatusCode::NOT_IMPLEMENTED } else { StatusCode::BAD_REQUEST })
}

/// The framing of an answer to a request with `method` (SM-44).
pub(super) fn framing_of_answer(
    method: &Method,
    status: StatusCode,
    version: Version,
    headers: &HeaderMap,
) -> Result<Framing, &'static str> {
    let length = length(headers)?;
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let coding = codings.next();
    if coding.is_some() && (length.is_some() || codings.next().is_some()) {
        return Err("it has two framings");
    }
    let is_empty = status.is_informational() || status == StatusCode::NO_CONTENT;
    if is_empty && (coding.is_some() || length.is_some_and(|length| length > 0)) {
        return Err("it announces a body where there is none");
    }
    if is_empty || status == StatusCode::NOT_MODIFIED || *method == Method::HEAD {
        return Ok(Framing::Empty);
    }
    match coding {
        // Old servers say so that there is none.
        Some(coding) if coding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Ok(Framing::UntilEnd)
        }
        Some(_) if version < Version::HTTP_11 => Err("HTTP/1.0 has no transfer codings"),
        Some(coding) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        Some(_) => Err("it has a transfer coding that was not asked for"),
        None => Ok(length.map_or(Framing::UntilEnd, of_length)),
    }
}

/// Whether the connection is there for another message, going by `Connection` and the
/// version (RFC 9112 section 9.3).
pub(super) fn is_persistent(version: Version, headers: &HeaderMap) -> bool {
    let says = |wanted| crate::headers::has_token(headers, header::CONNECTION, wanted);
    match version {
        Version::HTTP_10 => says("keep-alive") && !says("close"),
        _ => !headers.contains_key(header::CONNECTION) || !says("close"),
    }
}

fn of_length(length: u64) -> Framing {
    if length == 0 { Framing::Empty } else { Framing::Length(length) }
}

/// What `Content-Length` says, if it says one thing.
fn length(headers: &HeaderMap) -> Result<Option<u64>, &'static str> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(None),
        (Some(length), None) => number(length).map(Some).ok_or("its length is no number"),
        (Some(_), Some(_)) => Err("it has two lengths"),
    }
}

fn number(length: &HeaderValue) -> Option<u64> {
    let digits = length.as_bytes();
    // What `parse` takes besides digits: a sign.
    if digits.first().is_none_or(|first| !first.is_ascii_digit()) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).fold(
            HeaderMap::new(),
            |mut map, (name, value): (http::HeaderName, HeaderValue)| {
                map.append(name, value);
                map
            },
        )
    }

    #[test]
    fn sm_01_to_sm_10_sm_12_a_request_has_one_framing_or_is_refused() {
        let cl = "content-length";
        let te = "transfer-encoding";
        type Fields<'a> = &'a [(&'static str, &'a str)];
        let cases: [(Fields<'_>, Result<Framing, u16>); 20] = [
            (&[], Ok(Framing::Empty)),
            (&[(cl, "0")], Ok(Framing::Empty)),
            (&[(cl, "5")], Ok(Framing::Length(5))),
            (&[(te, "Chunked")], Ok(Framing::Chunked)),
            (&[(cl, "5"), (te, "chunked")], Err(400)),
            (&[(te, "chunked"), (cl, "5")], Err(400)),
            (&[(cl, "5"), (cl, "6")], Err(400)),
            (&[(cl, "5"), (cl, "5")], Err(400)),
            (&[(cl, "5, 5")], Err(400)),
            (&[(cl, "+5")], Err(400)),
            (&[(cl, "-5")], Err(400)),
            (&[(cl, "0x5")], Err(400)),
            (&[(cl, "5 5")], Err(400)),
            (&[(cl, "")], Err(400)),
            (&[(cl, "99999999999999999999999")], Err(400)),
            (&[(te, "xchunked")], Err(400)),
            (&[(te, "chunked, identity")], Err(400)),
            (&[(te, "gzip, chunked")], Err(501)),
            (&[(te, "chunked"), (te, "chunked")], Err(400)),
            (&[(te, "chunked, chunked")], Err(400)),
        ];
        for (fields, expected) in cases {
            let framing = framing_of_request(Version::HTTP_11, &map(fields));
            assert_eq!(framing.map_err(|status| status.as_u16()), expected, "{fields:?}");
        }
        let old = framing_of_request(Version::HTTP_10, &map(&[(te, "chunked")]));
        assert_eq!(old, Err(StatusCode::BAD_REQUEST));
    }

    #[test]
    fn sm_44_an_answer_has_one_framing_or_is_none() {
        let of = |status: u16, fields: &[(&'static str, &str)]| {
            let status = StatusCode::from_u16(status).unwrap();
            framing_of_answer(&Method::GET, status, Version::HTTP_11, &map(fields)).ok()
        };
        let (cl, te) = ("content-length", "transfer-encoding");
        assert_eq!(of(200, &[]), Some(Framing::UntilEnd));
        assert_eq!(of(200, &[(cl, "0")]), Some(Framing::Empty));
        assert_eq!(of(200, &[(cl, "3")]), Some(Framing::Length(3)));
        assert_eq!(of(200, &[(te, "chunked")]), Some(Framing::Chunked));
        assert_eq!(of(200, &[(te, "Identity")]), Some(Framing::UntilEnd));
        assert_eq!(of(200, &[(te, "identity"), (cl, "3")]), None);
        assert_eq!(of(200, &[(te, "identity, chunked")]), None);
        assert_eq!(of(204, &[(cl, "0")]), Some(Framing::Empty));
        assert_eq!(of(304, &[(cl, "3")]), Some(Framing::Empty));
        for fields in [&[(cl, "3"), (te, "chunked")][..], &[(cl, "3"), (cl, "3")], &[(te, "gzip")]]
        {
            assert_eq!(of(200, fields), None, "{fields:?}");
        }
        assert_eq!(of(204, &[(cl, "3")]), None);
        assert_eq!(of(103, &[(te, "chunked")]), None);
        let to_head =
            framing_of_answer(&Method::HEAD, StatusCode::OK, Version::HTTP_11, &map(&[(cl, "3")]));
        assert_eq!(to_head, Ok(Framing::Empty));
    }

    #[test]
    fn who_says_nothing_keeps_the_connection_from_http_1_1_on() {
        let persistent =
            |version, fields: &[(&'static str, &str)]| is_persistent(version, &map(fields));
        assert!(persistent(Version::HTTP_11, &[]));
        assert!(persistent(Version::HTTP_11, &[("connection", "upgrade")]));
        assert!(!persistent(Version::HTTP_11, &[("connection", "x, Close")]));
        assert!(!persistent(Version::HTTP_10, &[]));
        assert!(persistent(Version::HTTP_10, &[("connection", "Keep-Alive")]));
        assert!(!persistent(Version::HTTP_10, &[("connection", "keep-alive, close")]));
    }
}
