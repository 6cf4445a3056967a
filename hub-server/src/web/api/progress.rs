//! The progress of a start, as server-sent events (hub-contract 5.5).

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use http::header;
use hub_auth::{ScopeName, Target};
use hub_names::ServerKey;
use hub_spawner::ProgressEvent;
use serde_json::{Value, json};
use tokio::{sync::watch, time::timeout};

use crate::{
    access::Caller,
    hub::Hub,
    servers::{Outcome, Phase, View},
    web::{
        error::{ApiError, label},
        request::ApiKey,
    },
};

/// How often an idle stream shows that it lives.
const KEEPALIVE: Duration = Duration::from_secs(8);

/// `GET /hub/api/users/{user}/server/progress`
pub(super) async fn stream_of(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    ApiKey(key): ApiKey,
) -> Result<Response, ApiError> {
    caller.require(ScopeName::ReadServers, &Target::server(&key))?;
    if hub.store.users().by_name(key.user()).await?.is_none() {
        return Err(ApiError::not_found());
    }
    let body = match hub.servers.follow(&key) {
        Some(view) => Body::from_stream(events(hub, key, view)),
        None => {
            let view = hub.servers.view(&key).await?;
            let event = last_event(&hub, &key, &view)
                .filter(|_| matches!(view.phase, Phase::Stopped { last: Some(Outcome::Failed(_)) }))
                .ok_or_else(|| {
                    ApiError::bad_request(format!("{} is not starting...", label(&key)))
                })?;
            Body::from(line(&event))
        }
    };
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, body).into_response())
}

/// Where a reader is in the story.
struct Reader {
    hub: Arc<Hub>,
    key: ServerKey,
    view: watch::Receiver<View>,
    told: usize,
    over: bool,
}

fn events(
    hub: Arc<Hub>,
    key: ServerKey,
    view: watch::Receiver<View>,
) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
    let reader = Reader { hub, key, view, told: 0, over: false };
    // The head of the answer goes out at once, with bytes behind it: some proxies
    // hold back a head that is alone.
    let greeting = stream::iter([Ok(Bytes::from_static(b"\n\n"))]);
    let story = stream::unfold(reader, |mut reader| async move {
        let bytes = reader.next().await?;
        Some((Ok(bytes), reader))
    });
    futures_util::StreamExt::chain(greeting, story)
}

impl Reader {
    /// The next piece of the stream; `None` after the last event.
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        loop {
            let view = self.view.borrow_and_update().clone();
            if let Some(event) = view.events.get(self.told) {
                self.told += 1;
                return Some(line(&event_json(event)));
            }
            if let Some(event) = last_event(&self.hub, &self.key, &view) {
                self.over = true;
                return Some(line(&event));
            }
            match timeout(KEEPALIVE, self.view.changed()).await {
                Ok(Ok(())) => {}
                // The worker is gone, so there is nothing more to tell.
                Ok(Err(_)) => return None,
                Err(_) => return Some(Bytes::from_static(b"\n\n")),
            }
        }
    }
}

fn event_json(event: &ProgressEvent) -> Value {
    match event.percent {
        // 100 is the word of the last event.
        Some(percent) => json!({ "progress": percent.min(99), "message": event.message }),
        None => json!({ "message": event.message }),
    }
}

/// The event that ends the stream, once the start is over.
fn last_event(hub: &Hub, key: &ServerKey, view: &View) -> Option<Value> {
    match &view.phase {
        Phase::Ready { .. } => {
            let url = hub.paths.server(key);
            Some(json!({
                "progress": 100,
                "ready": true,
                "message": format!("Server ready at {url}"),
                "html_message": format!("Server ready at <a href=\"{url}\">{url}</a>"),
                "url": url,
            }))
        }
        Phase::Stopped { last } => {
            let message = match last {
                Some(Outcome::Cancelled) => "Spawn cancelled".to_owned(),
                other => match other.as_ref().and_then(Outcome::as_failure) {
                    Some(failure) => format!("Spawn failed: {}", failure.message),
                    None => "Server stopped".to_owned(),
                },
            };
            Some(json!({ "progress": 100, "failed": true, "message": message }))
        }
        Phase::Checking { .. } | Phase::Starting { .. } | Phase::Stopping { .. } => None,
    }
}

fn line(event: &Value) -> Bytes {
    Bytes::from(format!("data: {event}\n\n"))
}
