//! Services: list, show, add, remove.

use std::{collections::BTreeMap, path::Path as FsPath, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use hub_auth::{Access, Owner, Role, Scope, ScopeName, ScopeSet, Target};
use hub_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    access::{Caller, Who},
    config::{Described, ServiceConfig, ServiceSpec},
    hub::Hub,
    services::{self, Service},
    web::{error::ApiError, request},
};

/// What may be said of a new service. The parts about a program are understood only
/// to be refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct NewService {
    /// The path says it.
    #[serde(default, rename = "name")]
    _name: Option<String>,
    #[serde(default)]
    admin: bool,
    #[serde(default)]
    url: String,
    #[serde(default)]
    oauth_client_allowed_scopes: Vec<String>,
    #[serde(default)]
    api_token: Option<String>,
    #[serde(default)]
    info: Map<String, Value>,
    #[serde(default)]
    display: Option<bool>,
    #[serde(default)]
    oauth_no_confirm: bool,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default, rename = "cwd")]
    _cwd: String,
    #[serde(default, rename = "environment")]
    _environment: BTreeMap<String, Value>,
    #[serde(default, rename = "user")]
    _user: String,
    #[serde(default)]
    oauth_client_id: Option<String>,
    #[serde(default)]
    oauth_redirect_uri: Option<String>,
}

/// A service; what the caller may not see is left out.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Service"))]
pub(super) struct ServiceModel {
    /// `service`
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<Option<String>>,
    /// The path that the hub serves it at.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<Option<Map<String, Value>>>,
    /// Whether people see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    display: Option<Option<bool>>,
}

/// `GET /hub/api/services`: not paged, by name.
pub(super) async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
) -> Result<Json<BTreeMap<String, ServiceModel>>, ApiError> {
    let visible = |name: &str| match caller.scopes.access(ScopeName::ListServices) {
        Access::None => false,
        Access::All => true,
        Access::Filtered(filters) => filters.services().contains(name),
    };
    if caller.scopes.access(ScopeName::ListServices) == Access::None {
        return Err(ApiError::missing_scope(ScopeName::ListServices.as_str()));
    }
    let mut bodies = BTreeMap::new();
    for service in hub.services.all() {
        let name = &service.config.name;
        if visible(name) {
            bodies.insert(name.clone(), body(&hub, &service, &caller).await?);
        }
    }
    Ok(Json(bodies))
}

/// `GET /hub/api/services/{service}`
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<ServiceModel>, ApiError> {
    caller.allow(&Target::service(&name))?;
    let service = hub.services.get(&name).ok_or_else(ApiError::not_found)?;
    Ok(Json(body(&hub, &service, &caller).await?))
}

/// `POST /hub/api/services/{service}`. Does not wait for the service to answer.
pub(super) async fn create(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(name): Path<String>,
    request: Bytes,
) -> Result<Response, ApiError> {
    caller.allow(&Target::service(&name))?;
    let _change = hub.services.begin_change().await;
    if hub.services.get(&name).is_some() {
        return Err(ApiError::conflict(format!("Service {name} already exists")));
    }
    let nothing = || ApiError::bad_request("Invalid service data");
    if request::json::<Map<String, Value>>(&request)?.is_none_or(|fields| fields.is_empty()) {
        return Err(nothing());
    }
    let new: NewService = request::json(&request)?.ok_or_else(nothing)?;
    if !new.command.is_empty() {
        return Err(ApiError::bad_request(format!(
            "Can not create managed service {name} at runtime; write it into the configuration"
        )));
    }
    let spec = new.into_spec(&name);
    let config = checked(&hub, &spec)?;
    require_coverage(&hub, &caller, &config).await?;
    let service = Service::by_request(config);
    let spec =
        serde_json::to_value(spec).map_err(|_| ApiError::bad_request("Invalid service data"))?;
    let now = hub.clock.now();
    // A row that is left of a service the hub no longer understands makes room.
    hub.store.services().delete(&name).await?;
    hub.store.services().create(&name, &spec, now).await?;
    if let Err(error) = services::remember(&service, &hub.paths, &hub.store, now).await {
        hub.store.services().delete(&name).await?;
        return Err(match error {
            StoreError::Conflict { .. } => {
                ApiError::bad_request("api_token: is a token of somebody else; make another one")
            }
            other => other.into(),
        });
    }
    hub.services.add(service);
    tracing::info!(service = %name, by = %caller.describe(), "service added");
    let service = hub.services.get(&name).ok_or_else(ApiError::not_found)?;
    Ok((StatusCode::CREATED, Json(body(&hub, &service, &caller).await?)).into_response())
}

/// `DELETE /hub/api/services/{service}`
pub(super) async fn delete(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    caller.allow(&Target::service(&name))?;
    let _change = hub.services.begin_change().await;
    let service = hub.services.get(&name).ok_or_else(|| {
        ApiError::new(StatusCode::NOT_FOUND, format!("Service {name} does not exist"))
    })?;
    if service.from_config {
        return Err(ApiError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("Service {name} is not modifiable at runtime"),
        ));
    }
    hub.store.services().delete(&name).await?;
    hub.services.remove(&name);
    tracing::info!(service = %name, by = %caller.describe(), "service deleted");
    Ok(StatusCode::OK)
}

impl NewService {
    fn into_spec(self, name: &str) -> ServiceSpec {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        ServiceSpec {
            name: name.to_owned(),
            admin: self.admin,
            api_token: given(self.api_token),
            url: given(Some(self.url)),
            display: self.display,
            info: self.info,
            oauth_client_id: given(self.oauth_client_id),
            oauth_redirect_uri: given(self.oauth_redirect_uri),
            oauth_client_allowed_scopes: self.oauth_client_allowed_scopes,
            oauth_no_confirm: self.oauth_no_confirm,
            ..ServiceSpec::default()
        }
    }
}

/// The service, if it is in order and in nobody's way.
fn checked(hub: &Hub, spec: &ServiceSpec) -> Result<ServiceConfig, ApiError> {
    let known = hub.services.all();
    spec.clone()
        .check(Described::ByRequest, FsPath::new("."), Some(&hub.live().roles))
        .and_then(|config| {
            config.is_new_among(known.iter().map(|one| &one.config)).map(|()| config)
        })
        .map_err(|error| ApiError::bad_request(error.to_string()))
}

/// Nobody hands out more than they may do themselves, neither to the service nor to
/// be asked for by it.
async fn require_coverage(
    hub: &Hub,
    caller: &Caller,
    config: &ServiceConfig,
) -> Result<(), ApiError> {
    let live = hub.live();
    let admin = if config.admin { Role::Admin.scopes() } else { Vec::new() };
    let wanted: Vec<Scope> =
        config.oauth_client_allowed_scopes.iter().cloned().chain(admin).collect();
    let owner = match &caller.who {
        Who::User(user) => Owner::User(user.name.clone()),
        Who::Service(name) => Owner::Service(name.clone()),
    };
    let asked = ScopeSet::expand(live.roles.spell_out(wanted.iter().cloned()), &owner, None);
    let groups = hub.groups_behind(&[&asked, &caller.scopes]).await?;
    if asked.is_within(&caller.scopes, &groups) {
        return Ok(());
    }
    let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    Err(ApiError::bad_request(format!(
        "Not assigning requested scopes {} not held by {}",
        wanted.join(","),
        caller.describe()
    )))
}

/// A service as `caller` may see it (hub-contract 5.2).
async fn body(hub: &Hub, service: &Service, caller: &Caller) -> Result<ServiceModel, StoreError> {
    let config = &service.config;
    let target = Target::service(&config.name);
    let may = |scope: ScopeName| caller.scopes.has(scope, &target);
    let mut body = ServiceModel::default();
    if may(ScopeName::ReadServices)
        || may(ScopeName::ReadServicesName)
        || may(ScopeName::ReadRolesServices)
        || may(ScopeName::ListServices)
    {
        body = ServiceModel::named(&config.name, config.admin);
    }
    if may(ScopeName::ReadRolesServices) {
        body.roles = Some(hub.roles_of_service(&config.name).await?);
    }
    if may(ScopeName::ReadServices) {
        let prefix = config.url.as_ref().map(|_| hub.paths.service_prefix(&config.name));
        body.url = Some(Some(service.url().map(String::from).unwrap_or_default()));
        body.prefix = Some(prefix.unwrap_or_default());
        body.command = Some(config.command.clone());
        body.pid = Some(hub.services.pid(&config.name).unwrap_or_default());
        body.info = Some(Some(config.info.clone()));
        body.display = Some(Some(config.display));
    }
    Ok(body)
}

/// What may be known of whose credential it is: the name always, the rest as far as
/// `caller` may. As in JupyterHub what only the configuration knows is not told here.
pub(super) async fn own(
    hub: &Hub,
    name: &str,
    caller: &Caller,
) -> Result<ServiceModel, StoreError> {
    let target = Target::service(name);
    let may = |scope: ScopeName| caller.scopes.has(scope, &target);
    let admin = hub.services.get(name).is_some_and(|service| service.config.admin);
    let mut body = ServiceModel::named(name, admin);
    if may(ScopeName::ReadRolesServices) {
        body.roles = Some(hub.roles_of_service(name).await?);
    }
    if may(ScopeName::ReadServices) {
        body.url = Some(None);
        body.prefix = Some(String::new());
        body.command = Some(Vec::new());
        body.pid = Some(0);
        body.info = Some(None);
        body.display = Some(None);
    }
    Ok(body)
}

impl ServiceModel {
    fn named(name: &str, admin: bool) -> Self {
        Self {
            kind: Some("service"),
            name: Some(name.to_owned()),
            admin: Some(admin),
            ..Self::default()
        }
    }
}
