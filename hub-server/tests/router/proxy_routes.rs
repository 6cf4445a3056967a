//! `/hub/api/proxy`

use http::{Method, StatusCode};
use hub_spawner::fake::FakeSpawner;
use hub_store::Store;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, TestHub, eventually, notebook},
    proxy_api::{ProxyApi, TOKEN},
};

async fn ask(hub: &TestHub, method: Method, body: Option<Value>) -> Answer {
    hub.api("chief-service-token", method, "/proxy", body).await
}

async fn hub_over(api: &ProxyApi) -> TestHub {
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    TestHub::configured(&api.config(), spawner, Store::in_memory().await.unwrap()).await
}

#[tokio::test]
async fn the_embedded_proxys_routes_are_listed_in_pages() {
    let hub = TestHub::new().await;
    for user in ["ada", "bob"] {
        hub.post(&format!("/users/{user}/server"), None).await;
    }
    let all = ask(&hub, Method::GET, None).await.json();
    assert_eq!(all["/"]["data"]["hub"], true);
    assert!(all["/"]["data"]["last_activity"].is_string(), "{all}");
    assert_eq!(all["/"]["target"], "http://10.0.0.1:8081");
    let ada = &all["/user/ada/"];
    assert_eq!(ada["routespec"], "/user/ada/");
    assert!(ada["target"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{ada}");
    assert_eq!((&ada["data"]["user"], &ada["data"]["server_name"]), (&json!("ada"), &json!("")));
    assert!(ada["data"]["last_activity"].as_str().unwrap().ends_with('Z'), "{ada}");

    let mut grace = hub.signed_in("grace").await;
    let accept = ("accept", "application/jupyterhub-pagination+json");
    let path = "/hub/api/proxy?limit=1&offset=1";
    let page = grace.request(Method::GET, path, &[accept], "").await.json();
    let specs: Vec<&String> = page["items"].as_object().unwrap().keys().collect();
    assert_eq!(specs, ["/user/ada/"]);
    assert_eq!(page["_pagination"]["total"], 3);
    assert_eq!(page["_pagination"]["next"]["offset"], 2);
    assert_eq!(hub.get("/proxy").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_embedded_proxy_is_in_step_and_stays_where_it_is() {
    let hub = TestHub::new().await;
    let checked = ask(&hub, Method::POST, None).await;
    assert_eq!((checked.status, checked.text.as_str()), (StatusCode::OK, ""));
    let moved = ask(&hub, Method::PATCH, Some(json!({ "api_url": "http://127.0.0.1:1" }))).await;
    assert_eq!(moved.status, StatusCode::BAD_REQUEST);
    assert!(moved.text.contains("its own proxy"), "{}", moved.text);
}

#[tokio::test]
async fn a_check_mends_an_external_proxys_table_at_once() {
    let api = ProxyApi::start().await;
    let hub = hub_over(&api).await;
    hub.post("/users/ada/server", None).await;
    api.put("/user/ghost", json!({ "target": "http://127.0.0.1:9", "jupyterhub": true }));
    api.put("/foreign", json!({ "target": "http://127.0.0.1:9" }));
    let target = api.route("/user/ada").unwrap()["target"].clone();
    api.put("/user/ada", json!({ "target": "http://127.0.0.1:9", "jupyterhub": true }));

    let checked = ask(&hub, Method::POST, None).await;
    assert_eq!(checked.status, StatusCode::OK, "{}", checked.text);
    assert_eq!(api.paths(), ["/", "/foreign", "/user/ada"]);
    assert_eq!(api.route("/user/ada").unwrap()["target"], target);

    let listed = ask(&hub, Method::GET, None).await.json();
    let specs: Vec<&String> = listed.as_object().unwrap().keys().collect();
    assert_eq!(specs, ["/", "/user/ada/"], "routes of others are not shown");
    assert_eq!(listed["/user/ada/"]["target"], target);
    assert_eq!(listed["/user/ada/"]["data"]["user"], "ada");
}

#[tokio::test]
async fn an_external_proxy_can_be_replaced_while_the_hub_runs() {
    let (old, new) = (ProxyApi::start().await, ProxyApi::start().await);
    let hub = hub_over(&old).await;
    hub.post("/users/ada/server", None).await;
    let moved = ask(&hub, Method::PATCH, Some(json!({ "api_url": new.url() }))).await;
    assert_eq!(moved.status, StatusCode::OK, "{}", moved.text);
    assert_eq!(new.paths(), ["/", "/user/ada"]);
    hub.post("/users/bob/server", None).await;
    eventually("the new proxy has the new route", || async { new.paths().len() == 3 }).await;
    assert_eq!(old.paths(), ["/", "/user/ada"], "the old one is left alone");

    for body in [
        json!({ "api_url": "http://127.0.0.1:1" }),
        json!({ "api_url": old.url(), "auth_token": "wrong" }),
        json!({ "api_url": "https://elsewhere" }),
        json!({ "auth_token": "two words" }),
        json!({ "auth_token": 3 }),
        json!([]),
    ] {
        let answer = ask(&hub, Method::PATCH, Some(body.clone())).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.text);
        assert!(!answer.text.contains(TOKEN), "{}", answer.text);
    }
    assert_eq!(ask(&hub, Method::PATCH, None).await.json()["message"], "need JSON body");
    hub.api("chief-service-token", Method::DELETE, "/users/bob/server", None).await;
    eventually("the proxy is still the new one", || async { new.paths().len() == 2 }).await;
}

#[tokio::test]
async fn a_proxy_that_does_not_answer_is_said_so() {
    let api = ProxyApi::start().await;
    let hub = hub_over(&api).await;
    eventually("the hub's route is there", || async { api.paths() == ["/"] }).await;
    api.fail(Method::GET, "");
    let listed = ask(&hub, Method::GET, None).await;
    assert_eq!(listed.status, StatusCode::SERVICE_UNAVAILABLE, "{}", listed.text);
    assert!(listed.text.contains("The proxy does not answer"), "{}", listed.text);
}
