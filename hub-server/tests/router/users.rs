//! `/hub/api/users`

use http::{Method, StatusCode};
use hub_spawner::fake::FakeSpawner;
use hub_store::Store;
use serde_json::json;

use crate::harness::{ADMIN, CONFIG, TestHub};

#[tokio::test]
async fn the_hub_tells_its_version_to_anybody() {
    let hub = TestHub::new().await;
    for path in ["", "/"] {
        let answer = hub.api("", Method::GET, path, None).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json(), json!({ "version": "6.1.1" }));
        assert_eq!(answer.headers["x-jupyterhub-version"], "6.1.1");
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
    }
}

#[tokio::test]
async fn a_bad_token_is_403_with_a_message() {
    let hub = TestHub::new().await;
    for path in ["/user", "/users", "/users/ada"] {
        let answer = hub.api("wrong-token", Method::GET, path, None).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(
            answer.json(),
            json!({ "status": 403, "message": "Missing or invalid credentials." })
        );
    }
}

#[tokio::test]
async fn users_are_added_read_and_deleted() {
    let hub = TestHub::new().await;
    let made = hub.post("/users", Some(json!({ "usernames": ["Eve", "mallory"] }))).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let names: Vec<_> =
        made.json().as_array().unwrap().iter().map(|user| user["name"].clone()).collect();
    assert_eq!(names, ["eve", "mallory"]);

    let again = hub.post("/users", Some(json!({ "usernames": ["eve"] }))).await;
    assert_eq!(again.status, StatusCode::CONFLICT);

    let eve = hub.get("/users/eve").await.json();
    assert_eq!(eve["kind"], "user");
    assert_eq!(eve["admin"], false);
    assert_eq!(eve["servers"], json!({}));
    assert_eq!(eve["server"], json!(null));
    assert_eq!(eve["roles"], json!(["user"]));

    let gone = hub.api(ADMIN, Method::DELETE, "/users/eve", None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(hub.get("/users/eve").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn usr_4_usr_8_a_list_that_seeds_takes_nobody_away() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("userlist");
    let text =
        CONFIG.replace("allowed_users = [\"ada\", \"bob\"]", &format!("userlist = {list:?}"));
    let (spawner, store) = (FakeSpawner::new(), Store::in_memory().await.unwrap());
    std::fs::write(&list, "ada admin\nbob\n").unwrap();
    let first = TestHub::reading(&text, spawner.clone(), store.clone()).await;
    first.signed_in("ada").await;
    assert_eq!(first.get("/users/ada").await.json()["admin"], true);
    let made = first.post("/users", Some(json!({ "usernames": ["eve"] }))).await;
    assert_eq!(made.status, StatusCode::CREATED);
    drop(first);

    std::fs::write(&list, "bob\n").unwrap();
    let second = TestHub::reading(&text, spawner, store).await;
    assert_eq!(second.get("/users/ada").await.json()["admin"], true, "nothing is taken back");
    second.signed_in("ada").await;
    // Added by an administrator, on no list.
    second.signed_in("eve").await;
    let stranger = second.browser().sign_in("mallory", "/hub/login").await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn bad_bodies_are_400_and_change_nothing() {
    let hub = TestHub::new().await;
    let before = hub.get("/users").await.json();
    for body in [
        json!({}),
        json!({ "usernames": [] }),
        json!({ "usernames": "abc" }),
        json!({ "usernames": ["ok", "a/b"] }),
        json!({ "usernames": ["x"], "surprise": 1 }),
        json!([]),
        json!(3),
    ] {
        let answer = hub.post("/users", Some(body.clone())).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.text);
        assert!(!answer.json()["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(hub.get("/users").await.json(), before);
}

#[tokio::test]
async fn lists_come_in_pages_for_those_who_ask() {
    let hub = TestHub::new().await;
    let names: Vec<String> = (0..7).map(|n| format!("student{n}")).collect();
    hub.post("/users", Some(json!({ "usernames": names }))).await;

    let mut browser = hub.signed_in("grace").await;
    let accept = ("accept", "application/jupyterhub-pagination+json");
    let path = "/hub/api/users?limit=3&name_filter=STUDENT";
    let page = browser.request(Method::GET, path, &[accept], "").await.json();
    assert_eq!(page["_pagination"]["total"], 7);
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
    let next = &page["_pagination"]["next"];
    assert_eq!((next["offset"].clone(), next["limit"].clone()), (json!(3), json!(3)));
    assert!(
        next["url"]
            .as_str()
            .unwrap()
            .starts_with("http://hub.test/hub/api/users?name_filter=STUDENT")
    );

    let last =
        browser.request(Method::GET, &format!("{path}&offset=6"), &[accept], "").await.json();
    assert_eq!(last["_pagination"]["next"], json!(null));
    let wild =
        browser.request(Method::GET, "/hub/api/users?name_filter=%25", &[accept], "").await.json();
    assert_eq!(wild["_pagination"]["total"], 0, "% is a character, not a wildcard");
    let bad = browser.request(Method::GET, "/hub/api/users?limit=many", &[accept], "").await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
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
async fn activity_moves_forward_only() {
    let hub = TestHub::new().await;
    let report = |at: &str| json!({ "last_activity": at });
    let mut grace = hub.signed_in("grace").await;
    let token = grace
        .request(
            Method::POST,
            "/hub/api/users/grace/tokens",
            &[("x-xsrftoken", &grace.xsrf()), ("content-type", "application/json")],
            r#"{"scopes": ["users:activity"]}"#,
        )
        .await
        .json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    for (at, status) in [
        ("2030-01-01T00:00:00Z", StatusCode::BAD_REQUEST),
        ("not a time", StatusCode::BAD_REQUEST),
        ("2020-01-01T00:00:00Z", StatusCode::OK),
    ] {
        let answer = hub.api(&token, Method::POST, "/users/ada/activity", Some(report(at))).await;
        assert_eq!(answer.status, status, "{at}: {}", answer.text);
    }
    let seen = hub.get("/users/ada").await.json()["last_activity"].clone();
    assert_eq!(seen, "2020-01-01T00:00:00Z");
    hub.api(&token, Method::POST, "/users/ada/activity", Some(report("2019-01-01T00:00:00Z")))
        .await;
    assert_eq!(hub.get("/users/ada").await.json()["last_activity"], seen);
}
