//! Sign-in with a form, and sign-out.

use std::{sync::Arc, time::Duration};

use axum::{body::Bytes, extract::State, http::Uri, response::Response};
use cookie::Cookie;
use http::{HeaderValue, StatusCode, header};
use hub_auth::{AuthError, Landing, MethodKind};
use minijinja::{Value, context};
use secrecy::SecretString;
use tokio::time::Instant;
use url::Url;

use super::{accounts, default_target, oauth_callback, refused};
use crate::{
    access::{browser::cookies, session, xsrf},
    auth_state,
    hub::Hub,
    live::Live,
    metrics::Work,
    sign_in::{self, SignInError, Tried},
    web::{
        error::{PageError, redirect},
        layers::printable,
        request::Fields,
        visitor::{Visitor, set_cookies},
    },
};

/// Cookie that lets the start page start a server at once although the browser
/// came from GitHub.
pub(in crate::web) const FRESH_COOKIE: &str = "hub-signed-in";
/// How long that is, in seconds.
const FRESH_SECONDS: i64 = 60;
/// Cookie that says that somebody has just signed out and was sent elsewhere.
pub(in crate::web) const SIGNED_OUT_COOKIE: &str = "hub-signed-out";
/// How long the way there and back may take, in seconds.
const SIGNED_OUT_SECONDS: i64 = 600;
/// Largest sign-in form, in bytes.
const FORM_LIMIT: usize = 16 * 1024;

/// `GET /hub/login`
pub(super) async fn show(State(hub): State<Arc<Hub>>, visitor: Visitor, uri: Uri) -> Response {
    let query = Fields::of_query(&uri);
    let next = visitor.next(query.get("next"));
    if let Some(own) = &visitor.session {
        let target = next.unwrap_or_else(|| default_target(&hub, &own.user.name, &uri));
        let mut response = redirect(&target);
        // A browser that lost it would have no place among the tokens of its session.
        if cookies(visitor.headers(), session::SESSION_ID_COOKIE).is_empty() {
            let id = own.session_id.clone();
            set_cookies(&mut response, [session::session_id_cookie(&hub, id)]);
        }
        return response;
    }
    let live = hub.live();
    let signed_out = !cookies(visitor.headers(), SIGNED_OUT_COOKIE).is_empty();
    let of_client = || next.as_deref().is_some_and(|next| next.starts_with(&authorize(&hub)));
    let at_once = live.auto_login || live.auto_login_of_clients && of_client();
    if let Landing::GoOn(only) = live.methods.landing(at_once, signed_out) {
        return redirect(&hub.paths.oauth_login(&only.id, next.as_deref()));
    }
    let page = form(&hub, next.as_deref(), "", None);
    let mut response = visitor.page_with_fresh_xsrf(StatusCode::OK, "login.html", page);
    if signed_out {
        set_cookies(&mut response, [gone(SIGNED_OUT_COOKIE, hub.paths.login(None))]);
    }
    response
}

/// Where notebook servers and services send people to.
fn authorize(hub: &Hub) -> String {
    hub.paths.in_hub("api/oauth2/authorize?")
}

/// `POST /hub/login`
pub(super) async fn submit(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
    uri: Uri,
    body: Bytes,
) -> Result<Response, PageError> {
    if body.len() > FORM_LIMIT {
        return Err(PageError::new(StatusCode::PAYLOAD_TOO_LARGE, "The form is too large."));
    }
    // Whoever is signed in by another site would work in somebody else's account.
    if is_cross_site(&visitor) {
        return Err(PageError::new(StatusCode::FORBIDDEN, "Another site asked to sign you in.")
            .action("Sign in", hub.paths.login(None)));
    }
    let fields = Fields::parse(&body);
    let query = Fields::of_query(&uri);
    let next = visitor.next(query.get("next").or_else(|| fields.get("next")));
    let username = fields.get("username").unwrap_or_default().trim().to_owned();
    let again = |status, error: &str| {
        let page = form(&hub, next.as_deref(), &username, Some(error));
        visitor.page_with_fresh_xsrf(status, "login.html", page)
    };
    if visitor.check_xsrf(&fields).is_err() {
        return Ok(again(StatusCode::FORBIDDEN, "Login form invalid or expired. Try again."));
    }
    let live = hub.live();
    let Some(authenticator) = live.methods.form() else {
        return Err(PageError::new(StatusCode::NOT_FOUND, "This hub has no sign-in by password.")
            .action("Sign in", hub.paths.login(next.as_deref())));
    };
    let too_many = |wait: Duration| {
        let minutes = wait.as_secs().div_ceil(60).max(1);
        let text = format!("Too many failed tries. Wait {minutes} min and try again.");
        let mut response = again(StatusCode::TOO_MANY_REQUESTS, &text);
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        response
    };
    let remote = &visitor.browser.remote;
    let password = SecretString::from(fields.get("password").unwrap_or_default().to_owned());
    // In one go, as JupyterHub's form with `request_otp` and NativeAuthenticator's send it.
    let code = fields.get("otp").or_else(|| fields.get("2fa")).filter(|code| !code.is_empty());
    let tried = Tried { remote, username: &username, password, code };
    match sign_in::with_password(&hub, authenticator.as_ref(), tried).await {
        Ok(user) => {
            let target = next.unwrap_or_else(|| default_target(&hub, &user.name, &uri));
            signed_in(&hub, &visitor, &user, authenticator.provider(), &target).await
        }
        Err(SignInError::Auth(AuthError::BadCredentials)) => {
            tracing::warn!(user = %printable(&username), remote, "sign-in failed");
            Ok(again(StatusCode::FORBIDDEN, "Invalid username or password"))
        }
        Err(SignInError::Auth(AuthError::TooManyTries { retry_after })) => {
            Ok(too_many(retry_after))
        }
        Err(SignInError::SecondFactor(needed)) => {
            accounts::second_step::begin(&hub, &needed, next.as_deref()).await
        }
        Err(error) => Err(refused::page(&hub, error)),
    }
}

/// Whether the browser says that a page of another site made the request.
fn is_cross_site(visitor: &Visitor) -> bool {
    visitor.headers().get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}

/// `GET /hub/logout`
pub(super) async fn sign_out(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
) -> Result<Response, PageError> {
    // It is a plain link, so another site could make the browser follow it.
    if is_cross_site(&visitor) {
        return Err(PageError::new(StatusCode::FORBIDDEN, "Another site asked to sign you out.")
            .action("Sign out", hub.paths.in_hub("logout"))
            .action("Home", hub.paths.home()));
    }
    let began = Instant::now();
    session::end(&hub, visitor.headers()).await?;
    if let Some(session) = &visitor.session {
        tracing::info!(user = %session.user.name, "signed out");
        if hub.live().limits.shutdown_on_logout {
            for key in hub.servers.active_of(&session.user.name) {
                // The stop goes on by itself.
                hub.servers.stop(&key).await;
            }
        }
    }
    let live = hub.live();
    let elsewhere = match &visitor.session {
        Some(session) => sign_out_elsewhere(&hub, &live, &visitor, &session.user).await?,
        None => None,
    };
    let services: Vec<String> = live
        .methods
        .offers()
        .into_iter()
        .filter(|one| one.kind == MethodKind::Redirect)
        .map(|one| one.label)
        .collect();
    let there = elsewhere.as_ref().map(Url::as_str).or(live.landing.after_sign_out.as_deref());
    let under_way = oauth_callback::forget_all(&hub, &visitor);
    // Where only a service knows who somebody is, it may know it still: that is said.
    // Else it is the sign-in page at once, as in JupyterHub.
    let mut response = match (there, live.methods.form()) {
        (Some(there), _) => {
            let mut response = redirect(there);
            set_cookies(&mut response, [gone(xsrf::XSRF, hub.paths.hub()), signed_out(&hub)]);
            response
        }
        (None, Some(_)) => {
            let mut response = redirect(&hub.paths.login(None));
            set_cookies(&mut response, [gone(xsrf::XSRF, hub.paths.hub())]);
            response
        }
        (None, None) => visitor.signed_out().page_with_fresh_xsrf(
            StatusCode::OK,
            "logout.html",
            context! { services => services },
        ),
    };
    set_cookies(
        &mut response,
        [gone_login(&hub), gone_everywhere(&hub, session::SESSION_ID_COOKIE)],
    );
    set_cookies(&mut response, under_way);
    hub.metrics.took(Work::Logout, began.elapsed());
    Ok(response)
}

/// Where to send the browser so that the person is signed out at the provider as well,
/// if the operator wants that and the provider has such a page. A provider that does
/// not answer keeps nobody signed in here.
async fn sign_out_elsewhere(
    hub: &Hub,
    live: &Live,
    visitor: &Visitor,
    user: &hub_store::User,
) -> Result<Option<Url>, PageError> {
    let after = live.landing.after_sign_out.clone().unwrap_or_else(|| hub.paths.login(None));
    let own = hub.public_url.clone().or_else(|| Url::parse(&visitor.own_origin()).ok());
    let Some(then) = own.and_then(|origin| origin.join(&after).ok()) else { return Ok(None) };
    for provider in &live.sign_out_at {
        let Some(authenticator) = live.authenticator(provider) else { continue };
        if hub.store.users().subject_of(user.id, provider).await?.is_none() {
            continue;
        }
        let kept = match &live.auth_state {
            Some(config) => auth_state::of(&hub.store, config, user.id).await?,
            None => None,
        };
        let state = kept.as_ref().map(|opened| &opened.state);
        match authenticator.sign_out_url(state, &then).await {
            Ok(Some(url)) => return Ok(Some(url)),
            Ok(None) => tracing::debug!(provider, "has no page to sign out"),
            Err(error) => {
                let error = &error as &(dyn std::error::Error + 'static);
                tracing::warn!(provider, error, "nobody can be signed out there now");
            }
        }
    }
    Ok(None)
}

/// Keeps the sign-in page from going on to the provider by itself, which would undo the
/// sign-out (OAU-7).
fn signed_out(hub: &Hub) -> Cookie<'static> {
    let mut cookie = Cookie::new(SIGNED_OUT_COOKIE, "1");
    cookie.set_path(hub.paths.login(None));
    cookie.set_http_only(true);
    cookie.set_secure(hub.https);
    cookie.set_same_site(cookie::SameSite::Lax);
    cookie.set_max_age(cookie::time::Duration::seconds(SIGNED_OUT_SECONDS));
    cookie
}

/// The answer to a successful sign-in by `provider`: new session, new XSRF token, and on.
pub(super) async fn signed_in(
    hub: &Hub,
    visitor: &Visitor,
    user: &hub_store::User,
    provider: &str,
    target: &str,
) -> Result<Response, PageError> {
    let (session_id, cookies) = session::begin(hub, user, provider, visitor.headers()).await?;
    let identity = xsrf::Identity::Session(session_id);
    let token = xsrf::fresh(hub, &identity);
    let mut fresh = Cookie::new(FRESH_COOKIE, "1");
    fresh.set_path(hub.paths.in_hub("spawn"));
    fresh.set_http_only(true);
    fresh.set_secure(hub.https);
    fresh.set_same_site(cookie::SameSite::Lax);
    fresh.set_max_age(cookie::time::Duration::seconds(FRESH_SECONDS));
    let mut response = redirect(target);
    set_cookies(&mut response, cookies);
    set_cookies(&mut response, [xsrf::cookie(hub, token, &identity), fresh]);
    tracing::info!(user = %user.name, "signed in");
    Ok(response)
}

/// A cookie that makes the browser forget one.
pub(super) fn gone(
    name: impl Into<std::borrow::Cow<'static, str>>,
    path: String,
) -> Cookie<'static> {
    let mut cookie = Cookie::new(name, "");
    cookie.set_path(path);
    cookie.set_max_age(cookie::time::Duration::ZERO);
    cookie
}

/// The same for the one that says who somebody is.
fn gone_login(hub: &Hub) -> Cookie<'static> {
    let mut cookie = session::login_cookie(hub, String::new());
    cookie.set_max_age(cookie::time::Duration::ZERO);
    cookie
}

/// The same for one that servers on hosts of their own read, too.
fn gone_everywhere(hub: &Hub, name: &'static str) -> Cookie<'static> {
    let mut cookie = gone(name, hub.paths.base().to_owned());
    if let Some(hosts) = hub.paths.subdomains() {
        cookie.set_domain(hosts.domain().to_owned());
    }
    cookie
}

fn form(hub: &Hub, next: Option<&str>, username: &str, error: Option<&str>) -> Value {
    let offers: Vec<Value> = hub
        .live()
        .methods
        .offers()
        .into_iter()
        .map(|one| match one.kind {
            MethodKind::Form => context! { kind => "form" },
            MethodKind::Redirect => context! {
                kind => "redirect",
                service => one.label,
                url => hub.paths.oauth_login(&one.id, next),
            },
        })
        .collect();
    context! {
        offers => offers,
        form_action => hub.paths.login(next),
        sign_up_url => accounts::sign_up_url(hub),
        username => username,
        login_error => error,
        next => next,
    }
}
