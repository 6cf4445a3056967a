//! How long a request takes until all of its answer has left (M-08).

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::meters::Meters;

/// A request that is being answered; dropped at the end, whatever that is.
#[derive(Debug)]
pub(super) struct Running {
    meters: Meters,
    began: Instant,
}

pin_project! {
    /// The body of its answer.
    #[derive(Debug)]
    pub(super) struct Measured<B> {
        #[pin]
        inner: B,
        running: Option<Running>,
    }
}

impl Running {
    pub(super) fn new(meters: Meters) -> Self {
        Self { meters, began: Instant::now() }
    }

    /// The head of the answer is there.
    pub(super) fn is_answered(&self) {
        self.meters.has_begun(self.began.elapsed());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.meters.has_ended(self.began.elapsed());
    }
}

impl<B> Measured<B> {
    pub(super) fn new(inner: B, running: Option<Running>) -> Self {
        Self { inner, running }
    }
}

impl<B: Body> Body for Measured<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().inner.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
