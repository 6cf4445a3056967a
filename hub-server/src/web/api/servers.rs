//! Servers: start, stop, look.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use hub_auth::ScopeName;
use hub_names::ServerKey;
use serde::Deserialize;
use tokio::time::timeout;

use super::{
    model::{self, ServerModel},
    server_body,
};
use crate::{
    access::Caller,
    auth_state::{refresh, refreshes::Confirmed},
    hub::Hub,
    servers::{Change, Outcome, Phase, ServersError},
    web::{
        error::{ApiError, label},
        named,
        request::{self, ApiKey},
    },
};

type ApiResult = Result<Response, ApiError>;
type HubState = State<Arc<Hub>>;

/// `GET /hub/api/users/{user}/server`
pub(super) async fn show(State(hub): HubState, caller: Caller, ApiKey(key): ApiKey) -> ApiResult {
    let (hub, caller, key) = (&*hub, &caller, &key);
    caller.allow_server(hub, key).await?;
    require_known(hub, key).await?;
    Ok(Json(body(hub, caller, key).await?).into_response())
}

/// `PUT /hub/api/users/{user}/servers/{server}`: adds a server without starting it
pub(super) async fn add(
    State(hub): HubState,
    caller: Caller,
    ApiKey(key): ApiKey,
    given: Bytes,
) -> ApiResult {
    let (hub, caller, key) = (&*hub, &caller, &key);
    caller.allow_server(hub, key).await?;
    require_account(hub, key).await?;
    if key.server().is_default() {
        return Err(ApiError::conflict(format!(
            "User {} already has a default server",
            key.user()
        )));
    }
    let wish = server_body::wish(&given)?;
    named::add(hub, key, wish.display_name.as_deref(), wish.options.as_ref()).await?;
    Ok((StatusCode::CREATED, Json(body(hub, caller, key).await?)).into_response())
}

/// `POST /hub/api/users/{user}/server`
pub(super) async fn start(
    State(shared): HubState,
    caller: Caller,
    ApiKey(key): ApiKey,
    given: Bytes,
) -> ApiResult {
    let (hub, key) = (&*shared, &key);
    caller.allow_server(hub, key).await?;
    require_account(hub, key).await?;
    let wish = server_body::wish(&given)?;
    match refresh::before_spawn(&shared, key.user(), caller.browser()).await? {
        Confirmed::Yes => {}
        Confirmed::NotNow => {
            return Err(ApiError::unavailable("The sign-in service could not be asked."));
        }
        Confirmed::SignInAgain => {
            let text = format!("auth has expired for {}, login again", key.user());
            return Err(ApiError::forbidden(text));
        }
    }
    named::ensure(hub, key, wish.display_name.as_deref()).await?;
    match hub.servers.start(key, wish.options).await {
        Err(ServersError::Pending { pending: "spawn", .. }) => return Ok(accepted()),
        begun => begun?,
    }
    match timeout(hub.slow_spawn_timeout(), hub.servers.settled(key)).await {
        Err(_) => Ok(accepted()),
        Ok(Some(view)) => match &view.phase {
            Phase::Ready { .. } => Ok(created()),
            Phase::Stopped { last } => Err(failed(key, last.as_ref())),
            Phase::Checking { .. } | Phase::Starting { .. } | Phase::Stopping { .. } => {
                Ok(accepted())
            }
        },
        // Over before we looked: the store knows how it ended.
        Ok(None) => {
            let view = hub.servers.view(key).await?;
            Err(failed(key, view.phase.last()))
        }
    }
}

/// `PATCH /hub/api/users/{user}/server`: another name, another description
pub(super) async fn change(
    State(hub): HubState,
    caller: Caller,
    ApiKey(key): ApiKey,
    given: Bytes,
) -> ApiResult {
    let (hub, caller, key) = (&*hub, &caller, &key);
    caller.allow_server(hub, key).await?;
    require_account(hub, key).await?;
    let edit = server_body::edit(&given)?;
    if edit.name.is_some() || edit.display_name.is_some() {
        if !hub.live().limits.named.allowed {
            return Err(named::NamedError::Disabled.into());
        }
        if let Some(text) = &edit.display_name {
            named::check_display_name(text)?;
        }
    }
    match hub.store.servers().get(key).await? {
        Some(_) => {}
        // Everybody has one, also before its first start.
        None if key.server().is_default() => {
            hub.store.servers().ensure(key, hub.clock.now()).await?;
        }
        None => return Err(ApiError::not_found()),
    }
    if hub.servers.live(key).is_some_and(|view| view.phase.is_active()) {
        return Err(ServersError::Active(key.clone()).into());
    }
    if let Some(name) = &edit.name {
        let renamed = ServerKey::new(key.user().clone(), name.clone());
        // The default server counts as there, whether or not it has a record.
        let taken = name.is_default() || hub.store.servers().get(&renamed).await?.is_some();
        if taken {
            let name = if name.is_default() { "a default server" } else { name.as_str() };
            return Err(ApiError::conflict(format!("User {} already has {name}", key.user())));
        }
        named::check_name(name)?;
    }
    let server_body::Edit { name, display_name, options } = edit;
    let key = hub.servers.change(key, Change { name, display_name, options }).await?;
    Ok(Json(body(hub, caller, &key).await?).into_response())
}

/// `DELETE /hub/api/users/{user}/server`
pub(super) async fn stop(
    State(hub): HubState,
    caller: Caller,
    ApiKey(key): ApiKey,
    given: Bytes,
) -> ApiResult {
    let (hub, key) = (&*hub, &key);
    #[derive(Default, Deserialize)]
    struct Stop {
        remove: Option<bool>,
    }
    caller.allow_server(hub, key).await?;
    require_account(hub, key).await?;
    let Stop { remove } = request::json(&given)?.unwrap_or_default();
    let remove = remove.unwrap_or_default();
    if key.server().is_default() {
        if remove {
            return Err(ApiError::bad_request("Cannot delete the default server"));
        }
    } else if !hub.live().limits.named.allowed {
        return Err(named::NamedError::Disabled.into());
    } else {
        require_known(hub, key).await?;
    }
    if hub.servers.is_reserved(key) {
        return Err(ApiError::bad_request("Cannot stop a server while it is being renamed"));
    }
    hub.servers.stop(key).await;
    if remove {
        hub.servers.note_removal(key).await?;
    }
    match timeout(hub.slow_stop_timeout(), hub.servers.settled(key)).await {
        Ok(Some(view)) if view.phase.is_active() => return Ok(accepted()),
        Ok(_) => {}
        Err(_) => {
            if remove {
                hub.servers.forget_when_stopped(key);
            }
            return Ok(accepted());
        }
    }
    if remove {
        hub.servers.forget(key).await?;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn body(hub: &Hub, caller: &Caller, key: &ServerKey) -> Result<ServerModel, ApiError> {
    let record = hub.store.servers().get(key).await?;
    let view = hub.servers.view(key).await?;
    let target = hub.server_target(&caller.scopes, key).await?;
    let may_see_state = caller.scopes.has(ScopeName::AdminServerState, &target);
    Ok(model::server(hub, key, &view, record.as_ref(), may_see_state))
}

fn failed(key: &ServerKey, last: Option<&Outcome>) -> ApiError {
    if let Some(Outcome::Failed(failure)) = last
        && (failure.rejected || failure.full)
    {
        return ApiError::of_start(failure, &failure.message);
    }
    let reason = last
        .and_then(Outcome::as_failure)
        .map_or_else(|| "it was stopped".to_owned(), |failure| failure.message);
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("Spawner failed to start {}: {reason}", label(key)),
    )
}

/// JupyterHub answers with an empty body that is not JSON.
fn created() -> Response {
    (StatusCode::CREATED, [(header::CONTENT_TYPE, "text/plain")]).into_response()
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "text/plain")]).into_response()
}

pub(super) async fn require_account(hub: &Hub, key: &ServerKey) -> Result<(), ApiError> {
    match hub.store.users().by_name(key.user()).await? {
        Some(_) => Ok(()),
        None => Err(ApiError::not_found()),
    }
}

/// A named server exists once somebody made it; everybody has a default one.
pub(super) async fn require_known(hub: &Hub, key: &ServerKey) -> Result<(), ApiError> {
    require_account(hub, key).await?;
    if key.server().is_default() || hub.store.servers().get(key).await?.is_some() {
        return Ok(());
    }
    Err(ApiError::not_found())
}
