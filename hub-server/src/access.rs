//! Who makes a request, and what they may do.

pub(crate) mod attempts;
pub(crate) mod bearer;
pub(crate) mod browser;
pub(crate) mod held;
pub(crate) mod notes;
pub(crate) mod recent;
pub(crate) mod session;
pub(crate) mod xsrf;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::{HeaderValue, Method, header, request::Parts};
use hub_auth::{Access, ScopeName, ScopeSet, Target};
use hub_names::{ServerKey, UserName};
use hub_store::{Session, TokenRecord, User};

use self::{browser::Browser, xsrf::Identity};
use crate::{
    auth_state::{
        refresh::{self, Asker},
        refreshes::Confirmed,
    },
    hub::Hub,
    web::{error::ApiError, request_log},
};

/// Whoever makes a request to the REST API.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) who: Who,
    pub(crate) scopes: ScopeSet,
    /// The token used, unless it was a browser's session.
    pub(crate) token: Option<TokenRecord>,
    /// The way of signing in that the session began with, if it was one.
    provider: Option<String>,
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
    /// A person at one of the hub's pages, with all they hold.
    pub(crate) fn at_page(user: User, scopes: ScopeSet) -> Self {
        Self { who: Who::User(user), scopes, token: None, provider: None, needed: &[] }
    }

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
        // A right over some is none over the whole, and there is nothing to hide.
        let whole = *target == Target::whole_hub();
        if whole || scopes.iter().all(|scope| self.scopes.access(scope.clone()) == Access::None) {
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

    /// The person, if it is their browser that asks: it can be sent to the sign-in.
    pub(crate) fn browser(&self) -> Option<Asker<'_>> {
        let user = self.user().filter(|_| self.token.is_none())?;
        Some(Asker { user, provider: self.provider.as_deref() })
    }

    /// What kind of owner its credential has, as the API calls it.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.who {
            Who::User(_) => "user",
            Who::Service(_) => "service",
        }
    }

    /// What its owner is called.
    pub(crate) fn name(&self) -> &str {
        match &self.who {
            Who::User(user) => user.name.as_str(),
            Who::Service(name) => name,
        }
    }

    /// A name for logs.
    pub(crate) fn describe(&self) -> String {
        match &self.who {
            Who::User(user) => user.name.to_string(),
            Who::Service(name) => format!("service {name}"),
        }
    }
}

impl Caller {
    /// Somebody who has just proved who they are, without a session.
    pub(crate) async fn signed_in(hub: &Hub, user: User) -> Result<Self, ApiError> {
        let scopes = hub.scopes_of_user(&user).await?;
        Ok(Self { who: Who::User(user), scopes, token: None, provider: None, needed: &[] })
    }

    /// A token in the `Authorization` header, else the browser's session, which
    /// needs an XSRF token (hub-contract 2.3). An unknown token falls back to
    /// the session, as in JupyterHub. `None` when there is neither.
    async fn find(parts: &Parts, hub: &Arc<Hub>) -> Result<Option<Self>, ApiError> {
        let needed = needed(parts);
        if let Some(caller) = bearer::caller(hub, &parts.headers).await? {
            request_log::note_asker(parts, || caller.describe());
            return Ok(Some(Self { needed, ..caller }));
        }
        let Some(session) = session::of(hub, &parts.headers).await? else { return Ok(None) };
        request_log::note_asker(parts, || session.user.name.to_string());
        // A form that another site made the browser post is not JSON.
        let foreign_form = parts.method == Method::POST
            && parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| !may_be_json(kind));
        if foreign_form {
            return Ok(None);
        }
        check_xsrf(hub, parts, Some(&session))?;
        if !is_vouched_for(refresh::confirm_session(hub, &session).await?)? {
            return Ok(None);
        }
        let scopes = hub.scopes_of_user(&session.user).await?;
        let Session { user, provider, .. } = session;
        Ok(Some(Self { who: Who::User(user), scopes, token: None, provider, needed }))
    }
}

/// Whether a credential counts, by what its owner's provider says of them.
fn is_vouched_for(confirmed: Confirmed) -> Result<bool, ApiError> {
    match confirmed {
        Confirmed::Yes => Ok(true),
        Confirmed::NotNow => {
            Err(ApiError::unavailable("The sign-in service could not be asked about this person."))
        }
        Confirmed::SignInAgain => Ok(false),
    }
}

impl FromRequestParts<Arc<Hub>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, hub: &Arc<Hub>) -> Result<Self, ApiError> {
        if let Some(caller) = Self::find(parts, hub).await? {
            return Ok(caller);
        }
        // Another site is not to learn from the answer whether its visitor is signed
        // in here.
        if parts.headers.contains_key(header::ORIGIN) {
            check_xsrf(hub, parts, None)?;
        }
        Err(ApiError::unauthenticated())
    }
}

/// The caller if there is one; a request without a credential is not refused.
#[derive(Clone, Debug)]
pub(crate) struct MaybeCaller(pub(crate) Option<Caller>);

impl FromRequestParts<Arc<Hub>> for MaybeCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, hub: &Arc<Hub>) -> Result<Self, ApiError> {
        Caller::find(parts, hub).await.map(Self)
    }
}

fn needed(parts: &Parts) -> &'static [ScopeName] {
    parts.extensions.get::<Needed>().map_or(&[][..], |needed| needed.0)
}

fn check_xsrf(hub: &Hub, parts: &Parts, session: Option<&Session>) -> Result<(), ApiError> {
    if !xsrf::is_needed_by_api(&parts.method, &parts.headers) {
        return Ok(());
    }
    let identity = Identity::of(session, &Browser::of(parts));
    let given = xsrf::from_query_or_header(&parts.uri, &parts.headers);
    xsrf::check(hub, &parts.headers, &identity, given.as_deref(), &parts.method)
        .map_err(|refused| ApiError::forbidden(refused.to_string()))
}

/// Whether a body of this type is not a form. An empty field says nothing.
fn may_be_json(content_type: &HeaderValue) -> bool {
    let text = content_type.to_str().unwrap_or("unreadable").trim().to_ascii_lowercase();
    text.is_empty() || text.starts_with("application/json")
}
