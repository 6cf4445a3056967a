//! `POST /hub/api/shutdown`

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, TestHub, key};

async fn shutdown(hub: &TestHub, body: Option<Value>) -> Answer {
    hub.api("chief-service-token", Method::POST, "/shutdown", body).await
}

#[tokio::test]
async fn the_hub_ends_and_the_servers_go_on() {
    let hub = TestHub::new().await;
    hub.post("/users/ada/server", None).await;
    let answer = shutdown(&hub, None).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.json(), json!({ "message": "Shutting down Hub" }));
    hub.assembled.asked_to_end().await;
    assert_eq!(hub.spawner.running(), [key("ada")]);
}

#[tokio::test]
async fn the_servers_end_first_if_they_are_to() {
    let hub = TestHub::new().await;
    for user in ["ada", "bob"] {
        hub.post(&format!("/users/{user}/server"), None).await;
    }
    let answer = shutdown(&hub, Some(json!({ "servers": true, "proxy": false }))).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    hub.assembled.asked_to_end().await;
    assert!(hub.spawner.running().is_empty());
    let late = hub.post("/users/ada/server", None).await;
    assert_eq!(late.status, StatusCode::SERVICE_UNAVAILABLE, "{}", late.text);
    assert_eq!(late.json()["message"], "The hub is shutting down.");
    assert_eq!(hub.spawner.requests().len(), 2, "nothing starts behind its back");
}

#[tokio::test]
async fn what_is_no_flag_ends_nothing() {
    let hub = TestHub::new().await;
    for (body, message) in [
        (json!({ "servers": "yes" }), "servers must be true or false, got \"yes\""),
        (json!({ "servers": true, "proxy": 3 }), "proxy must be true or false, got 3"),
    ] {
        let answer = shutdown(&hub, Some(body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.json()["message"], message);
    }
    let refused = hub.post("/shutdown", None).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    tokio::select! {
        biased;
        () = hub.assembled.asked_to_end() => panic!("the hub ends"),
        () = tokio::task::yield_now() => {}
    }
}
