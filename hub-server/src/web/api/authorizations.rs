//! How packages before JupyterHub 2 ask whose token they were given.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use hub_auth::ApiToken;
use serde_json::{Value, json};

use super::model;
use crate::{
    access::{Caller, Who, bearer},
    hub::Hub,
    web::error::ApiError,
};

/// `GET /hub/api/authorizations/token/{token}`
pub(super) async fn of_token(
    State(hub): State<Arc<Hub>>,
    _asks: Caller,
    Path(token): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let unknown = || ApiError::new(StatusCode::NOT_FOUND, "No such token");
    let token = ApiToken::from_text(&token).ok_or_else(unknown)?;
    let owner = bearer::of_token(&hub, &token).await?.ok_or_else(unknown)?;
    Ok(Json(match &owner.who {
        Who::User(user) => json!(model::own(&hub, user, &owner).await?),
        Who::Service(name) => json!({ "kind": "service", "name": name, "admin": false }),
    }))
}
