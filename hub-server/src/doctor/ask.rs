//! One HTTP request, and precisely why there is no answer.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hub_auth::{Egress, ProxyFault};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use url::Url;

use super::told;

/// Longest answer that is read: a proxy may have ten thousand routes.
const ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// What to ask.
#[derive(Debug)]
pub(super) struct Question<'q> {
    pub(super) method: Method,
    pub(super) url: &'q Url,
    /// The way out, for what is elsewhere.
    pub(super) egress: Option<&'q Egress>,
    /// Where to connect instead of where the URL's host is.
    pub(super) at: Option<SocketAddr>,
    /// Whom to believe; needed for https.
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) header: Option<(HeaderName, HeaderValue)>,
    /// How long all of it may take.
    pub(super) limit: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("nothing listens there")]
    Refused,
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("the name cannot be resolved: {0}")]
    NoSuchHost(io::Error),
    #[error("no connection: {0}")]
    Unreachable(io::Error),
    #[error("{}", told(.0))]
    Proxy(ProxyFault),
    #[error("no secure connection: {0}")]
    Insecure(io::Error),
    #[error("what answers does not speak HTTP: {0}")]
    NotHttp(String),
}

/// Asks, and reads the beginning of the answer.
pub(super) async fn ask(question: &Question<'_>) -> Result<Response<Bytes>, NoAnswer> {
    match timeout(question.limit, connect_and_ask(question)).await {
        Ok(answer) => answer,
        Err(_) => Err(NoAnswer::TimedOut(question.limit)),
    }
}

async fn connect_and_ask(question: &Question<'_>) -> Result<Response<Bytes>, NoAnswer> {
    let stream = connect(question).await?;
    let Some(config) = question.tls.clone().filter(|_| question.url.scheme() == "https") else {
        return exchange(stream, question).await;
    };
    let host = question.url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name =
        ServerName::try_from(bare).map_err(|error| NoAnswer::Insecure(io::Error::other(error)))?;
    let secure =
        TlsConnector::from(config).connect(name, stream).await.map_err(NoAnswer::Insecure)?;
    exchange(secure, question).await
}

async fn connect(question: &Question<'_>) -> Result<TcpStream, NoAnswer> {
    let by_proxy = question.egress.zip(question.url.as_str().parse::<Uri>().ok());
    if let Some((egress, uri)) = &by_proxy
        && let Some(proxy) = egress.proxy_for(uri)
    {
        return proxy.connect(uri).await.map_err(NoAnswer::Proxy);
    }
    let found = match question.at {
        Some(address) => vec![address],
        None => {
            let host = question.url.host_str().unwrap_or_default();
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let port = question.url.port_or_known_default().unwrap_or(80);
            tokio::net::lookup_host((bare, port)).await.map_err(NoAnswer::NoSuchHost)?.collect()
        }
    };
    TcpStream::connect(found.as_slice()).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => NoAnswer::Refused,
        _ => NoAnswer::Unreachable(error),
    })
}

async fn exchange<S>(stream: S, question: &Question<'_>) -> Result<Response<Bytes>, NoAnswer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let not_http = |error: hyper::Error| NoAnswer::NotHttp(error.to_string());
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(not_http)?;
    let conversation = async {
        let response = sender.send_request(request(question)).await.map_err(not_http)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES)
            .collect()
            .await
            .map_err(|error| NoAnswer::NotHttp(error.to_string()))?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    };
    // The connection moves the bytes; it has to be looked after until the answer
    // is complete.
    tokio::pin!(conversation, connection);
    tokio::select! {
        biased;
        answer = &mut conversation => answer,
        _ = &mut connection => conversation.await,
    }
}

fn request(question: &Question<'_>) -> Request<Empty<Bytes>> {
    let url = question.url;
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    let mut request = Request::new(Empty::new());
    *request.method_mut() = question.method.clone();
    // A URL's path is one of a request, and its host one of a header.
    *request.uri_mut() =
        url[url::Position::BeforePath..url::Position::AfterQuery].parse().unwrap_or_default();
    let headers = request.headers_mut();
    if let Ok(host) = HeaderValue::from_str(&host) {
        headers.insert(header::HOST, host);
    }
    let product = concat!("notebook-hub/", env!("CARGO_PKG_VERSION"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(product));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Some((name, value)) = &question.header {
        headers.insert(name, value.clone());
    }
    request
}
