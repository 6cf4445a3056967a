//! HTTP/1 on both sides of the proxy: messages are read strictly, and written anew
//! (RFC 9112).
//!
//! Requests have one reading or none: what another parser might take for something
//! else is refused, with the status that the rules of the proxy contract's section 15
//! say. Answers are read as strictly wherever it decides their length, but for line
//! ends, where more tolerance does no harm. Heads are parsed in place: a field's value
//! is a part of the bytes that were read.

mod answer;
mod buffered;
mod chunked;
mod date;
mod decoder;
mod encode;
mod error;
mod escape;
mod fields;
mod framing;
mod outgoing;
mod reason;
mod request;
mod wire;

pub(crate) use self::{
    answer::{Answer, parse_answer},
    buffered::Buffered,
    decoder::{Decoded, Decoder},
    encode::{Asker, BodyEncoder, encode_answer, encode_interim, encode_request},
    error::Http1Error,
    escape::escaped_path,
    fields::{Ends, find_end},
    framing::{Framing, framing_of_request},
    request::{MAX_TARGET, RequestHead, parse_request},
    wire::{ClientTunnel, HeadLimits, HeadRead, Interims, Wire, WireBody},
};
