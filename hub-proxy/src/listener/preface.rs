//! Which HTTP a client speaks that nobody asked in a handshake (H2-01, SM-35).

use bytes::BytesMut;
use tokio::{io::AsyncReadExt, time::sleep};

use super::{Context, frames::PREFACE, stream::ClientStream};

/// What a client has begun with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    Http1,
    Http2,
}

/// Reads until it is known what a client speaks, and gives back what was read; `None` if
/// the client says nothing, or no more.
///
/// From the first byte it has as long as for the head of a request: the stream ends when
/// that is over.
pub(super) async fn spoken(
    context: &Context,
    stream: &mut ClientStream,
) -> Option<(Spoken, BytesMut)> {
    let mut early = BytesMut::new();
    loop {
        if let Some(spoken) = judged(&early) {
            return Some((spoken, early));
        }
        let is_silent = early.is_empty();
        let enough = async {
            tokio::select! {
                () = context.stop.cancelled() => {}
                () = sleep(context.config.keep_alive_timeout) => {}
            }
        };
        tokio::select! {
            biased;
            read = stream.read_buf(&mut early) => {
                if !matches!(read, Ok(1..)) {
                    return None;
                }
            }
            () = context.cut.cancelled() => return None,
            // Who has begun may go on.
            () = enough, if is_silent => return None,
        }
    }
}

/// What begins so; `None` if that is not known yet.
fn judged(beginning: &[u8]) -> Option<Spoken> {
    if beginning.starts_with(PREFACE) {
        return Some(Spoken::Http2);
    }
    (!PREFACE.starts_with(beginning)).then_some(Spoken::Http1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h2_01_sm_35_only_the_whole_preface_is_http2() {
        for (beginning, expected) in [
            (&b""[..], None),
            (b"P", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some(Spoken::Http2)),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0", Some(Spoken::Http2)),
            (b"PRI * HTTP/2.0\r\nHost: h\r\n\r\n", Some(Spoken::Http1)),
            (b"POST / HTTP/1.1\r\n", Some(Spoken::Http1)),
            (b"\r\nPRI", Some(Spoken::Http1)),
            (b"G", Some(Spoken::Http1)),
        ] {
            assert_eq!(judged(beginning), expected, "{beginning:?}");
        }
    }
}
