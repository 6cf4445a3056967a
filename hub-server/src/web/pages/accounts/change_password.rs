//! The page on which people change their password.

use std::sync::Arc;

use axum::{body::Bytes, extract::State, response::Response};
use http::StatusCode;
use hub_auth::local::{ChangeRefused, LocalAccount};
use hub_store::Session;
use minijinja::context;
use secrecy::SecretString;

use super::{PageResult, local, new_password, sentence, told, wait_text, with_retry_after};
use crate::{
    access::attempts,
    accounts::passwords::{self, NotChanged},
    hub::Hub,
    web::{error::PageError, request::Fields, visitor::Visitor},
};

/// `GET /hub/change-password`
pub(super) async fn show(State(hub): State<Arc<Hub>>, visitor: Visitor) -> PageResult {
    visitor.require_user()?;
    local(&hub)?;
    own(&hub, &visitor).await?;
    Ok(form(&hub, &visitor, StatusCode::OK, None))
}

/// `POST /hub/change-password`
pub(super) async fn submit(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
    body: Bytes,
) -> PageResult {
    visitor.require_user()?;
    let config = local(&hub)?;
    let fields = Fields::parse(&body);
    visitor.require_xsrf(&fields)?;
    let (session, account) = own(&hub, &visitor).await?;
    let again = |status, error: &str| form(&hub, &visitor, status, Some(error));
    let new = match new_password(&fields) {
        Ok(new) => new,
        Err(error) => return Ok(again(StatusCode::BAD_REQUEST, error)),
    };
    let remote = &visitor.browser.remote;
    if let Some(wait) = attempts::wait(&hub, remote).await? {
        let page = again(StatusCode::TOO_MANY_REQUESTS, &wait_text(wait));
        return Ok(with_retry_after(page, wait));
    }
    let current = SecretString::from(fields.get("current_password").unwrap_or_default().to_owned());
    match passwords::change(&hub, &config, session, account, current, new).await {
        Ok(()) => Ok(told(
            &visitor,
            "Your password is changed",
            "You are still signed in here. In all other browsers you have to sign in again, and tokens that you have made are worth nothing any more.",
            ("Home", hub.paths.home()),
        )),
        Err(NotChanged::Refused(error @ ChangeRefused::WrongPassword)) => {
            attempts::failed(&hub, remote).await?;
            Ok(again(StatusCode::FORBIDDEN, &sentence(&error.to_string())))
        }
        Err(NotChanged::Refused(ChangeRefused::OtherTicket)) => {
            Ok(again(StatusCode::CONFLICT, "The password was changed a moment ago."))
        }
        Err(NotChanged::Refused(error)) => {
            Ok(again(StatusCode::BAD_REQUEST, &sentence(&error.to_string())))
        }
        Err(NotChanged::Wait(wait)) => {
            let page = again(StatusCode::TOO_MANY_REQUESTS, &wait_text(wait));
            Ok(with_retry_after(page, wait))
        }
        // There was no link.
        Err(NotChanged::Ticket(problem)) => {
            Ok(again(StatusCode::CONFLICT, &sentence(&problem.to_string())))
        }
        Err(NotChanged::Failed(error)) => Err(error.into()),
    }
}

/// The session and the account of whoever is signed in.
pub(super) async fn own<'v>(
    hub: &Hub,
    visitor: &'v Visitor,
) -> Result<(&'v Session, LocalAccount), PageError> {
    if let Some(session) = &visitor.session
        && let Some(account) = passwords::own(hub, session).await?
    {
        return Ok((session, account));
    }
    Err(PageError::new(StatusCode::NOT_FOUND, "This hub does not keep your password.")
        .hint("You sign in by another site or by the hub's configuration; change it there.")
        .action("Home", hub.paths.home()))
}

fn form(hub: &Hub, visitor: &Visitor, status: StatusCode, error: Option<&str>) -> Response {
    let page = context! {
        heading => "Change your password",
        form_action => hub.paths.change_password(),
        asks_current => true,
        account => visitor.session.as_ref().map(|session| session.user.name.to_string()),
        minimum_length => hub.live().local.map(|local| local.sign_up.passwords.min_chars),
        password_error => error,
        cancel_url => hub.paths.home(),
        second_factor_url => hub.paths.second_factor(),
    };
    visitor.page(status, "change-password.html", page)
}
