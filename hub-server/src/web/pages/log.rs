//! What a server wrote last, as a page (LOG-1).

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use hub_auth::ScopeName;
use minijinja::context;

use super::spawn_pending::server_value;
use crate::{
    hub::Hub,
    servers::LogError,
    web::{error::PageError, request::PageKey, visitor::Visitor},
};

/// How many lines are shown.
const LINES: usize = 1000;

/// `GET /hub/log/{user}`
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
    PageKey(key): PageKey,
) -> Result<Response, PageError> {
    // As in the REST API: one's own, or with a look behind the scenes.
    let own = visitor.require_user()?.name == *key.user();
    let scope = if own { ScopeName::ReadServers } else { ScopeName::AdminServerState };
    visitor.require_server(scope, &key).await?;
    let log = hub.servers.log(&key, LINES).await.map_err(told)?;
    let page = context! {
        server => server_value(&hub, &visitor, &key),
        log => log.as_ref().map(|log| log.text.as_str()),
        ended => log.as_ref().and_then(|log| log.ended).map(|at| at.to_string()),
        log_url => hub.paths.log(&key),
    };
    Ok(visitor.page(StatusCode::OK, "log.html", page))
}

fn told(error: LogError) -> PageError {
    match error {
        LogError::Store(error) => error.into(),
        LogError::Spawn(error) => {
            tracing::error!(
                error = &error as &(dyn std::error::Error + 'static),
                "a log could not be read"
            );
            PageError::new(StatusCode::BAD_GATEWAY, error.user_message())
        }
    }
}
