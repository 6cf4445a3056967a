//! A GitHub that hangs, breaks, is in a hurry, or is not GitHub at all: each time a
//! message that says what happened, bounded in time and size.

use std::time::Duration;

use http::StatusCode;
use hub_auth::{Answer, AuthError, Authenticator, GithubAuthenticator, LoginStart};

use crate::{
    begin, chain, sign_in, sign_in_by,
    support::github::{Fault, Github, TOKEN_PATH, USER_PATH},
};

#[tokio::test]
async fn gh_4_a_limit_is_a_refusal_that_names_when_to_come_back() {
    let limited = include_str!("../fixtures/github/rate_limited.json");
    let used_up = Fault::Header(StatusCode::FORBIDDEN, "x-ratelimit-remaining", "0");
    let rows = [
        (TOKEN_PATH, Fault::Answer(StatusCode::TOO_MANY_REQUESTS, limited), "try again later"),
        (USER_PATH, Fault::Answer(StatusCode::TOO_MANY_REQUESTS, limited), "try again later"),
        (USER_PATH, used_up, "try again later"),
        (USER_PATH, Fault::Header(StatusCode::FORBIDDEN, "retry-after", "60"), "try again in 60 s"),
        (
            USER_PATH,
            Fault::Header(StatusCode::TOO_MANY_REQUESTS, "retry-after", "720"),
            "try again in 12 min",
        ),
    ];
    for (path, fault, when) in rows {
        let github = Github::start().await;
        github.fails(path, fault);
        let error = sign_in(&github).await.unwrap_err();
        assert!(matches!(error, AuthError::RateLimited { .. }), "{path}: {}", chain(&error));
        assert_eq!(
            error.to_string(),
            format!("GitHub takes no more requests from this hub for now; {when}")
        );
    }
}

#[tokio::test]
async fn hostile_answers_each_give_their_message() {
    let unusable = "GitHub gave an unusable answer to the request for ";
    let down = "GitHub could not be reached: ";
    let form = include_str!("../fixtures/github/error_unverified_user_email.json");
    let rows = [
        (TOKEN_PATH, Fault::Silence, format!("{down}no complete answer within 0.3 s")),
        (USER_PATH, Fault::Silence, format!("{down}no complete answer within 0.3 s")),
        (
            TOKEN_PATH,
            Fault::Answer(StatusCode::INTERNAL_SERVER_ERROR, "{}"),
            format!("{down}it answered with status 500 Internal Server Error"),
        ),
        (
            USER_PATH,
            Fault::Answer(StatusCode::INTERNAL_SERVER_ERROR, "{}"),
            format!("{down}it answered with status 500 Internal Server Error"),
        ),
        (
            TOKEN_PATH,
            Fault::Endless,
            format!("{unusable}an access token: the answer is larger than 1048576 bytes"),
        ),
        (
            USER_PATH,
            Fault::Endless,
            format!("{unusable}the account: the answer is larger than 1048576 bytes"),
        ),
        (
            USER_PATH,
            Fault::Answer(StatusCode::OK, "{\"login\":"),
            format!("{unusable}the account: EOF while parsing a value at line 1 column 9"),
        ),
        (
            TOKEN_PATH,
            Fault::Answer(StatusCode::OK, form),
            "the sign-in was refused: The primary email address for the user must be verified."
                .to_owned(),
        ),
    ];
    for (path, fault, expected) in rows {
        let github = Github::start().await;
        github.fails(path, fault);
        let mut config = github.config();
        if matches!(fault, Fault::Silence) {
            config.timeout = Duration::from_millis(300);
        }
        let authenticator = GithubAuthenticator::new(config).unwrap();
        let error = sign_in_by(&github, &authenticator).await.unwrap_err();
        assert_eq!(chain(&error), expected, "{path}");
    }
}

#[tokio::test]
async fn a_github_that_is_slow_at_every_request_cannot_hold_a_sign_in() {
    let github = Github::start().await;
    github.fails(USER_PATH, Fault::Silence);
    let mut config = github.config();
    config.timeout = Duration::from_millis(200);
    let authenticator = GithubAuthenticator::new(config).unwrap();
    let LoginStart { redirect, pending } = begin(&authenticator).await;
    let callback = github.approve(&redirect);
    let error = authenticator.finish(Answer::Callback { pending, callback }).await.unwrap_err();
    assert_eq!(chain(&error), "GitHub could not be reached: no complete answer within 0.2 s");
}

#[tokio::test]
async fn answers_that_may_be_better_later_are_unreachable() {
    let faults = [
        (TOKEN_PATH, Fault::Silence),
        (TOKEN_PATH, Fault::Answer(StatusCode::BAD_GATEWAY, "<html>")),
        (TOKEN_PATH, Fault::Answer(StatusCode::SERVICE_UNAVAILABLE, "")),
        (USER_PATH, Fault::Silence),
        (USER_PATH, Fault::Answer(StatusCode::BAD_GATEWAY, "<html>")),
    ];
    for (path, fault) in faults {
        let github = Github::start().await;
        github.fails(path, fault);
        let mut config = github.config();
        if matches!(fault, Fault::Silence) {
            config.timeout = Duration::from_millis(200);
        }
        let authenticator = GithubAuthenticator::new(config).unwrap();
        let LoginStart { redirect, pending } = begin(&authenticator).await;
        let callback = github.approve(&redirect);
        let error = authenticator.finish(Answer::Callback { pending, callback }).await.unwrap_err();
        assert!(matches!(error, AuthError::Unreachable { .. }), "{path}: {}", chain(&error));
    }
}

#[tokio::test]
async fn a_github_that_is_down_is_unreachable() {
    let github = Github::start().await;
    let authenticator = github.authenticator();
    let LoginStart { redirect, pending } = begin(&authenticator).await;
    let callback = github.approve(&redirect);
    drop(github);
    let error = authenticator.finish(Answer::Callback { pending, callback }).await.unwrap_err();
    assert!(matches!(error, AuthError::Unreachable { .. }), "{}", chain(&error));
}

#[tokio::test]
async fn unusable_answers_are_refused_with_a_reason() {
    let unauthorized = include_str!("../fixtures/github/bad_credentials.json");
    let other_type = r#"{"access_token":"t","token_type":"mac","scope":""}"#;
    let rows = [
        (TOKEN_PATH, Fault::Html, "unexpected response Content-Type"),
        (TOKEN_PATH, Fault::Endless, "the answer is larger than 1048576 bytes"),
        (TOKEN_PATH, Fault::Answer(StatusCode::OK, "[]"), "invalid type"),
        (TOKEN_PATH, Fault::Answer(StatusCode::OK, other_type), "the token is of an unknown type"),
        (TOKEN_PATH, Fault::Answer(StatusCode::FORBIDDEN, ""), "empty error response"),
        (USER_PATH, Fault::Html, "expected value"),
        (USER_PATH, Fault::Endless, "the answer is larger than 1048576 bytes"),
        (USER_PATH, Fault::Answer(StatusCode::UNAUTHORIZED, unauthorized), "401"),
        (USER_PATH, Fault::Answer(StatusCode::OK, r#"{"login":"x"}"#), "missing field `id`"),
    ];
    for (path, fault, part) in rows {
        let github = Github::start().await;
        github.fails(path, fault);
        let error = sign_in(&github).await.unwrap_err();
        assert!(matches!(error, AuthError::BadAnswer { .. }), "{error:?}");
        assert!(chain(&error).contains(part), "{path}: {}", chain(&error));
    }
}

#[tokio::test]
async fn redirects_are_never_followed() {
    for path in [TOKEN_PATH, USER_PATH] {
        let github = Github::start().await;
        github.fails(path, Fault::Header(StatusCode::TEMPORARY_REDIRECT, "location", "/elsewhere"));
        let error = sign_in(&github).await.unwrap_err();
        assert!(matches!(error, AuthError::BadAnswer { .. }), "{error:?}");
        assert!(!github.seen().iter().any(|path| path == "/elsewhere"), "{:?}", github.seen());
    }
}
