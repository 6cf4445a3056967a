//! The pages of a proxy that has no hub behind it: a [`Proxy`](crate::Proxy)'s
//! fallback.
//!
//! They come from another server, from a directory, or are built in, as with
//! configurable-http-proxy. Rule ids: proxy contract, section 7.

use std::{
    convert::Infallible,
    fmt::Write,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use tower::Service;

use crate::{FallbackBody, GatewayFailure, ProxyConfig, Target, error::chain, upgrade};

mod directory;
mod target;

use target::PageTarget;

/// Answers every request with a page that says what is wrong: what
/// [`GatewayFailure`] says, or 404 because no route matched.
///
/// A WebSocket handshake gets a status and no page (E-05). Clones share.
#[derive(Clone, Debug)]
pub struct ErrorPages(Arc<Source>);

#[derive(Debug)]
enum Source {
    BuiltIn,
    Directory(PathBuf),
    Target(Box<PageTarget>),
}

/// A page and the two fields that say how to read it.
struct Page {
    body: Bytes,
    content_type: Option<HeaderValue>,
    content_encoding: Option<HeaderValue>,
}

impl ErrorPages {
    /// Plain pages of our own (E-04).
    pub fn built_in() -> Self {
        Self(Arc::new(Source::BuiltIn))
    }

    /// `404.html` and the like, or `error.html`, from a directory; a built-in
    /// page if it has neither. Files are read each time (E-03).
    pub fn from_directory(path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Source::Directory(path.into())))
    }

    /// What `target` answers to `GET <code>?url=<escaped path and query>`, with
    /// a status of ours; a built-in page if it takes longer than 5 s, sends
    /// more than 1 MiB or does not answer (E-01). It is reached as `config` says of
    /// targets.
    pub fn from_target(target: Target, config: &ProxyConfig) -> Self {
        Self(Arc::new(Source::Target(Box::new(PageTarget::new(target, config)))))
    }

    async fn page(&self, status: StatusCode, path: &str) -> Page {
        let found = match &*self.0 {
            Source::BuiltIn => None,
            Source::Directory(dir) => directory::read(dir, status).await.map(Page::html),
            Source::Target(target) => match target.ask(status, path).await {
                Ok(page) => Some(page),
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "no error page from {target}");
                    None
                }
            },
        };
        found.unwrap_or_else(|| Page::html(built_in(status)))
    }
}

impl Service<Request<FallbackBody>> for ErrorPages {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<FallbackBody>) -> Self::Future {
        let pages = self.clone();
        Box::pin(async move {
            let (status, path) = match request.extensions().get::<GatewayFailure>() {
                Some(failure) => (failure.status, failure.path.clone()),
                None => {
                    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
                    (StatusCode::NOT_FOUND, path.to_owned())
                }
            };
            let mut response = match upgrade::is_websocket(&request) {
                true => {
                    let mut bare = Response::new(Full::default());
                    let close = HeaderValue::from_static("close");
                    bare.headers_mut().insert(header::CONNECTION, close);
                    bare
                }
                false => pages.page(status, &path).await.written(),
            };
            *response.status_mut() = status;
            Ok(response)
        })
    }
}

impl Page {
    fn html(text: impl Into<Bytes>) -> Self {
        let content_type = Some(HeaderValue::from_static("text/html; charset=utf-8"));
        Self { body: text.into(), content_type, content_encoding: None }
    }

    fn written(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        let fields = [
            (header::CONTENT_TYPE, self.content_type),
            (header::CONTENT_ENCODING, self.content_encoding),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

fn built_in(status: StatusCode) -> String {
    let title = match status.canonical_reason() {
        Some(reason) => format!("{}: {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    };
    let advice = match status {
        StatusCode::NOT_FOUND => {
            "Nothing is served at this address. Look at its spelling, or start where you came from."
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            "The server behind this address does not answer. It may be starting: try again in a \
             moment."
        }
        StatusCode::BAD_REQUEST => "The address cannot be understood.",
        _ => "The request could not be served.",
    };
    let mut page = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n");
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "<head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
         <body><h1>{title}</h1><p>{advice}</p></body>\n</html>\n"
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_04_built_in_pages_name_the_status() {
        assert!(built_in(StatusCode::NOT_FOUND).contains("<title>404: Not Found</title>"));
        let unavailable = built_in(StatusCode::SERVICE_UNAVAILABLE);
        assert!(unavailable.contains("503: Service Unavailable"));
        let odd = StatusCode::from_u16(599).unwrap();
        assert!(built_in(odd).contains("<h1>599</h1>"));
    }
}
