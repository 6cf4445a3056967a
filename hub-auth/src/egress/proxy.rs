//! A tunnel by a forward proxy: `CONNECT`, RFC 9110 section 9.3.6.

use std::{fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderValue, Request, StatusCode, Uri,
    header::{HOST, PROXY_AUTHORIZATION},
};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::TcpStream;
use url::Url;

use crate::BoxError;

/// A proxy that makes tunnels. It is shown without its password.
#[derive(Clone)]
pub struct ForwardProxy {
    /// For a socket: an IPv6 address stands without brackets.
    host: String,
    port: u16,
    /// `http://HOST:PORT`.
    shown: String,
    authorization: Option<HeaderValue>,
}

/// Why a proxy made no tunnel.
#[derive(Debug, thiserror::Error)]
#[error("the proxy {proxy} {fault}")]
pub struct ProxyFault {
    proxy: String,
    fault: Fault,
    #[source]
    source: Option<BoxError>,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("cannot be reached")]
    Unreachable,
    #[error(
        "wants a user name and password; write them into its address, http://NAME:PASSWORD@HOST:PORT"
    )]
    NoName,
    #[error("does not accept the user name and password in its address")]
    WrongName,
    #[error(
        "answered with status {status} instead of connecting to {target}; it has to allow that"
    )]
    Forbids { status: StatusCode, target: String },
    #[error("does not answer as a proxy does; is its address right?")]
    NoProxy,
}

impl ForwardProxy {
    /// A connection to where `destination` is, through the proxy.
    ///
    /// # Errors
    ///
    /// [`ProxyFault`], which names the proxy.
    pub async fn connect(&self, destination: &Uri) -> Result<TcpStream, ProxyFault> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| self.fault(Fault::Unreachable, Some(error.into())))?;
        let no_proxy = |error: BoxError| self.fault(Fault::NoProxy, Some(error));
        let target = target(destination);
        let request = self.request(&target).map_err(|error| no_proxy(error.into()))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| no_proxy(error.into()))?;
        let asking = async {
            let answer = sender.send_request(request).await;
            // The connection is over when nobody can ask or read any more.
            drop(sender);
            answer.map(|answer| answer.status())
        };
        let (status, ended) = tokio::join!(asking, connection.without_shutdown());
        match status.map_err(|error| no_proxy(error.into()))? {
            status if status.is_success() => {}
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                let fault =
                    if self.authorization.is_some() { Fault::WrongName } else { Fault::NoName };
                return Err(self.fault(fault, None));
            }
            status => return Err(self.fault(Fault::Forbids { status, target }, None)),
        }
        let parts = ended.map_err(|error| no_proxy(error.into()))?;
        match parts.read_buf.is_empty() {
            true => Ok(parts.io.into_inner()),
            // In TLS the client speaks first.
            false => Err(no_proxy("it sent more than its answer".into())),
        }
    }

    fn request(&self, target: &str) -> Result<Request<Empty<&'static [u8]>>, http::Error> {
        let mut request = Request::connect(target).header(HOST, target);
        if let Some(authorization) = &self.authorization {
            request = request.header(PROXY_AUTHORIZATION, authorization);
        }
        request.body(Empty::new())
    }

    fn fault(&self, fault: Fault, source: Option<BoxError>) -> ProxyFault {
        ProxyFault { proxy: self.shown.clone(), fault, source }
    }
}

/// Host and port, both of them always.
fn target(destination: &Uri) -> String {
    let host = destination.host().unwrap_or_default();
    format!("{host}:{}", destination.port_u16().unwrap_or(443))
}

impl FromStr for ForwardProxy {
    type Err = &'static str;

    /// `http://NAME:PASSWORD@HOST:PORT`; all but the host may be left out, as in the
    /// variables that other programs read.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "is not the address of a proxy; write http://HOST:PORT";
        let text = text.trim();
        let url = match text.contains("://") {
            true => Url::parse(text),
            false => Url::parse(&format!("http://{text}")),
        };
        let url = url.map_err(|_| FORM)?;
        if url.scheme() != "http" {
            return Err("is of a kind of proxy that is not supported; write http://HOST:PORT");
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(FORM);
        };
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(FORM);
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self {
            host: bare,
            port,
            shown: format!("http://{host}:{port}"),
            authorization: authorization(&url),
        })
    }
}

/// RFC 7617.
fn authorization(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value =
        HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl fmt::Display for ForwardProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for ForwardProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ForwardProxy").field(&self.shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_lack_all_but_the_host() {
        let read = |text: &str| -> (String, Option<String>) {
            let proxy: ForwardProxy = text.parse().unwrap();
            let value =
                proxy.authorization.as_ref().map(|value| value.to_str().unwrap().to_owned());
            (proxy.to_string(), value)
        };
        assert_eq!(read("proxy.test:3128"), ("http://proxy.test:3128".to_owned(), None));
        assert_eq!(read(" http://proxy.test/ "), ("http://proxy.test:80".to_owned(), None));
        assert_eq!(read("http://[2001:db8::1]:8080").0, "http://[2001:db8::1]:8080");
        // "Aladdin:open sesame", the example of RFC 7617 section 2.
        let known = Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_owned());
        assert_eq!(read("http://Aladdin:open%20sesame@p:1"), ("http://p:1".to_owned(), known));
        assert_eq!(read("u@p:1").1.as_deref(), Some("Basic dTo="));
    }

    #[test]
    fn the_port_of_the_destination_is_always_named() {
        assert_eq!(target(&"https://github.com/login".parse().unwrap()), "github.com:443");
        assert_eq!(target(&"https://[2001:db8::5]:8443".parse().unwrap()), "[2001:db8::5]:8443");
    }
}
