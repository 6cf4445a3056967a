//! `/hub/api/users/{user}/server`

use http::{Method, StatusCode};
use hub_spawner::{Exit, SpawnError, fake::FakeSpawner};
use hub_store::Store;
use serde_json::{Value, json};

use crate::harness::{ADMIN, CONFIG, TestHub, eventually, key, notebook, notebook_of};

/// The JSON of each event of a stream.
fn events(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|json| serde_json::from_str(json).unwrap())
        .collect()
}

#[tokio::test]
async fn a_server_starts_answers_and_stops() {
    let hub = TestHub::new().await;
    let started = hub.post("/users/ada/server", None).await;
    assert_eq!((started.status, started.text.as_str()), (StatusCode::CREATED, ""));
    assert_eq!(hub.spawner.running(), [key("ada")]);
    assert!(hub.assembled.routes().resolve("/user/ada/lab").is_some());

    let user = hub.get("/users/ada").await.json();
    assert_eq!(user["server"], "/user/ada/");
    let server = &user["servers"][""];
    assert_eq!(server["ready"], true);
    assert_eq!(server["pending"], json!(null));
    assert_eq!(server["progress_url"], "/hub/api/users/ada/server/progress");
    assert_eq!(server["full_url"], "http://hub.test/user/ada/");

    let twice = hub.post("/users/ada/server", None).await;
    assert_eq!(twice.status, StatusCode::BAD_REQUEST);
    assert_eq!(twice.json()["message"], "ada is already running");

    let stopped = hub.api(ADMIN, Method::DELETE, "/users/ada/server", None).await;
    assert_eq!(stopped.status, StatusCode::NO_CONTENT);
    assert!(hub.spawner.running().is_empty());
    assert!(hub.assembled.routes().resolve("/user/ada/lab").is_none());
    assert_eq!(hub.get("/users/ada").await.json()["servers"], json!({}));
}

/// What somebody is told of a start of ada's who looks while it is under way.
async fn told_of_a_start(hub: &TestHub) -> String {
    hub.spawner.hold_starts();
    let reading = async {
        eventually("the start is under way", || async {
            hub.get("/users/ada").await.json()["pending"] == "spawn"
        })
        .await;
        let go_on = async { hub.spawner.let_starts_go() };
        tokio::join!(hub.get("/users/ada/server/progress"), go_on).0
    };
    let (started, told) = tokio::join!(hub.post("/users/ada/server", None), reading);
    assert_eq!(started.status, StatusCode::CREATED, "{}", started.text);
    assert_eq!(told.headers["content-type"], "text/event-stream");
    told.text
}

#[tokio::test]
async fn progress_is_told_to_late_readers_too() {
    let hub = TestHub::new().await;
    let never = hub.get("/users/ada/server/progress").await;
    assert_eq!(never.status, StatusCode::BAD_REQUEST);
    assert_eq!(never.json()["message"], "ada is not starting...");

    let told = events(&told_of_a_start(&hub).await);
    assert_eq!(told[0], json!({ "progress": 0, "message": "Server requested" }));
    let last = told.last().unwrap();
    assert_eq!(last["ready"], true);
    assert_eq!(last["url"], "/user/ada/");
    assert_eq!(told.iter().filter(|event| event.get("ready").is_some()).count(), 1);
}

#[tokio::test]
async fn nbi_5_another_version_in_the_image_is_told_in_the_progress_and_on_the_page() {
    let at = notebook_of("4.1.6").await;
    let hub = TestHub::over(FakeSpawner::new().answers_with(at)).await;
    let mut ada = hub.signed_in("ada").await;
    const SAID: &str = "The image has jupyterhub 4.1.6, the hub speaks 6.1.1.";
    let told = told_of_a_start(&hub).await;
    assert!(told.contains(SAID), "{told}");
    let server = hub.get("/users/ada").await.json()["servers"][""].clone();
    assert_eq!(server["warning"]["message"], SAID, "{server}");
    let page = ada.get("/hub/home").await.text;
    assert!(page.contains(SAID), "{page}");
}

#[tokio::test]
async fn a_failed_start_is_told_and_cleaned_up() {
    let rejected = || SpawnError::Rejected {
        what: "the image".to_owned(),
        reason: "it is not listed".to_owned(),
    };
    let hub = TestHub::over(FakeSpawner::new().fails_with(rejected)).await;
    let answer = hub.post("/users/ada/server", None).await;
    // Not allowed is for whoever asks to mend.
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(hub.spawner.running().is_empty());
    let told = events(&hub.get("/users/ada/server/progress").await.text);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["failed"], true);
    assert!(told[0]["message"].as_str().unwrap().starts_with("Spawn failed: "));
}

#[tokio::test]
async fn spn_33_a_server_that_exits_at_once_leaves_its_last_words() {
    let exit = Exit {
        code: 3,
        oom_killed: false,
        error: None,
        finished_at: None,
        log_tail: "no module named jupyterhub".to_owned(),
        memory_limit: None,
    };
    let hub = TestHub::over(FakeSpawner::new().exits(exit)).await;
    let answer = hub.post("/users/ada/server", None).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    let log = hub.get("/users/ada/server/log").await;
    assert_eq!(log.json()["log"], "no module named jupyterhub");
    assert!(log.json()["ended"].is_string(), "{}", log.text);
    assert!(hub.spawner.running().is_empty());
}

#[tokio::test]
async fn log_1_the_log_of_a_stopped_server_is_kept_for_its_owner_and_administrators() {
    let hub = TestHub::new().await;
    let never = hub.get("/users/ada/server/log").await;
    assert_eq!(never.status, StatusCode::NOT_FOUND);

    hub.post("/users/ada/server", None).await;
    hub.spawner.prints(&key("ada"), "one\ntwo <script>\n");
    let running = hub.get("/users/ada/server/log?lines=1").await.json();
    assert_eq!(running, json!({ "log": "two <script>\n", "ended": null }));
    hub.api(ADMIN, Method::DELETE, "/users/ada/server", None).await;
    let kept = hub.get("/users/ada/server/log?lines=1").await.json();
    assert_eq!(kept["log"], "two <script>\n");
    assert!(kept["ended"].is_string(), "{kept}");

    let page = hub.signed_in("ada").await.get("/hub/log/ada").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("one\ntwo &lt;script&gt;"), "{}", page.text);
    let other = hub.signed_in("bob").await.get("/hub/log/ada").await;
    assert_ne!(other.status, StatusCode::OK, "{}", other.text);
    assert!(!other.text.contains("two"), "{}", other.text);
    let home = hub.signed_in("ada").await.get("/hub/home").await;
    assert!(
        home.text.contains("&#x2f;hub&#x2f;log&#x2f;ada") || home.text.contains("/hub/log/ada"),
        "{}",
        home.text
    );
}

#[tokio::test]
async fn faq_1_a_log_is_followed_by_whom_it_concerns_until_the_server_ends() {
    let hub = TestHub::new().await;
    let path = "/users/ada/server/log?lines=1&follow=1";
    assert_eq!(hub.get(path).await.status, StatusCode::NOT_FOUND);
    hub.post("/users/ada/server", None).await;
    hub.spawner.prints(&key("ada"), "one\ntwo\n");

    let mut log = hub.stream(path).await;
    let piece = log.next().await;
    assert_eq!(piece, Some(json!({ "log": "two\n", "ended": null })));
    hub.spawner.prints(&key("ada"), "three\n");
    assert_eq!(log.next().await, Some(json!({ "log": "three\n", "ended": null })));
    hub.api(ADMIN, Method::DELETE, "/users/ada/server", None).await;
    let last = log.next().await.unwrap();
    assert!(last["log"] == "" && last["ended"].is_string(), "{last}");
    assert_eq!(log.next().await, None);

    let kept = events(&hub.get(path).await.text);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0]["log"], "three\n");
    assert!(kept[0]["ended"].is_string(), "{kept:?}");
    let other = hub.signed_in("bob").await.get(&format!("/hub/api{path}")).await;
    assert!(!other.status.is_success() && !other.text.contains("three"), "{}", other.text);
}

#[tokio::test]
async fn a_server_that_never_answers_fails_at_its_deadline() {
    let hub = TestHub::over(FakeSpawner::new().never_answers()).await;
    let answer = hub.post("/users/ada/server", None).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.text.contains("did not answer within 1 seconds"), "{}", answer.text);
    assert!(hub.spawner.running().is_empty());
}

#[tokio::test]
async fn rst_8_a_server_that_dies_is_noticed_by_its_event() {
    // Nobody looks by themselves before the deadline of the test.
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    let hub = TestHub::with_servers("poll_interval_seconds = 3600", spawner).await;
    hub.post("/users/ada/server", None).await;
    let exit = Exit {
        code: 137,
        oom_killed: true,
        error: None,
        finished_at: Some("2026-11-23T00:00:00.5Z".to_owned()),
        log_tail: String::new(),
        memory_limit: Some(1 << 30),
    };
    hub.spawner.die(&key("ada"), exit);
    eventually("the server is gone", || async {
        hub.get("/users/ada").await.json()["servers"] == json!({})
    })
    .await;
    assert!(hub.assembled.routes().resolve("/user/ada/").is_none());
    let server = hub.get("/users/ada/server").await.json();
    assert_eq!(server["last_failure"]["oom_killed"], true);
    assert_eq!(server["last_failure"]["finished_at"], "2026-11-23T00:00:00.500000Z", "SPN-26");
    assert!(server["last_failure"]["message"].as_str().unwrap().contains("1 GiB"));
    let again = hub.post("/users/ada/server", None).await;
    assert_eq!(again.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_start_can_be_cancelled() {
    let hub = TestHub::new().await;
    hub.spawner.hold_starts();
    let starting = hub.post("/users/ada/server", None);
    let cancel = async {
        eventually("the start is under way", || async {
            hub.get("/users/ada").await.json()["pending"] == "spawn"
        })
        .await;
        hub.api(ADMIN, Method::DELETE, "/users/ada/server", None).await
    };
    let (started, cancelled) = tokio::join!(starting, cancel);
    assert_eq!(cancelled.status, StatusCode::NO_CONTENT);
    assert_eq!(started.status, StatusCode::INTERNAL_SERVER_ERROR);
    hub.spawner.let_starts_go();
    assert_eq!(hub.get("/users/ada").await.json()["servers"], json!({}));
    assert!(hub.spawner.running().is_empty(), "a start that was held back does not go on");
}

#[tokio::test]
async fn many_requests_start_one_server() {
    let hub = TestHub::new().await;
    let starts: Vec<_> = (0..20).map(|_| hub.post("/users/ada/server", None)).collect();
    let answers = futures_util::future::join_all(starts).await;
    assert_eq!(answers.iter().filter(|one| one.status == StatusCode::CREATED).count(), 1);
    assert!(answers.iter().all(|one| one.status != StatusCode::INTERNAL_SERVER_ERROR));
    assert_eq!(hub.spawner.requests().len(), 1);
}

#[tokio::test]
async fn options_are_kept_for_the_next_start() {
    let hub = TestHub::new().await;
    hub.post("/users/ada/server", Some(json!({ "user_options": { "size": "big" } }))).await;
    hub.api(ADMIN, Method::DELETE, "/users/ada/server", None).await;
    hub.post("/users/ada/server", None).await;
    let options: Vec<_> = hub.spawner.requests().into_iter().map(|one| one.options).collect();
    assert_eq!(options, [json!({ "size": "big" }), json!({ "size": "big" })]);
}

#[tokio::test]
async fn owner_token_scopes() {
    let hub = TestHub::new().await;
    hub.post("/users/ada/server", None).await;
    let request = hub.spawner.requests().remove(0);
    let token = secrecy::ExposeSecret::expose_secret(&request.api_token).to_owned();
    assert_eq!(request.links.api_url, "http://10.0.0.1:8081/hub/api");
    assert_eq!(request.links.oauth_callback, "/user/ada/oauth_callback");

    let own = hub.api(&token, Method::GET, "/user", None).await.json();
    assert_eq!(own["name"], "ada");
    let scopes = own["scopes"].as_array().unwrap();
    assert!(scopes.contains(&json!("access:servers!server=ada/")));
    let report = json!({ "servers": { "": { "last_activity": "2020-01-01T00:00:00Z" } } });
    let activity = hub.api(&token, Method::POST, "/users/ada/activity", Some(report)).await;
    assert_eq!(activity.status, StatusCode::OK);
    for (method, path) in [
        (Method::DELETE, "/users/ada/server"),
        (Method::POST, "/users/ada/tokens"),
        (Method::GET, "/users"),
        (Method::POST, "/users/bob/activity"),
    ] {
        let answer = hub.api(&token, method.clone(), path, Some(json!({}))).await;
        assert!(matches!(answer.status.as_u16(), 403 | 404), "{method} {path}: {}", answer.status);
    }
    // And it dies with the server.
    hub.api(ADMIN, Method::DELETE, "/users/ada/server", None).await;
    assert_eq!(hub.api(&token, Method::GET, "/user", None).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn deleting_a_user_stops_the_server_first() {
    let text = CONFIG.replace("slow_stop_timeout_seconds = 60", "slow_stop_timeout_seconds = 1");
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    let hub = TestHub::reading(&text, spawner, Store::in_memory().await.unwrap()).await;
    hub.post("/users/ada/server", None).await;
    hub.spawner.set_reachable(false);
    let early = hub.api(ADMIN, Method::DELETE, "/users/ada", None).await;
    assert_eq!(early.status, StatusCode::BAD_REQUEST, "{}", early.text);
    assert!(early.text.contains("still stopping; the user was not deleted"), "{}", early.text);
    assert_eq!(hub.get("/users/ada").await.status, StatusCode::OK);
    hub.spawner.set_reachable(true);
    eventually("the server is stopped", || async { hub.spawner.running().is_empty() }).await;
    let gone = hub.api(ADMIN, Method::DELETE, "/users/ada", None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert!(hub.spawner.running().is_empty());
}

#[tokio::test]
async fn named_servers_are_refused_with_a_reason() {
    let hub = TestHub::new().await;
    let answer = hub.post("/users/ada/servers/lab", None).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["message"], "Named servers are not enabled.");
}

#[tokio::test]
async fn a_server_that_is_ready_has_one_event_left_to_tell() {
    let hub = TestHub::new().await;
    assert_eq!(hub.post("/users/ada/server", None).await.status, StatusCode::CREATED);
    let told = events(&hub.get("/users/ada/server/progress").await.text);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["ready"], &told[0]["progress"]), (&json!(true), &json!(100)));
}
