//! One connection to a hub, plain or with TLS, below a WebSocket.

use std::{fmt::Debug, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use url::Url;

/// Bytes in both directions.
pub trait Wire: AsyncRead + AsyncWrite + Debug + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Debug + Send + Unpin> Wire for T {}

/// Connects to where `url` leads; for https, trusting `ca` (PEM) and nobody else.
///
/// # Errors
///
/// When nobody listens there, or its certificate is not the authority's.
pub async fn connect(url: &Url, ca: Option<&str>) -> std::io::Result<Box<dyn Wire>> {
    let host = url.host_str().unwrap().to_owned();
    let port = url.port_or_known_default().unwrap();
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    if url.scheme() != "https" {
        return Ok(Box::new(stream));
    }
    let mut roots = RootCertStore::empty();
    if let Some(pem) = ca {
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    }
    // A WebSocket is opened with HTTP/1.1 (RFC 6455), which no ALPN stands for.
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(host).unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(Box::new(stream))
}
