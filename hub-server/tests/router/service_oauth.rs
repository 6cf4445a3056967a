//! The hub as OAuth2 provider of services (hub-contract 4).

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use hub_spawner::fake::FakeSpawner;
use hub_store::Store;
use serde_json::json;

use crate::harness::{Answer, Browser, TestHub, notebook, send};

const SECRET: &str = "whoami-service-token";
const AUTHORIZE: &str =
    "/hub/api/oauth2/authorize?client_id=service-whoami&response_type=code&state=s";

const SERVICES: &str = r#"
[[services]]
name = "whoami"
url = "http://127.0.0.1:9000"
api_token = "whoami-service-token"
oauth_client_allowed_scopes = ["read:users!user", "admin:groups", "custom:grades:read"]
[[services]]
name = "trusted"
oauth_redirect_uri = "https://trusted.test/back?x=1"
oauth_no_confirm = true
api_token = "trusted-service-token"
[[services]]
name = "mute"
url = "http://127.0.0.1:9001"
[[custom_scopes]]
name = "custom:grades:read"
description = "Read all the grades."
[[roles]]
name = "visitors"
scopes = ["access:services", "custom:grades:read"]
users = ["ada"]
"#;

async fn hub() -> TestHub {
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    TestHub::configured(SERVICES, spawner, Store::in_memory().await.unwrap()).await
}

fn code_of(answer: &Answer, redirect: &str) -> String {
    assert_eq!(answer.status, StatusCode::FOUND, "{}", answer.text);
    let rest = answer.location().strip_prefix(redirect).unwrap_or_else(|| panic!("{answer:?}"));
    let fields: Vec<_> = url::form_urlencoded::parse(rest.as_bytes()).into_owned().collect();
    fields.into_iter().find(|(key, _)| key == "code").unwrap().1
}

/// Says yes on the page for `url`.
async fn agree(browser: &mut Browser, url: &str, scopes: &[&str]) -> Answer {
    let scopes: String =
        scopes.iter().map(|scope| format!("&scopes={}", scope.replace('=', "%3D"))).collect();
    let form = format!("_xsrf={}{scopes}", browser.xsrf());
    browser.post(url, &form).await
}

async fn redeem(hub: &TestHub, client: &str, secret: &str, code: &str, more: &str) -> Answer {
    let form = format!(
        "grant_type=authorization_code&client_id={client}&client_secret={secret}&code={code}{more}"
    );
    let request = Request::post("/hub/api/oauth2/token")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::AUTHORIZATION, format!("token {secret}"))
        .body(Body::from(form))
        .unwrap();
    send(&hub.router, request).await
}

#[tokio::test]
async fn a_person_is_asked_once_for_what_they_have() {
    let hub = hub().await;
    let mut ada = hub.signed_in("ada").await;
    let question = ada.get(AUTHORIZE).await;
    assert_eq!(question.status, StatusCode::OK, "{}", question.text);
    assert!(question.text.contains("JupyterHub service whoami"), "{}", question.text);
    for scope in [
        "access:services!service=whoami",
        "read:users!user",
        "read:users:name!user",
        "read:users:groups!user",
        "custom:grades:read",
    ] {
        assert!(
            question.text.contains(&format!("value=\"{scope}\"")),
            "{scope}: {}",
            question.text
        );
    }
    assert!(question.text.contains("Read all the grades."), "{}", question.text);
    assert!(!question.text.contains("admin:groups"), "ada has no such right");

    let all = ["access:services!service=whoami", "read:users!user", "custom:grades:read"];
    let granted = agree(&mut ada, AUTHORIZE, &all).await;
    let code = code_of(&granted, "/services/whoami/oauth_callback?");
    let answer = redeem(&hub, "service-whoami", SECRET, &code, "").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.json()["token_type"], "Bearer");
    let granted = answer.json()["scope"].as_str().unwrap().to_owned();
    assert!(granted.split(' ').any(|scope| scope == "read:users!user"), "{granted}");

    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let who = hub.api(&token, Method::GET, "/user", None).await.json();
    assert_eq!((&who["name"], &who["kind"]), (&json!("ada"), &json!("user")));
    let scopes = who["scopes"].to_string();
    assert!(scopes.contains("access:services!service=whoami"), "{scopes}");
    assert!(scopes.contains("custom:grades:read") && !scopes.contains("groups\""), "{scopes}");

    code_of(&ada.get(AUTHORIZE).await, "/services/whoami/oauth_callback?");
}

#[tokio::test]
async fn a_person_may_grant_less_but_not_more() {
    let hub = hub().await;
    let mut ada = hub.signed_in("ada").await;
    ada.get(AUTHORIZE).await;
    let granted = agree(&mut ada, AUTHORIZE, &["identify", "admin:groups"]).await;
    let code = code_of(&granted, "/services/whoami/oauth_callback?");
    let answer = redeem(&hub, "service-whoami", SECRET, &code, "").await;
    let mut scopes: Vec<&str> = Vec::new();
    let body = answer.json();
    scopes.extend(body["scope"].as_str().unwrap().split(' '));
    scopes.sort_unstable();
    assert_eq!(
        scopes,
        ["access:services!service=whoami", "read:users:groups!user", "read:users:name!user"]
    );
    // More than was granted is a new question.
    assert_eq!(ada.get(AUTHORIZE).await.status, StatusCode::OK);
}

#[tokio::test]
async fn whoever_may_not_use_a_service_is_told_so_and_not_sent_back() {
    let hub = hub().await;
    let mut bob = hub.signed_in("bob").await;
    let refused = bob.get(AUTHORIZE).await;
    assert_eq!((refused.status, refused.location()), (StatusCode::FORBIDDEN, ""));
    let text = "You do not have permission to access JupyterHub service whoami";
    assert!(refused.text.contains(text), "{}", refused.text);
    let refused = agree(&mut bob, AUTHORIZE, &[]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_trusted_service_asks_nobody_and_has_an_address_of_its_own() {
    let hub = hub().await;
    let mut ada = hub.signed_in("ada").await;
    let url = AUTHORIZE.replace("service-whoami", "service-trusted");
    let code = code_of(&ada.get(&url).await, "https://trusted.test/back?x=1&");
    let more = "&redirect_uri=https%3A%2F%2Ftrusted.test%2Fback%3Fx%3D1";
    let answer = redeem(&hub, "service-trusted", "trusted-service-token", &code, more).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

#[tokio::test]
async fn a_service_without_a_token_is_no_client() {
    let hub = hub().await;
    let mut ada = hub.signed_in("ada").await;
    let answer = ada.get(&AUTHORIZE.replace("service-whoami", "service-mute")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text.contains("Invalid client_id parameter value."), "{}", answer.text);
}

#[tokio::test]
async fn scopes_beyond_the_client_are_told_to_it() {
    let hub = hub().await;
    let mut ada = hub.signed_in("ada").await;
    let wide = ada.get(&format!("{AUTHORIZE}&scope=read:users")).await;
    assert_eq!(
        wide.location(),
        "/services/whoami/oauth_callback?error=invalid_scope&state=s",
        "{}",
        wide.text
    );
    // Clients of JupyterHub 2 name roles; what is in one has to be allowed, too.
    let role = ada.get(&format!("{AUTHORIZE}&scope=visitors")).await;
    assert!(role.location().contains("error=invalid_scope"), "{}", role.location());
    let narrow = ada.get(&format!("{AUTHORIZE}&scope=identify+read:users:name!user")).await;
    assert_eq!(narrow.status, StatusCode::OK, "{}", narrow.text);
    assert!(!narrow.text.contains("custom:grades:read"), "{}", narrow.text);
}

#[tokio::test]
async fn a_browser_that_lost_its_session_id_gets_it_back_with_the_code() {
    let hub = hub().await;
    let mut ada = hub.signed_in("ada").await;
    let id = ada.cookies.remove("jupyterhub-session-id").unwrap();
    let answer = ada.get(&AUTHORIZE.replace("service-whoami", "service-trusted")).await;
    assert_eq!(answer.status, StatusCode::FOUND, "{}", answer.text);
    assert_eq!(ada.cookies.get("jupyterhub-session-id"), Some(&id));
}
