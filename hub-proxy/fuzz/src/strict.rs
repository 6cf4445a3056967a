//! A reader of HTTP/1.1 that forgives nothing: what a target might take for two
//! things is malformed.

use crate::Arrived;

/// How far a message could be read.
#[derive(Debug)]
pub enum Read<T> {
    /// With the number of bytes it had.
    Whole(T, usize),
    Incomplete,
    Malformed(&'static str),
}

/// One request at the beginning of `bytes`.
pub fn request(bytes: &[u8]) -> Read<Arrived> {
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Read::Incomplete };
    let Ok(head) = std::str::from_utf8(&bytes[..end + 2]) else {
        // Values may be Latin-1; that is the target's to read.
        return request_of(&String::from_utf8_lossy(&bytes[..end + 2]), bytes, end + 4);
    };
    request_of(head, bytes, end + 4)
}

fn request_of(head: &str, bytes: &[u8], behind: usize) -> Read<Arrived> {
    let mut lines = head.split_terminator("\r\n");
    let line = lines.next().unwrap_or_default();
    let parts: Vec<&str> = line.split(' ').collect();
    let [method, path, "HTTP/1.1"] = parts[..] else { return Read::Malformed("request line") };
    if method.is_empty() || !method.bytes().all(is_token) {
        return Read::Malformed("method");
    }
    if !path.starts_with('/') || !path.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
        return Read::Malformed("path");
    }
    let (mut lengths, mut codings, mut hosts) = (Vec::new(), Vec::new(), 0);
    for field in lines {
        let Some((name, value)) = field.split_once(':') else { return Read::Malformed("field") };
        if name.is_empty() || !name.bytes().all(is_token) {
            return Read::Malformed("name of a field");
        }
        if value.bytes().any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f) {
            return Read::Malformed("value of a field");
        }
        match name.to_ascii_lowercase().as_str() {
            "content-length" => lengths.push(value.trim()),
            "transfer-encoding" => codings.push(value.trim()),
            "host" => hosts += 1,
            "transfer_encoding" | "content_length" => return Read::Malformed("alias of a framing"),
            _ => {}
        }
    }
    if hosts != 1 {
        return Read::Malformed("number of hosts");
    }
    let whole = |body, len| Read::Whole(Arrived { head: head.to_owned(), body }, len);
    match (&lengths[..], &codings[..]) {
        ([], []) => whole(Vec::new(), behind),
        ([length], []) => {
            if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
                return Read::Malformed("length");
            }
            let Ok(length) = length.parse::<usize>() else { return Read::Incomplete };
            match bytes.get(behind..behind.saturating_add(length)) {
                Some(body) => whole(body.to_vec(), behind + length),
                None => Read::Incomplete,
            }
        }
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => {
            match chunked(&bytes[behind..], Writer::Proxy) {
                Read::Whole(body, len) => whole(body, behind + len),
                Read::Incomplete => Read::Incomplete,
                Read::Malformed(why) => Read::Malformed(why),
            }
        }
        _ => Read::Malformed("framing"),
    }
}

/// One answer to a GET at the end of what comes before it: how long the body is that came,
/// or what is wrong. `None` if the connection had to break off for it to be right.
///
/// # Errors
///
/// What another reader might take for something else.
pub fn answers(mut bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    loop {
        let end = find(bytes, b"\r\n\r\n").ok_or("end of the head")?;
        let head = String::from_utf8_lossy(&bytes[..end + 2]).into_owned();
        bytes = &bytes[end + 4..];
        let mut lines = head.split_terminator("\r\n");
        let line = lines.next().unwrap_or_default();
        let status: u16 = match line.strip_prefix("HTTP/1.1 ").map(|rest| rest.split_at(3)) {
            Some((status, reason)) if reason.starts_with(' ') => {
                status.parse().map_err(|_| "status")?
            }
            _ => return Err("status line"),
        };
        let (mut lengths, mut codings) = (Vec::new(), Vec::new());
        for field in lines {
            let (name, value) = field.split_once(':').ok_or("field")?;
            if name.is_empty() || !name.bytes().all(is_token) {
                return Err("name of a field");
            }
            if value.bytes().any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f) {
                return Err("value of a field");
            }
            match name.to_ascii_lowercase().as_str() {
                "content-length" => lengths.push(value.trim().to_owned()),
                "transfer-encoding" => codings.push(value.trim().to_owned()),
                _ => {}
            }
        }
        let is_interim = (100..200).contains(&status);
        match (&lengths[..], &codings[..]) {
            ([], []) if is_interim => {}
            _ if is_interim => return Err("framing before the answer"),
            ([], []) if matches!(status, 204 | 304) && bytes.is_empty() => return Ok(Some(0)),
            ([_], []) if status == 304 && bytes.is_empty() => return Ok(Some(0)),
            ([length], []) => {
                let length: usize = length.parse().map_err(|_| "length")?;
                return match bytes.len().cmp(&length) {
                    std::cmp::Ordering::Less => Ok(None),
                    std::cmp::Ordering::Equal => Ok(Some(length)),
                    std::cmp::Ordering::Greater => Err("behind the body"),
                };
            }
            ([], [coding]) if coding == "chunked" => {
                return match chunked(bytes, Writer::Proxy) {
                    Read::Whole(body, len) if len == bytes.len() => Ok(Some(body.len())),
                    Read::Whole(..) => Err("behind the body"),
                    Read::Incomplete => Ok(None),
                    Read::Malformed(why) => Err(why),
                };
            }
            _ => return Err("framing"),
        }
    }
}

/// Who has written what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// Any client: chunks may have extensions, trailers may say what is dropped.
    Client,
    /// The proxy.
    Proxy,
}

/// One chunked body; trailers are skipped.
pub fn chunked(bytes: &[u8], writer: Writer) -> Read<Vec<u8>> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(end) = find(&bytes[at..], b"\r\n") else { return Read::Incomplete };
        let line = &bytes[at..at + end];
        let extension = line.iter().position(|&byte| byte == b';').unwrap_or(line.len());
        let (size, extension) = line.split_at(extension);
        if extension.iter().any(|&byte| byte < b' ' && byte != b'\t')
            || writer == Writer::Proxy && !extension.is_empty()
        {
            return Read::Malformed("extension of a chunk");
        }
        let is_hex = !size.is_empty() && size.iter().all(u8::is_ascii_hexdigit);
        let size = std::str::from_utf8(size).ok().filter(|_| is_hex);
        let Some(size) = size.and_then(|size| usize::from_str_radix(size, 16).ok()) else {
            return Read::Malformed("chunk size");
        };
        at += end + 2;
        if size == 0 {
            return trailers(bytes, at, body, writer);
        }
        let Some(data) = bytes.get(at..at.saturating_add(size)) else { return Read::Incomplete };
        body.extend_from_slice(data);
        at += size;
        match bytes.get(at..at + 2) {
            None => return Read::Incomplete,
            Some(b"\r\n") => at += 2,
            Some(_) => return Read::Malformed("end of a chunk"),
        }
    }
}

fn trailers(bytes: &[u8], mut at: usize, body: Vec<u8>, writer: Writer) -> Read<Vec<u8>> {
    loop {
        let Some(end) = find(&bytes[at..], b"\r\n") else { return Read::Incomplete };
        let line = &bytes[at..at + end];
        at += end + 2;
        if line.is_empty() {
            return Read::Whole(body, at);
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            return Read::Malformed("trailer");
        };
        let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
        let is_dropped =
            matches!(name.as_str(), "content-length" | "transfer-encoding" | "host" | "cookie");
        if name.is_empty()
            || !line[..colon].iter().all(|&byte| is_token(byte))
            || is_dropped && writer == Writer::Proxy
        {
            return Read::Malformed("name of a trailer");
        }
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
