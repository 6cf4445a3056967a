//! One line a request, the id that ties other lines to it, and its numbers.

mod scrub;

use std::sync::{Arc, OnceLock};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

use super::{handlers, layers::printable};
use crate::{access::browser::Browser, hub::Hub};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken from a client.
const REQUEST_ID_LEN: usize = 64;

/// What ties the lines of one request together. It is in the answer too, so that a
/// person can tell it to whoever reads the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(pub(crate) String);

/// Who turned out to make a request: found out while it is handled, and told at its
/// end.
#[derive(Clone, Debug, Default)]
struct Asker(Arc<OnceLock<String>>);

/// Notes who makes the request.
pub(crate) fn note_asker(parts: &Parts, name: impl FnOnce() -> String) {
    if let Some(Asker(asker)) = parts.extensions.get() {
        // A page of a signed-in person that is asked with a token has two; the first
        // is the one that it was let in by.
        asker.get_or_init(name);
    }
}

/// The id of the request with these extensions.
pub(crate) fn id_of(extensions: &Extensions) -> Option<&str> {
    extensions.get::<RequestId>().map(|RequestId(id)| id.as_str())
}

/// Gives a request its id, and says what became of it.
pub(crate) async fn log(State(hub): State<Arc<Hub>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = wanted_id(request.headers()).unwrap_or_else(|| Uuid::now_v7().simple().to_string());
    let asker = Asker::default();
    request.extensions_mut().insert(RequestId(id.clone()));
    request.extensions_mut().insert(asker.clone());
    let method = request.method().clone();
    let uri = scrub::uri(request.uri());
    let ip = Browser::from_headers(request.headers()).remote;
    let route = request.extensions().get::<MatchedPath>().cloned();
    // Errors too are told with the id, so the span is there at every level.
    let span = tracing::error_span!("request", request_id = id.as_str());
    let mut response = next.run(request).instrument(span.clone()).await;

    let took = started.elapsed();
    let status = response.status();
    let handler = handlers::class(route.as_ref().map(MatchedPath::as_str), &hub.paths.hub());
    let is_frequent = handler.contains("HealthCheckHandler") || handler.contains(".static.");
    hub.metrics.request(&method, handler, status.as_u16(), took);
    span.in_scope(|| {
        Line {
            status,
            method: method.as_str(),
            uri: &uri,
            location: response.headers().get(header::LOCATION).map(scrub::location),
            user: asker.0.get().map(|name| printable(name)).unwrap_or_default(),
            ip: &printable(&ip),
            ms: took.as_secs_f64() * 1000.0,
        }
        .write(is_frequent);
    });
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The id that a proxy in front gave, or a program that calls.
fn wanted_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (!id.is_empty() && id.len() <= REQUEST_ID_LEN && id.bytes().all(good)).then(|| id.to_owned())
}

struct Line<'a> {
    status: StatusCode,
    method: &'a str,
    uri: &'a str,
    location: Option<String>,
    user: String,
    ip: &'a str,
    ms: f64,
}

impl Line<'_> {
    /// The line for people is the message; the same in fields is for programs, and
    /// only in their format.
    fn write(&self, is_frequent: bool) {
        let Self { method, uri, user, ip, ms, .. } = self;
        let status = self.status.as_u16();
        let location = self.location.as_deref().unwrap_or_default();
        let arrow = if self.location.is_some() { " -> " } else { "" };
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    http.status = status,
                    http.method = method,
                    http.uri = uri,
                    http.location = self.location,
                    http.user = user,
                    http.ip = ip,
                    http.ms = ms,
                    "{status} {method} {uri}{arrow}{location} ({user}@{ip}) {ms:.2}ms"
                )
            };
        }
        match status {
            500.. => line!(error),
            400.. => line!(warn),
            304 => line!(debug),
            ..300 if is_frequent => line!(debug),
            _ => line!(info),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_from_outside_is_taken_when_it_is_one() {
        for (given, taken) in [
            ("abc-DEF_1.2", true),
            ("", false),
            ("a b", false),
            ("a\"b", false),
            ("a\tb", false),
            (&"x".repeat(64), true),
            (&"x".repeat(65), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, given.parse().unwrap());
            assert_eq!(wanted_id(&headers).is_some(), taken, "{given:?}");
        }
        assert_eq!(wanted_id(&HeaderMap::new()), None);
    }
}
