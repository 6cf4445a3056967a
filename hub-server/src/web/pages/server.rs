//! `/hub/user/...`: a server's address while it has no route (hub-contract 1.6).

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode, Uri, header};
use hub_names::ServerKey;
use serde_json::json;

use super::spawn::not_running as not_running_page;
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

/// Any request to `/hub/user/{user}/` or below.
pub(super) async fn not_running(
    State(hub): State<Arc<Hub>>,
    PageKey(key): PageKey,
    method: Method,
    uri: Uri,
    visitor: Visitor,
    caller: Result<MaybeCaller, ApiError>,
) -> Result<Response, PageError> {
    let (hub, visitor) = (&*hub, &visitor);
    let by_token = match caller {
        Ok(MaybeCaller(caller)) => caller.filter(|caller| caller.token.is_some()),
        // A browser's script without our XSRF token: its server is gone anyway.
        Err(_) => None,
    };
    let wants_json = method != Method::GET
        || uri
            .path()
            .strip_prefix(&hub.paths.hub())
            // After `user` and the name.
            .is_some_and(|path| path.split('/').skip(2).any(|segment| segment == "api"))
        || prefers_json(visitor);
    match &by_token {
        Some(caller) => {
            let target = hub_auth::Target::server(&key);
            if !caller.scopes.has(hub_auth::ScopeName::AccessServers, &target) {
                return Err(PageError::not_found());
            }
            if let Who::Service(name) = &caller.who {
                tracing::debug!(service = %name, server = %key, "asked for a stopped server");
            }
        }
        None if visitor.session.is_none() && wants_json => {
            return Ok(stopped_json(hub, visitor, &key));
        }
        None => {
            visitor.require_server(hub_auth::ScopeName::AccessServers, &key).await?;
        }
    }
    if wants_json {
        return Ok(stopped_json(hub, visitor, &key));
    }
    let view = hub.servers.view(&key).await?;
    let requested = inside(hub, &uri);
    match &view.phase {
        // The route is about to be there.
        Phase::Ready { .. } => back_to_server(&uri, &requested).await,
        Phase::Starting { .. } | Phase::Checking { .. } | Phase::Stopping { .. } => Ok(
            redirect_with(StatusCode::SEE_OTHER, &hub.paths.spawn_pending(&key, Some(&requested))),
        ),
        Phase::Stopped { last: Some(Outcome::Failed(_)) } => Ok(redirect_with(
            StatusCode::SEE_OTHER,
            &hub.paths.spawn_pending(&key, Some(&requested)),
        )),
        Phase::Stopped { .. } => Ok(not_running_page(
            hub,
            visitor,
            &key,
            &view,
            Some(&requested),
            StatusCode::FAILED_DEPENDENCY,
        )),
    }
}

/// `/hub/user-redirect/{path}`: a link that opens everybody's own server.
pub(super) async fn user_redirect(
    State(hub): State<Arc<Hub>>,
    Path(path): Path<String>,
    uri: Uri,
    visitor: Visitor,
) -> Result<Response, PageError> {
    let user = visitor.require_user()?;
    let key = ServerKey::default_of(user.name.clone());
    // The path as it was sent, since decoding it would change what it means.
    let prefix = hub.paths.in_hub("user-redirect/");
    let rest = uri.path().strip_prefix(&prefix).unwrap_or(&path);
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{}{rest}{query}", hub.paths.server(&key));
    Ok(redirect(&hub.paths.spawn(&key, Some(&target))))
}

/// Sends the browser to the server again, and counts how often.
async fn back_to_server(uri: &Uri, requested: &str) -> Result<Response, PageError> {
    let count: u32 =
        Fields::of_query(uri).get("redirects").and_then(|text| text.parse().ok()).unwrap_or(0);
    if count >= MOST_REDIRECTS {
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

/// 424, which JupyterLab takes for "your server is not running".
fn stopped_json(hub: &Hub, visitor: &Visitor, key: &ServerKey) -> Response {
    let url = format!("{}{}", visitor.own_origin(), hub.paths.spawn(key, None));
    let message = format!(
        "JupyterHub server no longer running at {}. Restart the server at {url}",
        hub.paths.server(key)
    );
    (StatusCode::FAILED_DEPENDENCY, Json(json!({ "message": message }))).into_response()
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
        let error = back_to_server(&uri, "/user/ada/lab?x=1&redirects=4").await.unwrap_err();
        assert_eq!(error.status, StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[tokio::test]
    async fn the_first_redirect_is_counted() {
        let uri: Uri = "/hub/user/ada/lab?x=1".parse().unwrap();
        let response = back_to_server(&uri, "/user/ada/lab?x=1").await.unwrap();
        assert_eq!(response.headers()["location"], "/user/ada/lab?x=1&redirects=1");
    }
}
