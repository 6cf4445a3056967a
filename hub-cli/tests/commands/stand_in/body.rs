//! Bodies of answers: whole, or as they come.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::Frame;
use tokio::sync::mpsc::UnboundedReceiver;

#[derive(Debug)]
pub(super) enum Body {
    Whole(Bytes),
    Stream(UnboundedReceiver<String>),
}

impl Body {
    pub(super) fn into_boxed(self) -> BoxBody<Bytes, Infallible> {
        match self {
            Self::Whole(bytes) => Full::new(bytes).boxed(),
            Self::Stream(pieces) => Pieces(pieces).boxed(),
        }
    }
}

/// Ends when the sender is dropped.
struct Pieces(UnboundedReceiver<String>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece.into()))))
    }
}
