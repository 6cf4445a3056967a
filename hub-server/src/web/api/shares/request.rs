//! What a request about shares says, and whether its caller may give that away.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use hub_auth::{Filter, Scope, ScopeName};
use hub_names::{ServerKey, ServerName, UserName};
use hub_store::Grantee;
use serde::Deserialize;

use crate::{access::Caller, hub::Hub, web::error::ApiError};

/// Whose servers a path means: `{owner}`.
pub(super) struct Owner(pub(super) UserName);

/// With whom something is shared: `{user}`.
pub(super) struct Account(pub(super) UserName);

/// Which server a path means: `{owner}` and `{server}`. Without a name it is the
/// default one.
pub(super) struct Shared(pub(super) ServerKey);

impl<S: Send + Sync> FromRequestParts<S> for Owner {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Ok(Self(name(&names(parts, state).await?, "owner")?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Account {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Ok(Self(name(&names(parts, state).await?, "user")?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Shared {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let names = names(parts, state).await?;
        let owner: UserName = name(&names, "owner")?;
        let server: ServerName = name(&names, "server")?;
        Ok(Self(ServerKey::new(owner, server)))
    }
}

type Names = BTreeMap<String, String>;

async fn names<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Names, ApiError> {
    let Path(names) =
        Path::<Names>::from_request_parts(parts, state).await.map_err(|_| ApiError::not_found())?;
    Ok(names)
}

/// What is no name cannot exist.
fn name<T: std::str::FromStr>(names: &Names, key: &str) -> Result<T, ApiError> {
    names
        .get(key)
        .map(String::as_str)
        .unwrap_or_default()
        .parse()
        .map_err(|_| ApiError::not_found())
}

/// With whom to share, or to share no longer.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(in crate::web::api) struct ShareRequest {
    /// What they may do; the right to use the server if none are named.
    pub(super) scopes: Option<Vec<String>>,
    user: Option<String>,
    group: Option<String>,
}

impl ShareRequest {
    pub(super) fn with(&self) -> Result<Grantee, ApiError> {
        match (&self.user, &self.group) {
            (Some(user), None) => user
                .parse()
                .map(Grantee::User)
                .map_err(|_| ApiError::bad_request(format!("No such user: {user}"))),
            (None, Some(group)) if !group.is_empty() => Ok(Grantee::Group(group.clone())),
            _ => Err(ApiError::bad_request("Specify exactly one of `user` or `group`")),
        }
    }
}

/// The rights named in a request, each limited to the server as all shared ones are.
pub(super) fn scopes(
    hub: &Hub,
    key: &ServerKey,
    named: Option<&[String]>,
) -> Result<BTreeSet<ScopeName>, ApiError> {
    let named = named.unwrap_or_default();
    if named.is_empty() {
        return Ok(BTreeSet::from([ScopeName::AccessServers]));
    }
    let live = hub.live();
    let mut scopes = BTreeSet::new();
    for text in named {
        let scope =
            live.roles.scope(text).map_err(|error| ApiError::bad_request(error.to_string()))?;
        if !limits_to(&scope, key) {
            return Err(ApiError::bad_request(format!(
                "{text} is not allowed in a share of {key}, only !server={key}"
            )));
        }
        scopes.insert(scope.name);
    }
    Ok(scopes)
}

/// Whether the scope is limited to this server, or can be: it has no other limit.
fn limits_to(scope: &Scope, key: &ServerKey) -> bool {
    match &scope.filter {
        None => true,
        Some(Filter::Server(named)) => named == key,
        Some(_) => false,
    }
}

/// Nobody gives away what they do not hold themselves.
pub(super) async fn grantable(
    hub: &Hub,
    caller: &Caller,
    key: &ServerKey,
    scopes: &BTreeSet<ScopeName>,
) -> Result<(), ApiError> {
    let target = hub.server_target(&caller.scopes, key).await?;
    match scopes.iter().find(|name| !caller.scopes.has((*name).clone(), &target)) {
        None => Ok(()),
        Some(missing) => Err(ApiError::forbidden(format!(
            "Do not have permission to grant share with scope {missing}!server={key}"
        ))),
    }
}

/// The scopes of a share as text, with the limit that each of them has.
pub(super) fn limited(names: &[String], key: &ServerKey) -> Vec<String> {
    names.iter().map(|name| format!("{name}!server={key}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_with_one_user_or_one_group() {
        let with = |json: &str| serde_json::from_str::<ShareRequest>(json).unwrap().with().ok();
        let bob = Grantee::User("bob".parse().unwrap());
        for (json, expected) in [
            (r#"{"user": "bob"}"#, Some(bob)),
            (r#"{"group": "staff"}"#, Some(Grantee::Group("staff".to_owned()))),
            (r#"{"user": "bob", "group": "staff"}"#, None),
            (r#"{"user": ""}"#, None),
            (r#"{"group": ""}"#, None),
            ("{}", None),
        ] {
            assert_eq!(with(json), expected, "{json}");
        }
    }

    #[test]
    fn a_share_reaches_no_further_than_its_server() {
        let key: ServerKey = ServerKey::default_of("ada".parse().unwrap());
        for (scope, expected) in [
            ("access:servers", true),
            ("access:servers!server=ada/", true),
            ("access:servers!server=ada/lab", false),
            ("access:servers!server=bob/", false),
            ("access:servers!user=ada", false),
            ("access:servers!server", false),
            ("access:servers!group=staff", false),
        ] {
            assert_eq!(limits_to(&scope.parse().unwrap(), &key), expected, "{scope}");
        }
    }
}
