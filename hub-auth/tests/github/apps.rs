//! Asking again after the sign-in, and tokens that expire.

use std::sync::Arc;

use http::StatusCode;
use hub_auth::{
    AuthError, AuthState, Authenticator, Claims, Freshness, RefreshError, RefreshPolicy,
    system_clock,
};

use crate::{
    chain, sign_in,
    support::github::{EMAILS_PATH, Fault, Github, TOKEN_PATH, USER_PATH},
};

fn state(claims: Claims) -> AuthState {
    claims.auth_state.unwrap()
}

fn asked_to_sign_in_again(result: Result<Claims, RefreshError>) -> String {
    match result {
        Err(RefreshError { error: error @ AuthError::SignInAgain { .. }, .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_auth_state_has_the_fields_of_oauthenticator() {
    let github = Github::start().await;
    github.grants("read:org,user");
    let state = state(sign_in(&github).await.unwrap());
    let mut keys: Vec<&str> = state.fields().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["access_token", "github_user", "id_token", "refresh_token", "scope", "token_response"]
    );
    assert_eq!(state.at("github_user.login").unwrap(), "Octo-Cat");
    assert_eq!(state.at("scope").unwrap(), &serde_json::json!(["read:org", "user"]));
    assert_eq!(state.at("token_response.token_type").unwrap(), "bearer");
    assert!(state.at("refresh_token").unwrap().is_null());
    assert_eq!(state.token_lifetime_seconds(), None);
}

#[tokio::test]
async fn a_refresh_asks_again_with_the_kept_token() {
    let github = Github::start().await;
    let state = state(sign_in(&github).await.unwrap());
    github.user_is(include_str!("../fixtures/github/user_without_email.json"));
    let again = github.authenticator().refresh(&state).await.unwrap();
    assert_eq!(again.login, "octo-renamed");
    assert_eq!(again.subject, "583231");
    assert_eq!(github.seen(), [TOKEN_PATH, USER_PATH, USER_PATH]);
}

#[tokio::test]
async fn gh_token_revoked_ends_session() {
    let github = Github::start().await;
    let state = state(sign_in(&github).await.unwrap());
    github.tokens_are_revoked();
    let text = asked_to_sign_in_again(github.authenticator().refresh(&state).await);
    assert_eq!(text, "GitHub asks you to sign in again: its token was revoked, or has expired");
    let empty = AuthState::default();
    asked_to_sign_in_again(github.authenticator().refresh(&empty).await);
}

#[tokio::test]
async fn gh_4_an_outage_is_no_reason_to_sign_in_again() {
    let github = Github::start().await;
    let state = state(sign_in(&github).await.unwrap());
    for fault in [
        Fault::Answer(StatusCode::BAD_GATEWAY, ""),
        Fault::Header(StatusCode::FORBIDDEN, "x-ratelimit-remaining", "0"),
        Fault::Html,
    ] {
        github.fails(USER_PATH, fault);
        let RefreshError { error, .. } = github.authenticator().refresh(&state).await.unwrap_err();
        assert!(!matches!(error, AuthError::SignInAgain { .. }), "{}", chain(&error));
    }
}

#[tokio::test]
async fn gh_6_an_app_token_expires_and_is_renewed() {
    let github = Github::start().await;
    github.is_app();
    let first = state(sign_in(&github).await.unwrap());
    assert_eq!(first.token_lifetime_seconds(), Some(28800));
    let eight_hours = std::time::Duration::from_secs(28800);
    let later = system_clock()() + eight_hours;
    let freshness = RefreshPolicy::default().freshness(Some((&first, eight_hours)), later);
    assert_eq!(freshness, Freshness::Due);

    github.token_expires();
    let second = state(github.authenticator().refresh(&first).await.unwrap());
    assert_ne!(second.access_token(), first.access_token());
    assert_ne!(second.refresh_token(), first.refresh_token());

    // The old pair is used up; the new one is good.
    github.token_expires();
    let text = asked_to_sign_in_again(github.authenticator().refresh(&first).await);
    assert!(text.contains("refresh token was used already"), "{text}");
    let third = state(github.authenticator().refresh(&second).await.unwrap());
    assert!(third.access_token().is_some_and(|token| token.starts_with("ghu_")));
}

#[tokio::test]
async fn gh_6_a_token_is_renewed_before_it_expires_and_kept_if_the_question_after_it_fails() {
    let github = Github::start().await;
    github.is_app();
    let first = state(sign_in(&github).await.unwrap());
    // A minute before the end; the old one would still be taken.
    let soon = std::time::Duration::from_secs(28_800 - 59);
    let then = system_clock()() + soon;
    let late = github.authenticator().with_clock(Arc::new(move || then));
    github.fails(USER_PATH, Fault::Answer(StatusCode::BAD_GATEWAY, ""));
    let RefreshError { renewed, error } = late.refresh(&first).await.unwrap_err();
    assert!(matches!(error, AuthError::Unreachable { .. }), "{}", chain(&error));
    let renewed = renewed.unwrap();
    assert_ne!(renewed.access_token(), first.access_token());
    assert_ne!(renewed.refresh_token(), first.refresh_token());
    assert_eq!(renewed.at("github_user"), first.at("github_user"));
    assert!(first.expires_soon(then) && !renewed.expires_soon(then));

    github.fails(USER_PATH, Fault::Answer(StatusCode::OK, github_user()));
    let again = late.refresh(&renewed).await.unwrap();
    assert_eq!(again.auth_state.unwrap().access_token(), renewed.access_token(), "not once more");
}

fn github_user() -> &'static str {
    include_str!("../fixtures/github/user_without_email.json")
}

#[tokio::test]
async fn gh_6_the_old_refresh_token_is_kept_when_none_is_returned() {
    let github = Github::start().await;
    github.is_app();
    let first = state(sign_in(&github).await.unwrap());
    github.keeps_refresh_token();
    github.token_expires();
    let second = state(github.authenticator().refresh(&first).await.unwrap());
    assert_ne!(second.access_token(), first.access_token());
    assert_eq!(second.refresh_token(), first.refresh_token());
}

#[tokio::test]
async fn gh_6_an_app_has_no_scopes_and_is_asked_all_the_same() {
    let github = Github::start().await;
    github.is_app();
    github.user_is(include_str!("../fixtures/github/user_without_email.json"));
    let claims = sign_in(&github).await.unwrap();
    assert!(claims.scopes.is_empty());
    assert_eq!(claims.email.as_deref(), Some("octo@cats.example"));
    assert_eq!(github.seen().last().unwrap(), EMAILS_PATH);
}
