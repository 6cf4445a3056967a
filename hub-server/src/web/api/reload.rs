//! `POST /hub/api/reload`: the configuration is read again. An extension of ours.

use std::sync::Arc;

use axum::{Json, extract::State};
use http::StatusCode;
use hub_auth::Target;

use crate::{access::Caller, hub::Hub, reload::Report, web::error::ApiError};

/// Answers 200 with the [`Report`], also when the configuration has errors: the
/// request was understood, and the report tells what came of it.
pub(super) async fn reload(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
) -> Result<Json<Report>, ApiError> {
    // Whoever may end the hub may have it begin anew.
    caller.allow(&Target::whole_hub())?;
    tracing::info!(by = caller.describe(), "a reload was asked for");
    let report = hub.reload.reload().await.ok_or_else(|| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "This hub cannot reload its configuration")
    })?;
    Ok(Json(report))
}
