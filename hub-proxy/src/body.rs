//! The bodies that pass through: never collected, never boxed.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Sleep;

use crate::{
    BoxError, ProxyConfig, RequestBody,
    access_log::Line,
    activity::Activity,
    forward::{Attendance, Busy, Place},
    headers::strip_from_trailers,
    http1::Http1Error,
};

/// The body of a request the fallback gets: the client's, streamed, or none
/// when the proxy asks for an error page itself.
#[derive(Debug)]
pub struct FallbackBody(RequestBody);

pin_project! {
    /// The body of a [`Proxy`](crate::Proxy)'s response: a target's, or `B`
    /// from the fallback.
    #[derive(Debug)]
    pub struct ProxyBody<B> {
        #[pin]
        kind: Kind<B>,
        line: Option<Line>,
    }
}

pin_project! {
    #[project = KindProjection]
    #[derive(Debug)]
    enum Kind<B> {
        Upstream { #[pin] body: UpstreamBody },
        Fallback { #[pin] body: B },
        Empty,
    }
}

/// A target's body; marks its route as used while data passes.
#[derive(Debug)]
pub(crate) struct UpstreamBody {
    /// What it comes over, until it has been had.
    busy: Option<Busy>,
    /// `None` when this answer is no sign of use (status 300 and above).
    activity: Option<Activity>,
    idle_limit: Option<Duration>,
    /// Runs while the target is waited for.
    idle: Option<Pin<Box<Sleep>>>,
    /// What broke off, before it is told.
    broken: Option<Http1Error>,
    /// Given to another exchange when this one has ended.
    _place: Option<Place>,
}

/// A client's body on its way to a target; marks the route as used.
#[derive(Debug)]
pub(crate) struct ClientBody {
    inner: ClientBytes,
    activity: Activity,
    taken: Taken,
    /// Whether trailers are passed on.
    has_trailers: bool,
    idle_limit: Option<Duration>,
    /// Runs while the client is waited for.
    idle: Option<Pin<Box<Sleep>>>,
    /// Given up while the client is waited for (L-06).
    attendance: Option<Attendance>,
}

/// Where a client's body is to be had.
#[derive(Debug)]
pub(crate) enum ClientBytes {
    /// There are none, or none any more.
    Nothing,
    Once(RequestBody),
    /// As long as nothing of it was taken, it can be had [again](Self::again).
    Lent(Arc<Mutex<Option<RequestBody>>>),
}

/// How many pieces of a request its target has taken. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Taken(Option<Arc<AtomicU64>>);

impl FallbackBody {
    pub(crate) fn client(body: RequestBody) -> Self {
        Self(body)
    }

    pub(crate) fn empty() -> Self {
        Self(RequestBody::empty())
    }
}

impl<B> ProxyBody<B> {
    pub(crate) fn upstream(body: UpstreamBody) -> Self {
        Self { kind: Kind::Upstream { body }, line: None }
    }

    pub(crate) fn fallback(body: B) -> Self {
        Self { kind: Kind::Fallback { body }, line: None }
    }

    pub(crate) fn empty() -> Self {
        Self { kind: Kind::Empty, line: None }
    }

    /// Its request is over once it is dropped.
    pub(crate) fn logged(self, line: Line) -> Self {
        Self { line: Some(line), ..self }
    }
}

impl UpstreamBody {
    pub(crate) fn new(
        busy: Busy,
        activity: Option<Activity>,
        place: Option<Place>,
        config: &ProxyConfig,
    ) -> Self {
        let is_empty = busy.is_answered();
        // An answer without a body is never polled, so its end is now.
        if let Some(activity) = &activity
            && is_empty
        {
            activity.mark();
        }
        let idle_limit = config.response_idle_timeout;
        let busy = Some(busy);
        let mut body = Self { busy, activity, idle_limit, idle: None, broken: None, _place: place };
        if is_empty {
            body.release();
        }
        body
    }

    /// There is none.
    pub(crate) fn empty() -> Self {
        Self {
            busy: None,
            activity: None,
            idle_limit: None,
            idle: None,
            broken: None,
            _place: None,
        }
    }

    /// The answer is complete: the connection may serve another request.
    fn release(&mut self) {
        if let Some(busy) = self.busy.take() {
            busy.release();
        }
    }

    /// The next piece, which comes only as the connection is polled.
    fn poll_inner(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let Some(busy) = &mut self.busy else { return Poll::Ready(None) };
        let error = match ready!(busy.poll_frame(cx)) {
            Some(Err(error)) => error,
            frame => return Poll::Ready(frame),
        };
        // What came before goes to the client first: in HTTP/2 a reset overtakes it.
        self.broken = Some(error);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ready once the target has been silent for too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = self.idle_limit else { return Poll::Pending };
        self.idle.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit))).as_mut().poll(cx)
    }
}

impl ClientBody {
    pub(crate) fn new(
        inner: ClientBytes,
        activity: Activity,
        taken: Taken,
        has_trailers: bool,
        config: &ProxyConfig,
    ) -> Self {
        let idle_limit = config.request_idle_timeout;
        Self { inner, activity, taken, has_trailers, idle_limit, idle: None, attendance: None }
    }

    /// With the place that its request has at the target.
    pub(crate) fn attended(self, attendance: Option<Attendance>) -> Self {
        Self { attendance, ..self }
    }
}

impl ClientBytes {
    pub(crate) fn new(body: RequestBody) -> Self {
        if body.is_end_stream() { Self::Nothing } else { Self::Once(body) }
    }

    /// The same bytes twice: to be sent, and to be had back if nothing was taken of them.
    pub(crate) fn lend(self) -> (Self, Self) {
        match self {
            Self::Nothing => (Self::Nothing, Self::Nothing),
            Self::Once(body) => {
                let lent = Arc::new(Mutex::new(Some(body)));
                (Self::Lent(Arc::clone(&lent)), Self::Lent(lent))
            }
            Self::Lent(lent) => (Self::Lent(Arc::clone(&lent)), Self::Lent(lent)),
        }
    }

    /// What was lent, whoever still has it.
    pub(crate) fn again(self) -> Self {
        let Self::Lent(lent) = &self else { return self };
        match lent.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(body) => Self::Once(body),
            None => Self::Nothing,
        }
    }

    fn with<T>(&self, look: impl FnOnce(&RequestBody) -> T, without: T) -> T {
        match self {
            Self::Nothing => without,
            Self::Once(body) => look(body),
            Self::Lent(lent) => {
                let lent = lent.lock().unwrap_or_else(PoisonError::into_inner);
                lent.as_ref().map_or(without, look)
            }
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self {
            Self::Nothing => Poll::Ready(None),
            Self::Once(body) => Pin::new(body).poll_frame(cx),
            Self::Lent(lent) => {
                let mut lent = lent.lock().unwrap_or_else(PoisonError::into_inner);
                match lent.as_mut() {
                    Some(body) => Pin::new(body).poll_frame(cx),
                    None => Poll::Ready(None),
                }
            }
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.with(Body::is_end_stream, true)
    }
}

impl Taken {
    /// Nothing yet of these.
    pub(crate) fn of(bytes: &ClientBytes) -> Self {
        Self((!bytes.is_end_stream()).then(Arc::default))
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |count| count.load(Ordering::Relaxed))
    }

    fn one_more(&self) {
        if let Some(count) = &self.0 {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Body for FallbackBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl<B> Body for ProxyBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        let frame = match this.kind.project() {
            KindProjection::Upstream { body } => body.poll_frame(cx),
            KindProjection::Fallback { body } => body.poll_frame(cx).map_err(Into::into),
            KindProjection::Empty => Poll::Ready(None),
        };
        if let Some(line) = this.line
            && let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            line.gives(data.len());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Upstream { body } => body.is_end_stream(),
            Kind::Fallback { body } => body.is_end_stream(),
            Kind::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Upstream { body } => body.size_hint(),
            Kind::Fallback { body } => body.size_hint(),
            Kind::Empty => SizeHint::with_exact(0),
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(frame) = self.poll_inner(cx) else {
            ready!(self.poll_idle(cx));
            let silent = io::Error::new(io::ErrorKind::TimedOut, "the target fell silent");
            return Poll::Ready(Some(Err(silent.into())));
        };
        self.idle = None;
        match &frame {
            Some(Err(_)) => self.busy = None,
            None => self.release(),
            Some(Ok(frame)) if frame.is_trailers() || self.is_end_stream() => self.release(),
            Some(Ok(_)) => {}
        }
        if let Some(activity) = &self.activity
            && !matches!(frame, Some(Err(_)))
        {
            activity.mark();
        }
        Poll::Ready(frame.map(|frame| frame.map(sound_trailers).map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.broken.is_none() && self.busy.as_ref().is_none_or(Busy::is_answered)
    }

    fn size_hint(&self) -> SizeHint {
        self.busy.as_ref().map_or_else(|| SizeHint::with_exact(0), Busy::size_hint)
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(frame) = self.inner.poll_frame(cx) else {
            if let Some(attendance) = &self.attendance {
                attendance.leave();
            }
            let Some(limit) = self.idle_limit else { return Poll::Pending };
            let idle = self.idle.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
            ready!(idle.as_mut().poll(cx));
            let silent = io::Error::new(io::ErrorKind::TimedOut, "the client fell silent");
            return Poll::Ready(Some(Err(silent.into())));
        };
        self.idle = None;
        if matches!(frame, Some(Ok(_))) {
            self.activity.mark();
        }
        if let Some(attendance) = &self.attendance
            && (frame.is_none() || self.inner.is_end_stream())
        {
            attendance.come_back();
        }
        // The end is something that the target is told, too.
        self.taken.one_more();
        if !self.has_trailers && matches!(&frame, Some(Ok(frame)) if frame.is_trailers()) {
            return Poll::Ready(None);
        }
        Poll::Ready(frame.map(|frame| frame.map(sound_trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.with(Body::size_hint, SizeHint::with_exact(0))
    }
}

/// The frame, without what no trailers may say.
fn sound_trailers(mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        strip_from_trailers(trailers);
    }
    frame
}
