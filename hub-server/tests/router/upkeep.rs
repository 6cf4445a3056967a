//! What the spawner is set up to do with servers, and the hub does for it: those that
//! are not well, those that are kept when they are stopped, those that are deleted.

use http::{Method, StatusCode};
use hub_spawner::{Exit, Health, OnUnhealthy, fake::FakeSpawner};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::harness::{ADMIN, TestHub, eventually, key, named, notebook};

async fn spawner() -> FakeSpawner {
    FakeSpawner::new().answers_with(notebook().await)
}

async fn start(hub: &TestHub, path: &str) {
    let answer = hub.post(path, None).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
}

async fn stop(hub: &TestHub, path: &str) {
    let answer = hub.api(ADMIN, Method::DELETE, path, None).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text);
}

async fn is_ready(hub: &TestHub) -> bool {
    hub.get("/users/ada").await.json()["servers"][""]["ready"] == true
}

/// The tokens that ada's server was started with, oldest first.
fn tokens(hub: &TestHub) -> Vec<String> {
    let requests = hub.spawner.requests();
    requests.iter().map(|one| one.api_token.expose_secret().to_owned()).collect()
}

async fn is_valid(hub: &TestHub, token: &str) -> bool {
    hub.api(token, Method::GET, "/user", None).await.status == StatusCode::OK
}

#[tokio::test]
async fn spn_26_a_server_that_was_halted_counts_as_running_and_its_user_is_told() {
    let hub = TestHub::over(spawner().await.on_unhealthy(OnUnhealthy::Stop)).await;
    start(&hub, "/users/ada/server").await;
    let ada = hub.signed_in("ada").await;
    for (health, shown) in
        [(Some(Health::Paused), true), (None, false), (Some(Health::Restarting), true)]
    {
        hub.spawner.set_health(&key("ada"), health);
        eventually("its user is told", || {
            let mut ada = ada.clone();
            async move {
                let text = ada.get("/hub/home").await.text;
                let (_, notice) = text.split_once("data-field=\"halted\"").unwrap();
                notice.split_once('>').unwrap().0.contains("hidden") != shown
            }
        })
        .await;
        let told = hub.get("/users/ada/server").await.json();
        assert_eq!(told["health"].as_str(), health.map(Health::as_str), "{told}");
        assert!(is_ready(&hub).await && hub.spawner.stops().is_empty());
    }
}

#[tokio::test]
async fn spn_28_an_unwell_server_is_left_alone_unless_somebody_wants_more() {
    let hub = TestHub::over(spawner().await).await;
    start(&hub, "/users/ada/server").await;
    hub.spawner.set_health(&key("ada"), Some(Health::Unhealthy));
    let ada = hub.signed_in("ada").await;
    eventually("its user is told", || async {
        let text = ada.clone().get("/hub/home").await.text;
        let (_, notice) = text.split_once("data-field=\"health\"").unwrap();
        !notice.split_once('>').unwrap().0.contains("hidden")
    })
    .await;
    assert!(is_ready(&hub).await && hub.spawner.stops().is_empty());
}

#[tokio::test]
async fn spn_28_an_unwell_server_is_stopped_and_its_user_is_told() {
    let hub = TestHub::over(spawner().await.on_unhealthy(OnUnhealthy::Stop)).await;
    start(&hub, "/users/ada/server").await;
    hub.spawner.set_health(&key("ada"), Some(Health::Unhealthy));
    eventually("it is stopped", || async { hub.spawner.running().is_empty() }).await;
    eventually("the reason is told", || async {
        let user = hub.get("/users/ada?include_stopped_servers").await.json();
        let message = user["servers"][""]["last_failure"]["message"].clone();
        message.as_str().is_some_and(|text| text.contains("health check failed"))
    })
    .await;
    assert_eq!(hub.spawner.requests().len(), 1);
}

#[tokio::test]
async fn spn_28_an_unwell_server_is_started_again_once() {
    let hub = TestHub::over(spawner().await.on_unhealthy(OnUnhealthy::Restart)).await;
    let options = json!({ "size": "big" });
    let answer = hub.post("/users/ada/server", Some(options.clone())).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    let again = async |times: usize| {
        hub.spawner.set_health(&key("ada"), Some(Health::Unhealthy));
        eventually("it is started again", || async {
            hub.spawner.requests().len() == times && is_ready(&hub).await
        })
        .await;
    };
    again(2).await;
    assert_eq!(hub.spawner.requests()[1].options, options);
    // It was well in between.
    let before = hub.spawner.probes();
    eventually("that is seen", || async {
        hub.spawner.set_health(&key("ada"), Some(Health::Healthy));
        // The first look may have been on its way, and the second is over at the third.
        hub.spawner.probes() >= before + 3
    })
    .await;
    again(3).await;
    // And now it was not.
    hub.spawner.set_health(&key("ada"), Some(Health::Unhealthy));
    eventually("it stays stopped", || async {
        let user = hub.get("/users/ada?include_stopped_servers").await.json();
        user["servers"][""]["last_failure"]["message"].is_string()
    })
    .await;
    assert_eq!(hub.spawner.requests().len(), 3);
}

#[tokio::test]
async fn spn_25_a_kept_server_goes_on_with_its_token() {
    let hub = TestHub::over(spawner().await.keeps_stopped()).await;
    start(&hub, "/users/ada/server").await;
    stop(&hub, "/users/ada/server").await;
    let first = tokens(&hub).remove(0);
    assert!(is_valid(&hub, &first).await, "it is kept with the server");
    start(&hub, "/users/ada/server").await;
    let second = hub.spawner.requests().remove(1);
    let kept = second.kept_token.as_ref().map(ExposeSecret::expose_secret);
    assert_eq!(kept, Some(first.as_str()));
    assert!(is_valid(&hub, &first).await);
    assert!(!is_valid(&hub, second.api_token.expose_secret()).await, "nobody has it");

    // What is gone cannot go on: there is another server then.
    hub.spawner.vanish(&key("ada"));
    eventually("the hub has seen it", || async { !is_ready(&hub).await }).await;
    eventually("its token is void", || async { !is_valid(&hub, &first).await }).await;
    start(&hub, "/users/ada/server").await;
    assert_ne!(tokens(&hub)[2], first);
}

#[tokio::test]
async fn spn_25_a_start_that_comes_to_nothing_leaves_what_was_kept_before() {
    let hub = TestHub::over(spawner().await.keeps_stopped()).await;
    start(&hub, "/users/ada/server").await;
    stop(&hub, "/users/ada/server").await;
    let first = tokens(&hub).remove(0);
    let fresh = |hub: &TestHub| hub.spawner.requests().pop().unwrap().api_token;

    let _ = hub.spawner.clone().exits(Exit::default());
    let failed = hub.post("/users/ada/server", None).await;
    assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", failed.text);
    assert!(!is_valid(&hub, fresh(&hub).expose_secret()).await, "nobody has it");
    assert!(is_valid(&hub, &first).await, "what was kept has it");

    let _ = hub.spawner.clone().answers_with(notebook().await);
    hub.spawner.hold_starts();
    let cancel = async {
        eventually("the start is under way", || async { hub.spawner.requests().len() == 3 }).await;
        stop(&hub, "/users/ada/server").await;
    };
    tokio::join!(hub.post("/users/ada/server", None), cancel);
    hub.spawner.let_starts_go();
    assert!(!is_valid(&hub, fresh(&hub).expose_secret()).await, "nobody has it");

    start(&hub, "/users/ada/server").await;
    let last = hub.spawner.requests().pop().unwrap();
    let kept = last.kept_token.as_ref().map(ExposeSecret::expose_secret);
    assert_eq!(kept, Some(first.as_str()));
    assert!(is_valid(&hub, &first).await);
}

#[tokio::test]
async fn spn_12_a_server_that_was_made_anew_and_never_came_up_is_no_kept_one() {
    let hub = TestHub::over(spawner().await.keeps_stopped()).await;
    start(&hub, "/users/ada/server").await;
    stop(&hub, "/users/ada/server").await;
    hub.spawner.replaces_kept();
    let _ = hub.spawner.clone().never_answers();
    let failed = hub.post("/users/ada/server", None).await;
    assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", failed.text);
    for token in tokens(&hub) {
        assert!(!is_valid(&hub, &token).await);
    }
}

#[tokio::test]
async fn spn_25_a_refused_rename_leaves_what_was_kept() {
    let lines = "allow_named_servers = true\nnamed_server_limit_per_user = 1";
    let hub = TestHub::with_servers(lines, spawner().await.keeps_stopped()).await;
    start(&hub, "/users/ada/server").await;
    stop(&hub, "/users/ada/server").await;
    start(&hub, "/users/ada/servers/lab").await;
    stop(&hub, "/users/ada/servers/lab").await;
    let rename = async |path: &str| {
        hub.api(ADMIN, Method::PATCH, path, Some(json!({ "name": "den" }))).await
    };
    let full = rename("/users/ada/server").await;
    assert_eq!(full.status, StatusCode::BAD_REQUEST, "{}", full.text);
    assert!(full.text.contains("maximum of 1 named servers"), "{}", full.text);
    assert!(hub.spawner.renames().is_empty());

    hub.spawner.set_reachable(false);
    let failed = rename("/users/ada/servers/lab").await;
    hub.spawner.set_reachable(true);
    assert_eq!(failed.status, StatusCode::BAD_REQUEST, "{}", failed.text);
    assert_eq!(hub.get("/users/ada/servers/lab").await.status, StatusCode::OK);
    assert_eq!(hub.get("/users/ada/servers/den").await.status, StatusCode::NOT_FOUND);
    for token in tokens(&hub) {
        assert!(is_valid(&hub, &token).await);
    }
}

#[tokio::test]
async fn spn_12_a_kept_server_that_is_made_anew_gets_a_new_token() {
    let hub = TestHub::over(spawner().await.keeps_stopped()).await;
    start(&hub, "/users/ada/server").await;
    stop(&hub, "/users/ada/server").await;
    hub.spawner.replaces_kept();
    start(&hub, "/users/ada/server").await;
    let [first, second] = tokens(&hub).try_into().unwrap();
    assert!(!is_valid(&hub, &first).await, "what had it is gone");
    assert!(is_valid(&hub, &second).await);
}

#[tokio::test]
async fn spn_12_a_server_that_is_not_kept_gets_a_new_token() {
    let hub = TestHub::over(spawner().await).await;
    start(&hub, "/users/ada/server").await;
    stop(&hub, "/users/ada/server").await;
    let first = tokens(&hub).remove(0);
    assert!(!is_valid(&hub, &first).await);
    start(&hub, "/users/ada/server").await;
    assert_ne!(tokens(&hub)[1], first);
}

#[tokio::test]
async fn spn_30_a_deleted_server_is_forgotten_with_what_belongs_to_it() {
    let spawner = spawner().await.keeps_stopped();
    let hub = TestHub::with_servers("allow_named_servers = true", spawner).await;
    for path in ["/users/ada/servers/lab", "/users/ada/servers/more"] {
        start(&hub, path).await;
    }
    stop(&hub, "/users/ada/servers/lab").await;
    assert!(hub.spawner.forgotten().is_empty(), "a stop is no deletion");
    let token = tokens(&hub).remove(0);
    assert!(is_valid(&hub, &token).await);

    let remove = Some(json!({ "remove": true }));
    hub.spawner.set_reachable(false);
    let path = "/users/ada/servers/lab";
    let failed = hub.api(ADMIN, Method::DELETE, path, remove.clone()).await;
    assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE, "{}", failed.text);
    hub.spawner.set_reachable(true);
    let user = hub.get("/users/ada?include_stopped_servers").await.json();
    assert_eq!(user["servers"]["lab"]["stopped"], true, "it can be tried again");

    let removed = hub.api(ADMIN, Method::DELETE, path, remove).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{}", removed.text);
    assert_eq!(hub.spawner.forgotten(), [named("ada", "lab")]);
    assert!(!is_valid(&hub, &token).await);

    let deleted = hub.api(ADMIN, Method::DELETE, "/users/ada", None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.text);
    assert!(hub.spawner.forgotten().contains(&named("ada", "more")));
}

#[tokio::test]
async fn sys_1_what_outlives_a_server_is_told_to_the_spawner_again() {
    let hub = TestHub::over(spawner().await).await;
    start(&hub, "/users/ada/server").await;
    stop(&hub, "/users/ada/server").await;
    // Also over a start that comes to nothing.
    let _ = hub.spawner.clone().exits(Exit::default());
    hub.post("/users/ada/server", None).await;
    eventually("the start has failed", || async {
        let user = hub.get("/users/ada?include_stopped_servers").await.json();
        user["servers"][""]["last_failure"]["message"].is_string()
    })
    .await;
    hub.post("/users/ada/server", None).await;
    eventually("it was asked for once more", || async { hub.spawner.requests().len() == 3 }).await;
    let told: Vec<_> =
        hub.spawner.requests().iter().map(|request| request.state.number("first_start")).collect();
    assert_eq!(told, [None, Some(1), Some(1)]);
    assert!(hub.spawner.requests().iter().all(|request| request.state.number("start").is_none()));
}
