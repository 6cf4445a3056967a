//! Asking a proxy how it is, for containers without shell or curl.

use std::{fmt, path::Path, pin::pin, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use url::Url;

use crate::{BoxError, TargetTls, TargetTlsConfig, TlsError};

/// A proxy that takes longer is not well.
const DEADLINE: Duration = Duration::from_secs(5);

/// A longer answer is not one of ours.
const LARGEST: usize = 64 << 10;

/// Whom to ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) url: &'a str,
    /// Where that host is to be had, if not where its name leads.
    pub(super) socket: Option<&'a Path>,
}

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.socket {
            Some(socket) => write!(f, "{} at {}", self.url, socket.display()),
            None => f.write_str(self.url),
        }
    }
}

/// Asks whether it is well; any answer but 200 is an error.
pub(super) async fn ask(asked: Asked<'_>) -> Result<(), BoxError> {
    get(asked, None, Some(unchecked()?)).await.map(drop)
}

/// What the REST API there reports of the proxy, as JSON.
pub(super) async fn report(
    api: Asked<'_>,
    token: Option<&str>,
    tls: Option<TargetTls>,
) -> Result<String, BoxError> {
    let url = format!("{}/api/v2/status", api.url.trim_end_matches('/'));
    let answer = get(Asked { url: &url, ..api }, token, tls).await?;
    Ok(String::from_utf8(answer.to_vec())?)
}

/// The body of the answer; any other status than 200 is an error.
async fn get(
    asked: Asked<'_>,
    token: Option<&str>,
    tls: Option<TargetTls>,
) -> Result<Bytes, BoxError> {
    match timeout(DEADLINE, fetch(asked, token, tls)).await {
        Ok(Ok((StatusCode::OK, body))) => Ok(body),
        Ok(Ok((status, _))) => Err(format!("the answer is {status}").into()),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(format!("no answer within {} s", DEADLINE.as_secs()).into()),
    }
}

async fn fetch(
    asked: Asked<'_>,
    token: Option<&str>,
    tls: Option<TargetTls>,
) -> Result<(StatusCode, Bytes), BoxError> {
    let url = Url::parse(asked.url)?;
    if let Some(socket) = asked.socket {
        return speak(&url, token, tls, UnixStream::connect(socket).await?).await;
    }
    let port = url.port_or_known_default().ok_or("the URL has no port")?;
    let stream = TcpStream::connect((name_of(&url)?, port)).await?;
    speak(&url, token, tls, stream).await
}

async fn speak(
    url: &Url,
    token: Option<&str>,
    tls: Option<TargetTls>,
    stream: impl AsyncRead + AsyncWrite + Unpin,
) -> Result<(StatusCode, Bytes), BoxError> {
    match url.scheme() {
        "http" => exchange(url, token, stream).await,
        "https" => {
            let name = ServerName::try_from(name_of(url)?.to_owned())?;
            let tls = tls.map_or_else(TargetTls::of_system, Ok)?;
            let connector = tokio_rustls::TlsConnector::from(tls.client_config());
            exchange(url, token, connector.connect(name, stream).await?).await
        }
        scheme => Err(format!("{scheme} is neither http nor https").into()),
    }
}

/// The host, without the brackets of an IPv6 address.
fn name_of(url: &Url) -> Result<&str, BoxError> {
    let host = url.host_str().ok_or("the URL has no host")?;
    Ok(host.trim_start_matches('[').trim_end_matches(']'))
}

async fn exchange(
    url: &Url,
    token: Option<&str>,
    stream: impl AsyncRead + AsyncWrite + Unpin,
) -> Result<(StatusCode, Bytes), BoxError> {
    let host = url.host_str().ok_or("the URL has no host")?;
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
