//! Asking a proxy how it is, for containers without shell or curl.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
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

/// A longer answer is not one of ours.
const LARGEST: usize = 64 << 10;

/// Asks `url`; any answer but 200 is an error.
pub(super) async fn ask(url: &str) -> Result<(), BoxError> {
    get(url, None).await.map(drop)
}

/// What the REST API at `url` reports of the proxy, as JSON.
pub(super) async fn report(url: &str, token: Option<&str>) -> Result<String, BoxError> {
    let answer = get(&format!("{}/api/v2/status", url.trim_end_matches('/')), token).await?;
    Ok(String::from_utf8(answer.to_vec())?)
}

/// The body of the answer; any other status than 200 is an error.
async fn get(url: &str, token: Option<&str>) -> Result<Bytes, BoxError> {
    match timeout(DEADLINE, fetch(url, token)).await {
        Ok(Ok((StatusCode::OK, body))) => Ok(body),
        Ok(Ok((status, _))) => Err(format!("the answer is {status}").into()),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(format!("no answer within {} s", DEADLINE.as_secs()).into()),
    }
}

async fn fetch(url: &str, token: Option<&str>) -> Result<(StatusCode, Bytes), BoxError> {
    let url = Url::parse(url)?;
    let host = url.host_str().ok_or("the URL has no host")?;
    let port = url.port_or_known_default().ok_or("the URL has no port")?;
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((name, port)).await?;
    match url.scheme() {
        "http" => exchange(&url, host, token, stream).await,
        "https" => {
            let name = ServerName::try_from(name.to_owned())?;
            let connector = tokio_rustls::TlsConnector::from(Arc::new(tls()?));
            exchange(&url, host, token, connector.connect(name, stream).await?).await
        }
        scheme => Err(format!("{scheme} is neither http nor https").into()),
    }
}

async fn exchange(
    url: &Url,
    host: &str,
    token: Option<&str>,
    stream: impl AsyncRead + AsyncWrite + Unpin,
) -> Result<(StatusCode, Bytes), BoxError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request =
        Request::get(url.path()).header(header::HOST, host).header(header::CONNECTION, "close");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("token {token}"));
    }
    let request = request.body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST).collect().await?;
        Ok((status, body.to_bytes()))
    };
    let mut answer = pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // With the answer, or what became of it.
        _ = connection => answer.await,
    }
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
