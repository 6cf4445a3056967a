//! How packages before JupyterHub 2 ask whose token or cookie they were given.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
};
use http::StatusCode;
use hub_auth::ApiToken;

use super::owner::OwnerModel;
use crate::{
    access::{Caller, Who, bearer, session},
    hub::Hub,
    web::error::ApiError,
};

/// `GET /hub/api/authorizations/token/{token}`
pub(super) async fn of_token(
    State(hub): State<Arc<Hub>>,
    asks: Caller,
    Path(token): Path<String>,
) -> Result<Json<OwnerModel>, ApiError> {
    require_token(&asks)?;
    let unknown = || ApiError::new(StatusCode::NOT_FOUND, "No such token");
    let token = ApiToken::from_text(&token).ok_or_else(unknown)?;
    let owner = bearer::of_token(&hub, &token).await?.ok_or_else(unknown)?;
    Ok(Json(match &owner.who {
        // As much of the owner as whoever asks may see, not as the token would.
        Who::User(user) => OwnerModel::user(&hub, user, &asks).await?,
        Who::Service(name) => OwnerModel::service(&hub, name, &asks).await?,
    }))
}

/// `GET /hub/api/authorizations/cookie/{name}/{value}`
pub(super) async fn of_cookie(
    State(hub): State<Arc<Hub>>,
    asks: Caller,
    Path((name, value)): Path<(String, String)>,
) -> Result<Json<OwnerModel>, ApiError> {
    whose(&hub, &asks, &name, &value).await
}

/// `GET /hub/api/authorizations/cookie/{name}`, with the value in the body.
pub(super) async fn of_cookie_in_body(
    State(hub): State<Arc<Hub>>,
    asks: Caller,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<OwnerModel>, ApiError> {
    whose(&hub, &asks, &name, &String::from_utf8_lossy(&body)).await
}

/// `POST /hub/api/authorizations/token`
pub(super) async fn removed() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "Deprecated endpoint /hub/api/authorizations/token is removed in JupyterHub 2.0. Use /hub/api/users/:user/tokens instead.",
    )
}

async fn whose(
    hub: &Hub,
    asks: &Caller,
    name: &str,
    value: &str,
) -> Result<Json<OwnerModel>, ApiError> {
    require_token(asks)?;
    let session = match name == session::login_cookie_name(hub) {
        true => session::of_cookie(hub, value.trim_matches('"')).await?,
        false => None,
    };
    let unknown = || ApiError::new(StatusCode::NOT_FOUND, "Not a valid login cookie");
    let user = session.ok_or_else(unknown)?.user;
    Ok(Json(OwnerModel::user(hub, &user, asks).await?))
}

/// Only programs ask here; a browser has no business to.
fn require_token(asks: &Caller) -> Result<(), ApiError> {
    match asks.token {
        Some(_) => Ok(()),
        None => Err(ApiError::unauthenticated()),
    }
}
