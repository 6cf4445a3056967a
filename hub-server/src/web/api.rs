//! The REST API: JupyterHub's paths, models and status codes.

mod activity;
mod authorizations;
mod event_stream;
mod info;
mod log;
mod model;
mod progress;
mod reload;
mod servers;
mod tokens;
mod users;

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{Method, StatusCode, header};

use super::error::ApiError;
use crate::hub::Hub;

pub(super) fn routes(hub: &Hub) -> Router<Arc<Hub>> {
    let at = |path: &str| hub.paths.in_hub(&format!("api{path}"));
    let server = || get(servers::show).post(servers::start).delete(servers::stop);
    Router::new()
        .route(&at(""), get(info::version))
        .route(&at("/"), get(info::version))
        .route(&at("/info"), get(info::info))
        .route(&at("/user"), get(info::whoami))
        .route(&at("/users"), get(users::list).post(users::create_many))
        .route(
            &at("/users/{user}"),
            get(users::show).post(users::create).patch(users::change).delete(users::delete),
        )
        .route(&at("/reload"), axum::routing::post(reload::reload))
        .route(&at("/users/{user}/activity"), axum::routing::post(activity::report))
        .route(&at("/users/{user}/server"), server())
        .route(&at("/users/{user}/server/progress"), get(progress::stream_of))
        .route(&at("/users/{user}/server/log"), get(log::show))
        .route(&at("/users/{user}/servers/{server}"), server())
        .route(&at("/users/{user}/servers/{server}/progress"), get(progress::stream_of))
        .route(&at("/users/{user}/servers/{server}/log"), get(log::show))
        .route(&at("/users/{user}/tokens"), get(tokens::list).post(tokens::create))
        .route(&at("/users/{user}/tokens/{id}"), get(tokens::show).delete(tokens::revoke))
        .route(&at("/authorizations/token/{token}"), get(authorizations::of_token))
        .layer(middleware::from_fn(conventions))
        .route(&at("/{*rest}"), axum::routing::any(|| async { ApiError::not_found() }))
}

/// OPTIONS is answered without a look at who asks; what the framework refuses by
/// itself (a method, a path, a body too large) is told in JSON like every other
/// error.
async fn conventions(request: Request, next: Next) -> Response {
    if *request.method() == Method::OPTIONS {
        return StatusCode::OK.into_response();
    }
    let response = next.run(request).await;
    let status = response.status();
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let allow = response.headers().get(header::ALLOW).cloned();
    let reason = status.canonical_reason().unwrap_or("Error");
    let mut told = ApiError::new(status, reason).into_response();
    if let Some(allow) = allow {
        told.headers_mut().insert(header::ALLOW, allow);
    }
    told
}
