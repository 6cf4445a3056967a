//! The page of a sign-in that did not succeed.

use http::StatusCode;
use hub_auth::AuthError;

use crate::{
    hub::Hub,
    sign_in::SignInError,
    web::{error::PageError, layers::printable},
};

/// The page that tells the person, and the line that tells the operator.
pub(super) fn page(hub: &Hub, error: SignInError) -> PageError {
    let again = hub.paths.login(None);
    tracing::warn!(reason = %printable(&error.to_string()), error = &error as &(dyn std::error::Error + 'static), "sign-in refused");
    let page = |status, message: String| {
        PageError::new(status, message).action("Start again", again.clone())
    };
    match error {
        SignInError::Store(error) => error.into(),
        SignInError::OtherPerson { account, provider } => page(
            StatusCode::FORBIDDEN,
            format!("The name {account:?} belongs to somebody else on this hub."),
        )
        .hint(format!(
            "It was used before by another {provider} account, or belongs to another way of signing in. If both are you, ask your administrator to join them."
        )),
        SignInError::Auth(error) => match error {
            AuthError::Denied { description } => {
                page(StatusCode::BAD_REQUEST, format!("The sign-in was not completed: {description}"))
            }
            AuthError::Stale { reason } => {
                page(StatusCode::BAD_REQUEST, format!("This sign-in cannot be continued: {reason}."))
                    .hint("Start again, in one window, and finish within ten minutes.")
            }
            AuthError::NotAllowed { user, reason } => {
                PageError::new(StatusCode::FORBIDDEN, format!("Sorry, {user}: you are not allowed to use this hub."))
                    .hint(reason)
                    .hint("Ask the administrator of this hub to add you.")
                    .action("Sign in as somebody else", again.clone())
            }
            AuthError::InvalidName { login, .. } => {
                page(StatusCode::FORBIDDEN, format!("{login:?} cannot be a user name on this hub."))
            }
            AuthError::BadCredentials => {
                page(StatusCode::FORBIDDEN, "Invalid username or password".to_owned())
            }
            AuthError::TooManyTries { .. } => {
                page(StatusCode::TOO_MANY_REQUESTS, "Too many failed tries.".to_owned())
            }
            AuthError::Unreachable { provider, .. } => page(
                StatusCode::BAD_GATEWAY,
                format!("{provider} is not answering. Your running server is not affected."),
            )
            .hint("Try again in a minute."),
            other => page(StatusCode::BAD_GATEWAY, format!("The sign-in failed: {other}"))
                .hint("If it happens again, tell the administrator of this hub: its log has the details."),
        },
    }
}
