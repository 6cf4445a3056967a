//! What the hub is, and who the caller is.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse};
use http::{HeaderName, header};
use hub_proxy::Certificate;
use serde_json::{Value, json};

use super::{model, services};
use crate::{
    COMPATIBLE_VERSION,
    access::{Caller, Who},
    hub::Hub,
    web::error::ApiError,
};

/// `GET /hub/api`: the first thing that a single-user server asks, without a
/// token.
pub(super) async fn version() -> impl IntoResponse {
    let open: [(HeaderName, &str); 1] = [(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (open, Json(json!({ "version": COMPATIBLE_VERSION })))
}

/// `GET /hub/api/info`
pub(super) async fn info(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
) -> Result<Json<Value>, ApiError> {
    caller.allow(&hub_auth::Target::whole_hub())?;
    let ours = env!("CARGO_PKG_VERSION");
    let live = hub.live();
    let providers: Vec<&str> = live.authenticators.iter().map(|one| one.provider()).collect();
    Ok(Json(json!({
        "version": COMPATIBLE_VERSION,
        "python": "",
        "sys_executable": "hub-server",
        "spawner": { "class": hub.servers.spawner_kind(), "version": ours },
        "authenticator": { "class": providers.join(","), "version": ours },
        // Ours: null where a proxy speaks https.
        "certificate": hub.certificate.as_ref().map(Certificate::status),
    })))
}

/// `GET /hub/api/user`: whose token is this, and what may it do? Single-user
/// servers let a person in by this answer.
pub(super) async fn whoami(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
) -> Result<Json<Value>, ApiError> {
    let mut body = match &caller.who {
        Who::User(user) => json!(model::own(&hub, user, &caller).await?),
        Who::Service(name) => services::own(&hub, name).await?,
    };
    let token = caller.token.as_ref();
    body["token_id"] = json!(token.map(|token| format!("a{}", token.id.get())));
    body["session_id"] = json!(token.and_then(|token| token.session_id.clone()));
    body["scopes"] = json!(caller.scopes.to_strings());
    Ok(Json(body))
}
