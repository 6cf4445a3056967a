//! `/hub/api/authorizations`, which old packages ask.

use http::{Method, StatusCode};
use serde_json::json;

use crate::harness::{ADMIN, TestHub};

#[tokio::test]
async fn a_token_is_told_to_whoever_has_one() {
    let hub = TestHub::new().await;
    let asked = |token: &'static str, about: &'static str| hub.api(token, Method::GET, about, None);
    let whose = asked(ADMIN, "/authorizations/token/weak-service-token").await;
    assert_eq!((whose.status, &whose.json()["name"]), (StatusCode::OK, &json!("weak")));
    assert!(whose.json().get("scopes").is_none() && whose.json().get("token_id").is_none());
    let unknown = asked(ADMIN, "/authorizations/token/no-such-token").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let nobody = asked("wrong", "/authorizations/token/weak-service-token").await;
    assert_eq!(nobody.status, StatusCode::FORBIDDEN);
    let mut ada = hub.signed_in("ada").await;
    let browser = ada.get("/hub/api/authorizations/token/weak-service-token").await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN, "a cookie is no token");
}

#[tokio::test]
async fn a_login_cookie_is_told_to_whoever_has_a_token() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let cookie = ada.cookies["jupyterhub-hub-login"].clone();
    let path = |name: &str, value: &str| format!("/authorizations/cookie/{name}/{value}");
    let login = "jupyterhub-hub-login";
    for value in [cookie.clone(), format!("%22{cookie}%22")] {
        let whose = hub.get(&path(login, &value)).await;
        assert_eq!((whose.status, &whose.json()["name"]), (StatusCode::OK, &json!("ada")));
    }
    let request = http::Request::get(format!("/hub/api/authorizations/cookie/{login}"))
        .header("authorization", format!("token {ADMIN}"))
        .body(axum::body::Body::from(cookie.clone()))
        .unwrap();
    let whose = crate::harness::send(&hub.router, request).await;
    assert_eq!((whose.status, &whose.json()["name"]), (StatusCode::OK, &json!("ada")));

    for (name, value) in [(login, "wrong"), ("other", cookie.as_str()), (login, "%00")] {
        let answer = hub.get(&path(name, value)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{name} {value}: {}", answer.text);
    }
    let own = ada.get(&format!("/hub/api{}", path(login, &cookie))).await;
    assert_eq!(own.status, StatusCode::FORBIDDEN, "a cookie is no token");
    ada.get("/hub/logout").await;
    let ended = hub.get(&path(login, &cookie)).await;
    assert_eq!(ended.status, StatusCode::NOT_FOUND, "a sign-out ends the cookie");
}

#[tokio::test]
async fn whoever_sends_a_password_the_old_way_is_told_the_new_one() {
    let hub = TestHub::new().await;
    let mut browser = hub.browser();
    let headers = [("origin", "http://elsewhere.test"), ("sec-fetch-mode", "cors")];
    let body = r#"{"username": "ada", "password": "x"}"#;
    let answer =
        browser.request(Method::POST, "/hub/api/authorizations/token", &headers, body).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.text.contains("/hub/api/users/:user/tokens"), "{}", answer.text);
}

#[tokio::test]
async fn a_service_is_described_as_far_as_whoever_asks_may_see_it() {
    let hub = TestHub::new().await;
    let own = hub.api("weak-service-token", Method::GET, "/user", None).await.json();
    assert_eq!((&own["kind"], &own["name"]), (&json!("service"), &json!("weak")));
    assert!(own.get("prefix").is_none() && own.get("roles").is_none(), "{own}");
    let path = "/authorizations/token/weak-service-token";
    let chief = hub.api("chief-service-token", Method::GET, path, None).await.json();
    assert_eq!((&chief["name"], &chief["roles"]), (&json!("weak"), &json!([])), "{chief}");
    assert_eq!(chief["prefix"], json!(""), "{chief}");
}
