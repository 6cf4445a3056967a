//! `/hub/api/groups`

use http::{Method, StatusCode};
use hub_spawner::fake::FakeSpawner;
use hub_store::Store;
use serde_json::{Value, json};

use crate::harness::{ADMIN, Answer, TestHub, notebook};

/// A service that is an administrator.
const CHIEF: &str = "chief-service-token";

/// A service that looks after the servers of a group.
const WATCHER: &str = "watcher-service-token";

/// Services with some of the rights.
const SERVICES: &str = r#"
[[services]]
name = "tutor"
api_token = "tutor-service-token"
scopes = ["groups!group=class", "list:users!group=class"]
[[services]]
name = "clerk"
api_token = "clerk-service-token"
scopes = ["read:groups:name"]
[[services]]
name = "auditor"
api_token = "auditor-service-token"
scopes = ["read:roles:groups!group=class"]
[[services]]
name = "odd"
api_token = "odd-service-token"
scopes = ["list:groups!user=ada"]
[[roles]]
name = "pupil"
scopes = ["read:hub"]
groups = ["class"]
"#;

async fn hub() -> TestHub {
    TestHub::configured(SERVICES, FakeSpawner::new(), Store::in_memory().await.unwrap()).await
}

async fn post(hub: &TestHub, path: &str, body: Value) -> Answer {
    hub.api(CHIEF, Method::POST, path, Some(body)).await
}

async fn get(hub: &TestHub, token: &str, path: &str) -> Answer {
    hub.api(token, Method::GET, path, None).await
}

fn refused(answer: &Answer, status: StatusCode, message: &str) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.json(), json!({ "status": status.as_u16(), "message": message }));
}

#[tokio::test]
async fn a_group_is_made_shown_and_deleted() {
    let hub = TestHub::new().await;
    let made = post(&hub, "/groups/crew", json!({ "users": ["ada", "BOB"] })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let whole = json!({
        "kind": "group", "name": "crew", "users": ["ada", "bob"], "properties": {}, "roles": [],
    });
    assert_eq!(made.json(), whole);
    assert_eq!(get(&hub, CHIEF, "/groups/crew").await.json(), whole);
    assert_eq!(get(&hub, CHIEF, "/groups").await.json(), json!([whole]));
    assert_eq!(hub.get("/users/ada").await.json()["groups"], json!(["crew"]));

    let again = post(&hub, "/groups/crew", json!({})).await;
    refused(&again, StatusCode::CONFLICT, "Group crew already exists");
    let gone = hub.api(CHIEF, Method::DELETE, "/groups/crew", None).await;
    assert_eq!((gone.status, gone.text.as_str()), (StatusCode::NO_CONTENT, ""));
    for method in [Method::GET, Method::DELETE] {
        let answer = hub.api(CHIEF, method, "/groups/crew", None).await;
        refused(&answer, StatusCode::NOT_FOUND, "No such group: crew");
    }
    assert_eq!(hub.get("/users/ada").await.json()["groups"], json!([]));
}

#[tokio::test]
async fn several_groups_are_made_at_once_or_none() {
    let hub = TestHub::new().await;
    let made = post(&hub, "/groups", json!({ "groups": ["a", "b c/d"], "users": ["ada"] })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.json()[1]["name"], "b c/d");
    assert_eq!(get(&hub, CHIEF, "/groups/b%20c%2Fd").await.json()["users"], json!(["ada"]));

    let again = post(&hub, "/groups", json!({ "groups": ["new", "a"] })).await;
    refused(&again, StatusCode::CONFLICT, "Group a already exists");
    let unknown = post(&hub, "/groups", json!({ "groups": ["new"], "users": ["nobody"] })).await;
    refused(&unknown, StatusCode::BAD_REQUEST, "No such user: nobody");
    for body in [
        json!({}),
        json!({ "groups": [] }),
        json!({ "groups": "new" }),
        json!({ "groups": ["new", ""] }),
        json!({ "groups": ["new"], "surprise": 1 }),
        json!({ "groups": ["new"], "roles": ["admin"] }),
    ] {
        let answer = post(&hub, "/groups", body.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.text);
    }
    assert_eq!(get(&hub, CHIEF, "/groups/new").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn members_come_and_go() {
    let hub = TestHub::new().await;
    post(&hub, "/groups/crew", json!({})).await;
    let users = "/groups/crew/users";
    let joined = post(&hub, users, json!({ "users": ["ada", "bob"] })).await;
    assert_eq!((joined.status, &joined.json()["users"]), (StatusCode::OK, &json!(["ada", "bob"])));
    let again = post(&hub, users, json!({ "users": ["ada"] })).await;
    assert_eq!(again.json()["users"], json!(["ada", "bob"]));
    let left =
        hub.api(CHIEF, Method::DELETE, users, Some(json!({ "users": ["ada", "grace"] }))).await;
    assert_eq!((left.status, &left.json()["users"]), (StatusCode::OK, &json!(["bob"])));

    let unknown = post(&hub, users, json!({ "users": ["ada", "nobody"] })).await;
    refused(&unknown, StatusCode::BAD_REQUEST, "No such user: nobody");
    assert_eq!(get(&hub, CHIEF, "/groups/crew").await.json()["users"], json!(["bob"]));
    refused(
        &post(&hub, users, json!({})).await,
        StatusCode::BAD_REQUEST,
        "Must specify users to add",
    );
    refused(
        &hub.api(CHIEF, Method::DELETE, users, None).await,
        StatusCode::BAD_REQUEST,
        "Must specify users to delete",
    );
    let missing = post(&hub, "/groups/none/users", json!({ "users": ["ada"] })).await;
    refused(&missing, StatusCode::NOT_FOUND, "No such group: none");
}

#[tokio::test]
async fn properties_are_replaced_whole() {
    let hub = TestHub::new().await;
    post(&hub, "/groups/crew", json!({})).await;
    let path = "/groups/crew/properties";
    let put = |body: Value| hub.api(CHIEF, Method::PUT, path, Some(body));
    let set = put(json!({ "mem": "2G", "deep": { "list": [1, null] } })).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.text);
    assert_eq!(set.json()["properties"], json!({ "mem": "2G", "deep": { "list": [1, null] } }));
    assert_eq!(put(json!({ "cpu": 1 })).await.json()["properties"], json!({ "cpu": 1 }));
    for body in [json!([]), json!("x"), json!(null)] {
        assert_eq!(put(body).await.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(get(&hub, CHIEF, "/groups/crew").await.json()["properties"], json!({ "cpu": 1 }));
}

#[tokio::test]
async fn scopes_say_what_is_seen_and_done() {
    let hub = hub().await;
    for name in ["class", "other"] {
        let path = format!("/groups/{name}/users");
        post(&hub, &format!("/groups/{name}"), json!({})).await;
        post(&hub, &path, json!({ "users": ["ada"] })).await;
    }
    let (tutor, clerk, auditor) =
        ("tutor-service-token", "clerk-service-token", "auditor-service-token");

    let class = get(&hub, tutor, "/groups/class").await.json();
    let seen = json!({ "kind": "group", "name": "class", "users": ["ada"], "properties": {} });
    assert_eq!(class, seen);
    assert_eq!(get(&hub, tutor, "/groups").await.json(), json!([seen]));
    assert_eq!(
        get(&hub, clerk, "/groups/other").await.json(),
        json!({ "kind": "group", "name": "other" })
    );
    assert_eq!(
        get(&hub, auditor, "/groups/class").await.json(),
        json!({ "kind": "group", "name": "class", "roles": ["pupil"] })
    );
    // A right over the group is one over its members.
    let users = get(&hub, tutor, "/users").await.json();
    assert_eq!(
        users,
        json!([{ "kind": "user", "name": "ada", "admin": false, "user_info": null }])
    );

    // Held for others is like not there; not held at all is said.
    let hidden = "No access to resources or resources not found";
    for path in ["/groups/other", "/groups/none"] {
        refused(&get(&hub, tutor, path).await, StatusCode::NOT_FOUND, hidden);
    }
    let lacking = "Action is not authorized with current scopes; requires any of [delete:groups]";
    let deleted = hub.api(tutor, Method::DELETE, "/groups/class", None).await;
    refused(&deleted, StatusCode::FORBIDDEN, lacking);
    for token in [clerk, auditor, "odd-service-token", ADMIN] {
        assert_eq!(get(&hub, token, "/groups").await.status, StatusCode::FORBIDDEN, "{token}");
    }
    let joined = hub
        .api(tutor, Method::POST, "/groups/class/users", Some(json!({ "users": ["bob"] })))
        .await;
    assert_eq!(joined.json()["users"], json!(["ada", "bob"]));
    let elsewhere = hub
        .api(tutor, Method::POST, "/groups/other/users", Some(json!({ "users": ["bob"] })))
        .await;
    refused(&elsewhere, StatusCode::NOT_FOUND, hidden);
}

#[tokio::test]
async fn groups_come_in_pages_for_those_who_ask() {
    let hub = TestHub::new().await;
    let names: Vec<String> = (0..5).map(|n| format!("g{n}")).collect();
    post(&hub, "/groups", json!({ "groups": names })).await;
    let mut grace = hub.signed_in("grace").await;
    let accept = ("accept", "application/jupyterhub-pagination+json");
    let page =
        grace.request(Method::GET, "/hub/api/groups?limit=2&offset=1", &[accept], "").await.json();
    let shown: Vec<&Value> =
        page["items"].as_array().unwrap().iter().map(|group| &group["name"]).collect();
    assert_eq!(shown, ["g1", "g2"]);
    assert_eq!(
        page["_pagination"],
        json!({
            "offset": 1, "limit": 2, "total": 5,
            "next": {
                "offset": 3, "limit": 2, "url": "http://hub.test/hub/api/groups?offset=3&limit=2",
            },
        })
    );
    assert_eq!(get(&hub, CHIEF, "/groups?limit=2").await.json().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn rights_over_a_groups_servers_reach_their_state() {
    let watchers = r#"
[[services]]
name = "watcher"
api_token = "watcher-service-token"
scopes = ["read:servers!group=class", "admin:server_state!group=class", "read:users!group=class"]
"#;
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    let hub = TestHub::configured(watchers, spawner, Store::in_memory().await.unwrap()).await;
    assert_eq!(hub.post("/users/ada/server", None).await.status, StatusCode::CREATED);
    let refused = get(&hub, WATCHER, "/users/ada/server").await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND, "{}", refused.text);
    let made = post(&hub, "/groups/class", json!({ "users": ["ada"] })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    // The right is new since the token was used a moment ago.
    for path in ["/users/ada/server", "/users/ada/servers/"] {
        let server = get(&hub, WATCHER, path).await.json();
        assert_eq!((&server["name"], server["state"].is_object()), (&json!(""), true), "{path}");
    }
    let ada = get(&hub, WATCHER, "/users/ada").await.json();
    assert!(ada["servers"][""]["state"].is_object(), "{ada}");
}
