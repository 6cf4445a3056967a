//! A client's connection, shared by who answers on it and the body of the request that
//! is being answered. Nobody holds the lock while a body of somebody else is polled.

mod body;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, BytesMut};
use http::{StatusCode, Version};
use tokio::sync::oneshot;

pub(crate) use self::body::{Interims, WireBody};

use super::{
    Buffered, Decoded, Decoder, Ends, Http1Error, MAX_TARGET, RequestHead, find_end,
    framing::Framing, outgoing::Outgoing, parse_request,
};
use crate::{listener::ClientStream, tunnel::WithEarly};

/// Empty lines that may come before a request (SM-39).
const MAX_BLANKS: u8 = 2;

/// How much is read of a body that nobody wants, to see its client go.
const MOST_AHEAD: usize = 64 * 1024;

/// Most answers before the answer.
const MAX_INTERIM: u8 = 8;

/// How much a head may have (H-13).
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    pub(crate) bytes: usize,
    pub(crate) fields: usize,
}

/// What comes from a client that may ask.
#[derive(Debug)]
pub(crate) enum HeadRead {
    Head(Box<RequestHead>),
    /// No request, and how to say so.
    Refused(StatusCode),
    /// The client has gone.
    End,
}

/// The connection.
pub(crate) struct Wire(Mutex<State>);

struct State {
    /// `None` once the connection belongs to another protocol.
    stream: Option<Buffered<ClientStream>>,
    /// How much of a head has been searched for its end.
    seen: usize,
    blanks: u8,
    /// Which request it is.
    turn: u32,
    /// What has not been had of its body; `None` if that is all.
    body: Option<Decoder>,
    /// Whether somebody may still read it.
    has_reader: bool,
    /// Whether somebody has begun to.
    is_read: bool,
    /// Whether the client waits to be told to send its body.
    is_awaited: bool,
    /// Answers that may still come before the answer.
    interim_left: u8,
    /// The body broke off, so the connection is of no use behind it.
    is_broken: bool,
    /// It did because the client has gone.
    is_gone: bool,
    /// Who waits for more of the body.
    reader: Option<Waker>,
    /// Who answers, if the body may be read by somebody else.
    owner: Option<Waker>,
    /// Who takes the connection over after 101.
    successor: Option<oneshot::Sender<Box<ClientTunnel>>>,
}

/// A client's stream after 101, with what came ahead. Boxed wherever it goes: each future
/// that it goes through would have room for it.
pub(crate) type ClientTunnel = WithEarly<ClientStream>;

impl Wire {
    /// One of which this much was read already.
    pub(crate) fn new(stream: ClientStream, early: BytesMut) -> Arc<Self> {
        let mut stream = Buffered::new(stream);
        stream.read = early;
        Arc::new(Self(Mutex::new(State {
            stream: Some(stream),
            seen: 0,
            blanks: 0,
            turn: 0,
            body: None,
            has_reader: false,
            is_read: false,
            is_awaited: false,
            interim_left: 0,
            is_broken: false,
            is_gone: false,
            reader: None,
            owner: None,
            successor: None,
        })))
    }

    /// Nothing in here can be half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next request's head.
    pub(crate) fn poll_head(&self, cx: &mut Context<'_>, limits: HeadLimits) -> Poll<HeadRead> {
        let mut state = self.lock();
        let State { stream: Some(stream), seen, blanks, .. } = &mut *state else {
            return Poll::Ready(HeadRead::End);
        };
        loop {
            while stream.read.starts_with(b"\r\n") {
                if *blanks == MAX_BLANKS {
                    return Poll::Ready(HeadRead::Refused(StatusCode::BAD_REQUEST));
                }
                stream.read.advance(2);
                *blanks += 1;
            }
            let end = match find_end(&stream.read, *seen, Ends::Strict) {
                Ok(end) => end,
                Err(_) => return Poll::Ready(HeadRead::Refused(StatusCode::BAD_REQUEST)),
            };
            if end.unwrap_or(stream.read.len()) > limits.bytes {
                return Poll::Ready(HeadRead::Refused(too_long(&stream.read)));
            }
            if let Some(end) = end {
                let head = stream.read.split_to(end).freeze();
                (*seen, *blanks) = (0, 0);
                return Poll::Ready(match parse_request(&head, limits.fields) {
                    Ok(head) => HeadRead::Head(Box::new(head)),
                    Err(status) => HeadRead::Refused(status),
                });
            }
            *seen = stream.read.len();
            if stream.read.is_empty() {
                stream.release();
            }
            match ready!(stream.poll_fill(cx)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Poll::Ready(HeadRead::End),
            }
        }
    }

    /// Whether something has come that is not answered yet.
    pub(crate) fn has_more(&self) -> bool {
        self.lock().stream.as_ref().is_some_and(|stream| !stream.read.is_empty())
    }

    /// Makes the body of a request whose head was read.
    pub(crate) fn begin(self: &Arc<Self>, head: &RequestHead) -> WireBody {
        let mut state = self.lock();
        if let Some(stream) = &mut state.stream {
            stream.io.head_is_complete();
        }
        state.turn = state.turn.wrapping_add(1);
        state.is_awaited = head.expects_continue;
        state.interim_left = if head.version == Version::HTTP_11 { MAX_INTERIM } else { 0 };
        state.body = (head.framing != Framing::Empty).then(|| Decoder::new(head.framing));
        state.has_reader = state.body.is_some();
        state.is_read = false;
        WireBody::new(Arc::clone(self), state.turn, state.body.as_ref())
    }

    /// Ready when the client has gone while its request is being answered (E-07). What
    /// is to be said meanwhile is sent.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        let is_others = state.body.is_some() && state.has_reader;
        let is_others_to_read = is_others && state.is_read;
        if is_others {
            // Whoever has the body reads, and tells.
            match &mut state.owner {
                Some(owner) => owner.clone_from(cx.waker()),
                owner => *owner = Some(cx.waker().clone()),
            }
        }
        let State { stream: Some(stream), body, is_broken, is_gone, .. } = &mut *state else {
            return Poll::Pending;
        };
        if *is_gone
            || !stream.out.is_empty() && matches!(stream.poll_flush(cx), Poll::Ready(Err(_)))
        {
            return Poll::Ready(());
        }
        // The next request may be there already: then its client's end is seen later.
        // A body that nobody reads is read as far as it will be discarded, and as far if nobody
        // has begun to: its target may be long in coming (K-06).
        let most = match body {
            _ if *is_broken || is_others_to_read => 0,
            Some(_) => MOST_AHEAD,
            None => 1,
        };
        while stream.read.len() < most {
            match ready!(stream.poll_fill(cx)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Lets something be written; nothing once another protocol is spoken.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&mut Outgoing) -> T) -> Option<T> {
        self.lock().stream.as_mut().map(|stream| write(&mut stream.out))
    }

    /// How many bytes wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().stream.as_ref().map_or(0, |stream| stream.out.len())
    }

    /// Begins the answer: nothing comes before it any more. Whether it is the last, because
    /// the request broke off, because its client still waits to be told to send the body,
    /// which it will not be, or because more than `most` is left of a body that nobody
    /// reads.
    pub(crate) fn answers(&self, most: usize) -> bool {
        let mut state = self.lock();
        state.interim_left = 0;
        let left = state.body.as_ref().filter(|_| !state.has_reader);
        let is_too_much = left.is_some_and(|body| body.size_hint().lower() > most as u64);
        std::mem::take(&mut state.is_awaited) || state.is_broken || is_too_much
    }

    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), Http1Error>> {
        let mut state = self.lock();
        let Some(stream) = &mut state.stream else { return Poll::Ready(Ok(())) };
        stream.poll_flush(cx).map_err(Http1Error::Io)
    }

    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        let Some(stream) = &mut state.stream else { return Poll::Ready(()) };
        stream.poll_shutdown(cx).map(drop)
    }

    /// As [`poll_shutdown`](Self::poll_shutdown) for a connection that is closed next, which
    /// says all by itself where TLS has no end of its own.
    pub(crate) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.lock().stream {
            Some(stream) if !stream.io.closing_says_all() => stream.poll_shutdown(cx).map(drop),
            _ => Poll::Ready(()),
        }
    }

    /// Ready once nobody reads the body any more, or it has been read: whether that is
    /// all of it.
    pub(crate) fn poll_body_left(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.lock();
        let is_over = state.body.is_none();
        if !is_over && state.has_reader {
            state.owner = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.owner = None;
        Poll::Ready(is_over && !state.is_broken)
    }

    /// Reads on for nobody, as long as it is no more than `most`. Whether that was all of
    /// the body.
    pub(crate) fn poll_discard(&self, cx: &mut Context<'_>, most: &mut usize) -> Poll<bool> {
        let mut state = self.lock();
        let is_broken = state.is_broken;
        let State { stream: Some(stream), body: Some(decoder), .. } = &mut *state else {
            return Poll::Ready(!is_broken);
        };
        loop {
            match decoder.decode(&mut stream.read) {
                Ok(Decoded::Data(data)) if data.len() > *most => return Poll::Ready(false),
                Ok(Decoded::Data(data)) => *most -= data.len(),
                Ok(Decoded::Trailers(_) | Decoded::End) => break,
                Ok(Decoded::More) => match ready!(stream.poll_fill(cx)) {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return Poll::Ready(false),
                },
                Err(_) => return Poll::Ready(false),
            }
        }
        state.body = None;
        Poll::Ready(true)
    }

    /// Reads and forgets until the client's end, or until there was `most` of it.
    pub(crate) fn poll_linger(&self, cx: &mut Context<'_>, most: &mut usize) -> Poll<()> {
        let mut state = self.lock();
        let Some(stream) = &mut state.stream else { return Poll::Ready(()) };
        loop {
            let read = stream.read.len();
            stream.read.clear();
            *most = most.saturating_sub(read);
            if *most == 0 {
                return Poll::Ready(());
            }
            match ready!(stream.poll_fill(cx)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Poll::Ready(()),
            }
        }
    }

    /// Ends it, whoever still reads a body from it.
    pub(crate) fn cut(&self) {
        let mut state = self.lock();
        state.stream = None;
        state.forsake();
    }

    /// Takes the body from whoever has it.
    pub(crate) fn forsake_body(&self) {
        self.lock().forsake();
    }

    /// Whether the connection is somebody else's.
    pub(crate) fn is_handed_over(&self) -> bool {
        self.lock().stream.is_none()
    }

    /// Gives the connection to whoever asked for it before 101.
    pub(crate) fn hand_over(&self) {
        let mut state = self.lock();
        let (Some(stream), Some(successor)) = (state.stream.take(), state.successor.take()) else {
            return;
        };
        // Nobody there any more: that closes it.
        let _ = successor.send(Box::new(WithEarly::new(stream.io, stream.read.freeze())));
    }
}

impl State {
    fn forsake(&mut self) {
        self.turn = self.turn.wrapping_add(1);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

/// Whether the first line is what is too long of a head (H-13).
fn too_long(head: &[u8]) -> StatusCode {
    let first = head.iter().position(|&byte| byte == b'\n').unwrap_or(head.len());
    match first > MAX_TARGET {
        true => StatusCode::URI_TOO_LONG,
        false => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    }
}
