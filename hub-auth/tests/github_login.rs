//! Sign-in with GitHub, from the button to the claims, against a stand-in.

#![expect(clippy::unwrap_used, reason = "a stand-in that breaks ends its test")]

mod github {
    mod apps;
    mod faults;
    mod membership;
}
mod support {
    pub(crate) mod github;
}

use std::error::Error;

use http::StatusCode;
use hub_auth::{
    AccessPolicy, AccessRules, Answer, AuthError, Authenticator, Callback, Claims,
    GithubAuthenticator, LoginStart, Offer,
};
use support::github::{CALLBACK_URL, EMAILS_PATH, Fault, Github, TOKEN_PATH, USER_PATH};

async fn begin(authenticator: &GithubAuthenticator) -> LoginStart {
    authenticator.begin().await.unwrap().unwrap()
}

/// The whole dance: begin, agree at GitHub, come back.
async fn sign_in(github: &Github) -> Result<Claims, AuthError> {
    sign_in_by(github, &github.authenticator()).await
}

async fn sign_in_by(
    github: &Github,
    authenticator: &GithubAuthenticator,
) -> Result<Claims, AuthError> {
    let LoginStart { redirect, pending } = begin(authenticator).await;
    let callback = github.approve(&redirect);
    authenticator.finish(Answer::Callback { pending, callback }).await
}

fn stale_reason(result: Result<Claims, AuthError>) -> &'static str {
    match result {
        Err(AuthError::Stale { reason }) => reason,
        other => panic!("not stale: {other:?}"),
    }
}

/// The message with those of its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn the_whole_dance_tells_who_somebody_is() {
    let github = Github::start().await;
    let claims = sign_in(&github).await.unwrap();
    assert_eq!(claims.stable_id().to_string(), "github:583231");
    assert_eq!(claims.login, "Octo-Cat");
    assert_eq!(claims.display_name.as_deref(), Some("Octo Cat"));
    assert_eq!(claims.email.as_deref(), Some("public@cats.example"));
    assert_eq!(claims.attributes["type"], "User");
    assert_eq!((claims.scopes.len(), claims.membership.groups().len()), (0, 0));
    assert_eq!(github.seen(), [TOKEN_PATH, USER_PATH]);

    let allowed = ["octo-cat".parse().unwrap()].into();
    let policy = AccessPolicy::new(AccessRules { allowed, ..AccessRules::default() });
    assert_eq!(policy.admit(&claims, false).unwrap().name.as_str(), "octo-cat");
}

#[tokio::test]
async fn the_browser_is_sent_away_with_state_and_challenge() {
    let github = Github::start().await;
    let mut config = github.config();
    config.scope = vec!["read:org".to_owned(), "user:email".to_owned()];
    let authenticator = GithubAuthenticator::new(config).unwrap();
    assert_eq!(authenticator.provider(), "github");
    assert_eq!(authenticator.offer(), Offer::Redirect { service: "GitHub".to_owned() });

    let LoginStart { redirect, pending } = begin(&authenticator).await;
    let value = |name: &str| {
        let mut pairs = redirect.query_pairs();
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    assert_eq!(value("scope").as_deref(), Some("read:org user:email"));
    assert_eq!(value("redirect_uri").as_deref(), Some(CALLBACK_URL));
    assert_eq!(value("state"), Some(pending.state()));
    assert_eq!(value("code_challenge").map(|text| text.len()), Some(43));
    assert_eq!(value("client_secret"), None);
}

#[tokio::test]
async fn gh_rename_keeps_account() {
    let github = Github::start().await;
    let before = sign_in(&github).await.unwrap();
    github.user_is(include_str!("fixtures/github/user_without_email.json"));
    let after = sign_in(&github).await.unwrap();
    assert_ne!(before.login, after.login);
    assert_eq!(before.subject, after.subject);
}

#[tokio::test]
async fn gh_1_scopes_separated_by_commas_open_the_mail_addresses() {
    let github = Github::start().await;
    github.user_is(include_str!("fixtures/github/user_without_email.json"));
    github.grants("read:org,user:email");
    let claims = sign_in(&github).await.unwrap();
    assert_eq!(claims.email.as_deref(), Some("octo@cats.example"));
    assert_eq!(claims.display_name, None);
}

#[tokio::test]
async fn gh_unverified_email_unused() {
    let github = Github::start().await;
    github.user_is(include_str!("fixtures/github/user_without_email.json"));
    github.emails_are(include_str!("fixtures/github/emails_unverified.json"));
    github.grants("user");
    assert_eq!(sign_in(&github).await.unwrap().email, None);
    assert_eq!(github.seen().last().unwrap(), EMAILS_PATH);
}

#[tokio::test]
async fn mail_addresses_are_asked_for_only_with_their_scope_and_keep_nobody_out() {
    let github = Github::start().await;
    github.user_is(include_str!("fixtures/github/user_without_email.json"));
    github.grants("read:org,user:follow");
    assert_eq!(sign_in(&github).await.unwrap().email, None);
    assert_eq!(github.seen(), [TOKEN_PATH, USER_PATH]);

    github.grants("user:email");
    github.fails(EMAILS_PATH, Fault::Answer(StatusCode::NOT_FOUND, "{}"));
    assert_eq!(sign_in(&github).await.unwrap().email, None);
}

#[tokio::test]
async fn gh_state_missing() {
    let github = Github::start().await;
    let authenticator = github.authenticator();
    let LoginStart { redirect, pending } = begin(&authenticator).await;
    let callback = Callback { state: None, ..github.approve(&redirect) };
    let result = authenticator.finish(Answer::Callback { pending, callback }).await;
    assert_eq!(stale_reason(result), "the state is missing from the address");
    assert!(github.seen().is_empty(), "the code was not shown to anybody");
}

#[tokio::test]
async fn gh_state_other_browser() {
    let github = Github::start().await;
    let authenticator = github.authenticator();
    let (victim, attacker) = (begin(&authenticator).await, begin(&authenticator).await);
    // The attacker's own answer, sent as a link to the victim.
    let callback = github.approve(&attacker.redirect);
    let answer = Answer::Callback { pending: victim.pending, callback };
    let result = authenticator.finish(answer).await;
    assert_eq!(stale_reason(result), "it was begun in another window or browser");
    assert!(github.seen().is_empty());
}

#[tokio::test]
async fn gh_code_injected() {
    let github = Github::start().await;
    let authenticator = github.authenticator();
    let (victim, attacker) = (begin(&authenticator).await, begin(&authenticator).await);
    // A stolen code with the thief's own valid state: only PKCE tells.
    let stolen = github.approve(&victim.redirect).code;
    let callback = Callback { code: stolen, ..github.approve(&attacker.redirect) };
    let answer = Answer::Callback { pending: attacker.pending, callback };
    let result = authenticator.finish(answer).await;
    assert_eq!(stale_reason(result), "its code was used already or is older than ten minutes");
}

#[tokio::test]
async fn gh_state_reused() {
    let github = Github::start().await;
    let authenticator = github.authenticator();
    let LoginStart { redirect, pending } = begin(&authenticator).await;
    let Callback { code, state, .. } = github.approve(&redirect);
    let again = || Answer::Callback {
        pending: pending.clone(),
        callback: Callback { code: code.clone(), state: state.clone(), ..Callback::default() },
    };
    assert!(authenticator.finish(again()).await.is_ok());
    let result = authenticator.finish(again()).await;
    assert_eq!(stale_reason(result), "its code was used already or is older than ten minutes");
}

#[tokio::test]
async fn oau_6_errors_in_the_callback_are_told_apart() {
    let github = Github::start().await;
    let authenticator = github.authenticator();
    let come_back = async |error: Option<&str>, description: Option<&str>, with_state: bool| {
        let LoginStart { pending, .. } = begin(&authenticator).await;
        let callback = Callback {
            state: with_state.then(|| pending.state()),
            error: error.map(str::to_owned),
            error_description: description.map(str::to_owned),
            code: None,
            ..Callback::default()
        };
        authenticator.finish(Answer::Callback { pending, callback }).await.unwrap_err()
    };
    let denied = come_back(Some("access_denied"), Some("The user has denied"), true).await;
    assert_eq!(denied.to_string(), "the sign-in was refused: The user has denied");
    let mismatch = come_back(Some("redirect_uri_mismatch"), None, true).await;
    assert!(matches!(mismatch, AuthError::Misconfigured { .. }));
    assert!(mismatch.to_string().contains(CALLBACK_URL), "{mismatch}");
    let no_code = come_back(None, None, true).await;
    assert!(matches!(no_code, AuthError::Stale { reason: "the code is missing from the address" }));
    // A stranger's link cannot put words on our page.
    let forged = come_back(Some("x"), Some("Call +1 555 0100 to unlock"), false).await;
    assert!(matches!(forged, AuthError::Stale { .. }), "{forged}");
    assert!(github.seen().is_empty());
}

#[tokio::test]
async fn oau_6_errors_that_arrive_with_status_200_say_what_to_do() {
    let github = Github::start().await;
    let rows = [
        (
            include_str!("fixtures/github/error_incorrect_client_credentials.json"),
            "GitHub refused this hub: client id and client secret do not belong together; make a \
             new client secret on the page of the OAuth App and set it as GITHUB_CLIENT_SECRET",
        ),
        (
            include_str!("fixtures/github/error_redirect_uri_mismatch.json"),
            "GitHub refused this hub: the OAuth App is registered with another callback URL; set \
             \"Authorization callback URL\" on its page to https://hub.test/hub/oauth_callback",
        ),
        (
            include_str!("fixtures/github/error_bad_verification_code.json"),
            "this sign-in cannot be finished: its code was used already or is older than ten \
             minutes",
        ),
        (
            include_str!("fixtures/github/error_unverified_user_email.json"),
            "the sign-in was refused: The primary email address for the user must be verified.",
        ),
    ];
    for (body, expected) in rows {
        github.fails(TOKEN_PATH, Fault::Answer(StatusCode::OK, body));
        assert_eq!(sign_in(&github).await.unwrap_err().to_string(), expected);
    }
}

#[tokio::test]
async fn wrong_credentials_of_the_hub_call_for_the_operator() {
    let github = Github::start().await;
    let mut wrong_secret = github.config();
    wrong_secret.client_secret = "stale-secret".into();
    let mut wrong_id = github.config();
    wrong_id.client_id = "Iv1.typo".to_owned();
    for (config, part) in [(wrong_secret, "GITHUB_CLIENT_SECRET"), (wrong_id, "\"Iv1.typo\"")] {
        let authenticator = GithubAuthenticator::new(config).unwrap();
        let pending = begin(&authenticator).await.pending;
        let callback = Callback {
            code: Some("code".into()),
            state: Some(pending.state()),
            ..Callback::default()
        };
        let error = authenticator.finish(Answer::Callback { pending, callback }).await.unwrap_err();
        assert!(matches!(error, AuthError::Misconfigured { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(part) && !text.contains("stale-secret"), "{text}");
    }
}

#[tokio::test]
async fn a_form_is_not_how_github_signs_people_in() {
    let github = Github::start().await;
    let answer = Answer::Form { username: "octo-cat".to_owned(), password: "x".into() };
    let error = github.authenticator().finish(answer).await.unwrap_err();
    assert!(matches!(error, AuthError::WrongAnswer { .. }));
}

#[tokio::test]
async fn g1_neither_secret_nor_token_appears_in_an_error() {
    let github = Github::start().await;
    github.fails(USER_PATH, Fault::Html);
    let error = sign_in(&github).await.unwrap_err();
    let printed = format!("{error:?} {} {:?}", chain(&error), github.authenticator());
    for secret in [support::github::CLIENT_SECRET, "gho_"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
