//! Services: who sees them, who may add them, and what comes of it.

use http::{Method, StatusCode, header};
use hub_spawner::fake::FakeSpawner;
use hub_store::Store;
use serde_json::json;

use crate::harness::{TestHub, eventually, notebook};

/// The token of `whoami`.
const WHOAMI: &str = "whoami-service-token";
/// The token of `reader`, which may look at services.
const READER: &str = "reader-service-token";
/// The token of `chief`, which may do what an administrator may.
const CHIEF: &str = "chief-service-token";

const SERVICES: &str = r#"
[[services]]
name = "whoami"
url = "http://127.0.0.1:9000/ignored"
api_token = "whoami-service-token"
info = { team = "x" }
oauth_client_allowed_scopes = ["read:users!user", "admin:groups"]
[[services]]
name = "hidden"
url = "http://127.0.0.1:9001"
display = false
[[services]]
name = "reader"
api_token = "reader-service-token"
scopes = ["list:services", "read:services"]
[[roles]]
name = "visitors"
scopes = ["access:services!service=whoami", "access:services!service=hidden"]
users = ["ada"]
[[roles]]
name = "helpers"
scopes = ["read:hub"]
services = ["whoami"]
"#;

async fn hub() -> TestHub {
    with(SERVICES, Store::in_memory().await.unwrap()).await
}

async fn with(more: &str, store: Store) -> TestHub {
    TestHub::configured(more, FakeSpawner::new().answers_with(notebook().await), store).await
}

fn target(hub: &TestHub, path: &str) -> Option<String> {
    let resolved = hub.assembled.routes().resolve(path)?;
    Some(resolved.target().to_string())
}

#[tokio::test]
async fn a_service_is_described_by_what_one_may_read() {
    let hub = hub().await;
    let all = hub.api(READER, Method::GET, "/services", None).await.json();
    let names: Vec<&String> = all.as_object().unwrap().keys().collect();
    assert_eq!(names, ["admin", "chief", "hidden", "reader", "weak", "whoami"]);
    let whoami = json!({
        "kind": "service", "name": "whoami", "admin": false, "url": "http://127.0.0.1:9000",
        "prefix": "/services/whoami/", "command": [], "pid": 0, "info": { "team": "x" },
        "display": true,
    });
    assert_eq!(all["whoami"], whoami);
    let one = hub.api(READER, Method::GET, "/services/whoami", None).await;
    assert_eq!((one.status, one.json()), (StatusCode::OK, whoami));

    let chief = hub.api(CHIEF, Method::GET, "/services/whoami", None).await.json();
    assert_eq!(chief["roles"], json!(["helpers"]));
    let itself = hub.api(CHIEF, Method::GET, "/services/chief", None).await.json();
    assert_eq!((&itself["admin"], &itself["roles"]), (&json!(true), &json!(["admin"])));

    let nobody = hub.api(CHIEF, Method::GET, "/services/nobody", None).await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    let weak = hub.api("weak-service-token", Method::GET, "/services", None).await;
    assert_eq!(weak.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_service_that_asks_who_it_is_is_told() {
    let hub = hub().await;
    let answer = hub.api(WHOAMI, Method::GET, "/user", None).await.json();
    // What JupyterHub 6.1 says to a service that may read nothing of itself.
    let mut told = answer.clone();
    told.as_object_mut().unwrap().remove("token_id");
    let wanted = json!({
        "kind": "service", "name": "whoami", "admin": false,
        "session_id": null, "scopes": ["read:hub"],
    });
    assert_eq!(told, wanted, "{answer}");
}

#[tokio::test]
async fn a_service_with_an_address_has_a_route_without_its_path() {
    let hub = hub().await;
    let to = target(&hub, "/services/whoami/a/b");
    assert_eq!(to.as_deref(), Some("http://127.0.0.1:9000/"));
    assert_eq!(target(&hub, "/services/reader/"), None);
}

#[tokio::test]
async fn the_home_page_links_to_services_that_one_may_use() {
    let hub = hub().await;
    let ada = hub.signed_in("ada").await.get("/hub/home").await.text;
    assert!(ada.contains("href=\"/services/whoami/\""), "{ada}");
    assert!(!ada.contains("/services/hidden/"), "{ada}");
    let bob = hub.signed_in("bob").await.get("/hub/home").await.text;
    assert!(!bob.contains("/services/"), "{bob}");
}

#[tokio::test]
async fn a_service_is_added_and_goes_on_after_a_restart_and_is_deleted() {
    let store = Store::in_memory().await.unwrap();
    let hub = with(SERVICES, store.clone()).await;
    let body = json!({
        "url": "http://127.0.0.1:18041", "api_token": "ext1-token-abcdefabcdef",
        "oauth_no_confirm": true, "display": false,
    });
    let made = hub.api(CHIEF, Method::POST, "/services/ext1", Some(body.clone())).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(
        made.json(),
        json!({
            "kind": "service", "name": "ext1", "admin": false, "roles": [],
            "url": "http://127.0.0.1:18041", "prefix": "/services/ext1/", "command": [],
            "pid": 0, "info": {}, "display": false,
        })
    );
    assert_eq!(target(&hub, "/services/ext1/").as_deref(), Some("http://127.0.0.1:18041/"));
    let again = hub.api(CHIEF, Method::POST, "/services/ext1", Some(body)).await;
    assert_eq!(again.status, StatusCode::CONFLICT);

    let hub = with(SERVICES, store).await;
    let who = hub.api("ext1-token-abcdefabcdef", Method::GET, "/user", None).await;
    assert_eq!((who.status, &who.json()["name"]), (StatusCode::OK, &json!("ext1")));
    assert!(target(&hub, "/services/ext1/").is_some());
    assert!(hub.store.oauth().client("service-ext1").await.unwrap().is_some());

    let gone = hub.api(CHIEF, Method::DELETE, "/services/ext1", None).await;
    assert_eq!((gone.status, gone.text.as_str()), (StatusCode::OK, ""));
    assert_eq!(target(&hub, "/services/ext1/"), None);
    let who = hub.api("ext1-token-abcdefabcdef", Method::GET, "/user", None).await;
    assert_eq!(who.status, StatusCode::FORBIDDEN);
    assert!(hub.store.oauth().client("service-ext1").await.unwrap().is_none());
    let again = hub.api(CHIEF, Method::DELETE, "/services/ext1", None).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_cannot_be_added_or_deleted_is_refused() {
    let hub = hub().await;
    let url = "http://127.0.0.1:18041";
    for (name, body, status) in [
        ("whoami", json!({ "url": url }), 409),
        ("x", json!({ "command": ["sleep"] }), 400),
        ("x", json!({ "surprise": 1 }), 400),
        ("x", json!({ "admin": "yes" }), 400),
        ("x", json!({ "url": "ftp://x" }), 400),
        ("x", json!({ "oauth_client_id": "x", "url": url }), 400),
        ("x", json!({ "oauth_client_id": "service-whoami", "url": url }), 400),
        ("x", json!({ "api_token": WHOAMI }), 400),
        ("..", json!({ "url": url }), 400),
    ] {
        let path = format!("/services/{name}");
        let answer = hub.api(CHIEF, Method::POST, &path, Some(body.clone())).await;
        assert_eq!(answer.status.as_u16(), status, "{name} {body}: {}", answer.text);
    }
    let empty = hub.api(CHIEF, Method::POST, "/services/x", None).await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    assert!(hub.store.services().list().await.unwrap().is_empty());
    // The token is still that of whoami.
    assert_eq!(hub.api(WHOAMI, Method::GET, "/user", None).await.json()["name"], "whoami");

    let fixed = hub.api(CHIEF, Method::DELETE, "/services/whoami", None).await;
    assert_eq!(fixed.status, StatusCode::METHOD_NOT_ALLOWED, "{}", fixed.text);
    for method in [Method::POST, Method::DELETE] {
        let weak = hub.api(READER, method, "/services/y", Some(json!({ "url": url }))).await;
        assert_eq!(weak.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn nobody_gives_a_service_more_than_they_have() {
    let more = "[[services]]\nname = \"maker\"\napi_token = \"maker-service-token\"\nscopes = [\"admin:services\", \"read:hub\"]\n";
    let hub = with(more, Store::in_memory().await.unwrap()).await;
    let maker = "maker-service-token";
    for body in [
        json!({ "admin": true }),
        json!({ "url": "http://h", "oauth_client_allowed_scopes": ["admin:users"] }),
    ] {
        let answer = hub.api(maker, Method::POST, "/services/x", Some(body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.text.contains("Not assigning requested scopes"), "{}", answer.text);
    }
    let body = json!({ "url": "http://h", "oauth_client_allowed_scopes": ["read:hub"] });
    let made = hub.api(maker, Method::POST, "/services/x", Some(body)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let admin = hub.api(CHIEF, Method::POST, "/services/y", Some(json!({ "admin": true }))).await;
    assert_eq!((admin.status, &admin.json()["roles"]), (StatusCode::CREATED, &json!(["admin"])));
}

#[tokio::test]
async fn a_service_that_is_gone_from_the_configuration_leaves_nothing() {
    let store = Store::in_memory().await.unwrap();
    drop(with(SERVICES, store.clone()).await);
    assert!(store.oauth().client("service-whoami").await.unwrap().is_some());
    let hub = with("", store).await;
    assert!(hub.store.oauth().client("service-whoami").await.unwrap().is_none());
    let who = hub.api(WHOAMI, Method::GET, "/user", None).await;
    assert_eq!(who.status, StatusCode::FORBIDDEN);
    assert_eq!(target(&hub, "/services/whoami/"), None);
}

#[tokio::test]
async fn a_program_of_the_hub_is_told_where_the_hub_is_and_has_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("environment");
    let more = format!(
        "[[services]]\nname = \"told\"\nurl = \"http://127.0.0.1:9002\"\nenvironment = {{ FILE = {:?}, JUPYTERHUB_SERVICE_NAME = \"other\" }}\ncommand = [\"/bin/sh\", \"-c\", \"/usr/bin/env > $FILE.part; /bin/mv $FILE.part $FILE; while :; do /bin/sleep 0.1; done\"]\n",
        file.to_str().unwrap()
    );
    let hub = with(&more, Store::in_memory().await.unwrap()).await;
    eventually("the program runs", || async { file.exists() }).await;
    let text = std::fs::read_to_string(&file).unwrap();
    let value = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).unwrap_or_default()
    };
    assert_eq!(value("JUPYTERHUB_SERVICE_NAME"), "told");
    assert_eq!(value("JUPYTERHUB_API_URL"), "http://10.0.0.1:8081/hub/api");
    assert_eq!(value("JUPYTERHUB_SERVICE_PREFIX"), "/services/told/");
    assert_eq!(value("JUPYTERHUB_PUBLIC_URL"), "http://hub.test/services/told/");
    assert_eq!(value("JUPYTERHUB_OAUTH_CALLBACK_URL"), "/services/told/oauth_callback");
    let token = value("JUPYTERHUB_API_TOKEN");
    assert_eq!(hub.api(token, Method::GET, "/user", None).await.json()["name"], "told");
    let told = hub.api(CHIEF, Method::GET, "/services/told", None).await.json();
    assert_ne!(told["pid"], 0);
    assert_eq!(told["command"][0], "/bin/sh");
    hub.assembled.stop().await;
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_not_called_your_server() {
    let hub = hub().await;
    let page = hub.browser().get("/hub/error/503?url=%2Fservices%2Fwhoami%2F").await;
    assert!(page.text.contains("This service is not answering."), "{}", page.text);
    assert_eq!(page.headers[header::CONTENT_TYPE], "text/html");
}
