//! Name and password in the body of a request, in place of a credential.

use http::HeaderMap;
use hub_auth::{AuthError, local::Asked};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    access::{Caller, browser::Browser},
    accounts::second_factor::Needed,
    hub::Hub,
    sign_in::{self, SignInError, Tried},
    web::{error::ApiError, layers::printable},
};

/// What a form would have asked for.
#[derive(Deserialize)]
struct Form {
    username: String,
    password: SecretString,
    /// The code of a second factor, for who has one.
    otp: Option<String>,
}

/// Whoever the body says, if the password is right. It counts like a sign-in: the same
/// rules say who is let in, and the same limits hold for those who guess (security A1).
pub(super) async fn by_body(
    hub: &Hub,
    headers: &HeaderMap,
    auth: Option<&Value>,
) -> Result<Caller, ApiError> {
    let form = auth.and_then(|auth| Form::deserialize(auth).ok());
    let Form { username, password, otp } = form.ok_or_else(ApiError::unauthenticated)?;
    let live = hub.live();
    let authenticator = live.methods.form().ok_or_else(ApiError::unauthenticated)?;
    let remote = Browser::from_headers(headers).remote;
    let tried =
        Tried { remote: &remote, username: username.trim(), password, code: otp.as_deref() };
    match sign_in::with_password(hub, authenticator.as_ref(), tried).await {
        Ok(user) => Caller::signed_in(hub, user).await,
        Err(SignInError::Auth(AuthError::TooManyTries { retry_after })) => {
            Err(ApiError::too_many_tries(retry_after))
        }
        Err(SignInError::Auth(AuthError::Busy { retry_after })) => {
            Err(ApiError::unavailable("Too many people are signing in at this moment; try again")
                .after(retry_after))
        }
        Err(SignInError::Store(error)) => Err(error.into()),
        // Only who has given the right password is told.
        Err(SignInError::SecondFactor(Needed { asked, .. })) => {
            Err(ApiError::forbidden(match asked {
                Asked::Code => "This account has a second factor: send its code as otp",
                Asked::Enrolment => {
                    "This hub asks for a second factor: sign in with a browser to set it up"
                }
            }))
        }
        Err(error) => {
            let user = printable(username.trim());
            tracing::warn!(user, remote, error = %error, "sign-in for a token failed");
            Err(ApiError::forbidden("Invalid username or password"))
        }
    }
}
