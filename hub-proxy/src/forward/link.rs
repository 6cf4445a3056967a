//! A connection to a target, with one exchange on it at a time. No task of its own runs
//! it: whoever has it polls it, and what nobody has rests until somebody looks.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, uri::PathAndQuery};
use http_body::{Body, Frame, SizeHint};
use tokio::{
    task::coop,
    time::{Instant, Sleep, sleep},
};

use crate::{
    BoxError, ProxyError, Target, deadline,
    http1::{
        Answer, BodyEncoder, Buffered, Decoded, Decoder, Ends, Http1Error, encode_request,
        find_end, parse_answer,
    },
    transport::Transport,
    tunnel::WithEarly,
    upstream::Connector,
};

/// Most a target's answer may have as a head.
pub(super) const MAX_ANSWER_HEAD: usize = 256 * 1024;

/// Most of a request that waits to be written (B-01).
const MAX_WAITING: usize = 64 * 1024;

/// Answers before the answer that are read, against a flood; the client gets the first few
///
const MAX_INTERIM: u16 = 512;

/// How long a target may take to ask for a body, before it gets it.
const PATIENCE: Duration = Duration::from_secs(1);

/// One connection.
#[derive(Debug)]
pub(crate) struct Link<B> {
    stream: Buffered<Transport>,
    /// For requests that name none (H-01).
    host: HeaderValue,
    /// The body of the request, until all of it has been taken.
    sending: Option<Sending<B>>,
    /// Why no more of the request can be sent. What the target said before it closed
    /// still counts.
    write_error: Option<io::Error>,
    /// The answer's body, if its head has come and its end has not.
    receiving: Option<Decoder>,
    /// How much of a head has been searched for its end.
    seen: usize,
    /// Whether there may be another exchange.
    is_persistent: bool,
    /// Whether this is not the first exchange, and whether something of its answer has
    /// come.
    was_used: bool,
    is_heard: bool,
    /// Whether something of the request's body has been taken.
    has_taken: bool,
}

#[derive(Debug)]
struct Sending<B> {
    body: B,
    encoder: BodyEncoder,
}

/// What is asked, but for the body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a PathAndQuery,
    pub(crate) headers: &'a HeaderMap,
    /// Whether it asks for another protocol, as the fields say.
    pub(crate) is_upgrade: bool,
}

/// What a target may make us wait for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Most bytes in the head of its answer.
    pub(crate) head: usize,
    /// How long it may take nothing of the request; for ever if there is none.
    pub(crate) stall: Option<Duration>,
}

impl Bounds {
    pub(crate) fn of_head(bytes: usize) -> Self {
        Self { head: bytes, stall: None }
    }
}

/// A request of which its target takes nothing.
struct Stall {
    written: u64,
    timer: Pin<Box<Sleep>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Unanswered<B> {
    pub(crate) error: Http1Error,
    /// The body, if nothing of the request has left (K-01).
    pub(crate) unsent: Option<B>,
    /// Whether the target may have closed a kept connection before it saw the request.
    pub(crate) is_doubtful: bool,
}

/// Hears what a target says before its answer.
pub(crate) type OnInterim<'a> = &'a (dyn Fn(StatusCode, &HeaderMap) + Send + Sync);

impl<B> Link<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    /// Boxed: it goes from hand to hand with each exchange.
    pub(crate) async fn open(
        connector: Connector,
        target: &Target,
    ) -> Result<Box<Self>, ProxyError> {
        let leads_there = target.uri_for(None, false);
        let stream = connector.connect(leads_there).await.map_err(ProxyError::from_connect)?;
        Ok(Box::new(Self::over(Buffered::new(stream), target.host())))
    }

    fn over(stream: Buffered<Transport>, host: HeaderValue) -> Self {
        Self {
            stream,
            host,
            sending: None,
            write_error: None,
            receiving: None,
            seen: 0,
            is_persistent: true,
            was_used: false,
            is_heard: false,
            has_taken: false,
        }
    }

    /// Sends a request, and waits for the head of its answer.
    pub(crate) async fn send(
        &mut self,
        question: Question<'_>,
        body: B,
        bounds: Bounds,
        on_interim: OnInterim<'_>,
    ) -> Result<Answer, Unanswered<B>> {
        self.was_used = self.is_heard;
        self.is_heard = false;
        self.has_taken = false;
        let hint = (!body.is_end_stream()).then(|| body.size_hint());
        let Question { method, headers, .. } = question;
        let Self { stream, host, .. } = self;
        let encoder = stream.out.write(|out| encode_request(out, question, host, hint));
        let head_len = self.stream.out.len();
        let has_body = encoder != BodyEncoder::Nothing;
        let mut unsent = None;
        match has_body {
            true => self.sending = Some(Sending { body, encoder }),
            false => unsent = Some(body),
        }
        let mut patience =
            (has_body && headers.contains_key(header::EXPECT)).then(|| Box::pin(sleep(PATIENCE)));
        let mut interim_left = MAX_INTERIM;
        let mut stall = None;
        let answer = poll_fn(|cx| {
            loop {
                if let Some(waits) = &mut patience
                    && waits.as_mut().poll(cx).is_ready()
                {
                    patience = None;
                }
                let takes_body = patience.is_none();
                if let Err(error) = self.poll_send(cx, takes_body) {
                    // What broke off is not to be sent elsewhere, as if it were complete.
                    self.sending = None;
                    return Poll::Ready(Err(error));
                }
                if self.poll_stall(cx, &mut stall, bounds.stall).is_ready() {
                    self.sending = None;
                    let error = io::Error::from(io::ErrorKind::TimedOut);
                    return Poll::Ready(Err(error.into()));
                }
                let answer = ready!(self.poll_head(cx, method, bounds.head))?;
                if !answer.status.is_informational()
                    || answer.status == StatusCode::SWITCHING_PROTOCOLS
                {
                    // The body is not wanted: it was waited with, or refused (X-01, B-05).
                    let is_refused = answer.status.as_u16() >= 400 || patience.is_some();
                    if is_refused && self.sending.take().is_some() {
                        return Poll::Ready(Ok(Answer { is_persistent: false, ..answer }));
                    }
                    return Poll::Ready(Ok(answer));
                }
                if interim_left == 0 {
                    return Poll::Ready(Err(Http1Error::Malformed("too much before the answer")));
                }
                interim_left -= 1;
                patience = None;
                if answer.status != StatusCode::CONTINUE {
                    on_interim(answer.status, &answer.headers);
                }
            }
        });
        match answer.await {
            Ok(answer) => {
                self.is_persistent = answer.is_persistent;
                let decoder = Decoder::new(answer.framing);
                self.receiving = Some(decoder).filter(|decoder| !decoder.is_over());
                Ok(answer)
            }
            Err(error) => {
                self.is_persistent = false;
                let left = self.stream.out.len();
                let unsent = self.sending.take().map(|sending| sending.body).or(unsent);
                let unsent = unsent.filter(|_| !self.has_taken && left == head_len);
                Err(Unanswered { error, unsent, is_doubtful: self.was_used && !self.is_heard })
            }
        }
    }

    /// Goes on with what is to be sent; an error if its body broke off.
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        takes_body: bool,
    ) -> Result<(), Http1Error> {
        loop {
            let mut waits = !takes_body;
            while let Some(Sending { body, encoder }) = self.sending.as_mut().filter(|_| !waits)
                && self.stream.out.len() < MAX_WAITING
            {
                let out = &mut self.stream.out;
                let is_over = match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Pending => {
                        waits = true;
                        false
                    }
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(data) => {
                            self.has_taken = true;
                            encoder.data(out, data).map_err(Http1Error::Malformed)?;
                            let is_over = body.is_end_stream();
                            if is_over {
                                encoder.end(out, None).map_err(Http1Error::Malformed)?;
                            }
                            is_over
                        }
                        Err(frame) => {
                            let trailers = frame.into_trailers().ok();
                            encoder.end(out, trailers.as_ref()).map_err(Http1Error::Malformed)?;
                            true
                        }
                    },
                    Poll::Ready(None) => {
                        encoder.end(out, None).map_err(Http1Error::Malformed)?;
                        true
                    }
                    Poll::Ready(Some(Err(error))) => {
                        self.is_persistent = false;
                        return Err(Http1Error::Body(error.into()));
                    }
                };
                if is_over {
                    self.sending = None;
                }
            }
            match self.stream.poll_flush(cx) {
                Poll::Ready(Ok(())) if self.sending.is_some() && !waits => {}
                Poll::Ready(Err(error)) => {
                    self.write_error.get_or_insert(error);
                    self.is_persistent = false;
                    return Ok(());
                }
                Poll::Ready(Ok(())) | Poll::Pending => return Ok(()),
            }
        }
    }

    /// Ready once the target has taken nothing for too long of a body that has begun.
    fn poll_stall(
        &self,
        cx: &mut Context<'_>,
        stall: &mut Option<Stall>,
        limit: Option<Duration>,
    ) -> Poll<()> {
        let Some(limit) = limit.filter(|_| self.has_taken && self.is_blocked()) else {
            *stall = None;
            return Poll::Pending;
        };
        let written = self.written();
        let is_new = stall.as_ref().is_none_or(|stall| stall.written != written);
        let stall = stall.get_or_insert_with(|| Stall { written, timer: Box::pin(sleep(limit)) });
        if is_new {
            stall.written = written;
            stall.timer.as_mut().reset(deadline::after(Instant::now(), limit));
        }
        stall.timer.as_mut().poll(cx)
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        method: &Method,
        most: usize,
    ) -> Poll<Result<Answer, Http1Error>> {
        loop {
            let end = find_end(&self.stream.read, self.seen, Ends::Tolerant);
            let end = end.map_err(Http1Error::Malformed)?;
            if end.unwrap_or(self.stream.read.len()) > most {
                return Poll::Ready(Err(Http1Error::Malformed("its head is too long")));
            }
            if let Some(end) = end {
                self.seen = 0;
                let head = self.stream.read.split_to(end).freeze();
                return Poll::Ready(parse_answer(&head, method).map_err(Http1Error::Malformed));
            }
            self.seen = self.stream.read.len();
            match ready!(self.stream.poll_fill(cx)) {
                Ok(1..) => self.is_heard = true,
                Ok(0) => {
                    let error = self.write_error.take();
                    return Poll::Ready(Err(error.map_or(Http1Error::Incomplete, Http1Error::Io)));
                }
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// The next piece of the answer. What is to be sent is left to somebody else if
    /// `is_sent_elsewhere`.
    pub(crate) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        is_sent_elsewhere: bool,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        if !is_sent_elsewhere && self.is_sending() {
            self.poll_send(cx, true)?;
        }
        let Some(decoder) = &mut self.receiving else { return Poll::Ready(None) };
        let frame = loop {
            match decoder.decode(&mut self.stream.read) {
                Ok(Decoded::Data(data)) => break Some(Ok(Frame::data(data))),
                Ok(Decoded::Trailers(trailers)) => break Some(Ok(Frame::trailers(trailers))),
                Ok(Decoded::End) => break None,
                Ok(Decoded::More) => {}
                Err(what) => break Some(Err(Http1Error::Malformed(what))),
            }
            match ready!(self.stream.poll_fill_body(cx, decoder.wanted())) {
                Ok(1..) => {}
                Ok(0) if decoder.ends_with_connection() => {
                    self.is_persistent = false;
                    break None;
                }
                Ok(0) => break Some(Err(Http1Error::Incomplete)),
                Err(error) => break Some(Err(error.into())),
            }
        };
        let is_broken = matches!(frame, Some(Err(_)));
        self.is_persistent &= !is_broken;
        if decoder.is_over() || is_broken || frame.is_none() {
            self.receiving = None;
        }
        Poll::Ready(frame)
    }

    /// Whether all of the answer has been had.
    pub(crate) fn is_answered(&self) -> bool {
        self.receiving.is_none()
    }

    /// How much of the answer is to come.
    pub(crate) fn size_hint(&self) -> SizeHint {
        self.receiving.as_ref().map_or_else(|| SizeHint::with_exact(0), Decoder::size_hint)
    }

    /// Whether something of the request has not left.
    pub(crate) fn is_sending(&self) -> bool {
        (self.sending.is_some() || !self.stream.out.is_empty()) && self.write_error.is_none()
    }

    /// How many bytes have been written in all, and whether some cannot be now.
    pub(super) fn written(&self) -> u64 {
        self.stream.out.written()
    }

    pub(super) fn is_blocked(&self) -> bool {
        !self.stream.out.is_empty()
    }

    /// Whether another request may be sent. What has come unasked, or the target's end
    /// of the connection, is noticed here (K-01, SM-45, SM-46).
    pub(crate) fn is_free(&mut self, cx: &mut Context<'_>) -> bool {
        let is_complete = self.is_persistent && self.is_answered() && !self.is_sending();
        is_complete
            && self.write_error.is_none()
            && self.stream.read.is_empty()
            // A task that has done enough for now is told that nothing has come.
            && coop::has_budget_remaining()
            && self.stream.poll_fill(cx).is_pending()
    }

    /// Gives back what memory a connection does not need that rests.
    pub(super) fn rest(&mut self) {
        self.stream.release();
    }

    /// The connection itself, after 101.
    pub(crate) fn into_tunnel(self) -> Box<WithEarly<Transport>> {
        let Self { stream, .. } = self;
        Box::new(WithEarly::new(stream.io, stream.read.freeze()))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;

    use http_body_util::{Empty, Full};
    use socket2::SockRef;
    use tokio::net::UnixStream;

    use super::*;
    use crate::socket::Socket;

    /// A connection that has served and that nothing can be written to any more, which its
    /// reading side does not tell, and the other end.
    fn stale<B>() -> (Link<B>, UnixStream)
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
    {
        let (ours, theirs) = UnixStream::pair().unwrap();
        SockRef::from(&ours).shutdown(Shutdown::Write).unwrap();
        let stream = Buffered::new(Transport::Plain(Socket::Unix(ours)));
        let mut link = Link::over(stream, HeaderValue::from_static("h"));
        link.is_heard = true;
        (link, theirs)
    }

    async fn unanswered<B>(body: B) -> Unanswered<B>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + std::fmt::Debug,
    {
        let (mut link, theirs) = stale();
        assert!(poll_fn(|cx| Poll::Ready(link.is_free(cx))).await, "nothing is known yet");
        let (path, headers) = (PathAndQuery::from_static("/"), HeaderMap::new());
        let question =
            Question { method: &Method::POST, path: &path, headers: &headers, is_upgrade: false };
        let answer = link.send(question, body, Bounds::of_head(MAX_ANSWER_HEAD), &|_, _| {});
        let (answer, ()) = tokio::join!(answer, async { drop(theirs) });
        answer.unwrap_err()
    }

    #[tokio::test]
    async fn k_01_what_never_left_comes_back_even_if_it_may_not_be_repeated() {
        assert!(unanswered(Empty::<Bytes>::new()).await.unsent.is_some());
        // What has been taken of a body cannot be had again.
        assert!(unanswered(Full::new(Bytes::from_static(b"hi"))).await.unsent.is_none());
    }
}
