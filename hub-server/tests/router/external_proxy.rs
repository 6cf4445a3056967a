//! A hub whose proxy is a program of its own.

use http::{Method, StatusCode};
use hub_spawner::fake::FakeSpawner;
use hub_store::{Store, StoreConfig};
use serde_json::json;

use crate::{
    harness::{TestHub, eventually, key, notebook},
    proxy_api::ProxyApi,
};

async fn hub_over(api: &ProxyApi) -> TestHub {
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    TestHub::configured(&api.config(), spawner, Store::in_memory().await.unwrap()).await
}

async fn has(api: &ProxyApi, paths: &[&str]) {
    eventually("the proxy has the wanted routes", || async { api.paths() == paths }).await;
}

#[tokio::test]
async fn j_01_j_02_routes_are_added_and_removed_as_jupyterhub_does() {
    let api = ProxyApi::start().await;
    let hub = hub_over(&api).await;
    has(&api, &["/"]).await;
    let root = api.route("/").unwrap();
    assert_eq!(root["target"], "http://10.0.0.1:8000");
    assert_eq!((&root["hub"], &root["jupyterhub"]), (&json!(true), &json!(true)));

    let answer = hub.post("/users/ada/server", None).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    has(&api, &["/", "/user/ada"]).await;
    let route = api.route("/user/ada").unwrap();
    assert_eq!(
        (&route["user"], &route["server_name"], &route["jupyterhub"]),
        (&json!("ada"), &json!(""), &json!(true))
    );
    assert!(hub.assembled.routes().snapshot().is_empty(), "nothing is routed in the hub itself");

    hub.api(crate::harness::ADMIN, Method::DELETE, "/users/ada/server", None).await;
    has(&api, &["/"]).await;
}

#[tokio::test]
async fn a_server_is_ready_only_when_the_proxy_has_its_route() {
    let api = ProxyApi::start().await;
    api.fail(Method::POST, "/user/ada");
    let hub = hub_over(&api).await;
    let (answer, ()) = tokio::join!(hub.post("/users/ada/server", None), async {
        eventually("the route was refused", || async { api.has_failed() }).await;
        let ada = hub.get("/users/ada").await.json();
        assert_eq!(ada["pending"], "spawn", "{ada}");
        assert_eq!(ada["servers"][""]["ready"], false, "{ada}");
        api.work();
    });
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    assert!(api.paths().contains(&"/user/ada".to_owned()));
}

#[tokio::test]
async fn a_start_can_be_given_up_while_it_waits_for_the_proxy() {
    let api = ProxyApi::start().await;
    api.fail(Method::POST, "/user/ada");
    let hub = hub_over(&api).await;
    let (answer, ()) = tokio::join!(hub.post("/users/ada/server", None), async {
        eventually("the route was refused", || async { api.has_failed() }).await;
        let mut ada = hub.signed_in("ada").await;
        let form = format!("_xsrf={}", ada.xsrf());
        ada.post("/hub/stop/ada", &form).await;
    });
    assert_ne!(answer.status, StatusCode::CREATED, "{}", answer.text);
    eventually("nothing of it runs", || async { hub.spawner.running().is_empty() }).await;
    api.work();
    // The next one does not find anything of the first.
    assert_eq!(hub.post("/users/bob/server", None).await.status, StatusCode::CREATED);
    has(&api, &["/", "/user/bob"]).await;
}

#[tokio::test]
async fn a_removal_that_failed_is_tried_again() {
    let api = ProxyApi::start().await;
    let hub = hub_over(&api).await;
    hub.post("/users/ada/server", None).await;
    api.fail(Method::DELETE, "/user/ada");
    let answer = hub.api(crate::harness::ADMIN, Method::DELETE, "/users/ada/server", None).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "stopping does not wait for the proxy");
    eventually("the removal was refused", || async { api.has_failed() }).await;
    assert!(api.paths().contains(&"/user/ada".to_owned()));
    api.work();
    has(&api, &["/"]).await;
}

#[tokio::test]
async fn rst_2_after_a_restart_only_stale_routes_go() {
    let api = ProxyApi::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = StoreConfig { url: format!("sqlite://{}/hub.sqlite", dir.path().display()) };
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    let store = Store::open(&file).await.unwrap();
    let hub = TestHub::configured(&api.config(), spawner.clone(), store).await;
    for user in ["ada", "bob"] {
        hub.post(&format!("/users/{user}/server"), None).await;
    }
    has(&api, &["/", "/user/ada", "/user/bob"]).await;
    hub.assembled.stop().await;
    assert_eq!(api.paths().len(), 3, "a hub that stops leaves its routes");

    spawner.vanish(&key("bob"));
    let target = api.route("/user/ada").unwrap()["target"].clone();
    // A mark that another POST would remove.
    let mut marked = api.route("/user/ada").unwrap();
    marked["mark"] = json!(1);
    api.put("/user/ada", marked);
    api.put("/user/gone", json!({ "target": target, "jupyterhub": true }));
    api.put("/elsewhere", json!({ "target": target }));
    let store = Store::open(&file).await.unwrap();
    let second = TestHub::configured(&api.config(), spawner, store).await;
    has(&api, &["/", "/elsewhere", "/user/ada"]).await;
    eventually("ada's server is ready again", || async {
        second.get("/users/ada").await.json()["servers"][""]["ready"] == true
    })
    .await;
    assert_eq!(api.route("/user/ada").unwrap()["mark"], 1, "the route was not added again");
}
