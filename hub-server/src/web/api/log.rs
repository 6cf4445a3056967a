//! What a server wrote last; an extension of ours (LOG-1).

use std::sync::Arc;

use axum::{Json, extract::State, http::Uri};
use http::StatusCode;
use hub_auth::{ScopeName, Target};
use serde_json::{Value, json};

use super::{model, servers::require_account};
use crate::{
    access::Caller,
    hub::Hub,
    servers::LogError,
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
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    ApiKey(key): ApiKey,
    uri: Uri,
) -> Result<Json<Value>, ApiError> {
    let target = Target::server(&key);
    // One's own server's log holds nothing that its owner could not read there.
    let own = caller.user().is_some_and(|own| own.name == *key.user());
    if !(own && caller.scopes.has(ScopeName::ReadServers, &target)) {
        caller.require(ScopeName::AdminServerState, &target)?;
    }
    require_account(&hub, &key).await?;
    let lines = match Fields::of_query(&uri).get("lines") {
        None => DEFAULT_LINES,
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| {
                ApiError::bad_request(format!("lines must be a number from 1 to {MAX_LINES}"))
            })?
            .clamp(1, MAX_LINES),
    };
    let log = hub.servers.log(&key, lines).await.map_err(told)?.ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            format!("{} is not running and left no log", label(&key)),
        )
    })?;
    Ok(Json(json!({ "log": log.text, "ended": model::time(log.ended) })))
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
