//! Whoever looks at a page, and the pages made for them.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use cookie::Cookie;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request::Parts};
use hub_auth::{Access, ScopeName, ScopeSet};
use hub_names::ServerKey;
use hub_store::{Session, User};
use minijinja::{Value, context};

use super::{error::PageError, next, request::Fields, request_log};
use crate::{
    access::{
        browser::{Browser, cookies},
        session,
        xsrf::{self, Identity},
    },
    auth_state::{refresh, refreshes::Confirmed},
    hub::Hub,
};

/// Whoever looks at a page. Pages know cookies only: an API token opens none.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    pub(crate) hub: Arc<Hub>,
    pub(crate) session: Option<Session>,
    /// Whether their provider could not be asked for so long that they cannot go on.
    unconfirmed: bool,
    /// What they may do; nothing if nobody is signed in.
    pub(crate) scopes: ScopeSet,
    pub(crate) browser: Browser,
    headers: HeaderMap,
    method: Method,
    uri: Uri,
}

impl FromRequestParts<Arc<Hub>> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, hub: &Arc<Hub>) -> Result<Self, PageError> {
        let uri = parts
            .extensions
            .get::<axum::extract::OriginalUri>()
            .map_or_else(|| parts.uri.clone(), |original| original.0.clone());
        let visitor = Self::new(hub, &parts.method, uri, &parts.headers).await?.confirmed().await?;
        if let Some(session) = &visitor.session {
            request_log::note_asker(parts, || session.user.name.to_string());
        }
        Ok(visitor)
    }
}

impl Visitor {
    pub(crate) async fn new(
        hub: &Arc<Hub>,
        method: &Method,
        uri: Uri,
        headers: &HeaderMap,
    ) -> Result<Self, PageError> {
        let session = session::of(hub, headers).await?;
        let scopes = match &session {
            Some(session) => hub.scopes_of_user(&session.user).await?,
            None => ScopeSet::default(),
        };
        Ok(Self {
            hub: Arc::clone(hub),
            session,
            unconfirmed: false,
            scopes,
            browser: Browser::from_headers(headers),
            headers: headers.clone(),
            method: method.clone(),
            uri,
        })
    }

    /// The same after a look at how old the provider's word about them is.
    async fn confirmed(self) -> Result<Self, PageError> {
        let Some(session) = &self.session else { return Ok(self) };
        Ok(match refresh::confirm_session(&self.hub, session).await? {
            Confirmed::Yes => self,
            Confirmed::NotNow => Self { unconfirmed: true, ..self },
            Confirmed::SignInAgain => self.signed_out(),
        })
    }

    /// The person who is signed in; anybody else is sent to sign in first.
    pub(crate) fn require_user(&self) -> Result<&User, PageError> {
        match &self.session {
            Some(_) if self.unconfirmed => Err(unconfirmed()),
            Some(session) => Ok(&session.user),
            None if matches!(self.method, Method::GET | Method::HEAD) => {
                Err(PageError::redirect(self.hub.paths.login(Some(&self.requested()))))
            }
            None => Err(PageError::new(StatusCode::FORBIDDEN, "You are not signed in.")
                .action("Sign in", self.hub.paths.login(None))),
        }
    }

    /// The signed-in person, if they hold `scope` on the server of `key`.
    pub(crate) async fn require_server(
        &self,
        scope: ScopeName,
        key: &ServerKey,
    ) -> Result<&User, PageError> {
        let user = self.require_user()?;
        let target = self.hub.server_target(&self.scopes, key).await?;
        if self.scopes.has(scope.clone(), &target) {
            return Ok(user);
        }
        match self.scopes.access(scope) {
            Access::None => {
                Err(PageError::new(StatusCode::FORBIDDEN, "You do not have permission to do this."))
            }
            Access::Filtered(_) | Access::All => Err(PageError::not_found()),
        }
    }

    /// The signed-in person, if they hold `scope`, which is about no one in particular.
    pub(crate) fn require_scope(&self, scope: &ScopeName) -> Result<&User, PageError> {
        let user = self.require_user()?;
        match self.scopes.access(scope.clone()) {
            Access::Filtered(_) | Access::All => Ok(user),
            Access::None => {
                let message = format!("You do not hold the right {scope}, which this page needs.");
                Err(PageError::new(StatusCode::FORBIDDEN, message)
                    .hint("An administrator of this hub can give it to you.")
                    .action("Home", self.hub.paths.home()))
            }
        }
    }

    /// Whether they look after accounts with the hub itself: administrators of a hub
    /// that has such.
    pub(crate) fn may_approve(&self) -> bool {
        let is_admin = self.session.as_ref().is_some_and(|session| session.user.admin);
        is_admin && self.hub.live().local.is_some()
    }

    /// The same browser after its session has ended.
    pub(crate) fn signed_out(mut self) -> Self {
        self.session = None;
        self.scopes = ScopeSet::default();
        self
    }

    /// Refuses a form that did not come from one of our pages.
    ///
    /// The token is a field of the form, or comes as a script sends it: in a header
    /// or in the query (hub-contract 2.3).
    pub(crate) fn check_xsrf(&self, form: &Fields) -> Result<(), xsrf::Refused> {
        let sent = xsrf::from_query_or_header(&self.uri, &self.headers);
        let given = form.get(xsrf::XSRF).or(sent.as_deref());
        xsrf::check(&self.hub, &self.headers, &self.identity(), given, &self.method)
    }

    /// As [`check_xsrf`](Self::check_xsrf), for pages that have nothing better
    /// to say than that.
    pub(crate) fn require_xsrf(&self, form: &Fields) -> Result<(), PageError> {
        self.check_xsrf(form).map_err(|refused| {
            PageError::new(StatusCode::FORBIDDEN, refused.to_string())
                .hint("The page was open for too long, or you signed in or out in another tab. Go back, reload the page and try again.")
                .action("Home", self.hub.paths.home())
        })
    }

    /// The path and query that was asked for.
    pub(crate) fn requested(&self) -> String {
        self.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string)
    }

    /// Our origin as this browser sees it.
    pub(crate) fn own_origin(&self) -> String {
        match &self.hub.public_url {
            Some(url) => url.origin().ascii_serialization(),
            None => format!("{}://{}", self.browser.proto, self.browser.host),
        }
    }

    /// Where to go after what the page is for: `next`, if it stays with us.
    pub(crate) fn next(&self, given: Option<&str>) -> Option<String> {
        let given = given.filter(|text| !text.is_empty())?;
        let own = self.own_origin();
        let clean = match self.hub.paths.subdomains() {
            Some(hosts) => next::sanitise(&next::on_own_host(given, &own, hosts), &own),
            None => next::sanitise(given, &own),
        };
        if clean.is_none() {
            tracing::warn!(next = %crate::web::layers::printable(given), "refused to go to a foreign address");
        }
        clean
    }

    /// The headers of the request.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// A page from the template `name`, for this visitor, with the cookies that
    /// go with it.
    pub(crate) fn page(&self, status: StatusCode, name: &str, page: Value) -> Response {
        let identity = self.identity();
        let (token, mut cookie) = xsrf::token(&self.hub, &self.headers, &identity);
        // A script's request must not change the cookie under an open page.
        let navigates = self.headers.get("sec-fetch-mode").is_none_or(|mode| mode == "navigate");
        if !navigates {
            cookie = None;
        }
        let mut response = self.render(status, name, &token, page);
        set_cookies(&mut response, cookie.into_iter().chain(self.missing_session_id()));
        response
    }

    /// The cookie with the session's id, if the browser has lost it.
    pub(crate) fn missing_session_id(&self) -> Option<Cookie<'static>> {
        self.session
            .as_ref()
            .filter(|_| cookies(&self.headers, session::SESSION_ID_COOKIE).is_empty())
            .map(|session| session::session_id_cookie(&self.hub, session.session_id.clone()))
    }

    /// As [`page`](Self::page), with a new XSRF token in any case.
    pub(crate) fn page_with_fresh_xsrf(
        &self,
        status: StatusCode,
        name: &str,
        page: Value,
    ) -> Response {
        let identity = self.identity();
        let token = xsrf::fresh(&self.hub, &identity);
        let mut response = self.render(status, name, &token, page);
        set_cookies(&mut response, [xsrf::cookie(&self.hub, token, &identity)]);
        response
    }

    fn render(&self, status: StatusCode, name: &str, xsrf: &str, page: Value) -> Response {
        let paths = &self.hub.paths;
        let live = self.hub.live();
        let may_administer = self.scopes.access(ScopeName::AdminUi) != Access::None;
        let common = context! {
            base_url => paths.base(),
            hub_prefix => paths.hub(),
            user => self.session.as_ref().map(|session| context! {
                name => session.user.name.as_str(),
                admin => session.user.admin,
            }),
            xsrf => xsrf,
            version => env!("CARGO_PKG_VERSION"),
            login_url => paths.login(None),
            logout_url => paths.in_hub("logout"),
            home_url => paths.home(),
            token_url => paths.token(),
            accounts_url => self.may_approve().then(|| paths.authorize()),
            password_url => live.local.and(self.session.as_ref()).map(|_| paths.change_password()),
            admin_url => may_administer.then(|| paths.admin()),
            parsed_scopes => self.scopes.to_strings(),
            announcement => live.announcement.as_deref(),
        };
        match live.render.render(name, context! { ..page, ..common }) {
            // JupyterHub names no character set, and what asks may compare; the page does.
            Ok(html) => (status, [(header::CONTENT_TYPE, "text/html")], html).into_response(),
            Err(error) => {
                tracing::error!(
                    error = &error as &(dyn std::error::Error + 'static),
                    "the page {name} could not be made"
                );
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "This page could not be made; the hub's log tells why.",
                )
                    .into_response()
            }
        }
    }

    fn identity(&self) -> Identity {
        Identity::of(self.session.as_ref(), &self.browser)
    }
}

/// The page of somebody whose provider does not answer for too long.
pub(crate) fn unconfirmed() -> PageError {
    let mut page = PageError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "The hub could not ask your sign-in service whether you may still use it.",
    )
    .hint("Nothing is wrong with your account. Your running server is not affected.")
    .hint("Try again in a minute.");
    page.retry_after = Some(60);
    page
}

/// Adds cookies to a response.
pub(crate) fn set_cookies(
    response: &mut Response,
    cookies: impl IntoIterator<Item = Cookie<'static>>,
) {
    for cookie in cookies {
        if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
}
