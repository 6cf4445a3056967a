//! The acceptance test of the deployment that this hub takes the place of.

use hub_tests::{ADMIN_TOKEN, TestHub, eventually};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn tst_1_upstreams_flow_passes() {
    let hub = TestHub::builder().start().await;
    let (status, version) = hub.api(Method::GET, "", None).await;
    assert_eq!((status, &version["version"]), (200, &json!("6.1.1")));

    let (status, made) =
        hub.api(Method::POST, "/users", Some(json!({ "usernames": ["test-user"] }))).await;
    assert_eq!(status, 201, "{made}");
    let (status, started) = hub.api(Method::POST, "/users/test-user/server", None).await;
    assert!(matches!(status, 201 | 202), "{status} {started}");
    eventually("the server is ready", || async {
        let (_, user) = hub.api(Method::GET, "/users/test-user", None).await;
        if user["servers"][""]["ready"] == true { Ok(()) } else { Err(user) }
    })
    .await;

    let ask = async |path: &str| -> Value {
        let url = format!("{}/user/test-user{path}", hub.url);
        let token = format!("token {ADMIN_TOKEN}");
        let response = hub.client().get(url).header("authorization", token).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    };
    assert!(ask("/api").await["version"].is_string());
    assert!(ask("/api/contents").await["content"].is_array());

    let (status, _) = hub.api(Method::DELETE, "/users/test-user", None).await;
    assert_eq!(status, 204);
    assert!(hub.containers().await.is_empty());
}
