//! Who makes a request, and what they may do.

pub(crate) mod attempts;
pub(crate) mod bearer;
pub(crate) mod browser;
pub(crate) mod held;
pub(crate) mod session;
pub(crate) mod xsrf;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::{Method, header, request::Parts};
use hub_auth::{Access, ScopeName, ScopeSet, Target};
use hub_names::{ServerKey, UserName};
use hub_store::{TokenRecord, User};

use self::{browser::Browser, xsrf::Identity};
use crate::{hub::Hub, web::error::ApiError};

/// Whoever makes a request to the REST API.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) who: Who,
    pub(crate) scopes: ScopeSet,
    /// The token used, unless it was a browser's session.
    pub(crate) token: Option<TokenRecord>,
    /// The scopes of which this endpoint needs one.
    needed: &'static [ScopeName],
}

/// A person or a program.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    User(User),
    Service(String),
}

/// The scopes of which a caller needs one, put into the request by the table of
/// endpoints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needed(pub(crate) &'static [ScopeName]);

impl Caller {
    /// Lets the caller through if they hold one of the endpoint's scopes on `target`.
    ///
    /// Held for others only is answered like something that does not exist, so
    /// that nobody can probe for names (hub-contract 5.1).
    pub(crate) fn allow(&self, target: &Target) -> Result<(), ApiError> {
        self.require_any(self.needed, target)
    }

    /// As [`allow`](Self::allow), on an account.
    pub(crate) async fn allow_user(&self, hub: &Hub, name: &UserName) -> Result<(), ApiError> {
        self.allow(&hub.user_target(&self.scopes, name).await?)
    }

    /// As [`allow`](Self::allow), on a server.
    pub(crate) async fn allow_server(&self, hub: &Hub, key: &ServerKey) -> Result<(), ApiError> {
        self.allow(&hub.server_target(&self.scopes, key).await?)
    }

    /// Lets the caller through if they hold any of `scopes` on `target`.
    pub(crate) fn require_any(
        &self,
        scopes: &[ScopeName],
        target: &Target,
    ) -> Result<(), ApiError> {
        if scopes.iter().any(|scope| self.scopes.has(scope.clone(), target)) {
            return Ok(());
        }
        if scopes.iter().all(|scope| self.scopes.access(scope.clone()) == Access::None) {
            return Err(ApiError::missing_scope(
                &scopes.iter().map(ScopeName::as_str).collect::<Vec<_>>().join(", "),
            ));
        }
        Err(ApiError::not_found())
    }

    /// The person, if it is one.
    pub(crate) fn user(&self) -> Option<&User> {
        match &self.who {
            Who::User(user) => Some(user),
            Who::Service(_) => None,
        }
    }

    /// A name for notes and logs.
    pub(crate) fn describe(&self) -> String {
        match &self.who {
            Who::User(user) => user.name.to_string(),
            Who::Service(name) => format!("service {name}"),
        }
    }
}

impl FromRequestParts<Arc<Hub>> for Caller {
    type Rejection = ApiError;

    /// A token in the `Authorization` header, else the browser's session, which
    /// needs an XSRF token (hub-contract 2.3). An unknown token falls back to
    /// the session, as in JupyterHub.
    async fn from_request_parts(parts: &mut Parts, hub: &Arc<Hub>) -> Result<Self, ApiError> {
        let needed = parts.extensions.get::<Needed>().map_or(&[][..], |needed| needed.0);
        if let Some(caller) = bearer::caller(hub, &parts.headers).await? {
            return Ok(Self { needed, ..caller });
        }
        let Some(session) = session::of(hub, &parts.headers).await? else {
            return Err(ApiError::unauthenticated());
        };
        // A form that another site made the browser post is not JSON.
        let foreign_form = parts.method == Method::POST
            && parts.headers.get(header::CONTENT_TYPE).is_some_and(|value| {
                !value
                    .to_str()
                    .is_ok_and(|text| text.to_ascii_lowercase().starts_with("application/json"))
            });
        if foreign_form {
            return Err(ApiError::unauthenticated());
        }
        if xsrf::is_needed_by_api(&parts.method, &parts.headers) {
            let browser = Browser::of(parts);
            let identity = Identity::of(Some(&session), &browser);
            let given = xsrf::from_query_or_header(&parts.uri, &parts.headers);
            xsrf::check(hub, &parts.headers, &identity, given.as_deref(), &parts.method)
                .map_err(|refused| ApiError::forbidden(refused.to_string()))?;
        }
        let scopes = hub.scopes_of_user(&session.user).await?;
        Ok(Self { who: Who::User(session.user), scopes, token: None, needed })
    }
}

/// The caller if there is one; an unauthenticated request is not refused.
#[derive(Clone, Debug)]
pub(crate) struct MaybeCaller(pub(crate) Option<Caller>);

impl FromRequestParts<Arc<Hub>> for MaybeCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, hub: &Arc<Hub>) -> Result<Self, ApiError> {
        match Caller::from_request_parts(parts, hub).await {
            Ok(caller) => Ok(Self(Some(caller))),
            Err(error) if error.is_unauthenticated() => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }
}
