//! What is removed with users and servers, in which order, and what of that can be tried
//! again (SPN-30).

use http::{Method, StatusCode};
use hub_spawner::fake::FakeSpawner;
use hub_store::{Store, StoreConfig};
use serde_json::json;

use crate::harness::{ADMIN, CONFIG, TestHub, api_request, eventually, key, named, notebook, send};

#[tokio::test]
async fn spn_30_a_name_is_taken_until_all_that_belonged_to_it_is_removed() {
    let hub = TestHub::new().await;
    hub.spawner.hold_removals();
    let meanwhile = async {
        eventually("ada is being deleted", || async { hub.spawner.removals_waiting() > 0 }).await;
        let taken = hub.post("/users/ada", None).await;
        assert_eq!(taken.status, StatusCode::CONFLICT, "{}", taken.text);
        for (method, path) in [(Method::POST, "/users/ada/server"), (Method::DELETE, "/users/ada")]
        {
            let refused = hub.api(ADMIN, method, path, None).await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
            assert_eq!(refused.json()["message"], "ada is being deleted");
        }
        hub.spawner.let_removals_go();
    };
    let (gone, ()) = tokio::join!(hub.api(ADMIN, Method::DELETE, "/users/ada", None), meanwhile);
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text);
    assert_eq!(hub.spawner.forgotten_users(), ["ada".parse().unwrap()]);
    assert!(hub.spawner.requests().is_empty());
    assert_eq!(hub.post("/users/ada", None).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn spn_30_an_account_stays_while_what_belongs_to_it_cannot_be_removed() {
    let hub = TestHub::new().await;
    hub.spawner.set_reachable(false);
    let failed = hub.api(ADMIN, Method::DELETE, "/users/ada", None).await;
    assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE, "{}", failed.text);
    let message = failed.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("the account is still there"), "{message}");
    assert_eq!(hub.get("/users/ada").await.status, StatusCode::OK);
    hub.spawner.set_reachable(true);
    let again = hub.api(ADMIN, Method::DELETE, "/users/ada", None).await;
    assert_eq!(again.status, StatusCode::NO_CONTENT, "{}", again.text);
    assert_eq!(hub.get("/users/ada").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn spn_30_it_is_said_why_a_server_could_not_be_removed() {
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    let hub = TestHub::with_servers("allow_named_servers = true", spawner).await;
    let path = "/users/ada/servers/lab";
    hub.api(ADMIN, Method::PUT, path, None).await;
    let mut ada = hub.signed_in("ada").await;
    hub.spawner.set_reachable(false);
    let failed = hub.api(ADMIN, Method::DELETE, path, Some(json!({ "remove": true }))).await;
    assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE, "{}", failed.text);
    let message = failed.json()["message"].as_str().unwrap().to_owned();
    let why = "The container service is not answering";
    assert!(message.contains("still there; remove it again") && message.contains(why), "{message}");
    let xsrf = format!("_xsrf={}", ada.cookies["_xsrf"]);
    let page = ada.post("/hub/remove/ada/lab", &xsrf).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "{}", page.text);
    assert!(page.text.contains(why) && page.text.contains("Remove it again"), "{}", page.text);
    hub.spawner.set_reachable(true);
    let gone = hub.api(ADMIN, Method::DELETE, path, Some(json!({ "remove": true }))).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text);
}

#[tokio::test]
async fn spn_30_a_deletion_goes_on_when_whoever_asked_for_it_has_gone_away() {
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    let hub = TestHub::with_servers("allow_named_servers = true", spawner).await;
    hub.post("/users/bob/servers/lab", None).await;
    for (path, body) in
        [("/users/ada", None), ("/users/bob/servers/lab", Some(json!({ "remove": true })))]
    {
        hub.spawner.hold_removals();
        tokio::select! {
            answer = hub.api(ADMIN, Method::DELETE, path, body) => panic!("{}", answer.text),
            () = eventually("the removal is under way", || async {
                hub.spawner.removals_waiting() > 0
            }) => {}
        }
        hub.spawner.let_removals_go();
        eventually("it is gone", || async { hub.get(path).await.status == StatusCode::NOT_FOUND })
            .await;
    }
}

#[tokio::test]
async fn spn_30_what_is_under_way_when_the_hub_ends_is_finished() {
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    let text = CONFIG.replace("[servers]\n", "[servers]\nallow_named_servers = true\n");
    // In a file: the hub closes its own.
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig { url: format!("{}/hub.sqlite", dir.path().display()) };
    let store = Store::open(&config).await.unwrap();
    let hub = TestHub::reading(&text, spawner.clone(), store).await;
    hub.post("/users/ada/servers/lab", None).await;
    spawner.hold_removals();
    let remove = Some(json!({ "remove": true }));
    tokio::select! {
        answer = hub.api(ADMIN, Method::DELETE, "/users/bob", None) => panic!("{}", answer.text),
        answer = hub.api(ADMIN, Method::DELETE, "/users/ada/servers/lab", remove) => {
            panic!("{}", answer.text)
        }
        () = eventually("both are under way", || async { spawner.removals_waiting() == 2 }) => {}
    }
    let ending = hub.assembled.stop();
    tokio::pin!(ending);
    let others_have_ended = async {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = &mut ending => panic!("it was not waited for"),
        () = others_have_ended => {}
    }
    spawner.let_removals_go();
    ending.await;
    let store = Store::open(&config).await.unwrap();
    assert_eq!(store.users().by_name(&"bob".parse().unwrap()).await.unwrap(), None);
    assert_eq!(store.servers().get(&named("ada", "lab")).await.unwrap(), None);
}

#[tokio::test]
async fn spn_30_a_server_that_does_not_stop_is_not_waited_for_when_the_hub_ends() {
    let hub = TestHub::new().await;
    hub.post("/users/ada/server", None).await;
    hub.spawner.set_reachable(false);
    let request = api_request(ADMIN, Method::DELETE, "/users/ada", None);
    let (router, store) = (hub.router.clone(), hub.store.clone());
    let end = async {
        eventually("it is being stopped", || async {
            store.servers().get(&key("ada")).await.unwrap().unwrap().outcome.is_some()
        })
        .await;
        hub.assembled.stop().await;
    };
    let (answer, ()) = tokio::join!(send(&router, request), end);
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
    assert_eq!(answer.json()["message"], "The hub is shutting down.");
    assert!(hub.spawner.forgotten_users().is_empty());
}

#[tokio::test]
async fn aut_1_accounts_that_nobody_could_get_any_more_are_deleted_at_the_start_if_wanted() {
    let hub = TestHub::new().await;
    for user in ["cyd", "dora"] {
        hub.post(&format!("/users/{user}"), None).await;
        hub.post(&format!("/users/{user}/server"), None).await;
    }
    let strict = CONFIG.replace("[auth]\n", "[auth]\nusername_pattern = \"[a-z]{4,}\"\n");
    let wanted = strict.replace("[auth]\n", "[auth]\ndelete_invalid_users = true\n");
    let start = async |text| TestHub::reading(text, hub.spawner.clone(), hub.store.clone()).await;
    let lenient = start(&strict).await;
    assert_eq!(lenient.get("/users/cyd").await.status, StatusCode::OK);
    let hub = start(&wanted).await;
    eventually("her account is gone", || async {
        hub.get("/users/cyd").await.status == StatusCode::NOT_FOUND
    })
    .await;
    // As by an administrator: the server first, then what else is hers.
    assert_eq!(hub.spawner.running(), [key("dora")]);
    assert_eq!(hub.spawner.forgotten_users(), ["cyd".parse().unwrap()]);
    // Whom the configuration names would be there again.
    for user in ["ada", "bob", "dora", "grace"] {
        assert_eq!(hub.get(&format!("/users/{user}")).await.status, StatusCode::OK, "{user}");
    }
}

#[tokio::test]
async fn nobody_deletes_themselves_and_a_running_server_is_stopped_first() {
    let hub = TestHub::new().await;
    let mut grace = hub.signed_in("grace").await;
    let xsrf = grace.xsrf();
    let headers = [("x-xsrftoken", xsrf.as_str())];
    let own = grace.request(Method::DELETE, "/hub/api/users/grace", &headers, "").await;
    assert_eq!(own.status, StatusCode::BAD_REQUEST);
    assert_eq!(own.json()["message"], "Cannot delete yourself!");

    hub.post("/users/ada/server", None).await;
    hub.spawner.hold_removals();
    let order = async {
        eventually("what is hers is removed", || async { hub.spawner.removals_waiting() > 0 })
            .await;
        assert!(hub.spawner.running().is_empty(), "the server has gone before");
        assert_eq!(hub.get("/users/ada").await.status, StatusCode::OK, "and the account has not");
        hub.spawner.let_removals_go();
    };
    let (gone, ()) = tokio::join!(hub.api(ADMIN, Method::DELETE, "/users/ada", None), order);
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text);
    assert_eq!(hub.get("/users/ada").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_user_who_is_deleted_during_a_start_leaves_no_server() {
    let hub = TestHub::new().await;
    hub.spawner.hold_starts();
    let starting = hub.post("/users/ada/server", None);
    let deletion = async {
        eventually("the start is under way", || async {
            hub.get("/users/ada").await.json()["pending"] == "spawn"
        })
        .await;
        hub.api(ADMIN, Method::DELETE, "/users/ada", None).await
    };
    let (started, deleted) = tokio::join!(starting, deletion);
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.text);
    assert!(started.status.is_server_error(), "{}", started.text);
    hub.spawner.let_starts_go();
    assert!(hub.spawner.running().is_empty());
    assert_eq!(hub.get("/users/ada").await.status, StatusCode::NOT_FOUND);
    let again = hub.post("/users/ada/server", None).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND, "{}", again.text);
    assert!(hub.spawner.running().is_empty(), "a start that was held back does not go on");
}
