//! The body of a client's request, and what else its request gives access to.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::sync::oneshot;

use super::{ClientTunnel, State, Wire};
use crate::http1::{Buffered, Decoded, Decoder, Http1Error, encode_interim};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Most that waits to be written when something is said before the answer.
const MAX_WAITING: usize = 16 * 1024;

/// A body, read from the connection as it is polled.
#[derive(Debug)]
pub(crate) struct WireBody {
    wire: Arc<Wire>,
    turn: u32,
    hint: SizeHint,
    is_over: bool,
}

/// Says something before the answer to a request.
#[derive(Clone, Debug)]
pub(crate) struct Interims {
    wire: Arc<Wire>,
    turn: u32,
}

impl Interims {
    /// Says it, if the client understands it and there was not too much of it.
    pub(crate) fn say(&self, status: StatusCode, headers: &HeaderMap) {
        let mut state = self.wire.lock();
        if state.turn != self.turn || state.interim_left == 0 {
            return;
        }
        state.interim_left -= 1;
        // Who takes nothing gets the answer only (B-01).
        if let Some(stream) = state.stream.as_mut().filter(|it| it.out.len() < MAX_WAITING) {
            stream.out.write(|out| encode_interim(out, status, headers));
        }
    }
}

impl WireBody {
    pub(super) fn new(wire: Arc<Wire>, turn: u32, body: Option<&Decoder>) -> Self {
        let hint = body.map_or_else(|| SizeHint::with_exact(0), Decoder::size_hint);
        Self { wire, turn, hint, is_over: body.is_none() }
    }

    pub(crate) fn interims(&self) -> Interims {
        Interims { wire: Arc::clone(&self.wire), turn: self.turn }
    }

    /// The connection itself, once it has been answered that another protocol is spoken.
    pub(crate) fn tunnel(&self) -> oneshot::Receiver<Box<ClientTunnel>> {
        let (give, take) = oneshot::channel();
        let mut state = self.wire.lock();
        if state.turn == self.turn {
            state.successor = Some(give);
        }
        take
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.is_over
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.hint
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let frame = {
            let mut state = self.wire.lock();
            let frame = match state.turn == self.turn {
                true => match state.poll_frame(cx) {
                    Poll::Ready(frame) => frame,
                    Poll::Pending => {
                        state.reader = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                },
                // It has been answered, and what was left is gone.
                false => Some(Err(Http1Error::Incomplete)),
            };
            if let Some(decoder) = &state.body {
                self.hint = decoder.size_hint();
            } else {
                self.is_over = true;
                self.hint = SizeHint::with_exact(0);
            }
            frame
        };
        self.is_over |= !matches!(frame, Some(Ok(_)));
        Poll::Ready(frame)
    }
}

impl State {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        self.is_read = true;
        let (Some(stream), Some(decoder)) = (&mut self.stream, &mut self.body) else {
            return Poll::Ready(Some(Err(Http1Error::Incomplete)));
        };
        if std::mem::take(&mut self.is_awaited) {
            stream.out.write(|out| out.extend_from_slice(CONTINUE));
            // What goes wrong here goes wrong with the next read, too.
            if stream.poll_flush(cx).is_pending()
                && let Some(owner) = &self.owner
            {
                owner.wake_by_ref();
            }
        }
        let frame = ready!(poll_decode(stream, decoder, cx));
        let broke = matches!(frame, Some(Err(_)));
        self.is_broken |= broke;
        self.is_gone |= broke && !matches!(frame, Some(Err(Http1Error::Malformed(_))));
        self.reader = None;
        let is_over = decoder.is_over() || !matches!(frame, Some(Ok(_)));
        if is_over {
            self.body = None;
            self.has_reader = false;
            // It may look again whether its client is there.
            if let Some(owner) = self.owner.take()
                && !owner.will_wake(cx.waker())
            {
                owner.wake();
            }
        }
        Poll::Ready(frame)
    }
}

fn poll_decode<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    stream: &mut Buffered<T>,
    decoder: &mut Decoder,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
    loop {
        let frame = match decoder.decode(&mut stream.read) {
            Ok(Decoded::Data(data)) => Some(Ok(Frame::data(data))),
            Ok(Decoded::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Ok(Decoded::End) => None,
            Ok(Decoded::More) => match ready!(stream.poll_fill_body(cx, decoder.wanted())) {
                Ok(1..) => continue,
                Ok(0) => Some(Err(Http1Error::Incomplete)),
                Err(error) => Some(Err(error.into())),
            },
            Err(what) => Some(Err(Http1Error::Malformed(what))),
        };
        return Poll::Ready(frame);
    }
}

impl Drop for WireBody {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut state = self.wire.lock();
        if state.turn == self.turn {
            state.has_reader = false;
            if let Some(owner) = state.owner.take() {
                owner.wake();
            }
        }
    }
}
