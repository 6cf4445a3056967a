//! `/hub/user/...`: a server's address while it has no route (hub-contract 1.6).

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode, Uri, header};
use hub_auth::{ScopeName, ScopeSet};
use hub_names::{ServerKey, ServerName};
use hub_store::StoreError;
use serde_json::json;

use super::spawn_pending::{not_running as not_running_page, require_account};
use crate::{
    access::{MaybeCaller, Who},
    hub::Hub,
    servers::{Outcome, Phase},
    web::{
        error::{ApiError, PageError, redirect, redirect_with},
        request::{Fields, PageKey},
        visitor::Visitor,
    },
};

/// How often a browser may be sent to a server whose route is not there yet.
const MOST_REDIRECTS: u32 = 4;
/// The same for a server whose release is not ours.
const MOST_REDIRECTS_IN_DOUBT: u32 = 2;

/// Any request to `/hub/user/{user}/` or below.
pub(super) async fn not_running(
    State(hub): State<Arc<Hub>>,
    PageKey(default): PageKey,
    method: Method,
    uri: Uri,
    visitor: Visitor,
    caller: Result<MaybeCaller, ApiError>,
) -> Result<Response, PageError> {
    let (hub, visitor) = (&*hub, &visitor);
    let by_token = match caller {
        Ok(MaybeCaller(caller)) => caller.filter(|caller| caller.token.is_some()),
        // A browser without our XSRF token is looked at below.
        Err(_) => None,
    };
    // Like any page: whoever has no token of the API needs one of our forms.
    if by_token.is_none() && !matches!(method, Method::GET | Method::HEAD | Method::OPTIONS) {
        visitor.require_xsrf(&Fields::default())?;
    }
    let below = below(hub, &uri);
    let wants_json = method != Method::GET
        || below.split('/').any(|segment| segment == "api")
        || prefers_json(visitor);
    let named = named_below(&default, below);
    let allowed = match &by_token {
        Some(caller) => {
            if let Who::Service(name) = &caller.who {
                tracing::debug!(service = %name, server = %default, "asked for a stopped server");
            }
            may_enter(hub, &caller.scopes, &default, named.as_ref()).await?
        }
        None => match &visitor.session {
            Some(session) => {
                let scopes = hub.scopes_of_user(&session.user).await?;
                may_enter(hub, &scopes, &default, named.as_ref()).await?
            }
            None => {
                visitor.require_user()?;
                false
            }
        },
    };
    let key = match named {
        Some(named) if allowed && is_there(hub, &named).await? => named,
        _ => default,
    };
    // Whatever there is or is not, and whoever asks: a script is told the same.
    if method != Method::GET {
        return Ok(stopped_json(hub, visitor, &uri, &key));
    }
    if !allowed {
        return Err(PageError::not_found());
    }
    require_account(hub, &key).await?;
    let view = hub.servers.view(&key).await?;
    let requested = inside(hub, &uri);
    let pending = || {
        let url = hub.paths.spawn_pending(&key, Some(&requested));
        Ok(redirect_with(StatusCode::SEE_OTHER, &url))
    };
    match &view.phase {
        // The route is about to be there.
        Phase::Ready { remark, .. } => {
            // A server of another release may be what sends them back to us.
            let most = if remark.is_some() { MOST_REDIRECTS_IN_DOUBT } else { MOST_REDIRECTS };
            let there = format!("{}{requested}", hub.paths.server_host(key.user()));
            back_to_server(&uri, &there, most).await
        }
        _ if wants_json => Ok(stopped_json(hub, visitor, &uri, &key)),
        Phase::Starting { .. } | Phase::Checking { .. } | Phase::Stopping { .. } => pending(),
        Phase::Stopped { last: Some(Outcome::Failed(_)) } => pending(),
        Phase::Stopped { .. } => {
            let start_url = hub.paths.spawn(&key, Some(&requested));
            not_running_page(hub, visitor, &key, &view, &start_url, stopped_status(hub)).await
        }
    }
}

/// `/hub/user-redirect/{path}`: a link that opens everybody's own server.
pub(super) async fn user_redirect(
    State(hub): State<Arc<Hub>>,
    uri: Uri,
    visitor: Visitor,
) -> Result<Response, PageError> {
    let user = visitor.require_user()?;
    let server = hub.live().limits.named.default.clone();
    let key = ServerKey::new(user.name.clone(), server);
    // The path as it was sent, since decoding it would change what it means.
    let prefix = hub.paths.in_hub("user-redirect/");
    let rest = uri.path().strip_prefix(&prefix).unwrap_or_default();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{}{rest}{query}", hub.paths.server_prefix(&key));
    Ok(redirect(&hub.paths.spawn(&key, Some(&target))))
}

/// What follows `/hub/user/{user}/`, as it was sent.
fn below<'u>(hub: &Hub, uri: &'u Uri) -> &'u str {
    let path = uri.path().strip_prefix(&hub.paths.in_hub("user/")).unwrap_or_default();
    path.split_once('/').map(|(_, below)| below).unwrap_or_default()
}

/// The server that the first segment names, if it is one.
fn named_below(default: &ServerKey, below: &str) -> Option<ServerKey> {
    let first = below.split('/').next().filter(|segment| !segment.is_empty())?;
    let name = percent_encoding::percent_decode_str(first).decode_utf8().ok()?;
    let name: ServerName = name.parse().ok()?;
    Some(ServerKey::new(default.user().clone(), name))
}

/// Whether a request of this path may be for somebody who holds `scopes`: it may
/// mean the default server, or the one of that name.
async fn may_enter(
    hub: &Hub,
    scopes: &ScopeSet,
    default: &ServerKey,
    named: Option<&ServerKey>,
) -> Result<bool, StoreError> {
    for key in [Some(default), named].into_iter().flatten() {
        if scopes.has(ScopeName::AccessServers, &hub.server_target(scopes, key).await?) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn is_there(hub: &Hub, named: &ServerKey) -> Result<bool, StoreError> {
    let allowed = hub.live().limits.named.allowed;
    Ok(allowed && hub.store.servers().get(named).await?.is_some())
}

/// 424, which JupyterLab from 3.2 takes for "your server is not running"; 503 for
/// older ones where the operator says so.
fn stopped_status(hub: &Hub) -> StatusCode {
    match hub.live().limits.legacy_stopped_status {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::FAILED_DEPENDENCY,
    }
}

/// Sends the browser to the server again, and counts how often.
async fn back_to_server(uri: &Uri, requested: &str, most: u32) -> Result<Response, PageError> {
    let count: u32 =
        Fields::of_query(uri).get("redirects").and_then(|text| text.parse().ok()).unwrap_or(0);
    if count >= most {
        return Err(PageError::new(StatusCode::INTERNAL_SERVER_ERROR, "Redirect loop detected.")
            .hint("The server is up, but requests to it come back to the hub. Stop it and start it again.")
            .hint("If that does not help, the image's jupyterhub package may be too old for this hub."));
    }
    if count > 0 {
        tokio::time::sleep(std::time::Duration::from_secs(2_u64.pow(count).min(10))).await;
    }
    let (path, query) = requested.split_once('?').unwrap_or((requested, ""));
    let kept: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("redirects="))
        .map(str::to_owned)
        .chain([format!("redirects={}", count + 1)])
        .collect();
    Ok(redirect(&format!("{path}?{}", kept.join("&"))))
}

/// The address on the server itself: without the hub's prefix in front.
fn inside(hub: &Hub, uri: &Uri) -> String {
    let rest = uri.path().strip_prefix(&hub.paths.hub()).unwrap_or(uri.path());
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{rest}{query}", hub.paths.base())
}

/// What a script is told whose server is not running.
fn stopped_json(hub: &Hub, visitor: &Visitor, uri: &Uri, key: &ServerKey) -> Response {
    let url = format!("{}{}", visitor.own_origin(), hub.paths.spawn(key, None));
    let hub_prefix = hub.paths.hub();
    let path = uri.path().strip_prefix(hub_prefix.trim_end_matches('/')).unwrap_or_default();
    let message =
        format!("JupyterHub server no longer running at {path}. Restart the server at {url}");
    (stopped_status(hub), Json(json!({ "message": message }))).into_response()
}

/// Whether JSON comes before HTML in the `Accept` header.
fn prefers_json(visitor: &Visitor) -> bool {
    let accept = visitor
        .headers()
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    match (accept.find("application/json"), accept.find("text/html")) {
        (Some(json), Some(html)) => json < html,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_redirect_loop_ends() {
        let uri: Uri = "/hub/user/ada/lab?x=1&redirects=4".parse().unwrap();
        let error = back_to_server(&uri, "/user/ada/lab?x=1&redirects=4", MOST_REDIRECTS)
            .await
            .unwrap_err();
        assert_eq!(error.status, StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[tokio::test]
    async fn the_first_redirect_is_counted() {
        let uri: Uri = "/hub/user/ada/lab?x=1".parse().unwrap();
        let response = back_to_server(&uri, "/user/ada/lab?x=1", MOST_REDIRECTS).await.unwrap();
        assert_eq!(response.headers()["location"], "/user/ada/lab?x=1&redirects=1");
    }
}
