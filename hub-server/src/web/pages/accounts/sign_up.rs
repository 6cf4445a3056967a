//! The page on which people make an account: for themselves, with an invitation, or
//! as the first administrator.

use std::sync::Arc;

use axum::{body::Bytes, extract::State, http::Uri, response::Response};
use http::StatusCode;
use hub_auth::{
    Answer,
    local::{AccountStatus, Purpose, SignUpMode, SignUpRefused},
};
use minijinja::context;

use super::{
    PageResult, TOKEN, bad_link, local, new_password, presented, second_step, sentence, told,
    wait_text, with_retry_after,
};
use crate::{
    access::attempts,
    accounts::{
        PROVIDER,
        links::Presented,
        making::{self, NotMade, Wish},
    },
    config::LocalConfig,
    hub::Hub,
    sign_in::{self, SignInError},
    web::{
        error::{PageError, redirect},
        pages::{login, refused},
        request::Fields,
        visitor::Visitor,
    },
};

/// `GET /hub/signup`
pub(super) async fn show(State(hub): State<Arc<Hub>>, visitor: Visitor, uri: Uri) -> PageResult {
    let config = local(&hub)?;
    let query = Fields::of_query(&uri);
    let secret = query.get(TOKEN);
    if secret.is_none() && visitor.session.is_some() {
        return Ok(redirect(&hub.paths.home()));
    }
    let ticket = ticket(&hub, &config, secret).await?;
    let username = only_name(ticket.as_ref()).unwrap_or_default();
    Ok(form(&hub, &visitor, ticket.as_ref(), secret, StatusCode::OK, &username, None))
}

/// `POST /hub/signup`
pub(super) async fn submit(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
    body: Bytes,
) -> PageResult {
    let config = local(&hub)?;
    let fields = Fields::parse(&body);
    let secret = fields.get(TOKEN).filter(|secret| !secret.is_empty());
    let ticket = ticket(&hub, &config, secret).await?;
    let username = fields.get("username").unwrap_or_default().trim().to_owned();
    let again = |status, error: &str| {
        form(&hub, &visitor, ticket.as_ref(), secret, status, &username, Some(error))
    };
    if visitor.check_xsrf(&fields).is_err() {
        return Ok(again(StatusCode::FORBIDDEN, "The form is too old. Try again."));
    }
    let password = match new_password(&fields) {
        Ok(password) => password,
        Err(error) => return Ok(again(StatusCode::BAD_REQUEST, error)),
    };
    // Whoever has a link was asked to come; a class with one sits behind one address.
    let remote = &visitor.browser.remote;
    if ticket.is_none() {
        if let Some(wait) = attempts::wait(&hub, remote).await? {
            let page = again(StatusCode::TOO_MANY_REQUESTS, &wait_text(wait));
            return Ok(with_retry_after(page, wait));
        }
        attempts::failed(&hub, remote).await?;
    }
    let wish =
        Wish { username: username.clone(), password: password.clone(), ticket: ticket.clone() };
    let made = match making::sign_up(&hub, &hub.live(), &config, wish).await {
        Ok(made) => made,
        Err(NotMade::Refused(error)) => {
            return Ok(again(status_of(&error), &sentence(&error.to_string())));
        }
        Err(NotMade::Ticket(problem)) => return Err(bad_link(&hub, problem)),
        Err(NotMade::Failed(error)) => return Err(error.into()),
    };
    if made.account.status != AccountStatus::Active {
        return Ok(told(
            &visitor,
            "Your account waits for approval",
            "An administrator of this hub has to approve it. After that you can sign in with the name and the password that you have chosen.",
            ("Sign in", hub.paths.login(None)),
        ));
    }
    let live = hub.live();
    let Some(authenticator) = live.authenticator(PROVIDER) else {
        return Ok(redirect(&hub.paths.login(None)));
    };
    let answer = Answer::Form { username, password };
    match sign_in::finish(&hub, authenticator.as_ref(), answer, None).await {
        Ok(user) => {
            let provider = authenticator.provider();
            login::signed_in(&hub, &visitor, &user, provider, &hub.paths.home()).await
        }
        Err(SignInError::SecondFactor(needed)) => {
            second_step::begin(&hub, &needed, Some(&hub.paths.home())).await
        }
        Err(error) => Err(refused::page(&hub, error)),
    }
}

/// The link, if one came along, unless nobody could sign up with it or without.
async fn ticket(
    hub: &Hub,
    config: &LocalConfig,
    secret: Option<&str>,
) -> Result<Option<Presented>, PageError> {
    let ticket = match secret {
        Some(secret) => Some(presented(hub, secret).await?),
        None => None,
    };
    let refusal = match (ticket.as_ref().map(|ticket| &ticket.purpose), config.sign_up.mode) {
        (Some(Purpose::SetUp { .. }), _) => None,
        (Some(Purpose::Reset { .. } | Purpose::SecondFactor { .. }), _) => {
            Some(SignUpRefused::OtherTicket)
        }
        (_, SignUpMode::Closed) => Some(SignUpRefused::Closed),
        (None, SignUpMode::Invitation) => Some(SignUpRefused::NotInvited),
        (Some(Purpose::Invitation { .. }), _) | (None, _) => None,
    };
    match refusal {
        None => Ok(ticket),
        Some(refusal) => Err(PageError::new(StatusCode::FORBIDDEN, sentence(&refusal.to_string()))
            .action("Sign in", hub.paths.login(None))),
    }
}

/// The only name that a link is for.
fn only_name(ticket: Option<&Presented>) -> Option<String> {
    match &ticket?.purpose {
        Purpose::Invitation { name, .. } | Purpose::SetUp { name } => {
            name.as_ref().map(ToString::to_string)
        }
        Purpose::Reset { .. } | Purpose::SecondFactor { .. } => None,
    }
}

fn form(
    hub: &Hub,
    visitor: &Visitor,
    ticket: Option<&Presented>,
    secret: Option<&str>,
    status: StatusCode,
    username: &str,
    error: Option<&str>,
) -> Response {
    let is_set_up = ticket.is_some_and(|one| matches!(one.purpose, Purpose::SetUp { .. }));
    let live = hub.live();
    let config = live.local.as_ref();
    let page = context! {
        form_action => hub.paths.sign_up(None),
        login_url => hub.paths.login(None),
        token => secret,
        first_admin => is_set_up,
        invited => ticket.is_some() && !is_set_up,
        approval => ticket.is_none()
            && config.is_some_and(|config| config.sign_up.mode == SignUpMode::Approval),
        minimum_length => config.map(|config| config.sign_up.passwords.min_chars),
        username => username,
        only_name => only_name(ticket),
        sign_up_error => error,
    };
    visitor.page_with_fresh_xsrf(status, "signup.html", page)
}

fn status_of(refusal: &SignUpRefused) -> StatusCode {
    match refusal {
        SignUpRefused::NotAvailable => StatusCode::CONFLICT,
        SignUpRefused::Name(_) | SignUpRefused::Password(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::FORBIDDEN,
    }
}
