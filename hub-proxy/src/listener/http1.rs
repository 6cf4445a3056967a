//! HTTP/1 on a client's connection: one request after the other.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{self, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body::{Body, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use super::{
    Context,
    handler::{Handler, ResponseBody},
    stream::{ClientStream, Phase},
};
use crate::{
    Meters, Peer, RequestBody, deadline,
    error::chain,
    http1::{
        Asker, BodyEncoder, HeadLimits, HeadRead, Http1Error, RequestHead, Wire, encode_answer,
    },
    upgrade,
};

/// Most of an answer that waits to be written (B-01).
const MAX_WAITING: usize = 64 * 1024;

/// How much of a request that nobody wants is read, and for how long (B-05).
const MAX_DISCARDED: usize = 64 * 1024;
const DISCARD_LIMIT: Duration = Duration::from_secs(1);

/// One connection.
struct Connection<'c, 's> {
    context: &'c Context,
    wire: &'c Arc<Wire>,
    phase: Arc<Phase>,
    peer: Peer,
    stop: Signal<'c, 's>,
    idle: Idle,
}

/// A token that one task waits for again and again. It is told once whom to wake, which
/// takes a lock that all connections share.
struct Signal<'c, 's> {
    token: &'c CancellationToken,
    cancelled: Pin<&'s mut WaitForCancellationFuture<'c>>,
    is_heard: bool,
}

impl<'c, 's> Signal<'c, 's> {
    fn new(
        token: &'c CancellationToken,
        cancelled: Pin<&'s mut WaitForCancellationFuture<'c>>,
    ) -> Self {
        Self { token, cancelled, is_heard: false }
    }

    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        if !self.is_heard {
            self.is_heard = true;
            return self.cancelled.as_mut().poll(cx);
        }
        if self.token.is_cancelled() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// What comes after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Request,
    /// The end.
    Close,
    /// The end, while the client may still be sending what nobody reads.
    Farewell,
    /// Nothing: nobody is there, or the connection is somebody else's.
    Nothing,
}

/// Serves one connection to its end, of which something may have been read already.
pub(super) async fn serve<S, B>(
    context: Arc<Context>,
    (stream, early): (ClientStream, BytesMut),
    phase: Arc<Phase>,
    peer: Peer,
    service: S,
) where
    S: Handler<B>,
    B: ResponseBody,
{
    let wire = &Wire::new(stream, early);
    let stop = pin!(context.stop.cancelled());
    let cut = pin!(context.cut.cancelled());
    let mut cut = Signal::new(&context.cut, cut);
    let mut connection = Connection {
        context: &context,
        wire,
        phase: Arc::clone(&phase),
        peer,
        stop: Signal::new(&context.stop, stop),
        idle: Idle::default(),
    };
    tokio::select! {
        biased;
        () = connection.run(service) => {}
        () = poll_fn(|cx| cut.poll(cx)) => {
            context.cut(&phase);
        }
    }
    // Somebody may still have the body of a request, and would keep the connection.
    wire.cut();
}

impl Connection<'_, '_> {
    async fn run<S, B>(&mut self, mut service: S)
    where
        S: Handler<B>,
        B: ResponseBody,
    {
        loop {
            let next = match self.head().await {
                HeadRead::Head(head) => {
                    self.phase.request_began();
                    let next = self.exchange(*head, &mut service).await;
                    if next != Next::Nothing {
                        self.phase.request_ended();
                    }
                    next
                }
                HeadRead::Refused(status) => self.refuse(status).await,
                HeadRead::End => Next::Nothing,
            };
            match next {
                // A part of it may be here already.
                Next::Request if self.wire.has_more() => self.phase.bytes_arrived(),
                Next::Request => {}
                Next::Close => return poll_fn(|cx| self.wire.poll_end(cx)).await,
                Next::Farewell => return self.take_leave().await,
                Next::Nothing => return,
            }
        }
    }

    /// Waits for the next request. A client that has begun one may end it, whatever ends.
    async fn head(&mut self) -> HeadRead {
        let config = &self.context.config;
        let limits =
            HeadLimits { bytes: config.max_header_bytes, fields: config.max_header_fields };
        let enough = async {
            tokio::select! {
                () = poll_fn(|cx| self.stop.poll(cx)) => {}
                () = self.idle.over(config.keep_alive_timeout) => {}
            }
        };
        tokio::select! {
            biased;
            head = poll_fn(|cx| self.wire.poll_head(cx, limits)) => return head,
            () = enough => {}
        }
        match self.wire.has_more() {
            true => poll_fn(|cx| self.wire.poll_head(cx, limits)).await,
            false => {
                poll_fn(|cx| self.wire.poll_end(cx)).await;
                HeadRead::End
            }
        }
    }

    async fn exchange<S, B>(&self, head: RequestHead, service: &mut S) -> Next
    where
        S: Handler<B>,
        B: ResponseBody,
    {
        let asker = Asker {
            is_head: head.method == Method::HEAD,
            version: head.version,
            keeps: head.is_persistent,
        };
        let has_trailers = head.takes_trailers;
        let wants_to_stay = head.is_persistent;
        let request = self.request(head);
        let is_handshake = upgrade::is_websocket(&request);
        let Ok(()) = poll_fn(|cx| service.poll_ready(cx)).await;
        let answer = {
            let mut answer = pin!(service.call(request));
            let answer = poll_fn(|cx| match answer.as_mut().poll(cx) {
                Poll::Ready(Ok(answer)) => Poll::Ready(Some(answer)),
                Poll::Pending => self.wire.poll_gone(cx).map(|()| None),
            });
            answer.await
        };
        let Some(answer) = answer else { return Next::Nothing };
        // What a client may have sent behind a handshake is no request (SM-41).
        let asker = Asker { keeps: asker.keeps && !is_handshake, ..asker };
        match self.answer(answer, asker, has_trailers).await {
            Ok(keeps) => self.end(wants_to_stay, keeps).await,
            Err(error) => {
                // What was sent is not all there was, and the client must not take it
                // for complete.
                self.phase.abort();
                tracing::debug!(error = %chain(&error), "a client connection broke");
                Next::Nothing
            }
        }
    }

    fn request(&self, head: RequestHead) -> Request<RequestBody> {
        let body = self.wire.begin(&head);
        let mut request = Request::new(RequestBody::wire(body));
        *request.method_mut() = head.method;
        *request.uri_mut() = head.uri;
        *request.version_mut() = head.version;
        request.extensions_mut().insert(self.peer);
        if head.headers.contains_key(header::UPGRADE) {
            request.extensions_mut().insert(self.context.tunnels.clone());
        }
        *request.headers_mut() = head.headers;
        request
    }

    /// Sends an answer. Whether the connection stays.
    async fn answer<B: ResponseBody>(
        &self,
        answer: Response<B>,
        asker: Asker,
        has_trailers: bool,
    ) -> Result<bool, Http1Error> {
        let (head, body) = answer.into_parts();
        let is_last = self.wire.answers(MAX_DISCARDED);
        let Context { stop, release, .. } = self.context;
        let keeps = asker.keeps && !is_last && !stop.is_cancelled() && !release.is_cancelled();
        let asker = Asker { keeps, ..asker };
        let size = match body.is_end_stream() {
            true => SizeHint::with_exact(0),
            false => body.size_hint(),
        };
        let written = self.wire.write(|out| {
            let said = (head.status, head.extensions.get());
            out.write(|out| encode_answer(out, said, &head.headers, &size, asker))
        });
        let (encoder, keeps) = written.unwrap_or((BodyEncoder::Nothing, false));
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            poll_fn(|cx| self.wire.poll_flush(cx)).await?;
            self.phase.tunnel_began();
            self.wire.hand_over();
            return Ok(false);
        }
        let mut body = pin!(body);
        let mut sender = Sender { encoder, has_trailers, is_over: encoder.is_done() };
        poll_fn(|cx| sender.poll(cx, self.wire, body.as_mut())).await?;
        Ok(keeps)
    }

    /// What is left of the request is read, if that is not much.
    async fn end(&self, wants_to_stay: bool, keeps: bool) -> Next {
        let is_all = poll_fn(|cx| self.wire.poll_body_left(cx)).await;
        if self.wire.is_handed_over() {
            return Next::Nothing;
        }
        match (is_all, keeps) {
            (true, true) => return Next::Request,
            // Who wanted it to stay may have asked something already.
            (true, false) if !wants_to_stay && !self.wire.has_more() => return Next::Close,
            (_, false) => return Next::Farewell,
            (false, true) => {}
        }
        self.wire.forsake_body();
        let mut most = MAX_DISCARDED;
        let discarded = poll_fn(|cx| self.wire.poll_discard(cx, &mut most));
        match timeout(DISCARD_LIMIT, discarded).await {
            Ok(true) => Next::Request,
            Ok(false) | Err(_) => Next::Farewell,
        }
    }

    /// Answers what is no request.
    async fn refuse(&self, status: StatusCode) -> Next {
        Meters::refused(self.context.config.meters.as_ref(), status);
        let asker = Asker { is_head: false, version: http::Version::HTTP_11, keeps: false };
        let nothing = SizeHint::with_exact(0);
        self.wire.write(|out| {
            out.write(|out| encode_answer(out, (status, None), &HeaderMap::new(), &nothing, asker))
        });
        match poll_fn(|cx| self.wire.poll_flush(cx)).await {
            Ok(()) => Next::Farewell,
            Err(_) => Next::Nothing,
        }
    }

    /// Closes the connection in a way that lets the client read what it was told: a socket
    /// that is closed while something comes is reset.
    async fn take_leave(&self) {
        poll_fn(|cx| self.wire.poll_shutdown(cx)).await;
        let mut most = MAX_DISCARDED;
        let gone = poll_fn(|cx| self.wire.poll_linger(cx, &mut most));
        // Long enough or not, it ends.
        let _ = timeout(DISCARD_LIMIT, gone).await;
    }
}

/// The body of an answer on its way.
struct Sender {
    encoder: BodyEncoder,
    has_trailers: bool,
    is_over: bool,
}

impl Sender {
    /// Ready when all of it has left.
    fn poll<B: ResponseBody>(
        &mut self,
        cx: &mut task::Context<'_>,
        wire: &Wire,
        mut body: Pin<&mut B>,
    ) -> Poll<Result<(), Http1Error>> {
        loop {
            let waits = self.poll_fill(cx, wire, body.as_mut())?;
            ready!(wire.poll_flush(cx))?;
            if self.is_over {
                return Poll::Ready(Ok(()));
            }
            if waits {
                ready!(wire.poll_gone(cx));
                return Poll::Ready(Err(Http1Error::Incomplete));
            }
        }
    }

    /// Takes what there is of the body. Whether that was all for now.
    fn poll_fill<B: ResponseBody>(
        &mut self,
        cx: &mut task::Context<'_>,
        wire: &Wire,
        mut body: Pin<&mut B>,
    ) -> Result<bool, Http1Error> {
        // Not all of what was taken before may have left, however often there was room.
        let mut waiting = wire.waiting();
        while !self.is_over && waiting < MAX_WAITING {
            // Nobody holds the connection meanwhile: the body may be read from it.
            let frame = match body.as_mut().poll_frame(cx) {
                Poll::Pending => return Ok(true),
                Poll::Ready(None) => None,
                Poll::Ready(Some(Ok(frame))) => Some(frame),
                Poll::Ready(Some(Err(error))) => return Err(Http1Error::Body(error.into())),
            };
            let mut trailers = None;
            let mut data = Bytes::new();
            self.is_over = frame.is_none();
            match frame.map(http_body::Frame::into_data) {
                Some(Ok(mut piece)) => {
                    data = piece.copy_to_bytes(piece.remaining());
                    self.is_over = body.is_end_stream();
                }
                Some(Err(frame)) => {
                    trailers = frame.into_trailers().ok().filter(|_| self.has_trailers);
                    self.is_over = true;
                }
                None => {}
            }
            let Self { encoder, is_over, .. } = self;
            let written = wire.write(|out| {
                encoder.data(out, data)?;
                if *is_over {
                    encoder.end(out, trailers.as_ref())?;
                }
                Ok(out.len())
            });
            waiting = written.unwrap_or(Ok(0)).map_err(Http1Error::Malformed)?;
        }
        Ok(false)
    }
}

/// Since when there has been no request. The timer runs on from one to the next, and is
/// set anew only when it has run out too early.
#[derive(Default)]
struct Idle(Option<Pin<Box<Sleep>>>);

impl Idle {
    async fn over(&mut self, limit: Duration) {
        let end = deadline::after(Instant::now(), limit);
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(end)));
        loop {
            timer.as_mut().await;
            if Instant::now() >= end {
                return;
            }
            timer.as_mut().reset(end);
        }
    }
}
