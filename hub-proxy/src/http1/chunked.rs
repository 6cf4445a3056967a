//! The chunked coding (RFC 9112 section 7.1), read strictly.

use bytes::{Buf, BytesMut};
use http::HeaderMap;
use memchr::memchr;

use super::{
    decoder::Decoded,
    fields::{Ends, FieldsError, Malformed, find_end, parse_fields},
};

/// Most of a chunk's extension, and of all in one message (SM-23).
const MAX_EXTENSION: usize = 256;
const MAX_EXTENSIONS: usize = 16 * 1024;

/// Longest size in digits, and longest line with one.
const MAX_DIGITS: usize = 16;
const MAX_LINE: usize = MAX_DIGITS + MAX_EXTENSION + 2;

/// Most of what comes behind the last chunk (SM-28).
const MAX_TRAILERS: usize = 8 * 1024;
const MAX_TRAILER_FIELDS: usize = 64;

/// Where in a chunked body one is.
#[derive(Debug)]
pub(crate) struct Chunked {
    stage: Stage,
    /// Of extensions, in all.
    extensions: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Size,
    /// So much of a chunk is to come.
    Data(u64),
    /// The line end behind a chunk.
    DataEnd,
    Trailers,
    Over,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self { stage: Stage::Size, extensions: 0 }
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// How much of the chunk that has begun is to come.
    pub(super) fn wanted(&self) -> u64 {
        if let Stage::Data(left) = self.stage { left } else { 0 }
    }

    /// The next piece of what has been read.
    pub(super) fn decode(&mut self, read: &mut BytesMut) -> Result<Decoded, Malformed> {
        loop {
            match self.stage {
                Stage::Size => {
                    let Some(line) = line_of(read)? else { return Ok(Decoded::More) };
                    let size = self.size(&read[..line])?;
                    read.advance(line + 2);
                    self.stage = if size == 0 { Stage::Trailers } else { Stage::Data(size) };
                }
                Stage::Data(_) if read.is_empty() => return Ok(Decoded::More),
                Stage::Data(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(read.len());
                    let left = left - here as u64;
                    self.stage = if left == 0 { Stage::DataEnd } else { Stage::Data(left) };
                    return Ok(Decoded::Data(read.split_to(here).freeze()));
                }
                Stage::DataEnd => match **read {
                    [b'\r', b'\n', ..] => {
                        read.advance(2);
                        self.stage = Stage::Size;
                    }
                    [] | [b'\r'] => return Ok(Decoded::More),
                    _ => return Err("a chunk does not end where it says"),
                },
                Stage::Trailers => {
                    let Some(trailers) = trailers(read)? else { return Ok(Decoded::More) };
                    self.stage = Stage::Over;
                    if !trailers.is_empty() {
                        return Ok(Decoded::Trailers(trailers));
                    }
                }
                Stage::Over => return Ok(Decoded::End),
            }
        }
    }

    fn size(&mut self, line: &[u8]) -> Result<u64, Malformed> {
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if !(1..=MAX_DIGITS).contains(&digits) {
            return Err("the size of a chunk is no number");
        }
        let (size, extension) = line.split_at(digits);
        self.extensions += extension.len();
        let is_sound = match extension {
            [] => true,
            [b';', text @ ..] => text.iter().all(|&byte| byte >= b' ' || byte == b'\t'),
            _ => false,
        };
        if !is_sound {
            return Err("behind the size of a chunk is something else");
        }
        if extension.len() > MAX_EXTENSION || self.extensions > MAX_EXTENSIONS {
            return Err("the extensions of chunks are too long");
        }
        std::str::from_utf8(size)
            .ok()
            .and_then(|size| u64::from_str_radix(size, 16).ok())
            .ok_or("the size of a chunk is no number")
    }
}

/// The length of the line that `read` begins with, without its end.
fn line_of(read: &[u8]) -> Result<Option<usize>, Malformed> {
    let most = &read[..read.len().min(MAX_LINE)];
    match memchr(b'\n', most) {
        Some(0) => Err("a chunk has no size"),
        Some(end) if most[end - 1] == b'\r' => Ok(Some(end - 1)),
        Some(_) => Err("a line ends without CR"),
        None if read.len() >= MAX_LINE => Err("the size of a chunk does not end"),
        None => Ok(None),
    }
}

/// The fields behind the last chunk, once they are all there.
fn trailers(read: &mut BytesMut) -> Result<Option<HeaderMap>, Malformed> {
    if read.starts_with(b"\r\n") {
        read.advance(2);
        return Ok(Some(HeaderMap::new()));
    }
    // Looked at from their beginning each time: they are short, and come at once.
    let end = find_end(read, 0, Ends::Strict)?;
    if end.unwrap_or(read.len()) > MAX_TRAILERS {
        return Err("the trailers are too long");
    }
    let Some(end) = end else { return Ok(None) };
    let block = read.split_to(end).freeze();
    match parse_fields(&block, 0, MAX_TRAILER_FIELDS) {
        Ok(trailers) => Ok(Some(trailers)),
        Err(FieldsError::Malformed(what)) => Err(what),
        Err(FieldsError::TooMany) => Err("there are too many trailers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes a body that comes in pieces of this size: the data, and what is behind.
    fn decode(body: &str, piece: usize) -> Result<(String, Vec<String>, String), Malformed> {
        let (mut chunked, mut read) = (Chunked::new(), BytesMut::new());
        let (mut data, mut names) = (Vec::new(), Vec::new());
        let mut pieces = body.as_bytes().chunks(piece);
        loop {
            match chunked.decode(&mut read)? {
                Decoded::Data(bytes) => data.extend_from_slice(&bytes),
                Decoded::Trailers(map) => names = map.keys().map(ToString::to_string).collect(),
                Decoded::End => break,
                Decoded::More => match pieces.next() {
                    Some(piece) => read.extend_from_slice(piece),
                    None => return Err("more"),
                },
            }
        }
        for piece in pieces {
            read.extend_from_slice(piece);
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((text(&data), names, text(&read)))
    }

    #[test]
    fn sm_23_chunks_are_joined_however_they_arrive() {
        let body = "5\r\nhello\r\n0001;x=y;z\r\n!\r\n0;last\r\nA: b\r\n\r\nnext";
        for piece in 1..=body.len() {
            let (data, trailers, behind) = decode(body, piece).unwrap();
            assert_eq!((data.as_str(), behind.as_str()), ("hello!", "next"), "{piece}");
            assert_eq!(trailers, ["a"]);
        }
    }

    #[test]
    fn sm_24_to_sm_26_sm_28_what_is_no_chunk() {
        let long = |length| format!("2;{}\r\nhi\r\n0\r\n\r\n", "x".repeat(length));
        assert!(decode(&long(MAX_EXTENSION - 1), 9).is_ok());
        for body in [
            "2;x\ny\r\nhi\r\n0\r\n\r\n",
            "2;x\ry\r\nhi\r\n0\r\n\r\n",
            "2\nhi\r\n0\r\n\r\n",
            "0x2\r\nhi\r\n0\r\n\r\n",
            "+2\r\nhi\r\n0\r\n\r\n",
            " 2\r\nhi\r\n0\r\n\r\n",
            "2 \r\nhi\r\n0\r\n\r\n",
            "_2\r\nhi\r\n0\r\n\r\n",
            "\r\nhi\r\n0\r\n\r\n",
            "10000000000000002\r\nhi\r\n0\r\n\r\n",
            "2\r\nhi0\r\n\r\n",
            "2\r\nhi\n0\r\n\r\n",
            "0\r\nno colon\r\n\r\n",
            "0\r\nX: a\r\n folded\r\n\r\n",
            "0\r\nX: a\n\r\n",
            &long(MAX_EXTENSION),
            &format!("{}0\r\n\r\n", format!("1;{}\r\nx\r\n", "y".repeat(250)).repeat(66)),
            &format!("0\r\nX: {}\r\n\r\n", "a".repeat(MAX_TRAILERS)),
        ] {
            for piece in [1, body.len()] {
                let what = decode(body, piece).unwrap_err();
                assert_ne!(what, "more", "{body:?}");
            }
        }
    }
}
