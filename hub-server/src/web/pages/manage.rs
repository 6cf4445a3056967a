//! Forms of the home page: add a named server, stop one, remove one. Plain forms,
//! so that all of it works without script.

use std::sync::Arc;

use axum::{body::Bytes, extract::State, response::Response};
use http::StatusCode;
use hub_auth::ScopeName;
use hub_names::{ServerKey, ServerName};
use tokio::time::timeout;

use super::{
    spawn::{AT_ONCE, begin},
    spawn_options::OptionsForm,
};
use crate::{
    hub::Hub,
    servers::ServersError,
    web::{
        error::{PageError, redirect},
        named,
        request::{Fields, PageKey},
        visitor::Visitor,
    },
};

type PageResult = Result<Response, PageError>;

/// `POST /hub/servers`: adds a named server of one's own, and starts it
pub(super) async fn add(State(hub): State<Arc<Hub>>, visitor: Visitor, body: Bytes) -> PageResult {
    let user = visitor.require_user()?.name.clone();
    let fields = checked(&visitor, &body)?;
    let bad = |reason: String| {
        PageError::new(StatusCode::BAD_REQUEST, reason).action("Back", hub.paths.home())
    };
    let name: ServerName = fields
        .get("name")
        .unwrap_or_default()
        .trim()
        .parse()
        .map_err(|error| bad(format!("Invalid server_name: {error}.")))?;
    if name.is_default() {
        return Err(bad("Give the new server a name.".to_owned()));
    }
    let key = ServerKey::new(user, name);
    visitor.require_server(ScopeName::StartServers, &key).await?;
    let display_name = fields.get("display_name").map(str::trim).filter(|text| !text.is_empty());
    match named::add(&hub, &key, display_name, None).await {
        Ok(()) => {}
        Err(named::NamedError::Store(error)) => return Err(error.into()),
        Err(error) => return Err(bad(error.to_string())),
    }
    if OptionsForm::of(&hub, &key).await?.is_some() {
        return Ok(redirect(&hub.paths.spawn(&key, None)));
    }
    begin(&hub, &visitor, &key).await
}

/// `POST /hub/stop/{user}` and `/hub/stop/{user}/{server}`
pub(super) async fn stop(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
    key: Result<PageKey, PageError>,
    body: Bytes,
) -> PageResult {
    visitor.require_user()?;
    let PageKey(key) = key?;
    visitor.require_server(ScopeName::DeleteServers, &key).await?;
    checked(&visitor, &body)?;
    hub.servers.stop(&key).await;
    // Most stops are over before the page is back; else it shows "stopping".
    let _ = timeout(AT_ONCE, hub.servers.settled(&key)).await;
    Ok(redirect(&hub.paths.home()))
}

/// `POST /hub/remove/{user}/{server}`: forgets a named server
pub(super) async fn remove(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
    key: Result<PageKey, PageError>,
    body: Bytes,
) -> PageResult {
    visitor.require_user()?;
    let PageKey(key) = key?;
    visitor.require_server(ScopeName::DeleteServers, &key).await?;
    checked(&visitor, &body)?;
    if key.server().is_default() {
        return Err(PageError::not_found());
    }
    match hub.servers.forget(&key).await {
        Ok(true) => Ok(redirect(&hub.paths.home())),
        Ok(false) => Err(PageError::not_found()),
        Err(ServersError::Store(error)) => Err(error.into()),
        Err(ServersError::Left(error)) => {
            tracing::warn!(
                server = %key, error = &error as &(dyn std::error::Error + 'static),
                "what belonged to a deleted server could not be removed"
            );
            Err(PageError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "What belongs to the server could not be removed, so the server is still there.",
            )
            .hint(error.user_message())
            .hint("Remove it again in a moment.")
            .action("Home", hub.paths.home()))
        }
        Err(_) => Err(PageError::new(StatusCode::BAD_REQUEST, "The server runs.")
            .hint("Stop it before you remove it.")
            .action("Home", hub.paths.home())),
    }
}

/// The fields of a form that came from one of our pages.
fn checked(visitor: &Visitor, body: &Bytes) -> Result<Fields, PageError> {
    let fields = Fields::parse(body);
    visitor.require_xsrf(&fields)?;
    Ok(fields)
}
