//! `/hub/api/users`

use http::{Method, StatusCode};
use hub_spawner::fake::FakeSpawner;
use hub_store::Store;
use serde_json::{Value, json};

use crate::{
    harness::{ADMIN, CONFIG, TestHub},
    user_rights::with_few,
};

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

#[tokio::test]
async fn a_change_of_a_user_is_checked_before_it_is_made() {
    let hub = with_few().await;
    let boss = "boss-service-token";
    let patch = |body: Value| hub.api(boss, Method::PATCH, "/users/ada", Some(body));
    for (body, part) in [
        (json!({ "groups": ["crew"] }), "POST /groups/GROUP/users"),
        (json!({ "roles": ["admin"] }), "[[roles]]"),
        (json!({ "auth_state": { "token": "x" } }), "comes with a sign-in only"),
        (json!({ "name": "bob" }), "User bob already exists, username must be unique"),
        (json!({ "name": "a/b" }), "Invalid username"),
        (json!({ "surprise": 1 }), "Invalid JSON keys"),
        (json!({ "name": "zoe", "groups": [] }), "POST /groups/GROUP/users"),
        (json!({ "admin": "yes" }), "Invalid JSON"),
        (json!([]), "Invalid JSON"),
    ] {
        let answer = patch(body.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.text);
        assert!(answer.text.contains(part), "{body}: {}", answer.text);
    }
    let renamed = patch(json!({ "name": "Zoe" })).await;
    assert_eq!((renamed.status, &renamed.json()["name"]), (StatusCode::OK, &json!("zoe")));
    let gone = hub.api(boss, Method::PATCH, "/users/ada", Some(json!({ "admin": false }))).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn names_are_folded_in_lists_and_not_in_paths() {
    let hub = TestHub::new().await;
    let made = hub.post("/users/Zoe", None).await;
    assert_eq!((made.status, &made.json()["name"]), (StatusCode::CREATED, &json!("Zoe")));
    assert_eq!(hub.get("/users/zoe").await.status, StatusCode::NOT_FOUND);
    let made = hub.post("/users", Some(json!({ "usernames": ["Zoe", "ZOE"] }))).await;
    assert_eq!(made.json().as_array().unwrap().len(), 1);
    assert_eq!(hub.get("/users/zoe").await.json()["name"], "zoe");
    let again = hub.post("/users/zoe", None).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(again.json()["message"], "User zoe already exists");
    let all = hub.post("/users", Some(json!({ "usernames": ["zoe", "ada"] }))).await;
    assert_eq!(all.json()["message"], "All 2 users already exist");
}

#[tokio::test]
async fn everybody_may_know_who_they_are() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let by_cookie = ada.get("/hub/api/user").await.json();
    assert_eq!((&by_cookie["token_id"], &by_cookie["name"]), (&json!(null), &json!("ada")));
    let scopes: Vec<&str> =
        by_cookie["scopes"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert!(scopes.is_sorted() && scopes.contains(&"servers!user=ada"), "{scopes:?}");

    let xsrf = ada.xsrf();
    let headers = [("x-xsrftoken", xsrf.as_str()), ("content-type", "application/json")];
    let body = r#"{"scopes": ["read:users:activity!user=ada"]}"#;
    let made = ada.request(Method::POST, "/hub/api/users/ada/tokens", &headers, body).await.json();
    let token = made["token"].as_str().unwrap();
    let own = hub.api(token, Method::GET, "/user", None).await.json();
    for (key, value) in [
        ("kind", json!("user")),
        ("name", json!("ada")),
        ("admin", json!(false)),
        ("groups", json!([])),
        ("user_info", json!(null)),
        ("session_id", json!(null)),
        ("token_id", made["id"].clone()),
    ] {
        assert_eq!(own[key], value, "{key}: {own}");
    }
    assert!(own.get("servers").is_none() && own.get("roles").is_none(), "{own}");
}

#[tokio::test]
async fn a_user_with_files_under_the_name_keeps_it() {
    let hub = TestHub::new().await;
    hub.spawner.keeps_files_of(&"ada".parse().unwrap());
    let patch = |user: &'static str, name: &'static str| {
        let body = Some(json!({ "name": name }));
        let path = format!("/users/{user}");
        let hub = &hub;
        async move { hub.api(ADMIN, Method::PATCH, &path, body).await }
    };
    let refused = patch("ada", "countess").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
    assert!(refused.text.contains("files of ada would stay behind"), "{}", refused.text);
    assert_eq!(hub.get("/users/ada").await.status, StatusCode::OK);
    assert_eq!(patch("bob", "robert").await.status, StatusCode::OK);
    assert_eq!(hub.get("/users/robert").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_body_is_an_object_or_nothing() {
    let hub = TestHub::new().await;
    for (method, path, body) in [
        (Method::POST, "/users", json!([["eve"], true])),
        (Method::POST, "/users/eve", json!([null, true])),
        (Method::POST, "/users/ada/tokens", json!([null, "n", 60, null, null])),
        (Method::POST, "/users/ada/activity", json!(["2026-11-30T00:00:00Z"])),
        (Method::POST, "/groups/crew", json!([])),
        (Method::POST, "/services/extra", json!([])),
        (Method::POST, "/services/extra", json!({})),
    ] {
        let answer = hub.api("chief-service-token", method, path, Some(body.clone())).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path} {body}: {}", answer.text);
    }
    assert_eq!(hub.get("/users/eve").await.status, StatusCode::NOT_FOUND);
    // `null` is nothing, as in JupyterHub.
    let made = hub.post("/users/eve", Some(Value::Null)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let nothing = json!({ "last_activity": "2026-11-30T00:00:00Z", "servers": null });
    let told = hub.post("/users/eve/activity", Some(nothing)).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    assert_eq!(hub.post("/users/eve/server", None).await.status, StatusCode::CREATED);
    let stop = Some(json!({ "remove": null }));
    let stopped = hub.api(ADMIN, Method::DELETE, "/users/eve/server", stop).await;
    assert_eq!(stopped.status, StatusCode::NO_CONTENT, "{}", stopped.text);
}

#[tokio::test]
async fn a_start_and_a_stop_are_signs_of_life() {
    let hub = TestHub::new().await;
    hub.post("/users/eve", None).await;
    let seen = async || {
        let eve = hub.get("/users/eve?include_stopped_servers=1").await.json();
        let of = |value: &Value| value["last_activity"].as_str().unwrap_or_default().to_owned();
        (of(&eve), of(&eve["servers"][""]))
    };
    assert_eq!(seen().await, (String::new(), String::new()));
    hub.post("/users/eve/server", None).await;
    let (user, server) = seen().await;
    assert!(!user.is_empty() && !server.is_empty(), "{user:?} {server:?}");
    hub.clock.advance(jiff::SignedDuration::from_mins(5));
    hub.api(ADMIN, Method::DELETE, "/users/eve/server", None).await;
    let later = seen().await;
    assert!(later.0 > user && later.1 > server, "{later:?}");
}

#[tokio::test]
async fn everybody_has_a_default_server_also_before_its_first_start() {
    let hub = TestHub::new().await;
    hub.post("/users/eve", None).await;
    let eve = hub.get("/users/eve?include_stopped_servers").await.json();
    let server = &eve["servers"][""];
    assert_eq!((&server["stopped"], &server["url"]), (&json!(true), &json!("/user/eve/")), "{eve}");
    let without = hub.get("/users/eve").await.json();
    assert_eq!(without["servers"], json!({}));
}

#[tokio::test]
async fn of_a_query_that_is_there_twice_the_last_counts() {
    let hub = TestHub::new().await;
    hub.post("/users", Some(json!({ "usernames": ["eve", "mallory", "trent"] }))).await;
    let two = hub.get("/users?limit=1&limit=2").await.json();
    assert_eq!(two.as_array().unwrap().len(), 2);
    assert_eq!(hub.get("/users?sort=").await.status, StatusCode::BAD_REQUEST);
}
