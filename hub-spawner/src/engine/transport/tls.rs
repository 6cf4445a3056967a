//! TLS, with words for the ways in which two sides do not know each other.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustls::{CertificateError, ClientConfig, Error as TlsError, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{DIAL_DEADLINE, DialFailure};

const WRONG_AUTHORITY: &str = "its certificate is not signed by the authority in ca.pem; set \
                               DOCKER_CERT_PATH to the directory with this daemon's files";
const WRONG_NAME: &str = "its certificate is for other names; correct the host in DOCKER_HOST, or \
                          give the daemon a certificate that names this one";
const WRONG_TIME: &str = "its certificate has expired or is not yet valid; renew it, or correct \
                          the clocks";
const WRONG_CERTIFICATE: &str = "it cannot be known by its certificate; check ca.pem and the \
                                 daemon's certificate";
const NOT_ACCEPTED: &str = "it does not accept our certificate; cert.pem must be signed by the \
                            authority that the daemon was given with --tlscacert";
const NO_ANSWER: &str = "it ended the connection without an answer, most often because it does \
                         not accept our certificate; check cert.pem and the daemon's log";
const NOT_TLS: &str = "no TLS is spoken there; a daemon with TLS usually has port 2376, or unset \
                       DOCKER_TLS_VERIFY";

/// A connection whose first answer is waited for. In TLS 1.3 a refusal of our
/// certificate comes only when we read for the first time.
pub(super) struct Watched {
    stream: TlsStream<TcpStream>,
    answered: bool,
}

impl Watched {
    pub(super) async fn handshake(
        host: &str,
        config: Arc<ClientConfig>,
        stream: TcpStream,
    ) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| DialFailure::new(WRONG_NAME, error.to_string()))?;
        let shaking = TlsConnector::from(config).connect(name, stream);
        let stream = tokio::time::timeout(DIAL_DEADLINE, shaking)
            .await
            .map_err(|_| DialFailure::new(NOT_TLS, "the TLS handshake took too long"))?
            .map_err(|error| match advice(&error) {
                Some(advice) => DialFailure::new(advice, error.to_string()).into(),
                None => error,
            })?;
        Ok(Self { stream, answered: false })
    }

    /// An error before the first answer is about us, not about the call.
    fn explain(&self, error: io::Error) -> io::Error {
        if self.answered {
            return error;
        }
        DialFailure::new(advice(&error).unwrap_or(NO_ANSWER), error.to_string()).into()
    }
}

/// What to do about a failure of TLS itself.
fn advice(error: &io::Error) -> Option<&'static str> {
    use CertificateError as Flaw;
    Some(match error.get_ref()?.downcast_ref::<TlsError>()? {
        TlsError::InvalidCertificate(flaw) => match flaw {
            Flaw::UnknownIssuer | Flaw::BadSignature => WRONG_AUTHORITY,
            Flaw::NotValidForName | Flaw::NotValidForNameContext { .. } => WRONG_NAME,
            Flaw::Expired
            | Flaw::ExpiredContext { .. }
            | Flaw::NotValidYet
            | Flaw::NotValidYetContext { .. } => WRONG_TIME,
            _ => WRONG_CERTIFICATE,
        },
        TlsError::AlertReceived(_) => NOT_ACCEPTED,
        TlsError::InvalidMessage(_) => NOT_TLS,
        _ => return None,
    })
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        let outcome = match read {
            Ok(()) if buf.filled().len() > before => {
                self.answered = true;
                Ok(())
            }
            Ok(()) if self.answered => Ok(()),
            Ok(()) => Err(self.explain(io::ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(self.explain(error)),
        };
        Poll::Ready(outcome)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        written.map_err(|error| self.explain(error))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        flushed.map_err(|error| self.explain(error))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
