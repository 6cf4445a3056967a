//! Sign-in by way of another service: there and back again (OAU-1 to OAU-6).

use std::sync::Arc;

use axum::{
    extract::State,
    http::Uri,
    response::{IntoResponse as _, Response},
};
use cookie::Cookie;
use http::StatusCode;
use hub_auth::{Answer, AuthError, Callback, Offer, PendingLogin};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{
    default_target,
    login::{gone, signed_in},
    refused,
};
use crate::{
    access::browser::{cookie_names, cookies},
    hub::Hub,
    live::Live,
    sign_in,
    web::{
        error::{PageError, redirect},
        request::Fields,
        visitor::{Visitor, set_cookies},
    },
};

/// Start of the cookies' names; each sign-in under way has one of its own, so
/// that two tabs do not overwrite each other.
pub(in crate::web) const COOKIE_PREFIX: &str = "oauthenticator-state-";
/// How many sign-ins one browser may have under way.
const MOST_PENDING: usize = 5;
/// How long a sign-in may take, in seconds.
const PENDING_SECONDS: i64 = 600;

/// What is kept, encrypted, in the browser between the two halves.
#[derive(Serialize, Deserialize)]
struct Pending {
    provider: String,
    login: PendingLogin,
    next: Option<String>,
    /// Unix seconds; the browser's own clock is not believed.
    expires: i64,
}

/// `GET /hub/oauth_login`
pub(super) async fn begin(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, PageError> {
    let query = Fields::of_query(&uri);
    let redirects =
        |one: &&Arc<dyn hub_auth::Authenticator>| matches!(one.offer(), Offer::Redirect { .. });
    let live = hub.live();
    let authenticator = match query.get("provider") {
        Some(provider) => live.authenticator(provider).filter(redirects),
        None => live.methods.iter().find(redirects),
    }
    .ok_or_else(PageError::not_found)?;

    let start = authenticator
        .begin()
        .await
        .map_err(|error| refused::page(&hub, error.into()))?
        .ok_or_else(PageError::not_found)?;
    let name = cookie_name(start.pending.state_id());
    let pending = Pending {
        provider: authenticator.provider().to_owned(),
        next: visitor.next(query.get("next")),
        login: start.pending,
        expires: hub.clock.now().as_second() + PENDING_SECONDS,
    };
    let sealed = hub.keys.seal(&name, &pending).ok_or_else(|| {
        PageError::new(StatusCode::INTERNAL_SERVER_ERROR, "The sign-in could not be started.")
    })?;
    let mut cookie = Cookie::new(name, sealed);
    cookie.set_path(hub.paths.hub());
    cookie.set_http_only(true);
    cookie.set_secure(hub.https);
    cookie.set_same_site(cookie::SameSite::Lax);
    cookie.set_max_age(cookie::time::Duration::seconds(PENDING_SECONDS));

    let mut response = redirect(start.redirect.as_str());
    set_cookies(&mut response, too_many(&hub, &visitor));
    set_cookies(&mut response, [cookie]);
    Ok(response)
}

/// `GET /hub/oauth_callback`
pub(super) async fn finish(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, PageError> {
    let live = hub.live();
    if !live.methods.iter().any(|one| matches!(one.offer(), Offer::Redirect { .. })) {
        return Err(PageError::not_found());
    }
    let query = Fields::of_query(&uri);
    let callback = Callback {
        code: query.get("code").map(|code| SecretString::from(code.to_owned())),
        state: query.get("state").map(str::to_owned),
        error: query.get("error").map(str::to_owned),
        error_description: query.get("error_description").map(str::to_owned),
        iss: query.get("iss").map(str::to_owned),
    };
    let state_id = callback.state_id().ok_or_else(|| {
        refused::page(
            &hub,
            AuthError::Stale { reason: "the address has no state of a sign-in" }.into(),
        )
    })?;
    let name = cookie_name(&state_id);
    // One use, whatever comes of it: the same callback again finds no cookie.
    let used = gone(name.clone(), hub.paths.hub());
    let mut response = come_back(&hub, &live, &visitor, &name, callback).await.into_response();
    set_cookies(&mut response, [used]);
    Ok(response)
}

/// The sign-in that the cookie `name` began ends with what the provider says.
async fn come_back(
    hub: &Hub,
    live: &Live,
    visitor: &Visitor,
    name: &str,
    callback: Callback,
) -> Result<Response, PageError> {
    let pending = cookies(visitor.headers(), name)
        .into_iter()
        .find_map(|sealed| hub.keys.open::<Pending>(name, sealed))
        .filter(|pending| pending.expires > hub.clock.now().as_second())
        .ok_or_else(|| stale(hub, visitor))?;
    let authenticator = live.authenticator(&pending.provider).ok_or_else(PageError::not_found)?;

    let answer = Answer::Callback { pending: pending.login, callback };
    let user = sign_in::finish(hub, authenticator.as_ref(), answer, None)
        .await
        .map_err(|error| refused::page(hub, error))?;
    let target = pending.next.unwrap_or_else(|| default_target(hub, &user.name, &Uri::default()));
    signed_in(hub, visitor, &user, authenticator.provider(), &target).await
}

/// Makes a browser forget all sign-ins that it has under way.
pub(super) fn forget_all(hub: &Hub, visitor: &Visitor) -> Vec<Cookie<'static>> {
    let names = cookie_names(visitor.headers(), COOKIE_PREFIX);
    names.into_iter().map(|name| gone(name, hub.paths.hub())).collect()
}

/// Forgets those for which there is no room beside one more: what cannot be a sign-in any
/// more, and of the others those that began first.
fn too_many(hub: &Hub, visitor: &Visitor) -> Vec<Cookie<'static>> {
    let now = hub.clock.now().as_second();
    let expiry = |name: &str| {
        let values = cookies(visitor.headers(), name).into_iter();
        let opened = values.filter_map(|sealed| hub.keys.open::<Pending>(name, sealed));
        opened.map(|pending| pending.expires).filter(|expires| *expires > now).max()
    };
    let names = cookie_names(visitor.headers(), COOKIE_PREFIX).into_iter();
    let mut under_way: Vec<(Option<i64>, String)> =
        names.map(|name| (expiry(&name), name)).collect();
    under_way.sort_unstable();
    let kept = under_way.iter().rev().take_while(|(expires, _)| expires.is_some()).count();
    under_way.truncate(under_way.len() - kept.min(MOST_PENDING - 1));
    under_way.into_iter().map(|(_, name)| gone(name, hub.paths.hub())).collect()
}

fn cookie_name(state_id: &str) -> String {
    format!("{COOKIE_PREFIX}{state_id}")
}

/// The cookie is missing: the causes, most likely first.
fn stale(hub: &Hub, visitor: &Visitor) -> PageError {
    let again = hub.paths.login(None);
    PageError::new(StatusCode::BAD_REQUEST, "This browser has no sign-in under way that fits.")
        .hint(format!(
            "The sign-in must begin and end on the same address. You are on {}; if you began on another name of this hub, or with http instead of https, use this one from the start.",
            visitor.own_origin()
        ))
        .hint("A sign-in is valid for ten minutes and can be used once.")
        .hint("The browser must accept cookies from this hub.")
        .action("Start again", again)
}
