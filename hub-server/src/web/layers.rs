//! What happens around every request to the hub's own router.
//!
//! A notebook's traffic does not pass here: limits and headers are the hub's.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use minijinja::context;

use super::{
    error::{ApiError, PageError},
    request_log,
    visitor::Visitor,
};
use crate::hub::Hub;

/// Longest user-controlled text in a log line.
const PRINTABLE_LEN: usize = 64;

/// Headers that every answer of the hub has (hub-contract 1.1; security 5).
pub(crate) async fn headers(State(hub): State<Arc<Hub>>, request: Request, next: Next) -> Response {
    let hub_prefix = hub.paths.hub();
    let path = request.uri().path();
    // Files, not answers of the hub: user servers embed the logo.
    let is_static = path.starts_with(&format!("{hub_prefix}static/"))
        || path.strip_prefix(&hub_prefix) == Some("logo");
    // The consent page lives below the API's prefix, but it is a page.
    let is_api = path.starts_with(&format!("{hub_prefix}api"))
        && path != format!("{hub_prefix}api/oauth2/authorize");
    let is_health = path.ends_with("/health");
    let mut response = next.run(request).await;
    let status = response.status();
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.entry(name).or_insert(value);
        }
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "same-origin");
    if hub.https
        && hub
            .public_url
            .as_ref()
            .and_then(url::Url::domain)
            .is_some_and(|host| host != "localhost")
    {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    if is_static {
        return response;
    }
    // An empty answer has a type, too: JupyterHub's clients may ask for it.
    if !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        set(
            header::CONTENT_TYPE,
            if is_api && !is_health { "application/json" } else { "text/html" },
        );
    }
    set(HeaderName::from_static("x-jupyterhub-version"), crate::COMPATIBLE_VERSION);
    set(header::ACCESS_CONTROL_ALLOW_HEADERS, "accept, content-type, authorization");
    set(header::CACHE_CONTROL, "no-store");
    let report = format!("report-uri {hub_prefix}security/csp-report");
    if is_api {
        set(
            header::CONTENT_SECURITY_POLICY,
            &format!("frame-ancestors 'none'; {report}; default-src 'none'"),
        );
    } else {
        // `form-action` is left out: browsers apply it to the redirect that
        // follows a sign-in form, too, which may lead to GitHub.
        set(
            header::CONTENT_SECURITY_POLICY,
            &format!(
                "frame-ancestors 'none'; {report}; default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'"
            ),
        );
        set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    }
    if status == StatusCode::NO_CONTENT {
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    response
}

/// Renders a [`PageError`] that a handler left behind, for whoever is signed in.
pub(crate) async fn error_pages(
    State(hub): State<Arc<Hub>>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let uri = request.uri().clone();
    let headers = request.headers().clone();
    let request_id = request_log::id_of(request.extensions()).map(str::to_owned);
    let mut response = next.run(request).await;
    let error = match response.extensions_mut().remove::<PageError>() {
        Some(error) => error,
        None => match refused_by_framework(&response) {
            Some(error) => error,
            None => return response,
        },
    };
    let retry_after = response.headers().get(header::RETRY_AFTER).cloned();
    let cookies: Vec<HeaderValue> =
        response.headers().get_all(header::SET_COOKIE).iter().cloned().collect();
    let page = context! {
        status => error.status.as_u16(),
        reason => error.status.canonical_reason().unwrap_or("Error"),
        message => error.message.as_str(),
        hints => error.hints,
        actions => minijinja::Value::from(minijinja::value::Serde(error.actions)),
        request_id => request_id,
    };
    let mut rendered = match Visitor::new(&hub, &method, uri, &headers).await {
        Ok(visitor) => {
            let template = match error.status {
                StatusCode::NOT_FOUND => "404.html",
                _ => "error.html",
            };
            visitor.page(error.answered.unwrap_or(error.status), template, page)
        }
        // The database is down; the page must do without knowing the visitor.
        Err(_) => (error.status, error.message).into_response(),
    };
    for cookie in cookies {
        rendered.headers_mut().append(header::SET_COOKIE, cookie);
    }
    if !error.cookies {
        rendered.headers_mut().remove(header::SET_COOKIE);
    }
    if let Some(value) = retry_after {
        rendered.headers_mut().insert(header::RETRY_AFTER, value);
    }
    rendered
}

/// A method, path or body that no handler saw: the framework's bare answer made
/// into a page.
fn refused_by_framework(response: &Response) -> Option<PageError> {
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if kind.is_some_and(|kind| !kind.starts_with(b"text/plain")) {
        return None;
    }
    let message = match response.status() {
        StatusCode::METHOD_NOT_ALLOWED => "This address cannot be used like that.",
        StatusCode::PAYLOAD_TOO_LARGE => "What was sent is too large.",
        StatusCode::NOT_FOUND => "There is nothing here.",
        status if status.is_client_error() => "The hub cannot make sense of this address.",
        _ => return None,
    };
    Some(PageError::new(response.status(), message))
}

/// A panic in a handler is a 500 for one request.
pub(crate) fn on_panic(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    tracing::error!("a handler panicked");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").into_response()
}

/// `text` fit for a log line: no control characters, at most 64 characters.
pub(crate) fn printable(text: &str) -> String {
    cut(text, PRINTABLE_LEN)
}

/// `text` without control characters, at most `len` characters and a mark.
pub(super) fn cut(text: &str, len: usize) -> String {
    let mut shown: String = text.chars().take(len).flat_map(shown).collect();
    if text.chars().nth(len).is_some() {
        shown.push('…');
    }
    shown
}

/// A character as it may stand in a log.
fn shown(character: char) -> impl Iterator<Item = char> {
    let plain = !character.is_control();
    let escaped = (!plain).then(|| character.escape_default());
    plain.then_some(character).into_iter().chain(escaped.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adv_long_username() {
        let shown = printable(&format!("a\n\u{1b}[31m{}", "x".repeat(10_000)));
        assert!(shown.chars().count() < 200);
        assert!(!shown.contains(['\n', '\u{1b}']));
    }
}
