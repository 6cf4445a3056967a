//! The plain-HTTP side of a deployment with TLS: one answer to everything.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response, StatusCode, header};
use tower::Service;

#[cfg(feature = "acme")]
use crate::HttpChallenges;

/// Sends every request to the same path over HTTPS.
///
/// 308, so that a form posted to the wrong scheme stays a form, or 301 if that
/// is [wanted](Self::moved_permanently). Without a
/// `Host`, or with an odd one, there is nowhere to send the client: 400 with a
/// text (S-14).
#[derive(Clone, Debug)]
pub struct RedirectToHttps {
    port: u16,
    status: StatusCode,
    #[cfg(feature = "acme")]
    challenges: Option<HttpChallenges>,
}

impl RedirectToHttps {
    /// Redirects to `port`, which is left out of the URL when it is 443.
    pub fn new(port: u16) -> Self {
        Self {
            port,
            status: StatusCode::PERMANENT_REDIRECT,
            #[cfg(feature = "acme")]
            challenges: None,
        }
    }

    /// Answers 301, which clients of before 2015 know too.
    #[must_use]
    pub fn moved_permanently(self) -> Self {
        Self { status: StatusCode::MOVED_PERMANENTLY, ..self }
    }

    /// Answers an authority that looks for `challenges` below
    /// `/.well-known/acme-challenge/`, and redirects everything else (TLS-5).
    #[cfg(feature = "acme")]
    #[must_use]
    pub fn answering(self, challenges: HttpChallenges) -> Self {
        Self { challenges: Some(challenges), ..self }
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<String> {
        #[cfg(feature = "acme")]
        if let Some(proof) = self.proof(request) {
            return proof;
        }
        let mut response = Response::new(String::new());
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        match self.location(request) {
            Some(location) => {
                headers.insert(header::LOCATION, location);
                *response.status_mut() = self.status;
            }
            None => {
                headers.insert(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("text/plain; charset=utf-8"),
                );
                "This server speaks HTTPS only.\n".clone_into(response.body_mut());
                *response.status_mut() = StatusCode::BAD_REQUEST;
            }
        }
        response
    }

    #[cfg(feature = "acme")]
    fn proof<B>(&self, request: &Request<B>) -> Option<Response<String>> {
        use crate::acme::challenges::HttpAnswer;

        let (status, body) = match self.challenges.as_ref()?.answer(request.uri().path()) {
            HttpAnswer::NotAsked => return None,
            HttpAnswer::Unknown => {
                (StatusCode::NOT_FOUND, "No order with this token is under way here.\n".to_owned())
            }
            HttpAnswer::Proof(text) => (StatusCode::OK, text),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        Some(response)
    }

    fn location<B>(&self, request: &Request<B>) -> Option<HeaderValue> {
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let (host, None) = (hosts.next()?.to_str().ok()?, hosts.next()) else { return None };
        let host = host_name(host)?;
        let path = match request.uri().path_and_query() {
            // `OPTIONS *` asks about the server, not about a page.
            Some(path) if path.as_str().starts_with('/') => path.as_str(),
            _ => "/",
        };
        let url = match self.port {
            443 => format!("https://{host}{path}"),
            port => format!("https://{host}:{port}{path}"),
        };
        HeaderValue::from_str(&url).ok()
    }
}

impl<B> Service<Request<B>> for RedirectToHttps {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer(&request)))
    }
}

/// The host without its port, if it is a DNS name or an IP address: stricter
/// than a `Host` must be, since it goes into a URL of ours.
fn host_name(host: &str) -> Option<&str> {
    let literal = host.starts_with('[');
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !literal || name.ends_with(']') => {
            if !port.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            name
        }
        _ => host,
    };
    let sound = match name.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }
    };
    sound.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led_to(port: u16, host: &str, uri: &str) -> (u16, String) {
        let request = Request::builder().uri(uri).header("host", host).body(()).unwrap();
        let response = RedirectToHttps::new(port).answer(&request);
        let location = response.headers().get("location").map(|url| url.to_str().unwrap());
        (response.status().as_u16(), location.unwrap_or_default().to_owned())
    }

    #[test]
    fn s_14_the_path_and_query_are_kept_and_the_port_is_ours() {
        for (port, host, uri, expected) in [
            (443, "hub.example:80", "/a%2Fb?q=1", "https://hub.example/a%2Fb?q=1"),
            (8443, "hub.example", "/", "https://hub.example:8443/"),
            (443, "[::1]:8080", "/x", "https://[::1]/x"),
            (443, "[::1]", "*", "https://[::1]/"),
            (443, "127.0.0.1:80", "//evil.example/", "https://127.0.0.1//evil.example/"),
        ] {
            assert_eq!(led_to(port, host, uri), (308, expected.to_owned()), "{host} {uri}");
        }
    }

    #[test]
    fn p_015_the_redirect_can_be_a_301() {
        let request = Request::builder().uri("/x").header("host", "h").body(()).unwrap();
        let response = RedirectToHttps::new(443).moved_permanently().answer(&request);
        assert_eq!(response.status().as_u16(), 301);
    }

    #[test]
    fn s_14_an_odd_host_is_refused() {
        for host in ["", ":80", "a b", "a@b", "a/b", "h:x", "[::1", "[h]", "a:b:c"] {
            assert_eq!(led_to(443, host, "/").0, 400, "{host}");
        }
        let without = Request::builder().uri("/").body(()).unwrap();
        assert_eq!(RedirectToHttps::new(443).answer(&without).status(), 400);
    }
}
