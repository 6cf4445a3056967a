//! What a server wrote last; an extension of ours (LOG-1).

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use futures_util::{Stream, stream};
use http::StatusCode;
use hub_auth::ScopeName;
use hub_names::ServerKey;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;

use super::{
    event_stream::{self, KEEPALIVE, SIGN_OF_LIFE, event},
    model::Moment,
    servers::require_account,
};
use crate::{
    access::Caller,
    hub::Hub,
    servers::{Followed, Following, Log, LogError},
    web::{
        error::{ApiError, label},
        request::{ApiKey, Fields},
    },
};

/// How many lines of a log are shown when nobody says.
const DEFAULT_LINES: usize = 200;
/// How many lines of a log are shown at most.
const MAX_LINES: usize = 5000;

/// `GET /hub/api/users/{user}/server/log?lines=N`: of a server that runs, or as it
/// was kept when it ended. Its owner may see it, and whoever may see a server's
/// state.
///
/// With `follow=1` an event stream of the same, which goes on until the server
/// ends (FAQ-1).
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    ApiKey(key): ApiKey,
    uri: Uri,
) -> Result<Response, ApiError> {
    let target = hub.server_target(&caller.scopes, &key).await?;
    // One's own server's log holds nothing that its owner could not read there.
    let own = caller.user().is_some_and(|own| own.name == *key.user());
    if !(own && caller.scopes.has(ScopeName::ReadServers, &target)) {
        caller.allow(&target)?;
    }
    require_account(&hub, &key).await?;
    let query = Fields::of_query(&uri);
    let lines = lines(query.get("lines"))?;
    if query.get("follow") != Some("1") {
        let log = hub.servers.log(&key, lines).await.map_err(told)?;
        let log = log.ok_or_else(|| no_log(&key))?;
        return Ok(Json(whole(&log)).into_response());
    }
    let followed = hub.servers.follow_log(&key, lines).await.map_err(told)?;
    Ok(match followed.ok_or_else(|| no_log(&key))? {
        Followed::Ended(log) => event_stream::of_one(&json!(whole(&log))),
        Followed::Going(following) => {
            event_stream::of_many(&hub, events(Arc::clone(&hub), key, following))
        }
    })
}

fn lines(asked: Option<&str>) -> Result<usize, ApiError> {
    let Some(text) = asked else { return Ok(DEFAULT_LINES) };
    let number = text.parse::<usize>().map_err(|_| {
        ApiError::bad_request(format!("lines must be a number from 1 to {MAX_LINES}"))
    })?;
    Ok(number.clamp(1, MAX_LINES))
}

fn no_log(key: &ServerKey) -> ApiError {
    let text = format!("{} is not running and left no log", label(key));
    ApiError::new(StatusCode::NOT_FOUND, text)
}

/// The end of what a server wrote.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ServerLog"))]
pub(super) struct ServerLogModel {
    log: String,
    /// When it ended, if it did.
    ended: Option<Moment>,
}

fn whole(log: &Log) -> ServerLogModel {
    part(&log.text, log.ended)
}

fn part(text: &str, ended: Option<Timestamp>) -> ServerLogModel {
    ServerLogModel { log: text.to_owned(), ended: ended.map(Moment) }
}

/// The pieces of a log; the last event, and it alone, says when the server ended.
/// A stream without one has broken off.
fn events(hub: Arc<Hub>, key: ServerKey, following: Following) -> impl Stream<Item = Bytes> {
    stream::unfold(Some(following), move |following| {
        let (hub, key) = (Arc::clone(&hub), key.clone());
        async move {
            let mut following = following?;
            let next = match timeout(KEEPALIVE, following.next()).await {
                Err(_) => SIGN_OF_LIFE,
                Ok(Some(Ok(piece))) => event(&json!(part(&piece, None))),
                Ok(None) => return Some((event(&json!(part("", Some(hub.clock.now())))), None)),
                Ok(Some(Err(error))) => {
                    tracing::warn!(
                        server = %key, error = &error as &(dyn std::error::Error + 'static),
                        "a log could not be followed to its end"
                    );
                    return None;
                }
            };
            Some((next, Some(following)))
        }
    })
}

fn told(error: LogError) -> ApiError {
    match error {
        LogError::Store(error) => error.into(),
        LogError::Spawn(error) => {
            tracing::error!(
                error = &error as &(dyn std::error::Error + 'static),
                "a log could not be read"
            );
            ApiError::new(StatusCode::BAD_GATEWAY, error.user_message())
        }
    }
}
