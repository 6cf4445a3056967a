//! The progress of a start, as server-sent events (hub-contract 5.5).

use std::sync::Arc;

use axum::{body::Bytes, extract::State, response::Response};
use futures_util::{Stream, stream};
use hub_names::ServerKey;
use hub_spawner::ProgressEvent;
use serde_json::{Value, json};
use tokio::{sync::watch, time::timeout};

use super::{
    event_stream::{self, KEEPALIVE, SIGN_OF_LIFE, event},
    servers::require_known,
};
use crate::{
    access::Caller,
    hub::Hub,
    servers::{Outcome, Phase, View},
    web::{
        error::{ApiError, label},
        request::ApiKey,
    },
};

/// `GET /hub/api/users/{user}/server/progress`
pub(super) async fn stream_of(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    ApiKey(key): ApiKey,
) -> Result<Response, ApiError> {
    caller.allow_server(&hub, &key).await?;
    require_known(&hub, &key).await?;
    match hub.servers.follow(&key) {
        // Nothing of how it came about: there is one event left to tell.
        Some(view) if view.borrow().phase.is_ready() => {
            let view = view.borrow().clone();
            let last = last_event(&hub, &key, &view).unwrap_or_default();
            Ok(event_stream::of_one(&last))
        }
        Some(view) => Ok(event_stream::of_many(&hub, events(Arc::clone(&hub), key, view))),
        None => {
            let view = hub.servers.view(&key).await?;
            let last = last_event(&hub, &key, &view)
                .filter(|_| matches!(view.phase, Phase::Stopped { last: Some(Outcome::Failed(_)) }))
                .ok_or_else(|| {
                    ApiError::bad_request(format!("{} is not starting...", label(&key)))
                })?;
            Ok(event_stream::of_one(&last))
        }
    }
}

/// Where a reader is in the story.
struct Reader {
    hub: Arc<Hub>,
    key: ServerKey,
    view: watch::Receiver<View>,
    told: usize,
    over: bool,
}

fn events(hub: Arc<Hub>, key: ServerKey, view: watch::Receiver<View>) -> impl Stream<Item = Bytes> {
    let reader = Reader { hub, key, view, told: 0, over: false };
    stream::unfold(reader, |mut reader| async move { Some((reader.next().await?, reader)) })
}

impl Reader {
    /// The next piece of the stream; `None` after the last event.
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        loop {
            let view = self.view.borrow_and_update().clone();
            if let Some(step) = view.events.get(self.told) {
                self.told += 1;
                return Some(event_of(step));
            }
            if let Some(last) = last_event(&self.hub, &self.key, &view) {
                self.over = true;
                return Some(event(&last));
            }
            match timeout(KEEPALIVE, self.view.changed()).await {
                Ok(Ok(())) => {}
                // The worker is gone, so there is nothing more to tell.
                Ok(Err(_)) => return None,
                Err(_) => return Some(SIGN_OF_LIFE),
            }
        }
    }
}

fn event_of(step: &ProgressEvent) -> Bytes {
    event(&match step.percent {
        // 100 is the word of the last event.
        Some(percent) => json!({ "progress": percent.min(99), "message": step.message }),
        None => json!({ "message": step.message }),
    })
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
