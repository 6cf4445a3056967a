//! The acceptance flow of the deployment that this hub takes the place of, without
//! a Docker engine.

use http::{Method, StatusCode};
use hub_spawner::fake::FakeSpawner;
use hub_store::Store;
use serde_json::json;

use crate::harness::{TestHub, eventually, notebook};

/// Nothing but what that deployment's own test has.
const SERVICE: &str = r#"
[[services]]
name = "test"
api_token = "acceptance-test-token"
scopes = ["admin:users", "admin:servers", "access:servers"]
"#;

#[tokio::test]
async fn tst_1_upstreams_flow_passes() {
    let at = notebook().await;
    let spawner = FakeSpawner::new().answers_with(at.clone());
    let hub = TestHub::configured(SERVICE, spawner, Store::in_memory().await.unwrap()).await;
    let api = async |method, path, body| hub.api("acceptance-test-token", method, path, body).await;
    assert_eq!(api(Method::GET, "", None).await.json()["version"], "6.1.1");
    let users = Some(json!({ "usernames": ["test-user"] }));
    assert_eq!(api(Method::POST, "/users", users).await.status, StatusCode::CREATED);
    let started = api(Method::POST, "/users/test-user/server", None).await.status;
    assert!(matches!(started, StatusCode::CREATED | StatusCode::ACCEPTED), "{started}");
    eventually("the server is ready", || async {
        let user = api(Method::GET, "/users/test-user", None).await.json();
        user["servers"][""]["ready"] == true
    })
    .await;
    // Bytes are the proxy's business; that it is asked for this server is ours.
    assert!(hub.assembled.routes().resolve("/user/test-user/api").is_some());
    assert!(hub.assembled.routes().resolve("/user/test-user/api/contents").is_some());
    let gone = api(Method::DELETE, "/users/test-user", None).await.status;
    assert_eq!(gone, StatusCode::NO_CONTENT);
    assert!(hub.spawner.running().is_empty());
}
