//! What the hub is, and who the caller is.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse};
use http::{HeaderName, header};
use hub_proxy::{Certificate, CertificateStatus};
use serde::Serialize;

use super::owner::OwnerModel;
use crate::{COMPATIBLE_VERSION, access::Caller, hub::Hub, web::error::ApiError};

/// The version of the API.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Version"))]
pub(super) struct VersionModel {
    version: &'static str,
}

/// How the hub is set up.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Info"))]
pub(super) struct InfoModel {
    version: &'static str,
    python: &'static str,
    sys_executable: &'static str,
    spawner: ClassModel,
    authenticator: ClassModel,
    /// Ours: what browsers see where this process speaks https.
    #[cfg_attr(test, schemars(with = "Option<serde_json::Map<String, serde_json::Value>>"))]
    certificate: Option<CertificateStatus>,
}

/// What does it, and its version.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Class"))]
struct ClassModel {
    class: String,
    version: &'static str,
}

/// Whoever asks, and with which credential.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "RequestIdentity"))]
pub(super) struct IdentityModel {
    #[serde(flatten)]
    owner: OwnerModel,
    token_id: Option<String>,
    session_id: Option<String>,
    scopes: Vec<String>,
}

/// `GET /hub/api`: the first thing that a single-user server asks, without a
/// token.
pub(super) async fn version() -> impl IntoResponse {
    let open: [(HeaderName, &str); 1] = [(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (open, Json(VersionModel { version: COMPATIBLE_VERSION }))
}

/// `GET /hub/api/info`
pub(super) async fn info(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
) -> Result<Json<InfoModel>, ApiError> {
    caller.allow(&hub_auth::Target::whole_hub())?;
    let class = |class| ClassModel { class, version: env!("CARGO_PKG_VERSION") };
    let live = hub.live();
    let providers: Vec<&str> = live.methods.iter().map(|one| one.provider()).collect();
    Ok(Json(InfoModel {
        version: COMPATIBLE_VERSION,
        python: "",
        sys_executable: "hub-server",
        spawner: class(hub.servers.spawner_kind().to_owned()),
        authenticator: class(providers.join(",")),
        certificate: hub.certificate.as_ref().map(Certificate::status),
    }))
}

/// `GET /hub/api/user`: whose token is this, and what may it do? Single-user
/// servers let a person in by this answer.
pub(super) async fn whoami(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
) -> Result<Json<IdentityModel>, ApiError> {
    let token = caller.token.as_ref();
    Ok(Json(IdentityModel {
        token_id: token.map(|token| format!("a{}", token.id.get())),
        session_id: token.and_then(|token| token.session_id.clone()),
        scopes: caller.scopes.to_strings(),
        owner: OwnerModel::of_caller(&hub, &caller).await?,
    }))
}
