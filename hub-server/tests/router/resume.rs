//! A restart of the hub: the same store and spawner, another hub.

use http::{Method, StatusCode};
use hub_server::Clock;
use hub_spawner::fake::{Behaviour, FakeSpawner};
use hub_store::{Store, StoreConfig};
use serde_json::json;

use crate::harness::{ADMIN, CONFIG, TestHub, eventually, key, named, notebook};

#[tokio::test]
async fn rst_2_a_running_server_is_found_again() {
    let hub = TestHub::new().await;
    hub.post("/users/ada/server", None).await;
    let ada = hub.signed_in("ada").await;
    let (spawner, store) = (hub.spawner.clone(), hub.store.clone());
    // Killed: nothing of the first hub gets to say good-bye.
    let second = TestHub::on(spawner, store).await;
    eventually("the server is ready again", || async {
        second.get("/users/ada").await.json()["servers"][""]["ready"] == true
    })
    .await;
    assert!(second.assembled.routes().resolve("/user/ada/").is_some());
    assert_eq!(second.spawner.requests().len(), 1, "it was not started anew");
    let mut same_browser = second.browser();
    same_browser.cookies = ada.cookies;
    assert_eq!(same_browser.get("/hub/home").await.status, StatusCode::OK, "still signed in");
}

#[tokio::test]
async fn rst_1_stopping_the_hub_leaves_servers_running() {
    let hub = TestHub::new().await;
    hub.post("/users/ada/server", None).await;
    let spawner = hub.spawner.clone();
    hub.assembled.stop().await;
    assert_eq!(spawner.running(), [key("ada")]);
    assert!(spawner.stops().is_empty());
}

#[tokio::test]
async fn rst_2_a_server_that_vanished_meanwhile_is_noticed() {
    let hub = TestHub::new().await;
    hub.post("/users/ada/server", None).await;
    let token =
        secrecy::ExposeSecret::expose_secret(&hub.spawner.requests()[0].api_token).to_owned();
    let (spawner, store) = (hub.spawner.clone(), hub.store.clone());
    drop(hub);
    spawner.vanish(&key("ada"));
    let second = TestHub::on(spawner, store).await;
    eventually("the server is known to be gone", || async {
        second.get("/users/ada").await.json()["servers"] == json!({})
    })
    .await;
    assert!(second.assembled.routes().resolve("/user/ada/").is_none());
    let answer = second.api(&token, Method::GET, "/user", None).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "its token is revoked");
    assert_eq!(second.post("/users/ada/server", None).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn rst_2_an_address_that_changes_while_the_hub_runs_is_written_down() {
    let hub = TestHub::new().await;
    hub.post("/users/ada/server", None).await;
    let elsewhere = notebook().await;
    hub.spawner.moves(&key("ada"), elsewhere.clone());
    eventually("the row has the new address", || async {
        let row = hub.store.servers().get(&key("ada")).await.unwrap().unwrap();
        row.url.as_deref() == Some(elsewhere.as_str())
    })
    .await;
    assert!(hub.assembled.routes().resolve("/user/ada/").is_some());
}

#[tokio::test]
async fn rst_4_pages_are_there_before_servers_were_looked_at() {
    let hub = TestHub::new().await;
    hub.post("/users/ada/server", None).await;
    let ada = hub.signed_in("ada").await;
    let (spawner, store) = (hub.spawner.clone(), hub.store.clone());
    drop(hub);
    spawner.set_reachable(false);
    let second = TestHub::on(spawner.clone(), store).await;
    let mut same_browser = second.browser();
    same_browser.cookies = ada.cookies;
    assert_eq!(same_browser.get("/hub/home").await.status, StatusCode::OK);
    let server = second.get("/users/ada").await.json()["servers"][""].clone();
    assert_eq!(server["ready"], false, "nobody could look at it yet: {server}");
    spawner.set_reachable(true);
    eventually("the server is ready again", || async {
        second.get("/users/ada").await.json()["servers"][""]["ready"] == true
    })
    .await;
}

#[tokio::test]
async fn rst_8_what_no_event_tells_is_found_by_looking() {
    let text = CONFIG.replace("[servers]\n", "[servers]\npoll_interval_seconds = 1\n");
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    let hub = TestHub::reading(&text, spawner, Store::in_memory().await.unwrap()).await;
    hub.post("/users/ada/server", None).await;
    hub.spawner.vanish_unnoticed(&key("ada"));
    eventually("the server is known to be gone", || async {
        hub.get("/users/ada").await.json()["servers"] == json!({})
    })
    .await;
    assert!(hub.assembled.routes().resolve("/user/ada/").is_none());
}

#[tokio::test]
async fn rst_8_a_stream_of_events_that_breaks_is_opened_again() {
    // Nobody looks by themselves before the deadline of the test.
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    let hub = TestHub::with_servers("poll_interval_seconds = 3600", spawner).await;
    hub.post("/users/ada/server", None).await;
    hub.spawner.break_watches();
    // Not told by an event: it is found by looking, once the stream is open again.
    hub.spawner.vanish(&key("ada"));
    eventually("the server is known to be gone", || async {
        hub.get("/users/ada").await.json()["servers"] == json!({})
    })
    .await;
    assert_eq!(hub.post("/users/ada/server", None).await.status, StatusCode::CREATED);
    // And by an event of the new stream.
    hub.spawner.vanish(&key("ada"));
    eventually("the next one is known to be gone", || async {
        hub.get("/users/ada").await.json()["servers"] == json!({})
    })
    .await;
}

#[tokio::test]
async fn spn_12_people_can_sign_in_to_a_server_whose_start_the_hub_did_not_outlive() {
    let at = notebook().await;
    let hub = TestHub::over(FakeSpawner::new().answers_with(at.clone()).keeps_stopped()).await;
    hub.post("/users/ada/server", None).await;
    hub.api(ADMIN, Method::DELETE, "/users/ada/server", None).await;
    hub.spawner.replaces_kept();
    let _ = hub.spawner.clone().behaves(Behaviour::RunsUntold(at));
    tokio::select! {
        answer = hub.post("/users/ada/server", None) => panic!("{}", answer.text),
        () = eventually("it runs", || async { hub.spawner.running() == [key("ada")] }) => {}
    }
    let tokens: Vec<String> = hub
        .spawner
        .requests()
        .iter()
        .map(|request| secrecy::ExposeSecret::expose_secret(&request.api_token).to_owned())
        .collect();
    let second = TestHub::on(hub.spawner.clone(), hub.store.clone()).await;
    eventually("the server is ready", || async {
        second.get("/users/ada").await.json()["servers"][""]["ready"] == true
    })
    .await;
    let client = second.store.oauth().client("jupyterhub-user-ada").await.unwrap().unwrap();
    let own = hub_auth::ApiToken::from_text(&tokens[1]).unwrap().hash();
    assert_eq!(client.secret_hash, *own.as_bytes(), "it shows the token that it has");
    for (token, status) in [(&tokens[0], StatusCode::FORBIDDEN), (&tokens[1], StatusCode::OK)] {
        assert_eq!(second.api(token, Method::GET, "/user", None).await.status, status);
    }
    let row = second.store.servers().get(&key("ada")).await.unwrap().unwrap();
    assert_eq!(row.state["start"], 2, "it is found by its own state");
}

#[tokio::test]
async fn spn_12_a_start_is_written_down_before_anything_is_made_for_it() {
    let spawner = FakeSpawner::new().answers_with(notebook().await).keeps_stopped();
    let hub = TestHub::over(spawner).await;
    // Whether the server is kept is asked for its token, of which it may have one already.
    hub.spawner.hold_looks();
    tokio::select! {
        answer = hub.post("/users/ada/server", None) => panic!("{}", answer.text),
        () = eventually("the start is under way", || async {
            hub.spawner.looks_waiting() > 0
        }) => {}
    }
    let row = hub.store.servers().get(&key("ada")).await.unwrap().unwrap();
    assert!(row.started.is_some(), "a hub that is started now looks at it: {row:?}");
    let ada = hub.store.users().by_name(&"ada".parse().unwrap()).await.unwrap().unwrap();
    let tokens = hub.store.tokens().of_user(ada.id, hub.clock.now()).await.unwrap();
    assert_eq!(tokens, [], "nothing lives on that nobody looks for");
}

#[tokio::test]
async fn rst_2_a_stop_that_was_asked_for_goes_on_after_a_restart() {
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    let more = "[servers]\nallow_named_servers = true\n";
    let text = CONFIG.replace("[servers]\n", more);
    // In a file: the first hub closes its own.
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig { url: format!("{}/hub.sqlite", dir.path().display()) };
    let store = Store::open(&config).await.unwrap();
    let hub = TestHub::reading(&text, spawner.clone(), store.clone()).await;
    let lab = named("ada", "lab");
    hub.post("/users/ada/server", None).await;
    hub.post("/users/ada/servers/lab", None).await;
    spawner.set_reachable(false);
    let noted = async |key: &hub_names::ServerKey| {
        let row = store.servers().get(key).await.unwrap().unwrap();
        row.outcome.map(|wish| wish["remove"] == true)
    };
    let lab_path = "/users/ada/servers/lab";
    tokio::select! {
        answer = hub.api(ADMIN, Method::DELETE, "/users/ada/server", None) => panic!("{}", answer.text),
        answer = hub.api(ADMIN, Method::DELETE, lab_path, Some(json!({ "remove": true }))) => {
            panic!("{}", answer.text)
        }
        () = eventually("both are noted", || async {
            noted(&key("ada")).await == Some(false) && noted(&lab).await == Some(true)
        }) => {}
    }
    hub.assembled.stop().await;
    // Meanwhile one has ended, which it was asked for.
    spawner.die(&key("ada"), hub_spawner::Exit::default());
    spawner.set_reachable(true);
    assert_eq!(spawner.running(), std::slice::from_ref(&lab));

    let second = TestHub::reading(&text, spawner, Store::open(&config).await.unwrap()).await;
    eventually("it is forgotten", || async {
        second.get(lab_path).await.status == StatusCode::NOT_FOUND
    })
    .await;
    assert_eq!(second.spawner.forgotten(), [lab]);
    eventually("it is stopped", || async {
        second.get("/users/ada/server").await.json()["stopped"] == true
    })
    .await;
    let server = second.get("/users/ada/server").await.json();
    assert_eq!(server["last_failure"], json!(null), "{server}");
    assert!(second.spawner.running().is_empty());
    assert_eq!(second.post("/users/ada/server", None).await.status, StatusCode::CREATED);
}

/// A hub whose ada has a server and whose store has forgotten that; the server's
/// token, which the store knows unless it `forgets_the_token`.
async fn forgetful(forgets_the_token: bool) -> (TestHub, String) {
    let hub = TestHub::new().await;
    hub.post("/users/ada/server", None).await;
    let token =
        secrecy::ExposeSecret::expose_secret(&hub.spawner.requests()[0].api_token).to_owned();
    let (spawner, store) = (hub.spawner.clone(), hub.store.clone());
    drop(hub);
    assert!(store.servers().delete(&key("ada")).await.unwrap());
    if forgets_the_token {
        store.oauth().delete_client("jupyterhub-user-ada").await.unwrap();
    }
    (TestHub::on(spawner, store).await, token)
}

#[tokio::test]
async fn rst_3_a_forgotten_server_with_a_known_token_is_adopted() {
    let (hub, token) = forgetful(false).await;
    eventually("the server is ready again", || async {
        hub.get("/users/ada").await.json()["servers"][""]["ready"] == true
    })
    .await;
    assert!(hub.assembled.routes().resolve("/user/ada/").is_some());
    assert_eq!(hub.spawner.requests().len(), 1, "it was not started anew");
    let answer = hub.api(&token, Method::GET, "/user", None).await;
    assert_eq!(answer.status, StatusCode::OK, "it can speak to the hub");
    let row = hub.store.servers().get(&key("ada")).await.unwrap().unwrap();
    assert!(row.started.is_some() && row.url.is_some(), "{row:?}");
    let stop = hub.api(ADMIN, Method::DELETE, "/users/ada/server", None);
    assert!(stop.await.status.is_success());
    assert!(hub.spawner.running().is_empty(), "it is stopped like any other");
}

#[tokio::test]
async fn rst_3_a_forgotten_server_with_an_unknown_token_is_left_alone() {
    let (hub, _) = forgetful(true).await;
    assert_eq!(hub.get("/users/ada").await.json()["servers"], json!({}));
    assert!(hub.assembled.routes().resolve("/user/ada/").is_none());
    assert_eq!(hub.spawner.running(), [key("ada")], "nobody touched it");
    assert!(hub.store.servers().get(&key("ada")).await.unwrap().is_none());
    // Her own start replaces it.
    assert_eq!(hub.post("/users/ada/server", None).await.status, StatusCode::CREATED);
    assert_eq!(hub.spawner.requests().len(), 2);
}

#[tokio::test]
async fn rst_3_a_known_server_with_an_unknown_token_goes_on_and_it_is_said() {
    let hub = TestHub::new().await;
    hub.post("/users/ada/server", None).await;
    let (spawner, store) = (hub.spawner.clone(), hub.store.clone());
    drop(hub);
    store.oauth().delete_client("jupyterhub-user-ada").await.unwrap();
    let second = TestHub::on(spawner, store).await;
    eventually("it is told", || async {
        let server = &second.get("/users/ada").await.json()["servers"][""];
        let warning = server["warning"]["message"].as_str().unwrap_or_default();
        server["ready"] == true && warning.contains("a token that the hub does not know")
    })
    .await;
    assert_eq!(second.spawner.running(), [key("ada")]);
}

#[tokio::test]
async fn rst_3_it_is_said_of_a_server_that_its_token_could_not_be_looked_at() {
    let hub = TestHub::new().await;
    hub.post("/users/ada/server", None).await;
    hub.spawner.tells_nobody();
    let second = TestHub::on(hub.spawner.clone(), hub.store.clone()).await;
    eventually("the server is ready", || async {
        second.get("/users/ada").await.json()["servers"][""]["ready"] == true
    })
    .await;
    let warning = second.get("/users/ada").await.json()["servers"][""]["warning"].clone();
    let message = warning["message"].as_str().unwrap_or_default();
    assert!(message.contains("could not look at the token"), "{warning}");
    let page = second.signed_in("ada").await.get("/hub/home").await;
    assert!(page.text.contains(message), "{}", page.text);
}
