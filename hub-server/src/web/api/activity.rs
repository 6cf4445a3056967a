//! A server reports that its person works (hub-contract 3.3, 5.3).

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Bytes,
    extract::{Path, State},
};
use http::StatusCode;
use hub_names::{ServerKey, ServerName};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::{
    access::Caller,
    hub::Hub,
    web::{
        error::ApiError,
        request::{self, user_name},
    },
};

/// How far ahead a reporter's clock may be before the report is refused, as in
/// JupyterHub.
const REFUSED_AHEAD: SignedDuration = SignedDuration::from_mins(59);
/// How far ahead a report counts: a far future would keep the culler away.
const COUNTED_AHEAD: SignedDuration = SignedDuration::from_mins(1);

/// When a user, or their servers, were last used.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Activity"))]
pub(super) struct Report {
    /// ISO 8601; without an offset it is UTC.
    last_activity: Option<String>,
    servers: Option<BTreeMap<String, ServerReport>>,
}

/// When a server was last used.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ServerActivity"))]
struct ServerReport {
    last_activity: String,
}

/// `POST /hub/api/users/{user}/activity`
pub(super) async fn report(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(user): Path<String>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let name = user_name(&user)?;
    caller.allow_user(&hub, &name).await?;
    let user = hub.store.users().by_name(&name).await?.ok_or_else(ApiError::not_found)?;
    let report: Report = request::json(&body)?
        .ok_or_else(|| ApiError::bad_request("The body must have last_activity or servers"))?;
    let servers = report.servers.unwrap_or_default();
    if report.last_activity.is_none() && servers.is_empty() {
        return Err(ApiError::bad_request("The body must have last_activity or servers"));
    }
    // All is read before anything is written.
    let now = hub.clock.now();
    let of_user = report.last_activity.as_deref().map(|text| moment(text, now)).transpose()?;
    let mut of_servers = Vec::new();
    for (server, entry) in &servers {
        let unknown =
            || ApiError::bad_request(format!("No such server '{server}' for user {name}"));
        let server_name: ServerName = server.parse().map_err(|_| unknown())?;
        let key = ServerKey::new(name.clone(), server_name);
        let record = hub.store.servers().get(&key).await?.ok_or_else(unknown)?;
        let at = moment(&entry.last_activity, now)?;
        if record.last_activity.is_none_or(|known| known < at) {
            of_servers.push((key, at));
        }
    }
    // What is known already costs no write: servers repeat themselves.
    if let Some(at) = of_user
        && user.last_activity.is_none_or(|known| known < at)
    {
        hub.store.users().touch(user.id, at).await?;
    }
    for (key, at) in of_servers {
        hub.store.servers().touch(&key, at).await?;
    }
    Ok(StatusCode::OK)
}

/// A reported time: any offset, taken as UTC without one.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    let at: Timestamp = text
        .parse()
        .or_else(|_| format!("{text}Z").parse())
        .map_err(|_| ApiError::bad_request(format!("Not a valid ISO8601 timestamp: {text:?}")))?;
    if at.duration_since(now) > REFUSED_AHEAD {
        return Err(ApiError::bad_request(format!(
            "Activity {text} is in the future; check the server's clock"
        )));
    }
    Ok(at.min(now + COUNTED_AHEAD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activity_future_capped() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let read = |text: &str| moment(text, now).ok().map(|at| at.to_string());
        assert_eq!(read("2026-11-22T11:59:00.5Z").as_deref(), Some("2026-11-22T11:59:00.5Z"));
        assert_eq!(read("2026-11-22T12:59:00+01:00").as_deref(), Some("2026-11-22T11:59:00Z"));
        assert_eq!(read("2026-11-22T11:59:00").as_deref(), Some("2026-11-22T11:59:00Z"));
        assert_eq!(read("2026-11-22T12:30:00Z").as_deref(), Some("2026-11-22T12:01:00Z"));
        assert_eq!(read("2026-11-22T13:30:00Z"), None);
        assert_eq!(read("yesterday"), None);
    }
}
