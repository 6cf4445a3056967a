//! The hub's only status-code decisions, and what their bodies look like.

use std::time::Duration;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use hub_store::StoreError;
use serde_json::json;

use crate::servers::{Crowded, Failure, ServersError};

/// After how many seconds another start is worth a try where there was no room.
const FULL_RETRY: u64 = 60;

/// An error of the REST API: `{"status": .., "message": ..}`.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    message: String,
    retry_after: Option<u64>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// Nobody is known to have asked. 403, never 401: single-user servers take
    /// 403 for "not signed in" and anything else for a broken hub.
    pub(crate) fn unauthenticated() -> Self {
        Self::forbidden("Missing or invalid credentials.")
    }

    pub(crate) fn missing_scope(scope: &str) -> Self {
        Self::forbidden(format!(
            "Action is not authorized with current scopes; requires any of [{scope}]"
        ))
    }

    /// Also the answer for things that exist but not for the caller.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "No access to resources or resources not found")
    }

    /// Too many failures; another try counts after `wait`.
    pub(crate) fn too_many_tries(wait: Duration) -> Self {
        let seconds = wait.as_secs().max(1);
        let minutes = seconds.div_ceil(60);
        let text = format!("Too many failed tries. Wait {minutes} min and try again.");
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, text) }
    }

    /// When another try makes sense.
    pub(crate) fn after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait.as_secs().max(1)), ..self }
    }

    /// Something was done too often within a minute.
    pub(crate) fn too_fast(message: impl Into<String>) -> Self {
        Self { retry_after: Some(60), ..Self::new(StatusCode::TOO_MANY_REQUESTS, message) }
    }

    /// The status and the text, for a page that shows them its own way.
    pub(crate) fn told(&self) -> (StatusCode, &str) {
        (self.status, &self.message)
    }

    /// A start that did not succeed.
    pub(crate) fn of_start(failure: &Failure, message: impl Into<String>) -> Self {
        let (status, retry_after) = answer_to(failure);
        Self { retry_after, ..Self::new(status, message) }
    }

    /// Something the hub stands on does not answer.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self { retry_after: Some(5), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message) }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let detail = &error as &(dyn std::error::Error + 'static);
        match &error {
            StoreError::Conflict { what } => Self::conflict(format!("{what} already exists")),
            StoreError::Missing { .. } => Self::not_found(),
            StoreError::SignedOut => Self::unauthenticated(),
            other if other.is_transient() => {
                tracing::error!(error = detail, "the database did not answer");
                Self::unavailable("The hub's database did not answer. Try again in a moment.")
            }
            _ => {
                tracing::error!(error = detail, "the database failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
            }
        }
    }
}

impl From<ServersError> for ApiError {
    fn from(error: ServersError) -> Self {
        match error {
            // Clients match these texts; the default server is the user's name alone.
            ServersError::AlreadyRunning(key) => {
                Self::bad_request(format!("{} is already running", label(&key)))
            }
            ServersError::Pending { key, pending } => {
                Self::bad_request(format!("{} is pending {pending}", label(&key)))
            }
            ServersError::Active(key) => Self::bad_request(format!(
                "{} is active. Please stop it before modifying it.",
                label(&key)
            )),
            ServersError::Crowded(crowded) => Self {
                retry_after: retry_after(crowded),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, crowded.to_string())
            },
            ServersError::Refused(reason) => Self::bad_request(reason),
            ServersError::Left(error) => {
                tracing::warn!(
                    error = &error as &(dyn std::error::Error + 'static),
                    "what belonged to a deleted server could not be removed"
                );
                Self::unavailable(format!(
                    "What belongs to the server could not be removed, so the server is still \
                     there; remove it again. {}",
                    error.user_message()
                ))
            }
            ServersError::ShuttingDown => Self::unavailable("The hub is shutting down."),
            ServersError::Store(error) => error.into(),
        }
    }
}

/// The status for a start that did not succeed, and after how many seconds to come again
/// where that can be told.
pub(crate) fn answer_to(failure: &Failure) -> (StatusCode, Option<u64>) {
    match failure {
        Failure { rejected: true, .. } => (StatusCode::BAD_REQUEST, None),
        Failure { full: true, .. } => (StatusCode::SERVICE_UNAVAILABLE, Some(FULL_RETRY)),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, None),
    }
}

/// When to come again, if that can be told.
pub(crate) fn retry_after(crowded: Crowded) -> Option<u64> {
    match crowded {
        Crowded::Starting { retry_after } => Some(retry_after),
        Crowded::Active => None,
    }
}

/// A server as JupyterHub's messages name it: `ada`, or `ada:lab`.
pub(crate) fn label(key: &hub_names::ServerKey) -> String {
    match key.server().is_default() {
        true => key.user().to_string(),
        false => format!("{}:{}", key.user(), key.server()),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Json(json!({ "status": self.status.as_u16(), "message": self.message }));
        let mut response = (self.status, body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// An error of a page. The response carries it to the layer that renders it,
/// which knows who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct PageError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    /// What a person can do about it, one thing a line.
    pub(crate) hints: Vec<String>,
    pub(crate) actions: Vec<Action>,
    pub(crate) retry_after: Option<u64>,
    /// Where to go instead of showing a page: the sign-in.
    pub(crate) redirect: Option<String>,
    /// Whether the answer may set cookies; not if a proxy asked for the page.
    pub(crate) cookies: bool,
    /// The status of the answer where it is not the error's own: a proxy that fetches
    /// the page gives it that.
    pub(crate) answered: Option<StatusCode>,
}

/// A button on an error page.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Action {
    pub(crate) label: String,
    pub(crate) url: String,
}

impl PageError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            hints: Vec::new(),
            actions: Vec::new(),
            retry_after: None,
            redirect: None,
            cookies: true,
            answered: None,
        }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is nothing here, or nothing that you may see.")
    }

    /// Sends the browser to `url` instead.
    pub(crate) fn redirect(url: String) -> Self {
        Self { redirect: Some(url), ..Self::new(StatusCode::FOUND, "") }
    }

    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(text.into());
        self
    }

    /// Leaves the visitor's cookies alone.
    pub(crate) fn without_cookies(mut self) -> Self {
        self.cookies = false;
        self
    }

    pub(crate) fn action(mut self, label: impl Into<String>, url: impl Into<String>) -> Self {
        self.actions.push(Action { label: label.into(), url: url.into() });
        self
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::SignedOut) {
            let text = "Your password was changed or your account was closed a moment ago.";
            return Self::new(StatusCode::FORBIDDEN, text).hint("Sign in again.");
        }
        tracing::error!(
            error = &error as &(dyn std::error::Error + 'static),
            "the database failed"
        );
        let mut page = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The hub's database did not answer. Your running server is not affected.",
        )
        .hint("Try again in a moment.");
        page.retry_after = Some(5);
        page
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(url) = &self.redirect {
            return redirect(url);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// 302, as JupyterHub's redirects are. A URL that no header can hold leads to
/// nowhere rather than to a panic.
pub(crate) fn redirect(url: &str) -> Response {
    redirect_with(StatusCode::FOUND, url)
}

/// A redirect with another status.
pub(crate) fn redirect_with(status: StatusCode, url: &str) -> Response {
    match HeaderValue::from_str(url) {
        Ok(location) => (status, [(header::LOCATION, location)]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}
