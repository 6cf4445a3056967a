//! The acceptance test of the deployment that this hub takes the place of.

use hub_tests::{TestHub, eventually};
use reqwest::Method;
use serde_json::{Value, json};

const TOKEN: &str = "acceptance-test-token";

/// Nothing but what the deployment's own test has.
const SERVICE: &str = "[[services]]\nname = \"test\"\napi_token = \"acceptance-test-token\"\n\
                       scopes = [\"admin:users\", \"admin:servers\", \"access:servers\"]";

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn tst_1_upstreams_flow_passes() {
    let hub = TestHub::builder().config(SERVICE).start().await;
    let api = async |method, path: &str, body| hub.api_with(TOKEN, method, path, body).await;
    let (status, version) = api(Method::GET, "", None).await;
    assert_eq!((status, &version["version"]), (200, &json!("6.1.1")));

    let (status, made) =
        api(Method::POST, "/users", Some(json!({ "usernames": ["test-user"] }))).await;
    assert_eq!(status, 201, "{made}");
    let (status, started) = api(Method::POST, "/users/test-user/server", None).await;
    assert!(matches!(status, 201 | 202), "{status} {started}");
    eventually("the server is ready", || async {
        let (_, user) = api(Method::GET, "/users/test-user", None).await;
        if user["servers"][""]["ready"] == true { Ok(()) } else { Err(user) }
    })
    .await;

    let ask = async |path: &str| -> Value {
        let url = format!("{}/user/test-user{path}", hub.url);
        let token = format!("token {TOKEN}");
        let response = hub.client().get(url).header("authorization", token).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    };
    assert!(ask("/api").await["version"].is_string());
    assert!(ask("/api/contents").await["content"].is_array());

    let (status, _) = api(Method::DELETE, "/users/test-user", None).await;
    assert_eq!(status, 204);
    assert!(hub.containers().await.is_empty());
}
