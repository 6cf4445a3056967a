//! A whole exchange over one connection, for whoever keeps that.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::{
    Link,
    link::{Bounds, MAX_ANSWER_HEAD, Question},
};
use crate::{BoxError, http1::Http1Error};

/// The body of an answer, with the connection that it comes over.
#[derive(Debug)]
pub(crate) struct LinkBody<B>(Box<Link<B>>);

impl<B> Link<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    /// Sends a request. The rest of the answer comes as its body is polled.
    pub(crate) async fn ask(
        mut self: Box<Self>,
        question: Question<'_>,
        body: B,
    ) -> Result<(HeaderMap, LinkBody<B>), Http1Error> {
        let answer = self.send(question, body, Bounds::of_head(MAX_ANSWER_HEAD), &|_, _| {}).await;
        let answer = answer.map_err(|unanswered| unanswered.error)?;
        Ok((answer.headers, LinkBody(self)))
    }
}

impl<B> LinkBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    /// The connection, if it may be used again: the answer is complete.
    pub(crate) fn into_free(mut self) -> Option<Box<Link<B>>> {
        self.0.is_free(&mut Context::from_waker(Waker::noop())).then_some(self.0)
    }
}

impl<B> Body for LinkBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = Http1Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        self.get_mut().0.poll_body(cx, false)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_answered()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
