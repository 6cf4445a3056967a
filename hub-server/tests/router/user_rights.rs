//! What the rights of a caller show of `/hub/api/users`, and let them do there.

use http::{Method, StatusCode};
use hub_spawner::fake::FakeSpawner;
use hub_store::Store;
use serde_json::{Value, json};

use crate::harness::{ADMIN, TestHub, notebook};

/// Services that hold one right each.
const FEW: &str = r#"
[[services]]
name = "names"
api_token = "names-service-token"
scopes = ["list:users"]
[[services]]
name = "groups"
api_token = "groups-service-token"
scopes = ["read:users:groups"]
[[services]]
name = "activity"
api_token = "activity-service-token"
scopes = ["read:users:activity"]
[[services]]
name = "servers"
api_token = "servers-service-token"
scopes = ["read:servers"]
[[services]]
name = "roles"
api_token = "roles-service-token"
scopes = ["read:roles:users"]
[[services]]
name = "users"
api_token = "users-service-token"
scopes = ["read:users"]
[[services]]
name = "one-server"
api_token = "one-server-service-token"
scopes = ["list:users", "read:servers!server=ada/"]
[[services]]
name = "boss"
api_token = "boss-service-token"
scopes = ["admin:users", "list:users", "admin:auth_state", "servers"]
[[services]]
name = "opener"
api_token = "opener-service-token"
scopes = ["servers", "access:servers"]
"#;

pub(crate) async fn with_few() -> TestHub {
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    TestHub::configured(FEW, spawner, Store::in_memory().await.unwrap()).await
}

fn keys(body: &Value) -> Vec<&str> {
    body.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_filtered_scope_shows_its_own_people_only() {
    let hub = TestHub::new().await;
    let ada = hub.api("weak-service-token", Method::GET, "/users/ada", None).await;
    assert_eq!(ada.status, StatusCode::OK);
    let bob = hub.api("weak-service-token", Method::GET, "/users/bob", None).await;
    assert_eq!(bob.status, StatusCode::NOT_FOUND);
    let list = hub.api("weak-service-token", Method::GET, "/users", None).await;
    assert_eq!(list.status, StatusCode::FORBIDDEN);
    assert!(list.text.contains("list:users"), "{}", list.text);
}

#[tokio::test]
async fn adv_admin_users_not_admin() {
    let hub = TestHub::new().await;
    // The service holds admin:users, but not all that an administrator may do.
    for (method, path, body) in [
        (Method::POST, "/users", json!({ "usernames": ["eve"], "admin": true })),
        (Method::POST, "/users/eve", json!({ "admin": true })),
        (Method::PATCH, "/users/ada", json!({ "admin": true })),
        (Method::PATCH, "/users/grace", json!({ "admin": false })),
        (Method::DELETE, "/users/grace", json!(null)),
    ] {
        let answer = hub.api(ADMIN, method.clone(), path, Some(body)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}: {}", answer.text);
    }
    assert_eq!(hub.get("/users/grace").await.json()["admin"], true);
}

#[tokio::test]
async fn an_admin_service_makes_administrators() {
    let hub = TestHub::new().await;
    let chief = "chief-service-token";
    let made = hub.api(chief, Method::PATCH, "/users/ada", Some(json!({ "admin": true }))).await;
    assert_eq!((made.status, &made.json()["admin"]), (StatusCode::OK, &json!(true)));
    let unmade = hub.api(chief, Method::PATCH, "/users/ada", Some(json!({ "admin": false }))).await;
    assert_eq!((unmade.status, &unmade.json()["roles"]), (StatusCode::OK, &json!(["user"])));
}

#[tokio::test]
async fn a_scope_shows_its_fields_and_no_others() {
    let hub = with_few().await;
    for (token, shown) in [
        ("names-service-token", &["admin", "kind", "name", "user_info"][..]),
        ("groups-service-token", &["groups", "kind", "name"]),
        ("activity-service-token", &["kind", "last_activity", "name"]),
        ("servers-service-token", &["admin", "kind", "name", "servers", "user_info"]),
        ("roles-service-token", &["admin", "kind", "name", "roles"]),
        (
            "users-service-token",
            &[
                "admin",
                "created",
                "groups",
                "kind",
                "last_activity",
                "name",
                "pending",
                "roles",
                "server",
                "user_info",
            ],
        ),
    ] {
        let ada = hub.api(token, Method::GET, "/users/ada", None).await;
        assert_eq!(ada.status, StatusCode::OK, "{token}: {}", ada.text);
        let ada = ada.json();
        let mut seen = keys(&ada);
        seen.sort_unstable();
        assert_eq!(seen, shown, "{token}");
    }
}

#[tokio::test]
async fn one_server_is_shown_to_whoever_may_see_one() {
    let hub = with_few().await;
    let token = "one-server-service-token";
    let users = |answer: crate::harness::Answer| answer.json().as_array().unwrap().clone();
    for user in ["ada", "bob"] {
        let answer = hub.post(&format!("/users/{user}/server"), None).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    }
    for user in users(hub.api(token, Method::GET, "/users", None).await) {
        let is_ada = user["name"] == "ada";
        assert_eq!(user.get("servers").is_some(), is_ada, "{user}");
    }
}

#[tokio::test]
async fn auth_state_is_null_and_only_for_those_who_may_see_it() {
    let hub = with_few().await;
    let boss = "boss-service-token";
    for path in ["/users/ada", "/users"] {
        let answer = hub.api(boss, Method::GET, path, None).await.json();
        let ada = answer
            .as_array()
            .map_or(&answer, |all| all.iter().find(|user| user["name"] == "ada").unwrap());
        assert_eq!(ada.get("auth_state"), Some(&json!(null)), "{ada}");
    }
    let patched =
        hub.api(boss, Method::PATCH, "/users/ada", Some(json!({ "auth_state": null }))).await;
    assert_eq!(patched.status, StatusCode::OK, "{}", patched.text);
    assert_eq!(patched.json().get("auth_state"), Some(&json!(null)));
}

#[tokio::test]
async fn old_pages_may_ask_whether_they_may_open_a_server() {
    let hub = with_few().await;
    let ask = async |token: &str, user: &str| {
        hub.api(token, Method::POST, &format!("/users/{user}/admin-access"), None).await.status
    };
    assert_eq!(ask("opener-service-token", "ada").await, StatusCode::OK);
    assert_eq!(ask("opener-service-token", "nobody").await, StatusCode::NOT_FOUND);
    assert_eq!(ask("boss-service-token", "ada").await, StatusCode::FORBIDDEN);
    assert_eq!(ask("names-service-token", "ada").await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_right_that_is_taken_away_is_gone_for_a_token_that_was_just_used() {
    let more = r#"
[[roles]]
name = "staff"
scopes = ["list:users"]
groups = ["staff"]
[[groups]]
name = "staff"
users = ["ada"]
"#;
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    let hub = TestHub::configured(more, spawner, Store::in_memory().await.unwrap()).await;
    let chief = "chief-service-token";
    let made = hub.api(chief, Method::POST, "/users/ada/tokens", Some(json!({}))).await.json();
    let token = made["token"].as_str().unwrap();
    let list = || hub.api(token, Method::GET, "/users", None);
    assert_eq!(list().await.status, StatusCode::OK);
    assert_eq!(list().await.status, StatusCode::OK);

    let crew = hub.store.groups().by_name("staff").await.unwrap().unwrap();
    hub.store.groups().replace(crew.id, &[]).await.unwrap();
    assert_eq!(list().await.status, StatusCode::FORBIDDEN, "by a group");

    let admin =
        |admin: bool| hub.api(chief, Method::PATCH, "/users/ada", Some(json!({ "admin": admin })));
    assert_eq!(admin(true).await.status, StatusCode::OK);
    assert_eq!(list().await.status, StatusCode::OK);
    assert_eq!(admin(false).await.status, StatusCode::OK);
    assert_eq!(list().await.status, StatusCode::FORBIDDEN, "by a role");

    let id = made["id"].as_str().unwrap();
    let own = || hub.api(token, Method::GET, "/user", None);
    assert_eq!(own().await.status, StatusCode::OK);
    let path = format!("/users/ada/tokens/{id}");
    hub.api(chief, Method::DELETE, &path, None).await;
    assert_eq!(own().await.status, StatusCode::FORBIDDEN, "by the token");
}

#[tokio::test]
async fn a_right_over_some_is_refused_for_the_whole_and_says_so() {
    let more = r#"
[[services]]
name = "part"
api_token = "part-service-token"
scopes = ["admin:users!group=crew", "admin:groups!group=crew", "proxy!user=ada", "read:hub!user=ada"]
"#;
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    let hub = TestHub::configured(more, spawner, Store::in_memory().await.unwrap()).await;
    for (method, path, body) in [
        (Method::POST, "/users", Some(json!({ "usernames": ["eve"] }))),
        (Method::POST, "/groups", Some(json!({ "groups": ["crew"] }))),
        (Method::GET, "/proxy", None),
        (Method::GET, "/info", None),
    ] {
        let answer = hub.api("part-service-token", method, path, body).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}: {}", answer.text);
    }
}
