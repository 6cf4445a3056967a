//! The token page, as a browser without scripts meets it.

use http::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::harness::{Answer, Browser, TestHub};

/// The text of the token that the page shows.
fn shown(page: &str) -> &str {
    let (_, rest) = page.split_once("id=\"token-result\" tabindex=\"0\">").expect("no token on it");
    rest.split('<').next().unwrap()
}

async fn make(browser: &mut Browser, fields: &str) -> Answer {
    let form = format!("_xsrf={}&{fields}", browser.xsrf());
    browser.post("/hub/token", &form).await
}

#[tokio::test]
async fn a_token_is_shown_once_works_and_is_revoked() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let made = make(&mut ada, "note=backup+script&expires_in=3600").await;
    assert_eq!(made.status, StatusCode::OK);
    let token = shown(&made.text).to_owned();
    let known = hub.api(&token, Method::GET, "/user", None).await;
    assert_eq!(known.json()["name"], "ada");
    let listed = hub.api(&token, Method::GET, "/users/ada/tokens", None).await.json();
    let record = &listed["api_tokens"][0];
    assert_eq!(record["note"], "backup script");
    assert!(record["expires_at"].is_string(), "{record}");

    let page = ada.get("/hub/token").await;
    assert!(page.text.contains("backup script") && !page.text.contains(&token));
    let id = record["id"].as_str().unwrap();
    assert!(page.text.contains(&format!("data-token=\"{id}\"")), "{}", page.text);
    let revoked = make(&mut ada, &format!("revoke={id}")).await;
    assert_eq!((revoked.status, revoked.location()), (StatusCode::FOUND, "/hub/token"));
    let gone = hub.api(&token, Method::GET, "/user", None).await;
    assert_eq!(gone.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_token_may_be_limited_to_some_rights() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let page = ada.get("/hub/token").await.text;
    assert!(page.contains("value=\"read:servers!user=ada\""), "{page}");
    assert!(!page.contains("admin:users"), "she does not hold it");
    let made = make(&mut ada, "scopes=read:servers!user%3Dada&scopes=read:users:name!user").await;
    let token = shown(&made.text).to_owned();
    let may = hub.api(&token, Method::GET, "/user", None).await.json()["scopes"].clone();
    let names: Vec<&str> =
        may.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert!(names.contains(&"read:servers!user=ada"), "{names:?}");
    assert!(!names.contains(&"servers!user=ada"), "{names:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_wish_is_told_in_place() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let refused = make(&mut ada, "note=x&scopes=admin:users").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text.contains("not held by User ada"), "{}", refused.text);
    assert!(refused.text.contains("value=\"x\""), "the note is kept");
    let missing = make(&mut ada, "revoke=a4711").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);

    let forged = ada.post("/hub/token", "note=x").await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    assert_eq!(hub.browser().post("/hub/token", "note=x").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn nobody_revokes_the_token_of_another() {
    let hub = TestHub::new().await;
    let mut bob = hub.signed_in("bob").await;
    hub.signed_in("ada").await;
    let body = Some(json!({"note": "hers"}));
    let made = hub.api("chief-service-token", Method::POST, "/users/ada/tokens", body).await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(make(&mut bob, &format!("revoke={id}")).await.status, StatusCode::NOT_FOUND);
    let token = made.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(hub.api(&token, Method::GET, "/user", None).await.json()["name"], "ada");
}

#[tokio::test]
async fn applications_and_servers_are_listed_apart() {
    let hub = TestHub::new().await;
    hub.post("/users/ada/server", None).await;
    let mut ada = hub.signed_in("ada").await;
    let page = ada.get("/hub/token").await.text;
    assert!(page.contains("Server at /user/ada/"), "{page}");
    assert!(page.contains("ends when it stops") && !page.contains("data-token="), "{page}");
    // Her browser opens her server, which asks for a token of its own.
    let query = "client_id=jupyterhub-user-ada&redirect_uri=%2Fuser%2Fada%2Foauth_callback&response_type=code";
    let back = ada.get(&format!("/hub/api/oauth2/authorize?{query}")).await;
    assert_eq!(back.status, StatusCode::FOUND, "{}", back.text);
    let code = back.location().split_once("code=").unwrap().1.to_owned();
    let secret = hub.spawner.requests()[0].api_token.expose_secret().to_owned();
    let form = format!("grant_type=authorization_code&client_secret={secret}&code={code}&{query}");
    let answer = hub.browser().post("/hub/api/oauth2/token", &form).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let page = ada.get("/hub/token").await.text;
    assert!(page.contains("data-application"), "{page}");
    assert!(page.contains("Use servers: open them and run code there."), "{page}");
}
