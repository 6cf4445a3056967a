//! Asking a proxy whether it is well, for containers without shell or curl.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use url::Url;

use crate::BoxError;

/// A proxy that takes longer is not well.
const DEADLINE: Duration = Duration::from_secs(5);

/// Asks `url`; any answer but 200 is an error.
pub(super) async fn ask(url: &str) -> Result<(), BoxError> {
    match timeout(DEADLINE, status(url)).await {
        Ok(Ok(StatusCode::OK)) => Ok(()),
        Ok(Ok(status)) => Err(format!("the answer is {status}").into()),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(format!("no answer within {} s", DEADLINE.as_secs()).into()),
    }
}

async fn status(url: &str) -> Result<StatusCode, BoxError> {
    let url = Url::parse(url)?;
    let host = url.host_str().ok_or("the URL has no host")?;
    let port = url.port_or_known_default().ok_or("the URL has no port")?;
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((name, port)).await?;
    match url.scheme() {
        "http" => exchange(&url, host, stream).await,
        "https" => {
            let name = ServerName::try_from(name.to_owned())?;
            let connector = tokio_rustls::TlsConnector::from(Arc::new(tls()?));
            exchange(&url, host, connector.connect(name, stream).await?).await
        }
        scheme => Err(format!("{scheme} is neither http nor https").into()),
    }
}

async fn exchange(
    url: &Url,
    host: &str,
    stream: impl AsyncRead + AsyncWrite + Unpin,
) -> Result<StatusCode, BoxError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(url.path())
        .header(header::HOST, host)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let mut response = pin!(sender.send_request(request));
    let response = tokio::select! {
        response = &mut response => response?,
        // With the answer, or what became of it.
        _ = connection => response.await?,
    };
    Ok(response.status())
}

fn tls() -> Result<ClientConfig, BoxError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    Ok(config)
}

/// Accepts any certificate: the question goes to a listener of this host whose
/// certificate names another, and neither it nor the answer is worth a secret.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
