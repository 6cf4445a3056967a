//! One client connection: handshake, requests, end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{io::AsyncWriteExt, time::timeout};

use super::{
    Context,
    handler::{Handler, ResponseBody},
    http1, http2,
    preface::{Spoken, spoken},
    slots::Slot,
    stream::{ClientStream, Limits, Phase},
};
#[cfg(feature = "tls")]
use crate::error::chain;
#[cfg(feature = "tls")]
use crate::{Meter, Meters};
use crate::{Peer, socket::Socket, transport::Transport, tunnel::WithEarly};

/// How long to try to tell a client that there is no room.
const TURN_AWAY_LIMIT: Duration = Duration::from_secs(1);

/// The answer beyond a limit of connections (L-02, L-05).
const NO_ROOM: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    Content-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n";

/// The answer to plain HTTP on a TLS port (S-11).
#[cfg(feature = "tls")]
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 31\r\nConnection: close\r\n\r\nThis server speaks HTTPS only.\n";

/// The first byte of a TLS connection: a record of type handshake.
#[cfg(feature = "tls")]
const TLS_HANDSHAKE: u8 = 22;

/// Serves one connection to its end.
pub(super) async fn serve<S, B>(
    context: Arc<Context>,
    stream: Socket,
    slot: Slot,
    addr: Option<SocketAddr>,
    service: S,
) where
    S: Handler<B>,
    B: ResponseBody,
{
    let addr = addr.map(|addr| SocketAddr::new(addr.ip().to_canonical(), addr.port()));
    let Some(transport) = handshake(&context, stream).await else { return };
    let peer = Peer { addr, tls: !matches!(transport, Transport::Plain(_)) };
    let phase = Arc::new(Phase::default());
    let agreed = if transport.speaks_http2() { Spoken::Http2 } else { Spoken::Http1 };
    let limits = Limits {
        head: Some(context.config.header_read_timeout),
        busy_idle: context.config.busy_idle_timeout,
        write_stall: context.config.write_stall_timeout,
    };
    let mut stream = ClientStream::new(
        transport,
        Arc::clone(&phase),
        limits,
        slot,
        context.config.meters.clone(),
    );
    let asks = context.config.h2c && !peer.tls;
    let begun =
        if asks { spoken(&context, &mut stream).await } else { Some((agreed, BytesMut::new())) };
    match begun {
        Some((Spoken::Http1, early)) => {
            http1::serve(context, (stream, early), phase, peer, service).await;
        }
        Some((Spoken::Http2, early)) => {
            // Heads are parts of a connection there, and hyper's to limit.
            stream.has_no_heads();
            let stream = WithEarly::new(stream.keeping_calm(&early), early.freeze());
            http2::serve(context, stream, phase, peer, service).await;
        }
        None => {}
    }
}

/// Tells a client that there is no room, if that takes no time.
pub(super) async fn turn_away(mut stream: Socket) {
    let _ = timeout(TURN_AWAY_LIMIT, async {
        stream.write_all(NO_ROOM).await?;
        stream.shutdown().await
    })
    .await;
}

#[cfg(not(feature = "tls"))]
async fn handshake(_: &Context, stream: Socket) -> Option<Transport> {
    Some(Transport::Plain(stream))
}

/// Ends TLS where it is configured; `None` if the client does not get that far.
#[cfg(feature = "tls")]
async fn handshake(context: &Context, stream: Socket) -> Option<Transport> {
    let Some(keys) = &context.config.tls else { return Some(Transport::Plain(stream)) };
    let accepted = async {
        if stream.first_byte().await?.is_some_and(|first| first != TLS_HANDSHAKE) {
            let mut stream = stream;
            stream.write_all(NOT_TLS).await?;
            stream.shutdown().await?;
            return Ok(None);
        }
        let acceptor = tokio_rustls::TlsAcceptor::from(keys.server_config(context.config.http2));
        #[cfg_attr(not(feature = "acme"), expect(unused_mut, reason = "only proofs end here"))]
        let mut stream = acceptor.accept(stream).await?;
        // The handshake was all that the authority wanted (RFC 8737 section 3).
        #[cfg(feature = "acme")]
        if stream.get_ref().1.alpn_protocol() == Some(crate::acme::challenges::ACME_TLS) {
            stream.shutdown().await?;
            return Ok(None);
        }
        Ok::<_, std::io::Error>(Some(Transport::tls(stream)))
    };
    let meters = context.config.meters.as_ref();
    tokio::select! {
        // Nothing was promised to a client that has not said what it wants.
        () = context.stop.cancelled() => None,
        accepted = timeout(context.config.tls_handshake_timeout, accepted) => match accepted {
            Ok(Ok(transport)) => {
                Meters::add(meters, Meter::Handshakes, usize::from(transport.is_some()));
                transport
            }
            Ok(Err(error)) => {
                Meters::add(meters, Meter::FailedHandshakes, 1);
                tracing::debug!(error = %chain(&error), "a TLS handshake failed");
                None
            }
            Err(_) => {
                Meters::add(meters, Meter::FailedHandshakes, 1);
                None
            }
        },
    }
}
