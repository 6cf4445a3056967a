//! `/hub/metrics`

use http::{Method, StatusCode};
use hub_spawner::fake::FakeSpawner;
use hub_store::Store;

use crate::harness::{ADMIN, TestHub, eventually, notebook, send};

const READER: &str = "[[services]]\nname = \"prometheus\"\napi_token = \"prometheus-service-token\"\n\
                      scopes = [\"read:metrics\"]\n";

async fn hub(more: &str) -> TestHub {
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    TestHub::configured(more, spawner, Store::in_memory().await.unwrap()).await
}

/// The numbers as the scraper's token shows them.
async fn numbers(hub: &TestHub) -> String {
    let answer = hub.api("prometheus-service-token", Method::GET, "/metrics", None).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "text/plain; version=1.0.0; charset=utf-8");
    answer.text
}

/// The value of a line.
fn value(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not there:\n{text}")).parse().unwrap()
}

#[tokio::test]
async fn metrics_take_a_scope_by_token_or_cookie() {
    let hub = hub(READER).await;
    let refused = hub.browser().get("/hub/metrics").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("Access to metrics requires scope"), "{}", refused.text);
    assert!(refused.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    assert_eq!(hub.api(ADMIN, Method::GET, "/metrics", None).await.status, StatusCode::FORBIDDEN);
    let user = hub.signed_in("ada").await.get("/hub/metrics").await;
    assert_eq!(user.status, StatusCode::FORBIDDEN);

    let admin = hub.signed_in("grace").await.get("/hub/metrics").await;
    assert_eq!(admin.status, StatusCode::OK);
    assert!(admin.text.contains("jupyterhub_total_users "));
    numbers(&hub).await;
}

#[tokio::test]
async fn metrics_are_open_when_the_operator_says_so() {
    let hub = hub("[metrics]\nauthenticate = false\nprefix = \"class\"\n").await;
    let open = hub.browser().get("/hub/metrics").await;
    assert_eq!(open.status, StatusCode::OK);
    assert!(open.text.contains("class_running_servers 0"), "{}", open.text);
}

#[tokio::test]
async fn what_happens_is_counted_where_it_happens() {
    let hub = hub(READER).await;
    let mut ada = hub.signed_in("ada").await;
    hub.post("/users/ada/server", None).await;
    assert_eq!(value(&numbers(&hub).await, "jupyterhub_running_servers"), 1.0);
    hub.api(ADMIN, Method::DELETE, "/users/ada/server", None).await;
    ada.get("/hub/logout").await;
    let text = numbers(&hub).await;

    assert_eq!(value(&text, "jupyterhub_running_servers"), 0.0);
    let users = hub.store.users().count(None).await.unwrap();
    assert_eq!(value(&text, "jupyterhub_total_users").to_string(), users.to_string());
    for (name, labels) in [
        ("server_spawn_duration_seconds", r#"{status="success",reason=""}"#),
        ("server_stop_seconds", r#"{status="success"}"#),
        ("login_duration_seconds", r#"{status="success"}"#),
        ("logout_duration_seconds", ""),
        ("proxy_add_duration_seconds", r#"{status="success"}"#),
        ("proxy_delete_duration_seconds", r#"{status="success"}"#),
        ("init_spawners_duration_seconds", ""),
        (
            "request_duration_seconds",
            r#"{method="POST",handler="jupyterhub.apihandlers.users.UserServerAPIHandler",code="201"}"#,
        ),
        (
            "request_duration_seconds",
            r#"{method="GET",handler="jupyterhub.handlers.login.LoginHandler",code="200"}"#,
        ),
    ] {
        let name = format!("jupyterhub_{name}_count{labels}");
        assert_eq!(value(&text, &name), 1.0, "{name}");
    }
}

#[tokio::test]
async fn active_users_are_counted_from_the_store() {
    let hub = hub(READER).await;
    let counted = || async {
        let text = numbers(&hub).await;
        text.contains("jupyterhub_active_users{period=\"24h\"} ")
            && text.contains("jupyterhub_active_users{period=\"30d\"} ")
    };
    eventually("active users are counted", counted).await;
}

#[tokio::test]
async fn servers_do_not_meet_the_numbers() {
    let hub = hub(READER).await;
    let request = http::Request::get("/hub/metrics").body(axum::body::Body::empty()).unwrap();
    assert_eq!(send(&hub.private, request).await.status, StatusCode::NOT_FOUND);
}
