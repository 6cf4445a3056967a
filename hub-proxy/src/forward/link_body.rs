//! A whole exchange over one connection, for whoever keeps that.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;

use super::Link;
use crate::BoxError;

/// The body of an answer, with the connection that it comes over.
#[derive(Debug)]
pub(crate) struct LinkBody<B: Body + 'static> {
    inner: Incoming,
    link: Link<B>,
}

impl<B> Link<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    /// Sends a request. The rest of the answer comes as its body is polled.
    pub(crate) async fn ask(
        mut self,
        request: Request<B>,
    ) -> Result<Response<LinkBody<B>>, hyper::Error> {
        let answer = self.send(request).await.map_err(|unanswered| unanswered.error)?;
        Ok(answer.map(|inner| LinkBody { inner, link: self }))
    }
}

impl<B> LinkBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    /// The connection, if it may be used again: the answer is complete.
    pub(crate) fn into_free(mut self) -> Option<Link<B>> {
        self.link.is_free(&mut Context::from_waker(Waker::noop())).then_some(self.link)
    }
}

impl<B> Body for LinkBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self { inner, link } = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut *inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        link.drive(cx);
        Pin::new(inner).poll_frame(cx)
    }
}
