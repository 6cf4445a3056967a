//! The second step of a sign-in, after the right password and before any session: a code,
//! or a second factor to be set up.
//!
//! What is remembered of the first step is a secret link of the account, whose secret is in
//! a cookie: it is good in one browser, once, and for a few minutes, and a new password
//! ends it.

use std::sync::Arc;

use axum::{body::Bytes, extract::State, http::Uri, response::Response};
use cookie::Cookie;
use http::{StatusCode, header};
use hub_auth::local::{AccountStatus, Asked, LocalAccount, Purpose};
use hub_store::{StoreError, User};
use minijinja::{Value, context};

use super::{PageResult, qr, wait_text, with_retry_after};
use crate::{
    access::{attempts, browser::cookies},
    accounts::{
        PROVIDER, links, rules_of,
        second_factor::{self, Checked, Needed, Offer, TIME},
    },
    hub::Hub,
    sign_in,
    web::{
        error::{PageError, redirect},
        pages::{default_target, login, refused},
        request::Fields,
        visitor::{Visitor, set_cookies},
    },
};

/// Holds the secret of a sign-in whose password was right.
pub(in crate::web) const COOKIE: &str = "hub-second-step";

/// A sign-in that goes on.
struct Pending {
    account: LocalAccount,
    asked: Asked,
    ticket: [u8; 32],
    /// The account's owner before the code was looked at.
    before: Option<User>,
}

/// Takes the browser from the right password to what is asked for besides.
pub(in crate::web::pages) async fn begin(
    hub: &Hub,
    needed: &Needed,
    next: Option<&str>,
) -> Result<Response, PageError> {
    let purpose = second_factor::ticket_for(needed);
    let secret = links::issue(hub, purpose, TIME, 1).await?;
    let mut response = redirect(&hub.paths.second_step(next));
    set_cookies(&mut response, [cookie(hub, secret.expose().to_owned())]);
    Ok(response)
}

/// `GET /hub/login/code`
pub(super) async fn show(State(hub): State<Arc<Hub>>, visitor: Visitor, uri: Uri) -> PageResult {
    let next = visitor.next(Fields::of_query(&uri).get("next"));
    let Some(pending) = pending(&hub, &visitor).await? else {
        return Ok(redirect(&hub.paths.login(next.as_deref())));
    };
    match pending.asked {
        Asked::Code => Ok(code_form(&hub, &visitor, next.as_deref(), StatusCode::OK, None)),
        Asked::Enrolment => {
            let offer = second_factor::offer(&hub, &pending.account.id);
            enrolment(&hub, &visitor, &pending, next.as_deref(), StatusCode::OK, offer, None)
        }
    }
}

/// `POST /hub/login/code`
pub(super) async fn submit(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
    uri: Uri,
    body: Bytes,
) -> PageResult {
    let fields = Fields::parse(&body);
    let query = Fields::of_query(&uri);
    let next = visitor.next(query.get("next").or_else(|| fields.get("next")));
    let Some(pending) = pending(&hub, &visitor).await? else { return Err(too_late(&hub)) };
    let code = fields.get("otp").unwrap_or_default();
    match pending.asked {
        Asked::Code => {
            let again = |status, error: &str| {
                code_form(&hub, &visitor, next.as_deref(), status, Some(error))
            };
            if visitor.check_xsrf(&fields).is_err() {
                return Ok(again(StatusCode::FORBIDDEN, "The form is too old. Try again."));
            }
            let too_many = |wait| {
                with_retry_after(again(StatusCode::TOO_MANY_REQUESTS, &wait_text(wait)), wait)
            };
            let remote = &visitor.browser.remote;
            if let Some(wait) = attempts::wait(&hub, remote).await? {
                return Ok(too_many(wait));
            }
            let id = &pending.account.id;
            match second_factor::check(&hub, id, code, Some(&pending.ticket)).await {
                Ok(Checked::Right) => {
                    let (response, _) = signed_in(&hub, &visitor, &pending, next, &uri).await?;
                    Ok(response)
                }
                Ok(Checked::Wrong) => {
                    attempts::failed(&hub, remote).await?;
                    tracing::warn!(user = %pending.account.name, remote, "a second factor was wrong");
                    Ok(again(StatusCode::FORBIDDEN, WRONG))
                }
                Ok(Checked::Wait(wait)) => {
                    attempts::failed(&hub, remote).await?;
                    Ok(too_many(wait))
                }
                Err(StoreError::Missing { .. }) => Err(too_late(&hub)),
                Err(error) => Err(error.into()),
            }
        }
        Asked::Enrolment => {
            let id = pending.account.id.clone();
            let sealed = fields.get("offer").unwrap_or_default();
            let Some(offer) = second_factor::offered(&hub, &id, sealed) else {
                return Err(too_late(&hub));
            };
            if visitor.check_xsrf(&fields).is_err() {
                let error = Some("The form is too old. Try again.");
                let status = StatusCode::FORBIDDEN;
                return enrolment(
                    &hub,
                    &visitor,
                    &pending,
                    next.as_deref(),
                    status,
                    Some(offer),
                    error,
                );
            }
            let secret = offer.secret.clone();
            match second_factor::enrol(&hub, &id, secret, code, Some(&pending.ticket)).await {
                Ok(Some(codes)) => {
                    let (went, target) = signed_in(&hub, &visitor, &pending, next, &uri).await?;
                    let mut page = recovery_codes(&visitor, &codes, &target);
                    for cookie in went.headers().get_all(header::SET_COOKIE) {
                        page.headers_mut().append(header::SET_COOKIE, cookie.clone());
                    }
                    Ok(page)
                }
                Ok(None) => {
                    let (status, error) = (StatusCode::FORBIDDEN, Some(WRONG));
                    enrolment(&hub, &visitor, &pending, next.as_deref(), status, Some(offer), error)
                }
                Err(StoreError::Missing { .. } | StoreError::Conflict { .. }) => {
                    Err(too_late(&hub))
                }
                Err(error) => Err(error.into()),
            }
        }
    }
}

/// What is said of a code that is not taken.
pub(super) const WRONG: &str = "This code is wrong, or was used already. Wait for the next one.";

/// The page with new recovery codes; goes on to `target`.
pub(super) fn recovery_codes(visitor: &Visitor, codes: &[String], target: &str) -> Response {
    let page = context! { codes => codes.to_vec(), next_url => target };
    visitor.page(StatusCode::OK, "recovery-codes.html", page)
}

/// What a form needs to show the secret of an app.
pub(super) fn shown(visitor: &Visitor, account: &LocalAccount, offer: &Offer) -> Value {
    let origin = visitor.own_origin();
    let issuer = origin.split_once("://").map_or(origin.as_str(), |(_, host)| host);
    let uri = offer.secret.uri(issuer, account.name.as_str());
    let text = offer.secret.to_base32();
    let groups: Vec<&str> =
        (0..text.len()).step_by(4).filter_map(|at| text.get(at..text.len().min(at + 4))).collect();
    context! {
        qr => qr::svg(&uri).map(Value::from_safe_string),
        otpauth_url => uri,
        secret => groups.join(" "),
        offer => offer.sealed.as_str(),
    }
}

/// The sign-in that this browser has under way, if it can go on.
async fn pending(hub: &Hub, visitor: &Visitor) -> Result<Option<Pending>, StoreError> {
    for secret in cookies(visitor.headers(), COOKIE).into_iter().take(16) {
        let Ok(presented) = links::present(hub, secret).await? else { continue };
        let Purpose::SecondFactor { account_id, asked, sign_outs } = presented.purpose else {
            continue;
        };
        let accounts = hub.store.local_accounts();
        let Some(account) = accounts.by_id(&account_id).await?.map(rules_of) else { continue };
        if account.status != AccountStatus::Active {
            continue;
        }
        let before = accounts.owner(&account.name).await?;
        // The password was changed, or the account closed, while it was looked at.
        if before.as_ref().map(|owner| owner.sign_outs) != sign_outs {
            continue;
        }
        return Ok(Some(Pending { account, asked, ticket: presented.hash, before }));
    }
    Ok(None)
}

/// The session begins; the answer and where it goes.
async fn signed_in(
    hub: &Hub,
    visitor: &Visitor,
    pending: &Pending,
    next: Option<String>,
    uri: &Uri,
) -> Result<(Response, String), PageError> {
    let user = sign_in::finish_second(hub, &pending.account, pending.before.as_ref())
        .await
        .map_err(|error| refused::page(hub, error))?;
    let target = next.unwrap_or_else(|| default_target(hub, &user.name, uri));
    let mut response = login::signed_in(hub, visitor, &user, PROVIDER, &target).await?;
    let mut used = cookie(hub, String::new());
    used.set_max_age(cookie::time::Duration::ZERO);
    set_cookies(&mut response, [used]);
    Ok((response, target))
}

fn code_form(
    hub: &Hub,
    visitor: &Visitor,
    next: Option<&str>,
    status: StatusCode,
    error: Option<&str>,
) -> Response {
    let page = context! {
        form_action => hub.paths.second_step(next),
        cancel_url => hub.paths.login(next),
        code_error => error,
    };
    visitor.page_with_fresh_xsrf(status, "second-step.html", page)
}

fn enrolment(
    hub: &Hub,
    visitor: &Visitor,
    pending: &Pending,
    next: Option<&str>,
    status: StatusCode,
    offer: Option<Offer>,
    error: Option<&str>,
) -> PageResult {
    let offer = offer.ok_or_else(|| {
        PageError::new(StatusCode::INTERNAL_SERVER_ERROR, "The hub could not make a secret.")
    })?;
    let page = context! {
        is_needed => true,
        form_action => hub.paths.second_step(next),
        cancel_url => hub.paths.login(next),
        code_error => error,
        ..shown(visitor, &pending.account, &offer)
    };
    Ok(visitor.page_with_fresh_xsrf(status, "second-step.html", page))
}

fn too_late(hub: &Hub) -> PageError {
    PageError::new(StatusCode::FORBIDDEN, "This sign-in cannot go on.")
        .hint("The code has to follow the password within ten minutes, in the same browser, and once.")
        .action("Sign in", hub.paths.login(None))
}

fn cookie(hub: &Hub, secret: String) -> Cookie<'static> {
    let mut cookie = Cookie::new(COOKIE, secret);
    cookie.set_path(hub.paths.login(None));
    cookie.set_http_only(true);
    cookie.set_secure(hub.https);
    cookie.set_same_site(cookie::SameSite::Lax);
    let seconds = i64::try_from(TIME.as_secs()).unwrap_or(0);
    cookie.set_max_age(cookie::time::Duration::seconds(seconds));
    cookie
}
