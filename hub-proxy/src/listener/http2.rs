//! HTTP/2 on a client's connection: many requests at once, and no end by
//! `Connection: close`.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task,
    time::Duration,
};

use http::Request;
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::{
    Context,
    handler::{Handler, ResponseBody},
    stream::{ClientStream, Phase},
    stream_end::Writer,
    taking::{Taking, Watched},
};
use crate::{
    Peer, RequestBody, error::chain, headers::strip_hop_by_hop, tunnel::WithEarly, upgrade,
};

/// Requests at once on one connection (H2-05).
const MAX_STREAMS: u32 = 128;

/// What a client may send before somebody reads it: in one request, and in all
/// of a connection (H2-06).
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;

/// Most of an answer that waits in our memory for a client's window (B-01).
const SEND_BUFFER: usize = 64 * 1024;

/// How long a client may take to close a connection without requests on which it
/// was told that there will be no more.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs the streams of one connection.
#[derive(Clone)]
struct StreamTasks {
    tasks: TaskTracker,
    stall_limit: Duration,
}

impl<F> hyper::rt::Executor<F> for StreamTasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        match Taking::end_of_this_tunnel() {
            // A stream's task begins no other than the one that writes to its tunnel.
            Some(end) => self.tasks.spawn(Writer::new(task, end)),
            None => self.tasks.spawn(Watched::new(task, self.stall_limit)),
        };
    }
}

/// The requests that are being answered.
#[derive(Debug)]
struct Streams {
    open: AtomicUsize,
    /// Those of them that have become tunnels.
    tunnels: AtomicUsize,
    changed: Notify,
    phase: Arc<Phase>,
}

/// One of them, until all clones are dropped. In the extensions of a request and with its
/// body, for what outlives the answer: a tunnel, or the rest of an upload.
#[derive(Clone)]
pub(crate) struct OpenStream {
    counted: Arc<Counted>,
}

struct Counted {
    streams: Arc<Streams>,
    is_tunnel: AtomicBool,
}

impl OpenStream {
    /// The request has become a tunnel.
    pub(crate) fn tunnel_began(&self) {
        let Counted { streams, is_tunnel } = &*self.counted;
        if !is_tunnel.swap(true, Ordering::Relaxed) {
            streams.tunnels.fetch_add(1, Ordering::Relaxed);
            streams.tell_phase();
        }
    }
}

impl Streams {
    fn begin(self: &Arc<Self>) -> OpenStream {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.phase.request_began();
        self.changed.notify_one();
        let (streams, is_tunnel) = (Arc::clone(self), AtomicBool::new(false));
        OpenStream { counted: Arc::new(Counted { streams, is_tunnel }) }
    }

    /// Tells what is left when something has ended, or has become a tunnel.
    fn tell_phase(&self) {
        match (self.open.load(Ordering::Relaxed), self.tunnels.load(Ordering::Relaxed)) {
            (0, _) => self.phase.request_ended(),
            (open, tunnels) if open == tunnels => self.phase.tunnel_began(),
            _ => {}
        }
    }

    /// Ready once there was no request for so long.
    async fn idle_for(&self, limit: Duration) {
        loop {
            let changed = self.changed.notified();
            if self.open.load(Ordering::Relaxed) > 0 {
                changed.await;
            } else if tokio::time::timeout(limit, changed).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if *self.is_tunnel.get_mut() {
            self.streams.tunnels.fetch_sub(1, Ordering::Relaxed);
        }
        self.streams.open.fetch_sub(1, Ordering::Relaxed);
        self.streams.tell_phase();
        self.streams.changed.notify_one();
    }
}

pin_project! {
    /// An answer's body, which ends its request's time when it is dropped.
    struct AnswerBody<B> {
        #[pin]
        inner: B,
        given: u64,
        taking: Taking,
        _open: OpenStream,
    }
}

impl<B: Body> Body for AnswerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> task::Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        this.taking.is_asked();
        let frame = this.inner.poll_frame(cx);
        if frame.is_ready() {
            *this.given += 1;
            this.taking.is_given(*this.given);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Serves one connection to its end.
pub(super) async fn serve<S, B>(
    context: Arc<Context>,
    stream: WithEarly<ClientStream>,
    phase: Arc<Phase>,
    peer: Peer,
    service: S,
) where
    S: Handler<B>,
    B: ResponseBody,
{
    let streams = Arc::new(Streams {
        open: AtomicUsize::new(0),
        tunnels: AtomicUsize::new(0),
        changed: Notify::new(),
        phase: Arc::clone(&phase),
    });
    let (tunnels, counted) = (context.tunnels.clone(), Arc::clone(&streams));
    let service = service_fn(move |mut request: Request<Incoming>| {
        let open = counted.begin();
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(tunnels.clone());
        request.extensions_mut().insert(open.clone());
        let service = service.clone();
        async move {
            let taking = Taking::of_this_stream();
            if upgrade::extended_connect(&request).is_some() {
                request.extensions_mut().insert(taking.end_of_tunnel());
            }
            // An answer may be had before all of its request: then the upload goes on.
            let upload = open.clone();
            let request = request.map(|body| RequestBody::of_stream(body, upload));
            let mut response = service.oneshot(request).await?;
            // These are malformed here (RFC 9113 section 8.2.2).
            strip_hop_by_hop(response.headers_mut());
            let guarded = |inner| AnswerBody { inner, given: 0, taking, _open: open };
            Ok::<_, Infallible>(response.map(guarded))
        }
    });
    let stall_limit = context.config.write_stall_timeout;
    let tasks = StreamTasks { tasks: TaskTracker::new(), stall_limit };
    let max_head = u32::try_from(context.config.max_header_bytes).unwrap_or(u32::MAX);
    let connection = http2::Builder::new(tasks.clone())
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(max_head)
        .serve_connection(TokioIo::new(stream), service);
    let mut stopping = false;
    {
        let mut connection = pin!(connection);
        loop {
            let enough = async {
                tokio::select! {
                    () = context.stop.cancelled() => {}
                    () = context.release.cancelled() => {}
                    () = streams.idle_for(context.config.keep_alive_timeout) => {}
                }
            };
            tokio::select! {
                // Whoever does not take leave is left.
                () = streams.idle_for(FAREWELL), if stopping => break,
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(error = %chain(&error), "a client connection broke");
                    }
                    break;
                }
                // GOAWAY: what has begun is answered (H2-08).
                () = enough, if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = context.cut.cancelled() => {
                    context.cut(&phase);
                    break;
                }
            }
        }
    }
    // They end with the connection that they write to.
    tasks.tasks.close();
    tasks.tasks.wait().await;
}
