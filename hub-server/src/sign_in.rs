//! From what a provider says about a person to an account of this hub.
//!
//! One pipeline for every way of signing in (deployment-contract 3.1):
//! authenticate, normalise and check the name, apply the rules of admission, tie
//! the account to the provider's unchangeable id, remember.

use http::StatusCode;
use hub_auth::{Answer, AuthError, Authenticator, Claims, Identity};
use hub_store::{StoreError, User};

use crate::{
    hub::Hub,
    web::{error::PageError, layers::printable},
};

/// Why a sign-in did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    /// The provider or the rules say no.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The name belongs to somebody else at the provider (security A6).
    #[error("the account {account} belongs to another {provider} account")]
    OtherPerson { account: String, provider: String },
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Finishes a sign-in; the account of whoever it is.
pub(crate) async fn finish(
    hub: &Hub,
    authenticator: &dyn Authenticator,
    answer: Answer,
) -> Result<User, SignInError> {
    let claims = authenticator.finish(answer).await?;
    let (claims, bound) = as_known(hub, claims).await?;
    let account = match &bound {
        Some(user) => Some(user.clone()),
        None => match hub.policy.normalise(&claims.login) {
            Ok(name) => hub.store.users().by_name(&name).await?,
            Err(_) => None,
        },
    };
    let identity = hub.policy.admit(&claims, account.is_some())?;
    let mut user = match account {
        Some(user) => user,
        None => hub.store.users().ensure(&identity.name, hub.clock.now()).await?.0,
    };
    bind(hub, &user, &identity).await?;
    if identity.admin && !user.admin {
        hub.store.users().set_admin(user.id, true).await?;
        user.admin = true;
    }
    Ok(user)
}

/// If the provider's id is known here, the person goes by the name of the
/// account it is tied to: renaming oneself at the provider keeps the account.
async fn as_known(hub: &Hub, claims: Claims) -> Result<(Claims, Option<User>), StoreError> {
    match hub.store.users().by_identity(&claims.provider, &claims.subject).await? {
        Some(user) => Ok((Claims { login: user.name.to_string(), ..claims }, Some(user))),
        None => Ok((claims, None)),
    }
}

/// Ties the account to the provider's id, or checks that it is: a login name that
/// was given up and taken by somebody else opens nobody's account.
async fn bind(hub: &Hub, user: &User, identity: &Identity) -> Result<(), SignInError> {
    let users = hub.store.users();
    match users.subject_of(user.id, &identity.provider).await? {
        Some(subject) if subject == identity.subject => Ok(()),
        Some(_) => Err(SignInError::OtherPerson {
            account: user.name.to_string(),
            provider: identity.provider.clone(),
        }),
        None => {
            let now = hub.clock.now();
            Ok(users.bind_identity(user.id, &identity.provider, &identity.subject, now).await?)
        }
    }
}

/// The page that tells the person, and the line that tells the operator.
pub(crate) fn page(hub: &Hub, error: SignInError) -> PageError {
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
        .hint(format!("Another {provider} account signed in with this name before. If both are you, ask your administrator to join them.")),
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
