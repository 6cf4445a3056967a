//! The pages around a start: options, where one goes, what is kept (hub-contract
//! 1.4, 1.5).

use http::{Method, StatusCode};
use hub_spawner::{SpawnError, fake::FakeSpawner};
use hub_store::Store;
use serde_json::json;

use crate::harness::{Browser, CONFIG, TestHub, eventually, key, notebook};

async fn with_form() -> TestHub {
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    TestHub::with_servers("options_form = \"<input name='n'>\"", spawner).await
}

async fn options(hub: &TestHub, count: usize) -> serde_json::Value {
    eventually("the start has begun", || async { hub.spawner.requests().len() == count }).await;
    hub.spawner.requests().pop().unwrap().options
}

#[tokio::test]
async fn the_operators_form_is_shown_and_its_fields_are_lists() {
    let hub = with_form().await;
    let mut ada = hub.signed_in("ada").await;
    let page = ada.get("/hub/spawn?next=%2Fuser%2Fada%2Flab").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("<input name='n'>"), "{}", page.text);
    assert!(page.text.contains("id=\"spawn_form\"") && page.text.contains("multipart/form-data"));
    let action = format!("/hub/spawn?next=%2Fuser%2Fada%2Flab&amp;_xsrf={}", ada.xsrf());
    assert!(page.text.contains(&action), "{action} in {}", page.text);
    assert!(hub.spawner.requests().is_empty());

    let target = action.replace("&amp;", "&");
    let started = ada.post(&target, "n=3&image=b").await;
    assert_eq!(started.status, StatusCode::FOUND, "{}", started.text);
    assert_eq!(started.location(), target.replace("/hub/spawn?", "/hub/spawn-pending/ada?"));
    assert_eq!(options(&hub, 1).await, json!({ "n": ["3"], "image": ["b"] }));
}

#[tokio::test]
async fn files_of_a_form_are_options_too() {
    let hub = with_form().await;
    let mut ada = hub.signed_in("ada").await;
    ada.get("/hub/spawn").await;
    let body = "--edge\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n3\r\n\
        --edge\r\nContent-Disposition: form-data; name=\"data\"; filename=\"a.txt\"\r\n\
        Content-Type: text/plain\r\n\r\nabc\r\n--edge--\r\n";
    let target = format!("/hub/spawn/ada?_xsrf={}", ada.xsrf());
    let kind = ("content-type", "multipart/form-data; boundary=edge");
    let started = ada.request(Method::POST, &target, &[kind], body).await;
    assert_eq!(started.status, StatusCode::FOUND, "{}", started.text);
    let file = json!({
        "filename": "a.txt", "content_type": "text/plain",
        "body": { "__jupyterhub_bytes__": true, "data": "YWJj\n" },
    });
    assert_eq!(options(&hub, 1).await, json!({ "n": ["3"], "data_file": [file] }));
}

#[tokio::test]
async fn an_options_post_needs_its_xsrf_token_and_a_stopped_server() {
    let hub = with_form().await;
    let mut ada = hub.signed_in("ada").await;
    assert_eq!(ada.post("/hub/spawn", "n=3").await.status, StatusCode::FORBIDDEN);
    hub.post("/users/ada/server", None).await;
    let target = format!("/hub/spawn?_xsrf={}", ada.xsrf());
    let running = ada.post(&target, "n=3").await;
    assert_eq!(running.status, StatusCode::BAD_REQUEST);
    assert!(running.text.contains("ada is already running"), "{}", running.text);
}

#[tokio::test]
async fn several_images_are_a_choice() {
    let spawner = FakeSpawner::new().answers_with(notebook().await).offers(&["lab<4>", "lab5"]);
    let hub = TestHub::over(spawner).await;
    let mut ada = hub.signed_in("ada").await;
    let page = ada.get("/hub/spawn").await;
    assert!(page.text.contains("<select id=\"image\" name=\"image\">"), "{}", page.text);
    assert!(page.text.contains("<option value=\"lab&lt;4&gt;\" selected>"), "{}", page.text);
    let home = ada.get("/hub/home").await.text;
    assert!(home.contains("href=\"/hub/spawn/ada\""), "a start begins with the choice: {home}");
    let target = format!("/hub/spawn?_xsrf={}", ada.xsrf());
    assert_eq!(ada.post(&target, "image=lab5&x=1").await.status, StatusCode::FOUND);
    assert_eq!(options(&hub, 1).await, json!({ "image": "lab5" }));
}

#[tokio::test]
async fn the_form_begins_with_what_the_operator_chose_for_this_user() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("userlist");
    std::fs::write(&list, "ada image=lab:gpu\nbob\neve image=lab5\n").unwrap();
    let text =
        CONFIG.replace("allowed_users = [\"ada\", \"bob\"]", &format!("userlist = {list:?}"));
    let spawner = FakeSpawner::new().answers_with(notebook().await).offers(&["lab4", "lab5"]);
    let hub = TestHub::reading(&text, spawner, Store::in_memory().await.unwrap()).await;
    for (user, chosen, offered) in
        [("ada", "lab:gpu", true), ("bob", "lab4", false), ("eve", "lab5", false)]
    {
        let page = hub.signed_in(user).await.get("/hub/spawn").await.text;
        let selected = format!("<option value=\"{chosen}\" selected>");
        assert!(page.contains(&selected), "{user}: {page}");
        assert_eq!(page.matches(" selected>").count(), 1, "{user}: {page}");
        assert_eq!(page.contains("lab:gpu"), offered, "{user}: {page}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_options_is_told_in_the_form() {
    let rejects = || SpawnError::Rejected {
        what: "the image".to_owned(),
        reason: "choose one of a, b".to_owned(),
    };
    let spawner = FakeSpawner::new().fails_with(rejects).offers(&["a", "b"]);
    let hub = TestHub::over(spawner).await;
    let mut ada = hub.signed_in("ada").await;
    for answer in [
        ada.get("/hub/spawn?opt-image=x").await,
        ada.post(&format!("/hub/spawn?_xsrf={}", ada.xsrf()), "image=x").await,
    ] {
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.text.contains("choose one of a, b"), "{}", answer.text);
        assert!(answer.text.contains("spawn_form"));
    }
}

#[tokio::test]
async fn options_in_a_link_start_at_once_and_stay_in_the_query() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let unnamed = ada.get("/hub/spawn?opt-=1").await;
    assert_eq!(unnamed.status, StatusCode::UNPROCESSABLE_ENTITY);
    let started = ada.get("/hub/spawn?next=%2Fuser%2Fada%2Flab&opt-n=1&m=2").await;
    assert_eq!(started.location(), "/hub/spawn-pending/ada?next=%2Fuser%2Fada%2Flab&opt-n=1&m=2");
    assert_eq!(options(&hub, 1).await, json!({ "n": ["1"] }));
}

#[tokio::test]
async fn a_link_on_another_site_starts_nothing_by_itself() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    ada.cookies.remove("hub-signed-in");
    let foreign = ("sec-fetch-site", "cross-site");
    let page = ada.request(Method::GET, "/hub/spawn?opt-n=1", &[foreign], "").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("action=\"/hub/spawn/ada?opt-n=1\""), "{}", page.text);
    assert!(hub.spawner.requests().is_empty());
    let form = format!("_xsrf={}", ada.xsrf());
    assert_eq!(ada.post("/hub/spawn/ada?opt-n=1", &form).await.status, StatusCode::FOUND);
    assert_eq!(options(&hub, 1).await, json!({ "n": ["1"] }));
}

#[tokio::test]
async fn an_administrator_starts_the_server_of_somebody_else() {
    let hub = with_form().await;
    let mut grace = hub.signed_in("grace").await;
    let page = grace.get("/hub/spawn/ada").await;
    assert!(page.text.contains("a server of ada"), "{}", page.text);
    let target = format!("/hub/spawn/ada?_xsrf={}", grace.xsrf());
    assert_eq!(grace.post(&target, "n=3").await.status, StatusCode::FOUND);
    eventually("ada's server runs", || async { hub.spawner.running() == [key("ada")] }).await;
    assert_eq!(grace.get("/hub/spawn/nobody").await.status, StatusCode::NOT_FOUND);
    let mut bob = hub.signed_in("bob").await;
    assert_eq!(bob.get("/hub/spawn/ada").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn people_go_where_the_operator_wants_them() {
    let hub_with = async |pages: &str| {
        let spawner = FakeSpawner::new().answers_with(notebook().await);
        let store = hub_store::Store::in_memory().await.unwrap();
        TestHub::configured(&format!("[pages]\n{pages}\n"), spawner, store).await
    };
    let landing = async |browser: &mut Browser, path: &str| {
        browser.sign_in("ada", path).await.location().to_owned()
    };
    let hub = hub_with("redirect_to_server = false").await;
    assert_eq!(landing(&mut hub.browser(), "/hub/login?x=1").await, "/hub/home?x=1");
    let hub = hub_with("default_url = \"/hub/token\"").await;
    assert_eq!(hub.browser().get("/hub/").await.location(), "/hub/token");
    assert_eq!(landing(&mut hub.browser(), "/hub/login").await, "/hub/token");
    assert_eq!(landing(&mut hub.browser(), "/hub/login?next=%2Fhub%2Fhome").await, "/hub/home");
}

#[tokio::test]
async fn stopped_servers_are_told_as_the_operator_wants() {
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    let lines = "use_legacy_stopped_server_status_code = true\nimplicit_spawn_seconds = 5\nshutdown_on_logout = true";
    let hub = TestHub::with_servers(lines, spawner).await;
    let mut ada = hub.signed_in("ada").await;
    let page = ada.get("/hub/user/ada/lab").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.text.contains("data-implicit-seconds=\"5"), "{}", page.text);
    let json = ada.get("/hub/user/ada/api/status").await;
    assert_eq!(json.status, StatusCode::SERVICE_UNAVAILABLE);

    hub.post("/users/ada/server", None).await;
    ada.get("/hub/logout").await;
    eventually("the server is gone", || async { hub.spawner.running().is_empty() }).await;
}

#[tokio::test]
async fn a_stopped_servers_address_takes_a_token_or_a_form_of_ours() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let path = "/hub/user/ada/api/kernels";
    let without = ada.post(path, "").await;
    assert_eq!(without.status, StatusCode::FORBIDDEN);
    assert!(without.text.contains("argument missing from POST"), "{}", without.text);
    let with = ada.post(&format!("{path}?_xsrf={}", ada.xsrf()), "").await;
    assert_eq!(with.status, StatusCode::FAILED_DEPENDENCY);
    let token = ("authorization", "token admin-service-token");
    let by_token = hub.browser().request(Method::POST, path, &[token], "").await;
    assert_eq!(by_token.status, StatusCode::FAILED_DEPENDENCY);
    let nobody = hub.browser().get(path).await;
    assert_eq!(nobody.location(), "/hub/login?next=%2Fhub%2Fuser%2Fada%2Fapi%2Fkernels");
    let outside = ada.post("/user/ada/api/kernels", "").await;
    assert_eq!(outside.status, StatusCode::FORBIDDEN);
    assert!(outside.text.starts_with("<!doctype html>"), "{}", outside.text);
    let start = ada.get("/hub/user-redirect/").await;
    assert_eq!(start.location(), "/hub/spawn/ada?next=%2Fuser%2Fada%2F");
}

#[tokio::test]
async fn an_administrator_reads_whose_server_is_stopped_and_that_nobody_has_that_name() {
    let hub = TestHub::new().await;
    hub.signed_in("ada").await;
    let mut grace = hub.signed_in("grace").await;

    let stopped = grace.get("/hub/user/ada/lab").await;
    assert_eq!(stopped.status, StatusCode::FAILED_DEPENDENCY);
    assert!(stopped.text.contains("The server of ada is not running"), "{}", stopped.text);
    let nobody = grace.get("/hub/user/mallory/lab").await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND, "{}", nobody.text);
}
