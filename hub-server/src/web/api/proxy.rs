//! The proxy's routes, and where the proxy is (hub-contract 5.9).

use std::{collections::BTreeMap, sync::Arc};

use axum::{body::Bytes, extract::State, http::Uri, response::Response};
use http::{HeaderMap, StatusCode};
use hub_auth::Target;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::paging::Paging;
use crate::{
    access::Caller,
    chain,
    config::{is_proxy_token, proxy_api_url},
    hub::Hub,
    routes::{Place, ProxyError, RouteShown},
    web::error::ApiError,
};

/// A route.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Route"))]
pub(super) struct RouteModel {
    pub(super) routespec: String,
    pub(super) target: String,
    /// Whose it is, and when it was last used.
    pub(super) data: Map<String, Value>,
}

/// Where the proxy is to be looked for; what is left out stays.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ProxyChange"))]
pub(super) struct NewPlace {
    api_url: Option<String>,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    auth_token: Option<SecretString>,
}

/// `GET /hub/api/proxy`
pub(super) async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    caller.allow(&Target::whole_hub())?;
    let paging = Paging::of(&uri, &headers)?;
    let routes = hub.routes.all(&hub.api_url, &hub.servers.active(), hub.clock.now()).await?;
    let sorted: BTreeMap<String, RouteShown> =
        routes.into_iter().map(|route| (route.routespec.clone(), route)).collect();
    let (page, total) = paging.cut(sorted.into_iter().collect());
    let shown = page.len() as u64;
    let model = |RouteShown { routespec, target, data }| RouteModel { routespec, target, data };
    let items: BTreeMap<String, RouteModel> =
        page.into_iter().map(|(spec, route)| (spec, model(route))).collect();
    Ok(paging.answer(&uri, &headers, items, shown, total))
}

/// `POST /hub/api/proxy`
pub(super) async fn check(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
) -> Result<StatusCode, ApiError> {
    caller.allow(&Target::whole_hub())?;
    hub.routes.check().await?;
    Ok(StatusCode::OK)
}

/// `PATCH /hub/api/proxy`
pub(super) async fn point(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    caller.allow(&Target::whole_hub())?;
    if body.is_empty() {
        return Err(ApiError::bad_request("need JSON body"));
    }
    let is_dict = serde_json::from_slice::<Value>(&body).is_ok_and(|body| body.is_object());
    if !is_dict {
        return Err(ApiError::bad_request("Request body must be JSON dict"));
    }
    let NewPlace { api_url, auth_token } = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request(format!("Invalid JSON keys: {error}")))?;
    let old = hub.routes.place()?;
    let api = match api_url {
        Some(text) => proxy_api_url("api_url", &text)
            .map_err(|error| ApiError::bad_request(error.to_string()))?,
        None => old.api.clone(),
    };
    let token = auth_token.unwrap_or_else(|| old.token.clone());
    if !is_proxy_token(token.expose_secret()) {
        return Err(ApiError::bad_request("auth_token must be one word of ASCII characters"));
    }
    tracing::info!(%api, by = %caller.describe(), "another proxy is named");
    hub.routes.move_to(Place { api, token }).await.map_err(|error| match error {
        // Nothing was changed.
        ProxyError::Api { .. } => ApiError::bad_request(format!(
            "{}; the hub goes on with the proxy it had",
            chain(&error)
        )),
        other => other.into(),
    })?;
    Ok(StatusCode::OK)
}

impl From<ProxyError> for ApiError {
    fn from(error: ProxyError) -> Self {
        match error {
            ProxyError::Embedded => Self::bad_request(
                "This hub is its own proxy; it can be told of another one only by proxy.api_url in its configuration, and a restart",
            ),
            ProxyError::Api { .. } | ProxyError::TooSlow => {
                tracing::error!(
                    error = &error as &(dyn std::error::Error + 'static),
                    "the proxy cannot be asked"
                );
                Self::unavailable("The proxy does not answer. The hub's log says why.")
            }
        }
    }
}
