//! What the benchmark of heads measures. It is no part of the library: it may change or go
//! with any release.

use bytes::Bytes;
use http::{HeaderValue, Method, Uri, uri::PathAndQuery};
use http_body::SizeHint;

use crate::{
    Peer,
    forward::Question,
    headers,
    http1::{self, Answer, Asker, RequestHead},
};

/// Most fields of a request, as a listener's default has it.
const MAX_FIELDS: usize = 256;

/// The head of a request.
#[derive(Debug)]
pub struct Asked(RequestHead);

impl Asked {
    /// Reads it, up to the empty line. `None` if it is refused.
    pub fn read(head: &Bytes) -> Option<Self> {
        http1::parse_request(head, MAX_FIELDS).ok().map(Self)
    }

    /// Makes its fields those that a target gets, as the proxy does by default.
    pub fn rewrite(&mut self, peer: &Peer) {
        let fields = &mut self.0.headers;
        headers::strip_aliases(fields);
        headers::strip_claims(fields);
        headers::add_forwarded(fields, Some(peer), false);
        headers::strip_hop_by_hop(fields);
    }

    /// Writes it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let root = PathAndQuery::from_static("/");
        let host = HeaderValue::from_static("target");
        let path = Uri::path_and_query(&self.0.uri).unwrap_or(&root);
        let Self(RequestHead { method, headers, .. }) = self;
        let question = Question { method, path, headers, is_upgrade: false };
        http1::encode_request(out, question, &host, None);
    }
}

/// The head of an answer.
#[derive(Debug)]
pub struct Answered(Answer);

impl Answered {
    /// Reads it, up to the empty line. `None` if it is none.
    pub fn read(head: &Bytes) -> Option<Self> {
        http1::parse_answer(head, &Method::GET).ok().map(Self)
    }

    /// Makes its fields those that a client gets.
    pub fn rewrite(&mut self) {
        headers::strip_hop_by_hop(&mut self.0.headers);
    }

    /// Writes it for a client that stays.
    pub fn write(&self, out: &mut Vec<u8>) {
        let asker = Asker { is_head: false, version: http::Version::HTTP_11, keeps: true };
        let Self(Answer { status, headers, .. }) = self;
        http1::encode_answer(out, (*status, None), headers, &SizeHint::default(), asker);
    }
}
