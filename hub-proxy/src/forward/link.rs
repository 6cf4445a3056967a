//! A connection to a target. No task of its own runs it: whoever has it polls it, and
//! what nobody has rests until somebody looks.

use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;

use crate::{
    BoxError, ProxyError,
    upstream::{Connector, Turns, UpstreamStream},
};

/// Most a target's answer may have as a head.
const MAX_ANSWER_HEAD: usize = 256 * 1024;

/// Reads and writes.
type Driver<B> = http1::Connection<TokioIo<UpstreamStream>, B>;

/// One connection, with one request on it at a time.
pub(crate) struct Link<B>
where
    B: Body + 'static,
{
    sender: SendRequest<B>,
    /// `None` once the connection has ended. It is large, and moves with each exchange.
    driver: Option<Box<Driver<B>>>,
    turns: Turns,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Unanswered<B> {
    pub(super) error: hyper::Error,
    /// The request, if it never left (K-01).
    pub(super) unsent: Option<Request<B>>,
    /// Whether the target may have closed a kept connection before it saw the request.
    pub(super) is_doubtful: bool,
}

impl<B> Link<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    pub(crate) async fn open(connector: Connector, target: Uri) -> Result<Self, ProxyError> {
        let stream = connector.connect(target).await.map_err(ProxyError::from_connect)?;
        let turns = stream.turns();
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(MAX_ANSWER_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| ProxyError::from_exchange(error.into()))?;
        Ok(Self { sender, driver: Some(Box::new(driver)), turns })
    }

    /// Sends a request, and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<B>,
    ) -> Result<Response<Incoming>, Unanswered<B>> {
        self.turns.asked();
        let mut answer = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        let answer = poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            drive(driver, cx);
            answer.as_mut().poll(cx)
        });
        answer.await.map_err(|mut failed| {
            let (unsent, is_doubtful) =
                (failed.take_message(), self.turns.is_reused_without_answer());
            Unanswered { error: failed.into_error(), unsent, is_doubtful }
        })
    }

    /// Goes on with what there is to read and to write.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.driver, cx);
    }

    /// Whether it has not ended.
    pub(super) fn is_open(&self) -> bool {
        self.driver.is_some()
    }

    /// Reads and writes to the end of the exchange, whoever takes the answer.
    pub(super) async fn finish(&mut self) {
        poll_fn(|cx| {
            let is_over = self.is_free(cx) || !self.is_open();
            if is_over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Whether another request may be sent. What has come unasked, or the target's end
    /// of the connection, is noticed here (K-01).
    pub(crate) fn is_free(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        self.driver.is_some() && self.sender.is_ready()
    }
}

fn drive<B>(driver: &mut Option<Box<Driver<B>>>, cx: &mut Context<'_>)
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    // How it ended is told to whoever waits for an answer.
    if let Some(running) = driver
        && Pin::new(running.as_mut()).poll(cx).is_ready()
    {
        *driver = None;
    }
}

impl<B: Body + 'static> fmt::Debug for Link<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("turns", &self.turns).finish_non_exhaustive()
    }
}
