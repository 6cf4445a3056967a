//! The REST API by which another process keeps the routes, as
//! configurable-http-proxy has it, with a few additions.
//!
//! [`Registry`] holds what a route carries beyond its target, [`AdminApi`] is
//! the service over it, and a [`RouteStore`] of yours may keep all of it.
//! Additions are below `/api/v2/`, where configurable-http-proxy has nothing:
//! the whole table at once, and how the proxy fares. Rule ids: proxy contract,
//! section 2.

use std::{
    borrow::Cow,
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header,
    request::Parts,
};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use tower::Service;

use crate::BoxError;

mod condition;
mod endpoint;
mod record;
mod registry;
mod store;
mod tally;
mod token;
mod vitals;

pub use registry::Registry;
#[cfg(feature = "cli")]
pub(crate) use registry::{ForeignRoute, HandedTable};
pub use store::{RouteChange, RouteStore, StoreError, StoredRoute};
#[cfg(feature = "cli")]
pub(crate) use tally::Tally;
pub use token::AdminToken;
pub use vitals::Vitals;

use condition::{Conditions, Found, Unmet};
use endpoint::Action;
use record::{BadTable, RouteRecord};
use registry::ChangeError;

/// The header with which every answer says which start of the process it comes
/// from: another value than before means that the routes are gone.
pub const START_HEADER: HeaderName = HeaderName::from_static("hub-proxy-start");

/// Most a request about one route may have as a body.
const MAX_ROUTE_BYTES: usize = 1024 * 1024;

/// Most a request with the whole table may have as a body: 10,000 routes have
/// about 2 MiB.
const MAX_TABLE_BYTES: usize = 16 * 1024 * 1024;

/// Serves the API. A [`tower::Service`] that never fails; clones share all.
#[derive(Clone, Debug)]
pub struct AdminApi(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    token: ArcSwapOption<AdminToken>,
    vitals: Vitals,
    refuses_changes: AtomicBool,
}

/// An answer before it is written.
struct Answer {
    status: StatusCode,
    content: Content,
    /// The version of the table that it is about.
    version: Option<u64>,
}

enum Content {
    Nothing,
    Text(Cow<'static, str>),
    Json(Value),
}

impl AdminApi {
    /// An API that asks for `token`; without one, everybody who reaches it may
    /// change routes.
    pub fn new(registry: Registry, token: Option<AdminToken>, vitals: Vitals) -> Self {
        let token = ArcSwapOption::from_pointee(token);
        Self(Arc::new(Inner { registry, token, vitals, refuses_changes: AtomicBool::new(false) }))
    }

    /// Answers changes of routes with 503 from now on: the process ends, and nobody new would
    /// be served from them. What is there can still be read.
    pub fn refuse_changes(&self) {
        self.0.refuses_changes.store(true, Ordering::Relaxed);
    }

    /// Asks for `token` from the next request on; whether that is another than
    /// before.
    pub fn replace_token(&self, token: AdminToken) -> bool {
        let before = self.0.token.swap(Some(Arc::new(token.clone())));
        before.is_none_or(|before| *before != token)
    }
}

impl<B> Service<Request<B>> for AdminApi
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let api = Arc::clone(&self.0);
        Box::pin(async move {
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            let answer = api.answer(request).await;
            log(&method, &path, &answer);
            let tag = answer.version.map(|version| api.vitals.tag(version));
            let mut response = answer.written();
            let fields = response.headers_mut();
            fields.insert(START_HEADER, api.vitals.start_header());
            // Times of use change without the tag, so a cache that asks again by it would
            // keep old ones.
            fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            if let Some(tag) = tag {
                response.headers_mut().insert(header::ETAG, tag);
            }
            Ok(response)
        })
    }
}

impl Inner {
    async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        let (head, body) = request.into_parts();
        let action = endpoint::action(&head.method, head.uri.path(), head.uri.query());
        // Who is not known learns which paths there are, and no more.
        match action {
            Err(answer) if is_public(answer.status) => answer,
            _ if !self.admits(&head.headers) => Answer::empty(StatusCode::FORBIDDEN),
            Err(answer) => answer,
            Ok(action) => match self.conditions(&head) {
                Ok(conditions) => match self.act(action, &conditions, body).await {
                    Ok(answer) | Err(answer) => answer,
                },
                Err(answer) => answer,
            },
        }
    }

    fn conditions(&self, head: &Parts) -> Result<Conditions, Answer> {
        Conditions::of(&head.method, &head.headers, self.vitals.start())
            .map_err(|bad| Answer::bad(bad.to_string()))
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        self.token.load().as_ref().is_none_or(|token| token.is_in(headers))
    }

    /// To be asked once a change is there as a whole.
    fn allows_changes(&self) -> Result<(), Answer> {
        match self.refuses_changes.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(Answer::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "This process ends and serves nobody new: make the change at the one that follows it",
            )),
        }
    }

    async fn act<B>(
        &self,
        action: Action,
        conditions: &Conditions,
        body: B,
    ) -> Result<Answer, Answer>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        let registry = &self.registry;
        let read = |conditions: &Conditions, (value, version)| {
            conditions.check(Found { version, exists: true }).map_err(|unmet| unmet.at(version))?;
            Ok::<_, ChangeError>(Answer::json(value).about(version))
        };
        // What else they tell changes without the table.
        let always = conditions.told_anew();
        Ok(match action {
            Action::List { inactive_since: None } => read(conditions, registry.list(None))?,
            Action::List { inactive_since } => read(&always, registry.list(inactive_since))?,
            Action::Get(prefix) => match registry.get(&prefix) {
                Some(found) => read(conditions, found)?,
                None => Answer::empty(StatusCode::NOT_FOUND),
            },
            Action::Add(prefix, tunnels) => {
                let record = RouteRecord::parse(&read_json(body, MAX_ROUTE_BYTES).await?)
                    .map_err(|bad| Answer::bad(bad.to_string()))?;
                self.allows_changes()?;
                let version = registry.add(prefix, record, tunnels, conditions).await?;
                Answer::empty(StatusCode::CREATED).about(version)
            }
            Action::Delete(prefix, tunnels) => {
                self.allows_changes()?;
                match registry.remove(&prefix, tunnels, conditions).await? {
                    Some(version) => Answer::empty(StatusCode::NO_CONTENT).about(version),
                    None => Answer::empty(StatusCode::NOT_FOUND),
                }
            }
            Action::ReadTable => read(conditions, registry.table())?,
            Action::ReplaceTable(tunnels) => {
                let table = record::parse_table(&read_json(body, MAX_TABLE_BYTES).await?)
                    .map_err(|bad: BadTable| Answer::bad(bad.to_string()))?;
                self.allows_changes()?;
                let (told, version) = registry.replace(table, tunnels, conditions).await?;
                Answer::json(told).about(version)
            }
            Action::Status => read(&always, self.vitals.report(registry))?,
        })
    }
}

impl Answer {
    fn empty(status: StatusCode) -> Self {
        Self { status, content: Content::Nothing, version: None }
    }

    fn text(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, content: Content::Text(text.into()), version: None }
    }

    fn bad(text: String) -> Self {
        Self::text(StatusCode::BAD_REQUEST, text)
    }

    fn json(value: Value) -> Self {
        Self { status: StatusCode::OK, content: Content::Json(value), version: None }
    }

    fn about(self, version: u64) -> Self {
        Self { version: Some(version), ..self }
    }

    fn written(self) -> Response<String> {
        let (content_type, body) = match self.content {
            Content::Nothing => (None, String::new()),
            Content::Text(text) => (Some("text/plain; charset=utf-8"), text.into_owned()),
            Content::Json(value) => (Some("application/json"), value.to_string()),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        if let Some(content_type) = content_type {
            let content_type = HeaderValue::from_static(content_type);
            response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        }
        response
    }
}

impl From<ChangeError> for Answer {
    fn from(error: ChangeError) -> Self {
        let (status, version) = match error {
            ChangeError::HandedOver | ChangeError::NotKept | ChangeError::StoreBusy => {
                (StatusCode::SERVICE_UNAVAILABLE, None)
            }
            ChangeError::Unknown => (StatusCode::GATEWAY_TIMEOUT, None),
            ChangeError::OtherVersion { current, .. } => (StatusCode::CONFLICT, Some(current)),
            ChangeError::Unmet { unmet: Unmet::NotModified, version } => {
                return Self::empty(StatusCode::NOT_MODIFIED).about(version);
            }
            ChangeError::Unmet { version, .. } => (StatusCode::PRECONDITION_FAILED, Some(version)),
        };
        Self { version, ..Self::text(status, error.to_string()) }
    }
}

/// Whether anybody may have this refusal.
fn is_public(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
}

/// The body as JSON, or what is wrong with it.
async fn read_json<B>(body: B, limit: usize) -> Result<Value, Answer>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let bytes: Bytes = match Limited::new(body, limit).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let text = format!("The body has more than {limit} bytes");
            return Err(Answer::text(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        Err(error) => return Err(Answer::bad(format!("The body broke off: {error}"))),
    };
    serde_json::from_slice(&bytes)
        .map_err(|error| Answer::bad(format!("Body not valid JSON: {error}")))
}

/// The line per request that configurable-http-proxy writes (G-03). Without the
/// query, which may carry anything (G-05).
fn log(method: &Method, path: &str, answer: &Answer) {
    let status = answer.status.as_u16();
    let text = match &answer.content {
        Content::Text(text) => text.as_ref(),
        Content::Nothing | Content::Json(_) => "",
    };
    match status {
        ..400 => tracing::info!("{status} {method} {path} {text}"),
        400..500 => tracing::warn!("{status} {method} {path} {text}"),
        _ => tracing::error!("{status} {method} {path} {text}"),
    }
}

#[cfg(test)]
mod tests;
