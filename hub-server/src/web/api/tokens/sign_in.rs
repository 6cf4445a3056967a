//! Name and password in the body of a request, in place of a credential.

use http::HeaderMap;
use hub_auth::{Answer, AuthError};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    access::{Caller, attempts, browser::Browser},
    hub::Hub,
    sign_in::{self, SignInError},
    web::{error::ApiError, layers::printable},
};

/// What a form would have asked for.
#[derive(Deserialize)]
struct Form {
    username: String,
    password: SecretString,
}

/// Whoever the body says, if the password is right. It counts like a sign-in: the same
/// rules say who is let in, and the same limits hold for those who guess (security A1).
pub(super) async fn by_body(
    hub: &Hub,
    headers: &HeaderMap,
    auth: Option<&Value>,
) -> Result<Caller, ApiError> {
    let form = auth.and_then(|auth| Form::deserialize(auth).ok());
    let Form { username, password } = form.ok_or_else(ApiError::unauthenticated)?;
    let live = hub.live();
    let authenticator = live.methods.form().ok_or_else(ApiError::unauthenticated)?;
    let remote = Browser::from_headers(headers).remote;
    if let Some(wait) = attempts::wait(hub, &remote).await? {
        return Err(ApiError::too_many_tries(wait));
    }
    let username = username.trim().to_owned();
    let answer = Answer::Form { username: username.clone(), password };
    match sign_in::finish(hub, authenticator.as_ref(), answer).await {
        Ok(user) => Caller::signed_in(hub, user).await,
        Err(SignInError::Auth(AuthError::TooManyTries { retry_after })) => {
            attempts::failed(hub, &remote).await?;
            Err(ApiError::too_many_tries(retry_after))
        }
        Err(SignInError::Auth(AuthError::Busy { retry_after })) => {
            Err(ApiError::unavailable("Too many people are signing in at this moment; try again")
                .after(retry_after))
        }
        Err(SignInError::Store(error)) => Err(error.into()),
        Err(error) => {
            if matches!(error, SignInError::Auth(AuthError::BadCredentials)) {
                attempts::failed(hub, &remote).await?;
            }
            let user = printable(&username);
            tracing::warn!(user, remote, error = %error, "sign-in for a token failed");
            Err(ApiError::forbidden("Invalid username or password"))
        }
    }
}
