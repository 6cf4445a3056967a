//! The page of a sign-in that did not succeed.

use std::time::Duration;

use http::StatusCode;
use hub_auth::AuthError;

use crate::{
    hub::Hub,
    sign_in::SignInError,
    web::{error::PageError, layers::printable},
};

/// When to try again if the provider did not say.
const SOON: Duration = Duration::from_secs(60);

/// The page that tells the person, and the line that tells the operator.
pub(super) fn page(hub: &Hub, error: SignInError) -> PageError {
    let again = hub.paths.login(None);
    tracing::warn!(reason = %printable(&error.to_string()), error = &error as &(dyn std::error::Error + 'static), "sign-in refused");
    match error {
        SignInError::Store(error) => error.into(),
        // Who can be asked for it is not sent here.
        SignInError::SecondFactor(_) => {
            PageError::new(StatusCode::FORBIDDEN, "This account needs a second factor.")
                .action("Sign in", again)
        }
        SignInError::Auth(error) => of_auth(error, &again, hub.live().refusal.as_deref()),
    }
}

/// What is told about each kind of failure; `again` is where a new try begins, and
/// `advice` what the operator wants to be told to whom the rules do not let in.
fn of_auth(error: AuthError, again: &str, advice: Option<&str>) -> PageError {
    let page =
        |status, message: String| PageError::new(status, message).action("Start again", again);
    match error {
        AuthError::Denied { description } => {
            page(StatusCode::BAD_REQUEST, format!("The sign-in was not completed: {description}"))
        }
        AuthError::Stale { reason } => {
            page(StatusCode::BAD_REQUEST, format!("This sign-in cannot be continued: {reason}."))
                .hint("Start again, in one window, and finish within ten minutes.")
        }
        AuthError::NotAllowed { user, reason } => PageError::new(
            StatusCode::FORBIDDEN,
            format!("Sorry, {user}: you are not allowed to use this hub."),
        )
        .hint(reason)
        .hint(advice.unwrap_or("Ask the administrator of this hub to add you."))
        .action("Sign in as somebody else", again),
        AuthError::Unchecked { user, reason } => later(
            page(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("Sorry, {user}: the hub could not check whether you may use it."),
            )
            .hint(reason)
            .hint("Nothing is wrong with your account. Your running server is not affected."),
            None,
        ),
        AuthError::OtherPerson { account, provider } => {
            let page = page(
                StatusCode::FORBIDDEN,
                format!("The name {account:?} belongs to somebody else on this hub."),
            )
            .hint(format!(
                "It was used before by another {provider} account, or belongs to another way of signing in. If both are you, ask your administrator to join them."
            ))
            .hint(format!(
                "Administrators see and change whose it is with the command: hub users identity {account}"
            ));
            advice.into_iter().fold(page, PageError::hint)
        }
        AuthError::SignInAgain { provider, reason } => PageError::new(
            StatusCode::FORBIDDEN,
            format!("{provider} asks you to sign in again: {reason}."),
        )
        .hint("Your running server is not affected.")
        .action("Sign in", again),
        AuthError::InvalidName { login, .. } => {
            let text = format!("{login:?} cannot be a user name on this hub.");
            advice.into_iter().fold(page(StatusCode::FORBIDDEN, text), PageError::hint)
        }
        AuthError::BadCredentials => {
            page(StatusCode::FORBIDDEN, "Invalid username or password".to_owned())
        }
        AuthError::TooManyTries { retry_after } => later(
            page(StatusCode::TOO_MANY_REQUESTS, "Too many failed tries.".to_owned()),
            Some(retry_after),
        ),
        AuthError::RateLimited { retry_after, .. } => later(
            page(StatusCode::SERVICE_UNAVAILABLE, sentence(&error))
                .hint("Nothing is wrong with your account. Your running server is not affected."),
            retry_after,
        ),
        AuthError::Busy { retry_after } => later(
            page(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many people are signing in at this moment.".to_owned(),
            )
            .hint("Your password was not looked at. Try again in a few seconds."),
            Some(retry_after),
        ),
        AuthError::Unreachable { provider, .. } => page(
            StatusCode::BAD_GATEWAY,
            format!("{provider} is not answering. Your running server is not affected."),
        )
        .hint("Try again in a minute."),
        other => page(StatusCode::BAD_GATEWAY, format!("The sign-in failed: {other}")).hint(
            "If it happens again, tell the administrator of this hub: its log has the details.",
        ),
    }
}

/// An error whose text is good for a page, as a sentence of its own.
fn sentence(error: &AuthError) -> String {
    format!("{error}.")
}

/// The page also says when another try makes sense.
fn later(mut page: PageError, wait: Option<Duration>) -> PageError {
    page.retry_after = Some(wait.unwrap_or(SOON).as_secs().max(1));
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_status_and_a_way_on() {
        let (user, provider) = (|| "ada".to_owned(), || "GitHub".to_owned());
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let limited = |retry_after| AuthError::RateLimited { provider: provider(), retry_after };
        let rows = [
            (AuthError::Denied { description: "no".to_owned() }, 400, None, "not completed"),
            (AuthError::Stale { reason: "too old" }, 400, None, "too old"),
            (
                AuthError::NotAllowed { user: user(), reason: "not listed".to_owned() },
                403,
                None,
                "not listed",
            ),
            (
                AuthError::Unchecked { user: user(), reason: "no answer about lab".to_owned() },
                503,
                Some(60),
                "no answer about lab",
            ),
            (
                AuthError::OtherPerson { account: user(), provider: provider() },
                403,
                None,
                "belongs to somebody else",
            ),
            (
                AuthError::SignInAgain { provider: provider(), reason: "its token was revoked" },
                403,
                None,
                "sign in again: its token was revoked.",
            ),
            (limited(seconds(720)), 503, Some(720), "try again in 12 min."),
            (limited(None), 503, Some(60), "try again later."),
            (
                AuthError::TooManyTries { retry_after: Duration::from_secs(30) },
                429,
                Some(30),
                "Too many",
            ),
            (
                AuthError::Unreachable { provider: provider(), source: "x".into() },
                502,
                None,
                "GitHub is not answering",
            ),
            (
                AuthError::Misconfigured { provider: provider(), advice: "set it".to_owned() },
                502,
                None,
                "set it",
            ),
        ];
        for (error, status, retry_after, part) in rows {
            let label = error.to_string();
            let page = of_auth(error, "/hub/login", None);
            assert_eq!((page.status.as_u16(), page.retry_after), (status, retry_after), "{label}");
            let told = format!("{}\n{}", page.message, page.hints.join("\n"));
            assert!(told.contains(part), "{label}: {told}");
            assert_eq!(page.actions[0].url, "/hub/login", "{label}");
        }
    }

    #[test]
    fn oau_6_the_operator_says_what_to_do_about_a_refusal_and_the_reason_stays() {
        let user = || "ada".to_owned();
        let refused = AuthError::NotAllowed { user: user(), reason: "not listed".to_owned() };
        let hints = of_auth(refused, "/hub/login", Some("Write to help@hub.test.")).hints;
        assert_eq!(hints, ["not listed", "Write to help@hub.test."]);
        let other = AuthError::OtherPerson { account: user(), provider: "GitHub".to_owned() };
        let hints = of_auth(other, "/hub/login", Some("Write to help@hub.test.")).hints;
        assert_eq!(hints.last().map(String::as_str), Some("Write to help@hub.test."));
        // A typing error is no refusal.
        let page = of_auth(AuthError::BadCredentials, "/hub/login", Some("Write."));
        assert!(page.hints.is_empty());
    }
}
