//! `/hub/health`: whether the hub can serve. Says ok or not, nothing else.

use std::sync::Arc;

use axum::{Router, extract::State, routing::get};
use http::StatusCode;

use crate::hub::Hub;

pub(super) fn routes(hub: &Hub) -> Router<Arc<Hub>> {
    Router::new()
        .route(&hub.paths.in_hub("health"), get(health))
        .route(&hub.paths.in_hub("api/health"), get(health))
}

async fn health(State(hub): State<Arc<Hub>>) -> StatusCode {
    match hub.store.ping().await {
        Ok(()) => StatusCode::OK,
        Err(error) => {
            tracing::error!(
                error = &error as &(dyn std::error::Error + 'static),
                "the database does not answer"
            );
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}
