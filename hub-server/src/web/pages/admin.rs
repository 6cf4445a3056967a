//! The administration page. It shows nothing by itself: its scripts ask the REST API,
//! which decides what this person may see and do.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use hub_auth::ScopeName;
use minijinja::context;

use crate::{
    hub::Hub,
    web::{error::PageError, visitor::Visitor},
};

/// `GET /hub/admin`
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
) -> Result<Response, PageError> {
    visitor.require_scope(&ScopeName::AdminUi)?;
    let page = context! {
        api_url => hub.paths.api(),
        allow_named_servers => hub.live().limits.named.allowed,
    };
    Ok(visitor.page(StatusCode::OK, "admin.html", page))
}
