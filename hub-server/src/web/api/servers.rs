//! Servers: start, stop, look.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use hub_names::ServerKey;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::model;
use crate::{
    access::Caller,
    hub::Hub,
    servers::{Outcome, Phase, ServersError},
    web::{
        error::{ApiError, label},
        request::{self, ApiKey},
    },
};

type ApiResult = Result<Response, ApiError>;
type HubState = State<Arc<Hub>>;

/// `GET /hub/api/users/{user}/server`
pub(super) async fn show(State(hub): HubState, caller: Caller, ApiKey(key): ApiKey) -> ApiResult {
    let (hub, caller, key) = (&*hub, &caller, &key);
    caller.allow_server(hub, key).await?;
    require_account(hub, key).await?;
    let record = hub.store.servers().get(key).await?;
    let view = hub.servers.view(key).await?;
    Ok(Json(model::server(hub, key, &view, record.as_ref(), caller)).into_response())
}

/// `POST /hub/api/users/{user}/server`
pub(super) async fn start(
    State(hub): HubState,
    caller: Caller,
    ApiKey(key): ApiKey,
    body: Bytes,
) -> ApiResult {
    let (hub, key) = (&*hub, &key);
    caller.allow_server(hub, key).await?;
    require_account(hub, key).await?;
    let options = options(&body)?;
    match hub.servers.start(key, options).await {
        Err(ServersError::Pending { pending: "spawn", .. }) => return Ok(accepted()),
        begun => begun?,
    }
    match timeout(hub.slow_spawn_timeout(), hub.servers.settled(key)).await {
        Err(_) => Ok(accepted()),
        Ok(Some(view)) => match &view.phase {
            Phase::Ready { .. } => Ok(created()),
            Phase::Stopped { last } => Err(failed(key, last.as_ref())),
            Phase::Checking { .. } | Phase::Starting { .. } | Phase::Stopping { .. } => {
                Ok(accepted())
            }
        },
        // Over before we looked: the store knows how it ended.
        Ok(None) => {
            let view = hub.servers.view(key).await?;
            Err(failed(key, view.phase.last()))
        }
    }
}

/// `DELETE /hub/api/users/{user}/server`
pub(super) async fn stop(
    State(hub): HubState,
    caller: Caller,
    ApiKey(key): ApiKey,
    body: Bytes,
) -> ApiResult {
    let (hub, key) = (&*hub, &key);
    #[derive(Default, Deserialize)]
    struct Stop {
        #[serde(default)]
        remove: bool,
    }
    caller.allow_server(hub, key).await?;
    require_account(hub, key).await?;
    let Stop { remove } = request::json(&body)?.unwrap_or_default();
    if remove && key.server().is_default() {
        return Err(ApiError::bad_request("Cannot delete the default server"));
    }
    hub.servers.stop(key).await;
    match timeout(hub.slow_stop_timeout(), hub.servers.settled(key)).await {
        Err(_) => Ok(accepted()),
        Ok(Some(view)) if view.phase.is_active() => Ok(accepted()),
        Ok(_) => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

/// The options of a start: the body as a whole, or its `user_options`.
fn options(body: &Bytes) -> Result<Option<Value>, ApiError> {
    let Some(value) = request::json::<Value>(body)? else { return Ok(None) };
    let Value::Object(mut fields) = value else {
        return Err(ApiError::bad_request("The body must be a JSON object"));
    };
    if fields.is_empty() {
        return Ok(None);
    }
    if fields.contains_key("user_options") || fields.contains_key("display_name") {
        return match fields.remove("user_options") {
            None => Ok(None),
            Some(options @ Value::Object(_)) => Ok(Some(options)),
            Some(_) => Err(ApiError::bad_request("user_options must be a JSON object")),
        };
    }
    Ok(Some(Value::Object(fields)))
}

fn failed(key: &ServerKey, last: Option<&Outcome>) -> ApiError {
    let reason = last
        .and_then(Outcome::as_failure)
        .map_or_else(|| "it was stopped".to_owned(), |failure| failure.message);
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("Spawner failed to start {}: {reason}", label(key)),
    )
}

/// JupyterHub answers with an empty body that is not JSON.
fn created() -> Response {
    (StatusCode::CREATED, [(header::CONTENT_TYPE, "text/plain")]).into_response()
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "text/plain")]).into_response()
}

pub(super) async fn require_account(hub: &Hub, key: &ServerKey) -> Result<(), ApiError> {
    match hub.store.users().by_name(key.user()).await? {
        Some(_) => Ok(()),
        None => Err(ApiError::not_found()),
    }
}
