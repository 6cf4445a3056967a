//! How many servers and tokens there may be, and what happens beyond (hub-contract 8.2).

use http::{Method, StatusCode, header};
use hub_spawner::{SpawnError, fake::FakeSpawner};
use jiff::SignedDuration;
use serde_json::json;

use crate::harness::{ADMIN, TestHub, eventually, key, notebook};

/// The token of the service that may do everything.
const CHIEF: &str = "chief-service-token";

async fn with_limit(lines: &str) -> TestHub {
    TestHub::with_servers(lines, FakeSpawner::new().answers_with(notebook().await)).await
}

fn rejects() -> SpawnError {
    SpawnError::Rejected { what: "the image".to_owned(), reason: "choose one of a, b".to_owned() }
}

#[tokio::test]
async fn starts_beyond_the_limit_are_told_when_to_come_again() {
    let hub =
        with_limit("concurrent_spawn_limit = 1\nspawn_throttle_retry_range_seconds = \"40-40\"")
            .await;
    hub.spawner.hold_starts();
    let first = hub.post("/users/ada/server", None);
    let second = async {
        eventually("the first start is under way", || async {
            hub.get("/users/ada").await.json()["pending"] == "spawn"
        })
        .await;
        let refused = hub.post("/users/bob/server", None).await;
        let mut bob = hub.signed_in("bob").await;
        let page = bob.get("/hub/spawn").await;
        hub.spawner.let_starts_go();
        (refused, page)
    };
    let (first, (refused, page)) = tokio::join!(first, second);
    assert_eq!(first.status, StatusCode::CREATED);
    for answer in [&refused, &page] {
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers[header::RETRY_AFTER], "40");
    }
    let text = "Too many users trying to log in right now. Try again in 40 seconds.";
    assert_eq!(refused.json(), json!({ "status": 429, "message": text }));
    assert!(page.text.contains(text), "{}", page.text);
    // The first is up and makes room.
    assert_eq!(hub.post("/users/bob/server", None).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn servers_beyond_the_limit_wait_for_one_to_stop() {
    let hub = with_limit("active_server_limit = 1").await;
    hub.post("/users/ada/server", None).await;
    let refused = hub.post("/users/bob/server", None).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(!refused.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(
        refused.json()["message"],
        "Active user limit exceeded. Try again in a few minutes."
    );
    hub.api(ADMIN, Method::DELETE, "/users/ada/server", None).await;
    assert_eq!(hub.post("/users/bob/server", None).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn b5_no_more_servers_than_the_limit_however_they_are_asked_for() {
    let hub = with_limit("active_server_limit = 2\nallow_named_servers = true").await;
    let paths = ["ada/server", "ada/servers/a", "ada/servers/b", "bob/server", "bob/servers/a"];
    let starts = paths.map(|path| {
        let hub = &hub;
        async move { hub.post(&format!("/users/{path}"), None).await.status }
    });
    let answers = futures_util::future::join_all(starts).await;
    assert_eq!(answers.iter().filter(|one| **one == StatusCode::CREATED).count(), 2, "{answers:?}");
    assert_eq!(hub.spawner.running().len(), 2);
}

#[tokio::test]
async fn what_a_user_chose_wrongly_is_their_error_and_none_of_the_hub() {
    let spawner = FakeSpawner::new().fails_with(rejects);
    let hub = TestHub::with_servers("consecutive_failure_limit = 1", spawner).await;
    let answer = hub.post("/users/ada/server", Some(json!({ "image": "x" }))).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["message"], "the image is not allowed: choose one of a, b.");
    assert!(!hub.assembled.has_given_up());
    let mut ada = hub.signed_in("ada").await;
    assert_eq!(ada.get("/hub/spawn-pending/ada").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn spn_35_no_room_is_told_with_when_to_come_again_and_ends_no_hub() {
    let full = || SpawnError::NoCapacity {
        reason: "all graphics processors are taken",
        source: "2 of 2".into(),
    };
    let spawner = FakeSpawner::new().fails_with(full);
    let hub = TestHub::with_servers("consecutive_failure_limit = 1", spawner).await;
    let answer = hub.post("/users/ada/server", None).await;
    let mut ada = hub.signed_in("ada").await;
    let page = ada.get("/hub/spawn-pending/ada").await;
    for answer in [&answer, &page] {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
        assert_eq!(answer.headers[header::RETRY_AFTER], "60");
        assert!(answer.text.contains("all graphics processors are taken"), "{}", answer.text);
    }
    assert!(!hub.assembled.has_given_up());
}

#[tokio::test]
async fn failures_in_a_row_end_the_hub_and_a_success_between_them_does_not() {
    let exits = || SpawnError::NameTaken { name: "jupyter-ada".to_owned() };
    let up = FakeSpawner::new().answers_with(notebook().await);
    let spawner =
        up.behaves_for(key("ada"), hub_spawner::fake::Behaviour::Fails(std::sync::Arc::new(exits)));
    let hub = TestHub::with_servers("consecutive_failure_limit = 2", spawner).await;
    for (user, gives_up) in [("ada", false), ("bob", false), ("ada", false), ("ada", true)] {
        hub.post(&format!("/users/{user}/server"), None).await;
        assert_eq!(hub.assembled.has_given_up(), gives_up, "{user}");
    }
}

#[tokio::test]
async fn limit_of_tokens_per_user() {
    let hub = TestHub::with_auth("tokens_per_user = 3\ntokens_per_minute = 0").await;
    let mut ids = Vec::new();
    for user in ["ada", "bob"] {
        hub.signed_in(user).await;
        for _ in 0..3 {
            let made = hub.api(CHIEF, Method::POST, &format!("/users/{user}/tokens"), None).await;
            assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
            ids.push(made.json()["id"].as_str().unwrap().to_owned());
        }
    }
    let full = hub.api(CHIEF, Method::POST, "/users/ada/tokens", None).await;
    assert_eq!(full.status, StatusCode::BAD_REQUEST, "{}", full.text);
    for said in ["ada has 3 tokens", "Revoke", "auth.tokens_per_user"] {
        assert!(full.text.contains(said), "{}", full.text);
    }
    let mut ada = hub.signed_in("ada").await;
    ada.get("/hub/token").await;
    let page = ada.post("/hub/token", &format!("_xsrf={}&note=one+more", ada.xsrf())).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST, "{}", page.text);
    assert!(page.text.contains("ada has 3 tokens"), "{}", page.text);

    let path = format!("/users/ada/tokens/{}", ids[0]);
    hub.api(CHIEF, Method::DELETE, &path, None).await;
    let made = hub.api(CHIEF, Method::POST, "/users/ada/tokens", None).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
}

#[tokio::test]
async fn limit_of_tokens_per_minute() {
    let hub = TestHub::with_auth("tokens_per_minute = 2").await;
    hub.signed_in("ada").await;
    let make = || hub.api(CHIEF, Method::POST, "/users/ada/tokens", None);
    for _ in 0..2 {
        assert_eq!(make().await.status, StatusCode::CREATED);
    }
    let late = make().await;
    assert_eq!(late.status, StatusCode::TOO_MANY_REQUESTS, "{}", late.text);
    assert_eq!(late.headers["retry-after"], "60");
    assert!(late.text.contains("2 tokens were made for ada within a minute"), "{}", late.text);
    hub.clock.advance(SignedDuration::from_secs(61));
    assert_eq!(make().await.status, StatusCode::CREATED);
}
