//! `POST /hub/api/shutdown`

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use hub_auth::Target;
use serde::Serialize;
use serde_json::Value;

use crate::{
    access::Caller,
    ending::End,
    hub::Hub,
    web::{error::ApiError, request},
};

/// What will happen.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Message"))]
pub(super) struct MessageModel {
    message: &'static str,
}

/// Ends the hub. The servers go on unless `servers` is true. A proxy in this process
/// ends with it, and one elsewhere goes on, for the hub has not started it: `proxy`
/// is read and changes nothing.
pub(super) async fn shutdown(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    body: Bytes,
) -> Result<Response, ApiError> {
    caller.allow(&Target::whole_hub())?;
    let body: Value = request::json(&body)?.unwrap_or_default();
    flag(&body, "proxy")?;
    let servers = flag(&body, "servers")?.unwrap_or(false);
    tracing::warn!(servers, by = %caller.describe(), "the hub was asked to end");
    hub.end.ask(End { servers });
    let told = MessageModel { message: "Shutting down Hub" };
    Ok((StatusCode::ACCEPTED, Json(told)).into_response())
}

fn flag(body: &Value, name: &str) -> Result<Option<bool>, ApiError> {
    match body.get(name) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => {
            Err(ApiError::bad_request(format!("{name} must be true or false, got {other}")))
        }
    }
}
