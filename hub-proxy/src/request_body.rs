//! The body of a client's request, whoever reads HTTP for us.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use tokio::sync::oneshot;

use crate::{
    BoxError,
    http1::{ClientTunnel, Interims, WireBody},
    listener::{HyperTunnel, OpenStream, StreamEnd},
};

/// The body of a request as a [`Listener`](crate::Listener) hands it on: streamed from the
/// client as it is polled, never collected.
///
/// With a server of your own, make one of its requests' bodies: hyper's `Incoming` turns
/// into one, [`new`](Self::new) takes any other.
pub struct RequestBody(Kind);

enum Kind {
    Empty,
    Http1(WireBody),
    /// With the request that it belongs to, which is not over as long as this comes.
    Hyper {
        body: Incoming,
        _stream: Option<OpenStream>,
    },
    Other(UnsyncBoxBody<Bytes, BoxError>),
}

/// The client's side of a connection that is to speak another protocol.
pub(crate) enum ClientUpgrade {
    Http1(oneshot::Receiver<Box<ClientTunnel>>),
    Hyper(OnUpgrade, Option<StreamEnd>),
}

/// That side, once it does.
pub(crate) enum ClientSide {
    Http1(Box<ClientTunnel>),
    Hyper(HyperTunnel),
}

impl RequestBody {
    /// One that is read from `body`.
    pub fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self(Kind::Other(body.map_err(Into::into).boxed_unsync()))
    }

    /// One without content.
    pub fn empty() -> Self {
        Self(Kind::Empty)
    }

    pub(crate) fn wire(body: WireBody) -> Self {
        Self(Kind::Http1(body))
    }

    pub(crate) fn of_stream(body: Incoming, stream: OpenStream) -> Self {
        Self(Kind::Hyper { body, _stream: Some(stream) })
    }

    pub(crate) fn interims(&self) -> Option<Interims> {
        match &self.0 {
            Kind::Http1(body) => Some(body.interims()),
            Kind::Empty | Kind::Hyper { .. } | Kind::Other(_) => None,
        }
    }
}

/// What the client's connection becomes after 101, or for HTTP/2 a stream of it after 200.
pub(crate) fn client_upgrade(request: &mut Request<RequestBody>) -> ClientUpgrade {
    match &request.body().0 {
        Kind::Http1(body) => ClientUpgrade::Http1(body.tunnel()),
        Kind::Empty | Kind::Hyper { .. } | Kind::Other(_) => {
            let end = request.extensions().get().cloned();
            ClientUpgrade::Hyper(hyper::upgrade::on(request), end)
        }
    }
}

impl ClientUpgrade {
    /// `None` if the client went away before.
    pub(crate) async fn done(self) -> Option<ClientSide> {
        match self {
            Self::Http1(tunnel) => tunnel.await.ok().map(ClientSide::Http1),
            Self::Hyper(upgrade, end) => {
                upgrade.await.ok().map(|side| ClientSide::Hyper(HyperTunnel::new(side, end)))
            }
        }
    }
}

impl ClientSide {
    /// Makes dropping it a reset.
    pub(crate) fn reset_on_close(&self) {
        match self {
            Self::Http1(tunnel) => tunnel.get_ref().reset_on_close(),
            Self::Hyper(tunnel) => tunnel.reset_on_close(),
        }
    }
}

impl From<Incoming> for RequestBody {
    fn from(body: Incoming) -> Self {
        Self(Kind::Hyper { body, _stream: None })
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").finish_non_exhaustive()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Http1(body) => body.poll_frame(cx).map_err(Into::into),
            Kind::Hyper { body, .. } => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Kind::Other(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Http1(body) => body.is_end_stream(),
            Kind::Hyper { body, .. } => body.is_end_stream(),
            Kind::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Http1(body) => body.size_hint(),
            Kind::Hyper { body, .. } => body.size_hint(),
            Kind::Other(body) => body.size_hint(),
        }
    }
}
