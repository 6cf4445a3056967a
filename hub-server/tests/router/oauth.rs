//! The hub as OAuth2 provider of single-user servers.

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::harness::{Answer, Browser, TestHub, send};

pub(crate) const AUTHORIZE: &str = "/hub/api/oauth2/authorize?client_id=jupyterhub-user-ada&redirect_uri=%2Fuser%2Fada%2Foauth_callback&response_type=code&state=opaque%3D";

/// A hub where ada's server runs, and that server's token.
pub(crate) async fn running() -> (TestHub, String) {
    let hub = TestHub::new().await;
    hub.post("/users/ada/server", None).await;
    let secret = hub.spawner.requests()[0].api_token.expose_secret().to_owned();
    (hub, secret)
}

/// The code in a redirect back to the server.
fn code_of(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::FOUND, "{}", answer.text);
    let (path, query) = answer.location().split_once('?').unwrap();
    assert_eq!(path, "/user/ada/oauth_callback");
    let fields: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    assert!(fields.contains(&("state".to_owned(), "opaque=".to_owned())));
    fields.into_iter().find(|(key, _)| key == "code").unwrap().1
}

pub(crate) async fn redeem(hub: &TestHub, code: &str, secret: &str, more: &str) -> Answer {
    let form = format!(
        "grant_type=authorization_code&client_id=jupyterhub-user-ada&client_secret={secret}&code={code}&redirect_uri=%2Fuser%2Fada%2Foauth_callback{more}"
    );
    let request = Request::post("/hub/api/oauth2/token")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap();
    send(&hub.private, request).await
}

pub(crate) async fn authorize(browser: &mut Browser) -> String {
    code_of(&browser.get(AUTHORIZE).await)
}

#[tokio::test]
async fn a_server_learns_who_its_visitor_is() {
    let (hub, secret) = running().await;
    let mut ada = hub.signed_in("ada").await;
    let code = authorize(&mut ada).await;
    let answer = redeem(&hub, &code, &secret, "").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["pragma"], "no-cache");
    let body = answer.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 1_209_600);

    let token = body["access_token"].as_str().unwrap();
    let who = hub.api(token, Method::GET, "/user", None).await.json();
    assert_eq!(who["name"], "ada");
    assert_eq!(who["session_id"], json!(ada.cookies["jupyterhub-session-id"]));
    assert_eq!(
        who["scopes"],
        json!([
            "access:servers!server=ada/",
            "read:users:groups!user=ada",
            "read:users:name!user=ada"
        ])
    );

    let again = redeem(&hub, &code, &secret, "").await;
    assert_eq!(
        (again.status, again.json()),
        (StatusCode::BAD_REQUEST, json!({ "error": "invalid_grant" }))
    );
}

#[tokio::test]
async fn only_the_right_server_redeems_a_code() {
    let (hub, secret) = running().await;
    let mut ada = hub.signed_in("ada").await;
    let code = authorize(&mut ada).await;
    let wrong = redeem(&hub, &code, "not-the-secret", "").await;
    assert_eq!(
        (wrong.status, wrong.json()),
        (StatusCode::UNAUTHORIZED, json!({ "error": "invalid_client" }))
    );
    assert_eq!(redeem(&hub, "no-such-code", &secret, "").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(redeem(&hub, &code, &secret, "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn pkce_binds_the_code_and_a_failed_try_does_not_use_it_up() {
    let (hub, secret) = running().await;
    let mut ada = hub.signed_in("ada").await;
    let verifier = "v".repeat(43);
    let challenge = {
        use base64::Engine;
        use sha2::Digest;
        base64::engine::general_purpose::URL_SAFE_NO_PAD
            .encode(sha2::Sha256::digest(verifier.as_bytes()))
    };
    let url = format!("{AUTHORIZE}&code_challenge={challenge}&code_challenge_method=S256");
    let code = code_of(&ada.get(&url).await);

    let missing = redeem(&hub, &code, &secret, "").await;
    assert_eq!(
        missing.json(),
        json!({ "error": "invalid_request", "error_description": "Code verifier required." })
    );
    let wrong = redeem(&hub, &code, &secret, &format!("&code_verifier={}", "w".repeat(43))).await;
    assert_eq!(wrong.json(), json!({ "error": "invalid_grant" }));
    let right = redeem(&hub, &code, &secret, &format!("&code_verifier={verifier}")).await;
    assert_eq!(right.status, StatusCode::OK, "{}", right.text);

    let plain = format!("{AUTHORIZE}&code_challenge={challenge}&code_challenge_method=plain");
    assert!(ada.get(&plain).await.location().contains("error=invalid_request"));
}

#[tokio::test]
async fn wrong_clients_and_addresses_are_shown_not_followed() {
    let (hub, _) = running().await;
    let mut ada = hub.signed_in("ada").await;
    for url in [
        AUTHORIZE.replace("jupyterhub-user-ada", "nobody"),
        AUTHORIZE.replace("%2Fuser%2Fada%2Foauth_callback", "https%3A%2F%2Fevil.example%2F"),
        AUTHORIZE.replace("%2Foauth_callback", "%2Foauth_callback%2F"),
    ] {
        let answer = ada.get(&url).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{url}");
        assert_eq!(answer.location(), "");
        assert!(answer.text.contains("<html"), "a person reads this");
    }
    let implicit = ada.get(&AUTHORIZE.replace("=code", "=token")).await;
    assert!(
        implicit.location().contains("error=unsupported_response_type"),
        "{}",
        implicit.location()
    );
}

#[tokio::test]
async fn cross_user_matrix_page() {
    let (hub, _) = running().await;
    let anonymous = hub.browser().get(AUTHORIZE).await;
    assert!(anonymous.location().starts_with("/hub/login?next="), "{}", anonymous.location());

    let mut bob = hub.signed_in("bob").await;
    let refused = bob.get(AUTHORIZE).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(
        refused.text.contains("You do not have permission to access Server at"),
        "{}",
        refused.text
    );
}

#[tokio::test]
async fn an_administrator_is_asked_once() {
    let (hub, secret) = running().await;
    let mut grace = hub.signed_in("grace").await;
    let question = grace.get(AUTHORIZE).await;
    assert_eq!(question.status, StatusCode::OK);
    assert!(question.text.contains("access:servers!server=ada/"), "{}", question.text);

    let forged = grace.post(AUTHORIZE, "scopes=access:servers!server=ada/").await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let form = format!("_xsrf={}&scopes=access:servers!server%3Dada/", grace.xsrf());
    let code = code_of(&grace.post(AUTHORIZE, &form).await);
    assert_eq!(redeem(&hub, &code, &secret, "").await.status, StatusCode::OK);
    code_of(&grace.get(AUTHORIZE).await);
}

#[tokio::test]
async fn signing_out_revokes_what_was_issued_in_the_session() {
    let (hub, secret) = running().await;
    let mut ada = hub.signed_in("ada").await;
    let code = authorize(&mut ada).await;
    let token =
        redeem(&hub, &code, &secret, "").await.json()["access_token"].as_str().unwrap().to_owned();
    let copied = ada.clone();
    assert_eq!(hub.api(&token, Method::GET, "/user", None).await.status, StatusCode::OK);

    assert_eq!(ada.get("/hub/logout").await.status, StatusCode::FOUND);
    assert_eq!(hub.api(&token, Method::GET, "/user", None).await.status, StatusCode::FORBIDDEN);
    assert!(!ada.cookies.contains_key("jupyterhub-hub-login"));
    let mut copied = copied;
    assert!(
        copied.get("/hub/home").await.location().starts_with("/hub/login"),
        "a copied cookie is worthless"
    );
    // The server's own token goes on: the server still runs.
    assert_eq!(hub.api(&secret, Method::GET, "/user", None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn old_packages_ask_whose_token_it_is() {
    let (hub, secret) = running().await;
    let known =
        hub.api(&secret, Method::GET, &format!("/authorizations/token/{secret}"), None).await;
    assert_eq!((known.status, &known.json()["name"]), (StatusCode::OK, &json!("ada")));
    let unknown = hub.api(&secret, Method::GET, "/authorizations/token/nothing", None).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let nobody =
        hub.api("wrong", Method::GET, &format!("/authorizations/token/{secret}"), None).await;
    assert_eq!(nobody.status, StatusCode::FORBIDDEN);
}
