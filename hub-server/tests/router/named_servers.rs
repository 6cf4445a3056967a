//! `/hub/api/users/{user}/servers/{server}` and the home page's named servers
//! (hub-contract 5.4).

use http::{Method, StatusCode};
use hub_spawner::fake::FakeSpawner;
use serde_json::{Value, json};

use crate::harness::{ADMIN, TestHub, eventually, named, notebook};

async fn with_named(more: &str) -> TestHub {
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    TestHub::with_servers(&format!("allow_named_servers = true\n{more}"), spawner).await
}

#[tokio::test]
async fn named_servers_start_and_stop_side_by_side() {
    let hub = with_named("").await;
    for path in ["/users/ada/server", "/users/ada/servers/lab", "/users/ada/servers/more"] {
        let answer = hub.post(path, None).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{path}: {}", answer.text);
    }
    assert_eq!(hub.spawner.running().len(), 3);
    let lab = hub.get("/users/ada/servers/lab").await.json();
    assert_eq!(lab["url"], "/user/ada/lab/");
    assert_eq!(lab["progress_url"], "/hub/api/users/ada/servers/lab/progress");
    assert_eq!((&lab["name"], &lab["display_name"]), (&json!("lab"), &json!("lab")));
    assert_eq!((&lab["full_name"], &lab["ready"]), (&json!("ada/lab"), &json!(true)));
    let again = hub.post("/users/ada/servers/lab", None).await;
    assert_eq!(again.json()["message"], "ada:lab is already running");

    let stopped = hub.api(ADMIN, Method::DELETE, "/users/ada/servers/lab", None).await;
    assert_eq!(stopped.status, StatusCode::NO_CONTENT);
    let user = hub.get("/users/ada").await.json();
    let names: Vec<&String> = user["servers"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["", "more"]);
    let all = hub.get("/users/ada?include_stopped_servers").await.json();
    assert_eq!(all["servers"]["lab"]["stopped"], true);
    assert!(hub.assembled.routes().resolve("/user/ada/more/lab").is_some());
}

#[tokio::test]
async fn new_names_follow_the_rules_and_old_ones_go_on() {
    let hub = with_named("").await;
    for name in ["Lab", "2lab", "la--b", "la_b", "a%2Fb", "x234567890123456789012345678901"] {
        for method in [Method::POST, Method::PUT] {
            let path = format!("/users/ada/servers/{name}");
            let answer = hub.api(ADMIN, method.clone(), &path, None).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{method} {name}");
            let message = answer.json()["message"].as_str().unwrap().to_owned();
            assert!(message.starts_with("Invalid server_name: "), "{message}");
        }
    }
    assert!(hub.spawner.requests().is_empty());
    let old = named("ada", "My Old_Lab");
    hub.store.servers().ensure(&old, jiff::Timestamp::UNIX_EPOCH).await.unwrap();
    let answer = hub.post("/users/ada/servers/My%20Old_Lab", None).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    assert_eq!(hub.spawner.running(), [old]);
}

#[tokio::test]
async fn a_server_is_added_described_and_started_with_what_was_said() {
    let hub = with_named("").await;
    let wish = json!({ "display_name": "The lab", "user_options": { "size": "big" } });
    let added = hub.api(ADMIN, Method::PUT, "/users/ada/servers/lab", Some(wish.clone())).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
    let body = added.json();
    assert_eq!((&body["display_name"], &body["stopped"]), (&json!("The lab"), &json!(true)));
    assert_eq!(body["user_options"], json!({ "size": "big" }));
    for path in ["/users/ada/servers/lab", "/users/ada/server"] {
        let twice = hub.api(ADMIN, Method::PUT, path, Some(wish.clone())).await;
        assert_eq!(twice.status, StatusCode::CONFLICT, "{path}");
    }
    let said = json!({ "display_name": "Another" });
    assert_eq!(hub.post("/users/ada/servers/lab", Some(said)).await.status, StatusCode::CREATED);
    let options: Vec<Value> = hub.spawner.requests().into_iter().map(|one| one.options).collect();
    assert_eq!(options, [json!({ "size": "big" })]);
    let lab = hub.get("/users/ada/servers/lab").await.json();
    assert_eq!(lab["display_name"], "Another");
    assert_eq!(hub.get("/users/ada/servers/none").await.status, StatusCode::NOT_FOUND);
    let progress = hub.get("/users/ada/servers/none/progress").await;
    assert_eq!(progress.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_stopped_server_can_be_renamed_and_a_running_one_cannot() {
    let hub = with_named("").await;
    hub.post("/users/ada/servers/lab", None).await;
    let patch =
        async |path: &str, body: Value| hub.api(ADMIN, Method::PATCH, path, Some(body)).await;
    let lab = "/users/ada/servers/lab";
    let active = patch(lab, json!({ "name": "den" })).await;
    assert_eq!(active.status, StatusCode::BAD_REQUEST);
    assert!(active.text.contains("ada:lab is active"), "{}", active.text);
    hub.api(ADMIN, Method::DELETE, lab, None).await;

    hub.api(ADMIN, Method::PUT, "/users/ada/servers/more", None).await;
    for (body, status) in [
        (json!({}), 400),
        (json!({ "state": {} }), 400),
        (json!({ "name": "Bad Name" }), 400),
        (json!({ "name": "more" }), 409),
        (json!({ "name": "" }), 409),
        (json!({ "display_name": "a\nb" }), 400),
    ] {
        let answer = patch(lab, body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.text);
    }
    let edit = json!({ "name": "den", "display_name": "Den", "user_options": { "n": 1 } });
    let renamed = patch(lab, edit).await;
    assert_eq!(renamed.status, StatusCode::OK, "{}", renamed.text);
    let body = renamed.json();
    assert_eq!((&body["name"], &body["display_name"]), (&json!("den"), &json!("Den")));
    assert_eq!(body["user_options"], json!({ "n": 1 }));
    assert_eq!(hub.spawner.renames(), [(named("ada", "lab"), named("ada", "den"))]);
    assert_eq!(hub.get(lab).await.status, StatusCode::NOT_FOUND);
    assert_eq!(patch(lab, json!({ "name": "x" })).await.status, StatusCode::NOT_FOUND);
    assert_eq!(hub.post("/users/ada/servers/den", None).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_removed_server_is_forgotten_also_while_it_runs() {
    let hub = with_named("").await;
    hub.post("/users/ada/servers/lab", None).await;
    let remove = || {
        hub.api(ADMIN, Method::DELETE, "/users/ada/servers/lab", Some(json!({ "remove": true })))
    };
    assert_eq!(remove().await.status, StatusCode::NO_CONTENT);
    assert!(hub.spawner.running().is_empty());
    assert_eq!(hub.get("/users/ada/servers/lab").await.status, StatusCode::NOT_FOUND);
    assert_eq!(remove().await.status, StatusCode::NOT_FOUND);
    let default =
        hub.api(ADMIN, Method::DELETE, "/users/ada/server", Some(json!({ "remove": true }))).await;
    assert_eq!(default.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn b5_named_servers_are_limited_also_in_parallel() {
    let hub = with_named("named_server_limit_per_user = 2").await;
    hub.post("/users/ada/server", None).await;
    let names = ["a", "b", "c", "d", "e"];
    let adds = names.map(|name| {
        let path = format!("/users/ada/servers/{name}");
        let hub = &hub;
        async move { hub.api(ADMIN, Method::PUT, &path, None).await }
    });
    let answers = futures_util::future::join_all(adds).await;
    assert_eq!(answers.iter().filter(|one| one.status == StatusCode::CREATED).count(), 2);
    let refused = answers.iter().find(|one| one.status != StatusCode::CREATED).unwrap();
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text.contains("already has the maximum of 2 named servers"));
    let start = hub.post("/users/ada/servers/new", None).await;
    assert_eq!(start.status, StatusCode::BAD_REQUEST);
    let other = hub.api(ADMIN, Method::PUT, "/users/bob/servers/new", None).await;
    assert_eq!(other.status, StatusCode::CREATED);
    let rename = json!({ "name": "other" });
    let default = hub.api(ADMIN, Method::DELETE, "/users/ada/server", None).await;
    assert_eq!(default.status, StatusCode::NO_CONTENT);
    let full = hub.api(ADMIN, Method::PATCH, "/users/ada/server", Some(rename)).await;
    assert_eq!(full.status, StatusCode::BAD_REQUEST, "{}", full.text);
}

#[tokio::test]
async fn without_named_servers_nothing_is_done_to_one() {
    let hub = TestHub::new().await;
    hub.store.servers().ensure(&named("ada", "lab"), jiff::Timestamp::UNIX_EPOCH).await.unwrap();
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let answer = hub.api(ADMIN, method.clone(), "/users/ada/servers/lab", None).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{method}");
        assert_eq!(answer.json()["message"], "Named servers are not enabled.");
    }
    let mut ada = hub.signed_in("ada").await;
    assert_eq!(ada.get("/hub/spawn/ada/lab").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_person_adds_starts_stops_and_removes_a_server_without_script() {
    let hub = with_named("named_server_limit_per_user = 1").await;
    let mut ada = hub.signed_in("ada").await;
    let home = ada.get("/hub/home").await;
    assert!(home.text.contains("action=\"/hub/servers\""), "{}", home.text);
    let xsrf = format!("_xsrf={}", ada.xsrf());
    assert_eq!(ada.post("/hub/servers", "name=lab").await.status, StatusCode::FORBIDDEN);
    let bad = ada.post("/hub/servers", &format!("{xsrf}&name=My+Lab")).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    let added = ada.post("/hub/servers", &format!("{xsrf}&name=lab")).await;
    assert_eq!(added.location(), "/hub/spawn-pending/ada/lab", "{}", added.text);
    eventually("the server is ready", || {
        let mut ada = ada.clone();
        async move { ada.get("/hub/spawn-pending/ada/lab").await.location() == "/user/ada/lab/" }
    })
    .await;
    let home = ada.get("/hub/home").await.text;
    for action in ["/hub/stop/ada/lab", "/hub/remove/ada/lab", "/hub/spawn/ada/lab"] {
        assert!(home.contains(&format!("action=\"{action}\"")), "{action}");
    }
    assert!(home.contains("as many as you may have"), "{home}");
    let up = ada.post("/hub/remove/ada/lab", &xsrf).await;
    assert_eq!(up.status, StatusCode::BAD_REQUEST);
    assert_eq!(ada.post("/hub/stop/ada/lab", &xsrf).await.location(), "/hub/home");
    let mut bob = hub.signed_in("bob").await;
    let foreign = bob.post("/hub/remove/ada/lab", &format!("_xsrf={}", bob.xsrf())).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    assert_eq!(ada.post("/hub/remove/ada/lab", &xsrf).await.location(), "/hub/home");
    assert!(!ada.get("/hub/home").await.text.contains("/hub/stop/ada/lab"));
    assert_eq!(ada.get("/hub/spawn-pending/ada/lab").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_first_segment_of_a_stopped_servers_address_may_be_its_name() {
    let hub = with_named("default_server_name = \"lab\"").await;
    hub.api(ADMIN, Method::PUT, "/users/ada/servers/lab", None).await;
    let mut ada = hub.signed_in("ada").await;
    let page = ada.get("/hub/user/ada/lab/tree").await;
    assert_eq!(page.status, StatusCode::FAILED_DEPENDENCY);
    assert!(page.text.contains("/hub/spawn/ada/lab?next=%2Fuser%2Fada%2Flab%2Ftree"));
    let default = ada.get("/hub/user/ada/tree").await;
    assert!(default.text.contains("/hub/spawn/ada?next=%2Fuser%2Fada%2Ftree"));
    let json = ada.get("/hub/user/ada/lab/api/kernels").await;
    assert_eq!(json.status, StatusCode::FAILED_DEPENDENCY);
    assert_eq!(
        json.json(),
        json!({ "message": "JupyterHub server no longer running at /user/ada/lab/api/kernels. Restart the server at http://hub.test/hub/spawn/ada/lab" })
    );
    let redirect = ada.get("/hub/user-redirect/lab/tree/a.ipynb?x=1").await;
    assert_eq!(
        redirect.location(),
        "/hub/spawn/ada/lab?next=%2Fuser%2Fada%2Flab%2Flab%2Ftree%2Fa.ipynb%3Fx%3D1"
    );
    let mut bob = hub.signed_in("bob").await;
    assert_eq!(bob.get("/hub/user/ada/lab/tree").await.status, StatusCode::NOT_FOUND);
}
