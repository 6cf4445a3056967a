//! Asking a proxy how it is, for containers without shell or curl.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use url::Url;

use crate::{BoxError, TargetTls, TargetTlsConfig, TlsError};

/// A proxy that takes longer is not well.
const DEADLINE: Duration = Duration::from_secs(5);

/// A longer answer is not one of ours.
const LARGEST: usize = 64 << 10;

/// Asks `url`; any answer but 200 is an error.
pub(super) async fn ask(url: &str) -> Result<(), BoxError> {
    get(url, None, Some(unchecked()?)).await.map(drop)
}

/// What the REST API at `url` reports of the proxy, as JSON.
pub(super) async fn report(
    url: &str,
    token: Option<&str>,
    tls: Option<TargetTls>,
) -> Result<String, BoxError> {
    let url = format!("{}/api/v2/status", url.trim_end_matches('/'));
    let answer = get(&url, token, tls).await?;
    Ok(String::from_utf8(answer.to_vec())?)
}

/// The body of the answer; any other status than 200 is an error.
async fn get(url: &str, token: Option<&str>, tls: Option<TargetTls>) -> Result<Bytes, BoxError> {
    match timeout(DEADLINE, fetch(url, token, tls)).await {
        Ok(Ok((StatusCode::OK, body))) => Ok(body),
        Ok(Ok((status, _))) => Err(format!("the answer is {status}").into()),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(format!("no answer within {} s", DEADLINE.as_secs()).into()),
    }
}

async fn fetch(
    url: &str,
    token: Option<&str>,
    tls: Option<TargetTls>,
) -> Result<(StatusCode, Bytes), BoxError> {
    let url = Url::parse(url)?;
    let host = url.host_str().ok_or("the URL has no host")?;
    let port = url.port_or_known_default().ok_or("the URL has no port")?;
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((name, port)).await?;
    match url.scheme() {
        "http" => exchange(&url, host, token, stream).await,
        "https" => {
            let name = ServerName::try_from(name.to_owned())?;
            let tls = tls.map_or_else(TargetTls::of_system, Ok)?;
            let connector = tokio_rustls::TlsConnector::from(tls.client_config());
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

/// Accepts any certificate: the question goes to a listener of this host whose
/// certificate names another, and neither it nor the answer is worth a secret.
fn unchecked() -> Result<TargetTls, TlsError> {
    TargetTls::load(&TargetTlsConfig { insecure: true, ..TargetTlsConfig::default() })
}
