//! Pages of accounts with the hub itself: make one, change or reset its password, and
//! what administrators do about them. At NativeAuthenticator's addresses.

mod authorize;
mod change_password;
mod qr;
mod reset_password;
mod second_factor;
pub(super) mod second_step;
mod sign_up;

use std::{sync::Arc, time::Duration};

use axum::{Router, response::Response, routing::get};
use http::{HeaderValue, StatusCode, header};
use hub_auth::local::{SignUpMode, TicketProblem};
use minijinja::context;
use secrecy::SecretString;

use crate::{
    accounts::{
        AccountsError,
        links::{self, Presented},
    },
    config::LocalConfig,
    hub::Hub,
    web::{error::PageError, request::Fields, visitor::Visitor},
};

pub(in crate::web) use self::second_step::COOKIE as SECOND_STEP_COOKIE;

type PageResult = Result<Response, PageError>;

/// The field of a form, and of a link's query, that holds the secret.
const TOKEN: &str = "token";

pub(super) fn routes(hub: &Hub) -> Router<Arc<Hub>> {
    let at = |path: &str| hub.paths.in_hub(path);
    Router::new()
        .route(&at("signup"), get(sign_up::show).post(sign_up::submit))
        .route(&at("authorize"), get(authorize::show).post(authorize::submit))
        .route(&at("change-password"), get(change_password::show).post(change_password::submit))
        .route(&at("second-factor"), get(second_factor::show).post(second_factor::submit))
        .route(&at("login/code"), get(second_step::show).post(second_step::submit))
        .route(&at("reset-password"), get(reset_password::show).post(reset_password::submit))
}

/// Where people without an account are told to make one, if everybody may.
pub(super) fn sign_up_url(hub: &Hub) -> Option<String> {
    let mode = hub.live().local?.sign_up.mode;
    matches!(mode, SignUpMode::Approval | SignUpMode::Open).then(|| hub.paths.sign_up(None))
}

/// The section of the configuration, or the page that says that there is none.
fn local(hub: &Hub) -> Result<LocalConfig, PageError> {
    hub.live().local.ok_or_else(|| {
        PageError::new(StatusCode::NOT_FOUND, "This hub has no accounts of its own.")
            .hint("Sign in the way you usually do; what keeps your password can change it.")
            .action("Home", hub.paths.home())
    })
}

/// The link that somebody came with, or the page that says what is wrong with it.
async fn presented(hub: &Hub, secret: &str) -> Result<Presented, PageError> {
    links::present(hub, secret).await?.map_err(|problem| bad_link(hub, problem))
}

fn bad_link(hub: &Hub, problem: TicketProblem) -> PageError {
    PageError::new(StatusCode::NOT_FOUND, sentence(&problem.to_string()))
        .hint("Links are good for a while and for a number of uses. Check that you have copied all of it.")
        .action("Sign in", hub.paths.login(None))
}

/// A page that only says something, with a button.
fn told(visitor: &Visitor, heading: &str, text: &str, button: (&str, String)) -> Response {
    let (label, url) = button;
    let page = context! { heading => heading, text => text, label => label, url => url };
    visitor.page(StatusCode::OK, "message.html", page)
}

/// The two fields for a new password, if they say the same.
fn new_password(fields: &Fields) -> Result<SecretString, &'static str> {
    let password = fields.get("password").unwrap_or_default();
    match fields.get("password_confirmation") {
        Some(again) if again == password => Ok(password.to_owned().into()),
        _ => Err("The two passwords are not the same."),
    }
}

/// What to tell somebody who has to wait.
fn wait_text(wait: Duration) -> String {
    let minutes = wait.as_secs().div_ceil(60).max(1);
    format!("Too many failed tries. Wait {minutes} min and try again.")
}

/// Says to programs, too, when to come again.
fn with_retry_after(mut response: Response, wait: Duration) -> Response {
    let seconds = HeaderValue::from(wait.as_secs().max(1));
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

/// The rules' text as a sentence on a page.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str().trim_end_matches('.'))
}

impl From<AccountsError> for PageError {
    fn from(error: AccountsError) -> Self {
        match error {
            AccountsError::Store(error) => error.into(),
            AccountsError::Busy => {
                let mut page = PageError::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Too many people are choosing a password at this moment.",
                )
                .hint("Nothing was changed. Try again in a few seconds.");
                page.retry_after = Some(10);
                page
            }
            AccountsError::Hashing(_) => {
                tracing::error!(
                    error = &error as &(dyn std::error::Error + 'static),
                    "a password could not be hashed"
                );
                PageError::new(StatusCode::INTERNAL_SERVER_ERROR, "The hub made a mistake.")
                    .hint("Try again. If it happens again, tell the administrator; the hub's log tells more.")
            }
        }
    }
}
