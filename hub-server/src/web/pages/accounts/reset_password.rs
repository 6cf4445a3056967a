//! The page on which somebody with a link from an administrator chooses a password.

use std::sync::Arc;

use axum::{body::Bytes, extract::State, http::Uri, response::Response};
use http::StatusCode;
use hub_auth::local::{ChangeRefused, LocalAccount, TicketProblem};
use minijinja::context;

use super::{PageResult, TOKEN, bad_link, local, new_password, presented, sentence, told};
use crate::{
    accounts::{
        links::Presented,
        passwords::{self, NotChanged},
    },
    hub::Hub,
    web::{error::PageError, request::Fields, visitor::Visitor},
};

/// `GET /hub/reset-password?token=`
pub(super) async fn show(State(hub): State<Arc<Hub>>, visitor: Visitor, uri: Uri) -> PageResult {
    local(&hub)?;
    let query = Fields::of_query(&uri);
    let secret = query.get(TOKEN).unwrap_or_default();
    let (_, account) = link(&hub, secret).await?;
    Ok(form(&hub, &visitor, &account, secret, StatusCode::OK, None))
}

/// `POST /hub/reset-password`
pub(super) async fn submit(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
    body: Bytes,
) -> PageResult {
    let config = local(&hub)?;
    let fields = Fields::parse(&body);
    let secret = fields.get(TOKEN).unwrap_or_default();
    let (ticket, account) = link(&hub, secret).await?;
    let again = |status, error: &str| form(&hub, &visitor, &account, secret, status, Some(error));
    if visitor.check_xsrf(&fields).is_err() {
        return Ok(again(StatusCode::FORBIDDEN, "The form is too old. Try again."));
    }
    let new = match new_password(&fields) {
        Ok(new) => new,
        Err(error) => return Ok(again(StatusCode::BAD_REQUEST, error)),
    };
    match passwords::reset(&hub, &config, account.clone(), ticket, new).await {
        Ok(()) => Ok(told(
            &visitor.signed_out(),
            "Your password is set",
            "Sign in with it now. Wherever you were signed in, you have to do so again.",
            ("Sign in", hub.paths.login(None)),
        )),
        Err(NotChanged::Refused(ChangeRefused::OtherTicket)) => {
            Err(bad_link(&hub, TicketProblem::Expired))
        }
        Err(NotChanged::Refused(error)) => {
            Ok(again(StatusCode::BAD_REQUEST, &sentence(&error.to_string())))
        }
        Err(NotChanged::Ticket(problem)) => Err(bad_link(&hub, problem)),
        Err(NotChanged::Wait(_)) => Err(bad_link(&hub, TicketProblem::Unknown)),
        Err(NotChanged::Failed(error)) => Err(error.into()),
    }
}

/// The link and the account whose password it is for.
async fn link(hub: &Hub, secret: &str) -> Result<(Presented, LocalAccount), PageError> {
    let ticket = presented(hub, secret).await?;
    match passwords::of_link(hub, &ticket).await? {
        Some(account) => Ok((ticket, account)),
        None => Err(bad_link(hub, TicketProblem::Expired)),
    }
}

fn form(
    hub: &Hub,
    visitor: &Visitor,
    account: &LocalAccount,
    secret: &str,
    status: StatusCode,
    error: Option<&str>,
) -> Response {
    let page = context! {
        heading => "Choose a password",
        form_action => hub.paths.reset_password(None),
        asks_current => false,
        token => secret,
        account => account.name.as_str(),
        minimum_length => hub.live().local.map(|local| local.sign_up.passwords.min_chars),
        password_error => error,
        cancel_url => hub.paths.login(None),
    };
    visitor.page_with_fresh_xsrf(status, "change-password.html", page)
}
