//! `/hub/api/users/{user}/tokens`

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{ADMIN, Answer, Browser, TestHub};

async fn make(browser: &mut Browser, user: &str, body: Value) -> Answer {
    let xsrf = browser.xsrf();
    let headers = [("x-xsrftoken", xsrf.as_str()), ("content-type", "application/json")];
    browser
        .request(
            Method::POST,
            &format!("/hub/api/users/{user}/tokens"),
            &headers,
            &body.to_string(),
        )
        .await
}

#[tokio::test]
async fn a_token_is_made_used_listed_and_revoked() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let made = make(&mut ada, "ada", json!({ "note": "script", "expires_in": 3600 })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let made = made.json();
    let token = made["token"].as_str().unwrap().to_owned();
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!((&made["note"], &made["user"]), (&json!("script"), &json!("ada")));

    let own = hub.api(&token, Method::GET, "/user", None).await.json();
    assert_eq!((&own["name"], &own["token_id"]), (&json!("ada"), &json!(id)));
    let list = hub.api(&token, Method::GET, "/users/ada/tokens", None).await.json();
    assert!(list["api_tokens"].as_array().unwrap().iter().any(|one| one["id"] == json!(id)));
    assert!(!list.to_string().contains(&token), "the secret is shown once");

    let revoked = hub.api(&token, Method::DELETE, &format!("/users/ada/tokens/{id}"), None).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    assert_eq!(hub.api(&token, Method::GET, "/user", None).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn mint_not_stronger() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let weak = make(&mut ada, "ada", json!({ "scopes": ["tokens!user=ada"] })).await.json();
    let weak = weak["token"].as_str().unwrap().to_owned();
    for body in
        [json!({}), json!({ "scopes": ["inherit"] }), json!({ "scopes": ["servers!user=ada"] })]
    {
        let answer = hub.api(&weak, Method::POST, "/users/ada/tokens", Some(body.clone())).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{body}: {}", answer.text);
    }
    let same = json!({ "scopes": ["read:tokens!user=ada"] });
    let answer = hub.api(&weak, Method::POST, "/users/ada/tokens", Some(same)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
}

#[tokio::test]
async fn scopes_beyond_the_owner_are_refused() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    for scopes in [json!(["admin:users"]), json!(["read:users!user=bob"]), json!(["no:such:scope"])]
    {
        let answer = make(&mut ada, "ada", json!({ "scopes": scopes })).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{scopes}: {}", answer.text);
    }
    assert_eq!(make(&mut ada, "bob", json!({})).await.status, StatusCode::NOT_FOUND);
    let far = make(&mut ada, "ada", json!({ "expires_in": 1_000_000_000_000_i64 })).await;
    assert_eq!(far.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn demotion_is_immediate() {
    let hub = TestHub::new().await;
    let mut grace = hub.signed_in("grace").await;
    let token =
        make(&mut grace, "grace", json!({})).await.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(hub.api(&token, Method::GET, "/users", None).await.status, StatusCode::OK);
    let grace = hub.store.users().by_name(&"grace".parse().unwrap()).await.unwrap().unwrap();
    hub.store.users().set_admin(grace.id, false).await.unwrap();
    assert_eq!(hub.api(&token, Method::GET, "/users", None).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_service_acts_with_its_own_scopes() {
    let hub = TestHub::new().await;
    let own = hub.api(ADMIN, Method::GET, "/user", None).await.json();
    assert_eq!((&own["kind"], &own["name"]), (&json!("service"), &json!("admin")));
    assert!(own["scopes"].as_array().unwrap().contains(&json!("admin:users")));
    // Ours lacks `tokens`.
    let answer = hub.api(ADMIN, Method::POST, "/users/ada/tokens", None).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}
