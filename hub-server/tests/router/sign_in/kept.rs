//! What is kept of a sign-in: sealed, asked for again, handed over.

use std::sync::Arc;

use http::{Method, StatusCode};
use hub_store::Store;
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::sync::Semaphore;

use super::{by_github, by_openid, config, github_section, hub, openid_section, user};
use crate::{
    harness::{Browser, TestHub, eventually},
    stand_ins::{
        github::{Fault, Github, TOKEN_PATH, USER_PATH},
        openid::Openid,
    },
};

const LAB: &str = "/api/v3/orgs/ada-lab/members/Octo-Cat";
const BROKEN: Fault = Fault::Answer(StatusCode::BAD_GATEWAY, "{}");

/// A hub that keeps what GitHub hands over, with more lines in `[auth]`.
async fn keeping(github: &Github, more: &str) -> TestHub {
    github.has_member(LAB);
    let key = "ab".repeat(32);
    hub(
        &format!("enable_auth_state = true\ncrypt_key = \"{key}\"\n{more}"),
        &github_section(github, "scope = [\"read:org\"]\nallowed_organizations = [\"ada-lab\"]"),
    )
    .await
}

/// The question of a page's script who is signed in.
fn whoami(browser: &Browser) -> String {
    format!("/hub/api/user?_xsrf={}", browser.xsrf())
}

/// Waits until the server is there, or is gone.
async fn settled(hub: &TestHub, there: bool) {
    eventually("the server's state", || async {
        let user =
            hub.api("chief-service-token", Method::GET, "/users/octo-cat", None).await.json();
        user["pending"].is_null() && user["server"].is_null() != there
    })
    .await;
}

/// A token that octo-cat makes for a script.
async fn token_of(browser: &mut Browser) -> String {
    let headers = [
        ("x-xsrftoken", browser.xsrf().to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let made =
        browser.request(Method::POST, "/hub/api/users/octo-cat/tokens", &headers, "{}").await;
    made.json()["token"].as_str().unwrap().to_owned()
}

/// How often GitHub was asked who somebody is.
fn asked(github: &Github) -> usize {
    github.seen().iter().filter(|path| *path == USER_PATH).count()
}

#[tokio::test]
async fn cry_1_what_is_kept_is_sealed_and_shown_to_those_who_may_see_it() {
    let github = Github::start().await;
    let hub = keeping(&github, "").await;
    let (mut browser, _) = by_github(&hub, &github).await;
    let id = user(&hub, "octo-cat").await.unwrap().id;
    let kept = hub.store.auth_states().get(id).await.unwrap().unwrap();
    assert!(kept.sealed.starts_with("gAAAA"), "Fernet, as in JupyterHub");

    let shown = hub.api("chief-service-token", Method::GET, "/users/octo-cat", None).await.json();
    assert_eq!(shown["auth_state"]["github_user"]["login"], "Octo-Cat");
    assert!(shown["auth_state"]["access_token"].as_str().unwrap().starts_with("gho_"));
    // A list does not open it, and the person has no scope for their own.
    let list = hub.api("chief-service-token", Method::GET, "/users", None).await.json();
    assert!(list[0]["auth_state"].is_null());
    let own = browser.get(&whoami(&browser)).await;
    assert_eq!(own.json()["name"], "octo-cat");
    assert!(!own.text.contains("gho_"), "{}", own.text);
}

#[tokio::test]
async fn gh_4_the_provider_is_asked_again_by_age_and_an_outage_locks_nobody_out_at_once() {
    let github = Github::start().await;
    let hub = keeping(&github, "").await;
    let (mut browser, _) = by_github(&hub, &github).await;
    let first = asked(&github);
    assert_eq!(browser.get("/hub/home").await.status, StatusCode::OK);
    assert_eq!(asked(&github), first, "its word is new");

    hub.clock.advance(SignedDuration::from_secs(301));
    // Two requests at once ask once.
    let mut other = browser.clone();
    let (one, two) = tokio::join!(browser.get("/hub/home"), other.get("/hub/token"));
    assert_eq!((one.status, two.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(asked(&github), first + 1);

    github.fails(LAB, BROKEN);
    hub.clock.advance(SignedDuration::from_secs(301));
    assert_eq!(browser.get("/hub/home").await.status, StatusCode::OK);
    assert_eq!(browser.get("/hub/home").await.status, StatusCode::OK);
    assert_eq!(asked(&github), first + 2, "not at every request");
    hub.clock.advance(SignedDuration::from_secs(3600));
    let late = browser.get("/hub/home").await;
    assert_eq!(late.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(late.headers.contains_key("retry-after"));
    let api = browser.get(&whoami(&browser)).await;
    assert_eq!(api.status, StatusCode::SERVICE_UNAVAILABLE, "{}", api.text);

    github.has_member(LAB);
    assert_eq!(browser.get("/hub/home").await.status, StatusCode::OK, "the session is still there");

    github.fails(LAB, Fault::Answer(StatusCode::NOT_FOUND, "{}"));
    hub.clock.advance(SignedDuration::from_secs(301));
    let out = browser.get("/hub/home").await;
    assert_eq!(out.location(), "/hub/login?next=%2Fhub%2Fhome", "who left is out within minutes");
    let before = asked(&github);
    browser.get("/hub/home").await;
    assert_eq!(asked(&github), before, "and is not asked about until the next sign-in");
}

#[tokio::test]
async fn a_server_gets_what_the_configuration_names_and_starts_on_a_word_that_is_good() {
    let github = Github::start().await;
    let env = "spawn_env_from_auth_state = { GITHUB_TOKEN = \"access_token\", LOGIN = \"github_user.login\" }";
    let hub = keeping(&github, env).await;
    let (mut browser, _) = by_github(&hub, &github).await;
    let before = asked(&github);
    browser.get("/hub/spawn").await;
    settled(&hub, true).await;
    assert_eq!(asked(&github), before + 1, "however new its word is");
    let request = hub.spawner.requests().pop().unwrap();
    assert!(request.environment["GITHUB_TOKEN"].expose_secret().starts_with("gho_"));
    assert_eq!(request.environment["LOGIN"].expose_secret(), "Octo-Cat");

    // Revoked at GitHub: the next start leads to the sign-in.
    let (mut browser, _) = by_github(&hub, &github).await;
    github.tokens_are_revoked();
    hub.api("chief-service-token", Method::DELETE, "/users/octo-cat/server", None).await;
    settled(&hub, false).await;
    let refused = browser.get("/hub/spawn").await;
    assert!(refused.location().starts_with("/hub/login?next="), "{refused:?}");
}

#[tokio::test]
async fn a_new_refresh_token_is_kept_even_if_the_question_after_it_fails() {
    let openid = Openid::start().await;
    let key = "ab".repeat(32);
    let hub = hub(
        &format!("enable_auth_state = true\ncrypt_key = \"{key}\""),
        &openid_section(
            &openid,
            "allowed_groups = [\"staff\"]\ngroups_claims = [\"groups\"]\nuserinfo = \"always\"",
        ),
    )
    .await;
    openid.change(|inner| {
        inner.claims["groups"] = json!(["staff"]);
        inner.refresh_token = Some("refresh-1".to_owned());
    });
    let (mut browser, answer) = by_openid(&hub, &openid).await;
    assert_eq!(answer.location(), "/hub/home");

    openid.change(|inner| {
        inner.next_refresh_token = Some("refresh-2".to_owned());
        inner.fails.insert("/userinfo", StatusCode::BAD_GATEWAY);
    });
    hub.clock.advance(SignedDuration::from_secs(301));
    assert_eq!(browser.get("/hub/home").await.status, StatusCode::OK, "an outage");
    openid.change(|inner| {
        assert_eq!(inner.refresh_token.as_deref(), Some("refresh-2"));
        inner.fails.clear();
    });
    hub.clock.advance(SignedDuration::from_secs(301));
    let answer = browser.get("/hub/home").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.location());
}

#[tokio::test]
async fn cry_2_what_no_key_opens_counts_as_absent_and_the_person_signs_in_again() {
    let github = Github::start().await;
    github.has_member(LAB);
    let section =
        github_section(&github, "scope = [\"read:org\"]\nallowed_organizations = [\"ada-lab\"]");
    let with_key = |digits: &str| {
        let key = digits.repeat(32);
        config(&format!("enable_auth_state = true\ncrypt_key = \"{key}\""), &section)
    };
    let store = Store::in_memory().await.unwrap();
    let before = TestHub::signing_in(&with_key("ab"), store.clone()).await;
    let (browser, answer) = by_github(&before, &github).await;
    assert_eq!(answer.location(), "/hub/home");
    let kept = async |hub: &TestHub| {
        let user =
            hub.api("chief-service-token", Method::GET, "/users/octo-cat", None).await.json();
        user["auth_state"].clone()
    };
    assert_eq!(kept(&before).await["github_user"]["login"], "Octo-Cat");

    // The key was lost, and the session is still there.
    let after = TestHub::signing_in(&with_key("cd"), store).await;
    assert!(kept(&after).await.is_null());
    let mut same = after.browser();
    same.cookies = browser.cookies;
    let answer = same.get("/hub/home").await;
    assert!(answer.location().starts_with("/hub/login?next="), "{answer:?}");
    let (mut again, answer) = by_github(&after, &github).await;
    assert_eq!(answer.location(), "/hub/home");
    assert_eq!(again.get("/hub/home").await.status, StatusCode::OK);
    assert_eq!(kept(&after).await["github_user"]["login"], "Octo-Cat");
}

#[tokio::test]
async fn gh_6_of_requests_at_the_same_moment_one_renews_the_tokens_and_all_go_on() {
    let github = Github::start().await;
    github.is_app();
    let hub = keeping(&github, "auth_refresh_strict = true").await;
    let (mut script, _) = by_github(&hub, &github).await;
    let (mut page, _) = by_github(&hub, &github).await;
    let (mut other, _) = by_github(&hub, &github).await;
    let (mut starter, answer) = by_github(&hub, &github).await;
    assert_eq!(answer.location(), "/hub/home");
    let token = token_of(&mut script).await;
    let renewed = || github.seen().iter().filter(|path| *path == TOKEN_PATH).count();

    // More than once, since the token that came of it has to be the one that is kept.
    for _ in 0..2 {
        let before = renewed();
        github.token_expires();
        hub.clock.advance(SignedDuration::from_secs(301));
        let headers = [
            ("x-xsrftoken", starter.xsrf().to_owned()),
            ("content-type", "application/json".to_owned()),
        ];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let who = whoami(&other);
        let start = "/hub/api/users/octo-cat/server";
        let (page, other, start, script) = tokio::join!(
            page.get("/hub/home"),
            other.get(&who),
            starter.request(Method::POST, start, &headers, "{}"),
            hub.api(&token, Method::GET, "/user", None),
        );
        assert_eq!(page.status, StatusCode::OK, "{}", page.location());
        assert_eq!(other.status, StatusCode::OK, "{}", other.text);
        assert!(start.status.is_success(), "{}", start.text);
        assert_eq!(script.status, StatusCode::OK, "{}", script.text);
        assert_eq!(renewed() - before, 1, "{:?}", github.seen());
        settled(&hub, true).await;
        let stop = hub.api(&token, Method::DELETE, "/users/octo-cat/server", None).await;
        assert!(stop.status.is_success(), "{}", stop.text);
        settled(&hub, false).await;
    }
}

#[tokio::test]
async fn gh_4_a_sign_in_that_ends_while_the_provider_is_asked_is_the_newer_news() {
    const GROUPS: &str =
        "allowed_groups = [\"staff\"]\ngroups_claims = [\"groups\"]\nuserinfo = \"always\"";
    for groups in [json!(["staff"]), json!([])] {
        let openid = Openid::start().await;
        let key = "ab".repeat(32);
        let keeps = format!("enable_auth_state = true\ncrypt_key = \"{key}\"");
        let hub = hub(&keeps, &openid_section(&openid, GROUPS)).await;
        let (mut first, _) = by_openid(&hub, &openid).await;
        let id = user(&hub, "ada").await.unwrap().id;
        let asked = || openid.seen().iter().filter(|path| *path == "/userinfo").count();
        let before = asked();

        let gate = Arc::new(Semaphore::new(0));
        openid.change(|inner| {
            inner.waits.insert("/userinfo", Arc::clone(&gate));
        });
        hub.clock.advance(SignedDuration::from_secs(301));
        let meanwhile = async {
            eventually("the provider is asked", async || asked() > before).await;
            openid.change(|inner| inner.waits.clear());
            let (_, answer) = by_openid(&hub, &openid).await;
            assert_eq!(answer.location(), "/hub/home");
            let kept = hub.store.auth_states().get(id).await.unwrap().unwrap();
            openid.change(|inner| inner.userinfo["groups"] = groups);
            gate.add_permits(1);
            kept
        };
        let (answer, kept) = tokio::join!(first.get("/hub/home"), meanwhile);
        assert_eq!(answer.status, StatusCode::OK);
        let then = hub.store.auth_states().get(id).await.unwrap();
        assert_eq!(then, Some(kept), "what the sign-in left is there as it was");
    }
}

#[tokio::test]
async fn gh_4_of_two_providers_the_one_is_asked_that_the_sign_in_was_at() {
    let (github, openid) = (Github::start().await, Openid::start().await);
    let key = "ab".repeat(32);
    let sections = [github_section(&github, ""), openid_section(&openid, "")].concat();
    let keeps = format!("allow_all = true\nenable_auth_state = true\ncrypt_key = \"{key}\"");
    let hub = hub(&keeps, &sections).await;
    let (mut browser, _) = by_openid(&hub, &openid).await;
    let ada = user(&hub, "ada").await.unwrap();
    let at = ada.created;
    hub.store.users().bind_identity(ada.id, "github", "583231", at).await.unwrap();
    browser.get("/hub/spawn").await;
    eventually("the server's start", async || !hub.spawner.requests().is_empty()).await;
    assert_eq!(asked(&github), 0, "it is not shown another's token");
}

#[tokio::test]
async fn gh_3_who_takes_a_login_name_over_is_asked_about_as_themselves() {
    let github = Github::start().await;
    let hub = keeping(&github, "identity_key = \"login\"").await;
    by_github(&hub, &github).await;
    github.user_is(r#"{"login": "Octo-Cat", "id": 99, "name": null, "email": null}"#);
    let (mut browser, answer) = by_github(&hub, &github).await;
    assert_eq!(answer.location(), "/hub/home");
    browser.get("/hub/spawn").await;
    settled(&hub, true).await;
    // Somebody else than the one who signed in last is still nobody.
    github.user_is(r#"{"login": "Octo-Cat", "id": 100, "name": null, "email": null}"#);
    hub.clock.advance(SignedDuration::from_secs(301));
    let out = browser.get("/hub/home").await;
    assert_eq!(out.location(), "/hub/login?next=%2Fhub%2Fhome");
}

#[tokio::test]
async fn gh_3_where_names_are_enough_a_renamed_person_has_another_account() {
    let github = Github::start().await;
    let hub = keeping(&github, "identity_key = \"login\"").await;
    let (mut browser, _) = by_github(&hub, &github).await;
    github.user_is(r#"{"login": "tabby", "id": 583231, "name": null, "email": null}"#);
    hub.clock.advance(SignedDuration::from_secs(301));
    let answer = browser.get("/hub/home").await;
    assert_eq!(answer.status, StatusCode::FOUND, "they have to sign in again");
    assert!(answer.location().starts_with("/hub/login"), "{}", answer.location());
    assert!(user(&hub, "tabby").await.is_none(), "nobody has signed in as that one");
}

#[tokio::test]
async fn aut_auth_refresh_strict_ends_tokens_with_the_sign_in_of_their_owner() {
    for strict in [false, true] {
        let github = Github::start().await;
        let hub = keeping(&github, &format!("auth_refresh_strict = {strict}")).await;
        let (mut browser, _) = by_github(&hub, &github).await;
        let token = token_of(&mut browser).await;
        let whose = format!("/authorizations/token/{token}");
        assert_eq!(hub.api(&token, Method::GET, "/user", None).await.status, StatusCode::OK);

        github.tokens_are_revoked();
        hub.clock.advance(SignedDuration::from_secs(301));
        let [own, asked_for, start] = match strict {
            false => [StatusCode::OK, StatusCode::OK, StatusCode::CREATED],
            true => [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND, StatusCode::FORBIDDEN],
        };
        let answer = hub.api(&token, Method::GET, "/user", None).await;
        assert_eq!(answer.status, own, "{}", answer.text);
        let answer = hub.api("chief-service-token", Method::GET, &whose, None).await;
        assert_eq!(answer.status, asked_for, "{}", answer.text);
        // Services have no provider; what they do for somebody depends on theirs.
        let path = "/users/octo-cat/server";
        let answer = hub.api("chief-service-token", Method::POST, path, None).await;
        assert_eq!(answer.status, start, "{}", answer.text);

        // The next sign-in makes the token good again.
        let (_, answer) = by_github(&hub, &github).await;
        assert_eq!(answer.status, StatusCode::FOUND);
        assert_eq!(hub.api(&token, Method::GET, "/user", None).await.status, StatusCode::OK);
    }
}

const OCTO_CAT: &str = r#"{"login": "Octo-Cat", "id": 583231, "name": null, "email": null}"#;
const GRACE: &str = r#"{"login": "grace", "id": 1906, "name": null, "email": null}"#;

#[tokio::test]
async fn aut_the_word_before_a_start_is_about_the_owner_whoever_starts() {
    for strict in [false, true] {
        let github = Github::start().await;
        let more = format!("admin_users = [\"grace\"]\nauth_refresh_strict = {strict}");
        let hub = keeping(&github, &more).await;
        by_github(&hub, &github).await;
        github.tokens_are_revoked();
        github.user_is(GRACE);
        let (mut grace, answer) = by_github(&hub, &github).await;
        assert_eq!(answer.status, StatusCode::FOUND, "{}", answer.text);
        let target = format!("/hub/spawn/octo-cat?_xsrf={}", grace.xsrf());

        // Hers is good, and not asked for; that of the owner is not.
        let before = asked(&github);
        let answer = grace.post(&target, "").await;
        assert_eq!(asked(&github), before + 1);
        if !strict {
            assert_eq!(answer.status, StatusCode::FOUND, "{}", answer.text);
            assert!(answer.location().starts_with("/hub/spawn-pending/octo-cat"));
            settled(&hub, true).await;
            continue;
        }
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "she cannot sign in for the owner");
        assert!(answer.text.contains("octo-cat has to sign in again first"), "{}", answer.text);
        assert!(hub.spawner.requests().is_empty());
        assert_eq!(grace.get("/hub/home").await.status, StatusCode::OK);

        // The other way round.
        github.tokens_are_revoked();
        github.user_is(OCTO_CAT);
        by_github(&hub, &github).await;
        let answer = grace.post(&target, "").await;
        assert_eq!(answer.status, StatusCode::FOUND, "{}", answer.text);
        settled(&hub, true).await;
    }
}

#[tokio::test]
async fn aut_a_script_of_the_owner_starts_their_server_unless_refresh_is_strict() {
    for (strict, status) in [(false, StatusCode::CREATED), (true, StatusCode::FORBIDDEN)] {
        let github = Github::start().await;
        let hub = keeping(&github, &format!("auth_refresh_strict = {strict}")).await;
        let (mut browser, _) = by_github(&hub, &github).await;
        let token = token_of(&mut browser).await;
        github.tokens_are_revoked();
        let answer = hub.api(&token, Method::POST, "/users/octo-cat/server", None).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(hub.spawner.requests().is_empty(), strict);
    }
}
