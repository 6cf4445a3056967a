//! Bodies as they are read.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::SizeHint;

use super::{chunked::Chunked, fields::Malformed, framing::Framing};

/// Finds the end of one body.
#[derive(Debug)]
pub(crate) enum Decoder {
    /// So much is to come.
    Length(u64),
    Chunked(Box<Chunked>),
    /// All that comes.
    UntilEnd,
}

/// What is next in a body.
#[derive(Debug)]
pub(crate) enum Decoded {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
    /// Something that has not been read yet.
    More,
}

impl Decoder {
    pub(crate) fn new(framing: Framing) -> Self {
        match framing {
            Framing::Empty => Self::Length(0),
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Box::new(Chunked::new())),
            Framing::UntilEnd => Self::UntilEnd,
        }
    }

    /// The next piece of what has been read.
    pub(crate) fn decode(&mut self, read: &mut BytesMut) -> Result<Decoded, Malformed> {
        match self {
            Self::Length(0) => Ok(Decoded::End),
            Self::Chunked(chunked) => chunked.decode(read),
            Self::Length(_) | Self::UntilEnd if read.is_empty() => Ok(Decoded::More),
            Self::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(read.len());
                *left -= here as u64;
                Ok(Decoded::Data(read.split_to(here).freeze()))
            }
            Self::UntilEnd => Ok(Decoded::Data(read.split().freeze())),
        }
    }

    /// Whether all of it has been had.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_over(),
            Self::UntilEnd => false,
        }
    }

    /// Whether the end of the connection is the end of the body.
    pub(crate) fn ends_with_connection(&self) -> bool {
        matches!(self, Self::UntilEnd)
    }

    /// How many bytes of data are known to come.
    pub(crate) fn wanted(&self) -> u64 {
        match self {
            Self::Length(left) => *left,
            Self::Chunked(chunked) => chunked.wanted(),
            Self::UntilEnd => u64::MAX,
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Length(left) => SizeHint::with_exact(*left),
            Self::Chunked(chunked) if chunked.is_over() => SizeHint::with_exact(0),
            Self::Chunked(_) | Self::UntilEnd => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_ends_where_it_says() {
        let mut read = BytesMut::from("hello next");
        let mut decoder = Decoder::new(Framing::Length(5));
        let Ok(Decoded::Data(data)) = decoder.decode(&mut read) else { panic!("no data") };
        assert_eq!(data, "hello");
        assert!(decoder.is_over());
        assert!(matches!(decoder.decode(&mut read), Ok(Decoded::End)));
        assert_eq!(read, " next");
    }
}
