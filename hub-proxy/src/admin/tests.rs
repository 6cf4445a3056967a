//! The API as its clients see it, without a network.

use http_body_util::Full;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;
use crate::RouteTable;

struct Api {
    service: AdminApi,
    registry: Registry,
}

impl Api {
    fn with(token: Option<&str>, host_routing: bool) -> Self {
        let registry = Registry::new(RouteTable::default(), host_routing);
        let vitals = Vitals::new("1.2.3", CancellationToken::new(), Vec::new());
        let token = token.and_then(AdminToken::new);
        Self { service: AdminApi::new(registry.clone(), token, vitals), registry }
    }

    fn open() -> Self {
        Self::with(None, false)
    }

    fn start(&self) -> String {
        self.service.0.vitals.start().to_owned()
    }

    async fn send(&self, method: &str, target: &str, body: impl Into<String>) -> Response<String> {
        self.send_with(method, target, body, "token ignored").await
    }

    async fn send_with(
        &self,
        method: &str,
        target: &str,
        body: impl Into<String>,
        authorization: &str,
    ) -> Response<String> {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("authorization", authorization)
            .body(Full::new(Bytes::from(body.into())))
            .unwrap();
        self.service.clone().oneshot(request).await.unwrap()
    }

    async fn status(&self, method: &str, target: &str, body: impl Into<String>) -> u16 {
        self.send(method, target, body).await.status().as_u16()
    }

    async fn json(&self, target: &str) -> Value {
        let response = self.send("GET", target, "").await;
        assert_eq!(response.headers()["content-type"], "application/json");
        serde_json::from_str(response.body()).unwrap()
    }

    async fn keys(&self, target: &str) -> Vec<String> {
        self.json(target).await.as_object().unwrap().keys().cloned().collect()
    }
}

const TARGET: &str = r#"{"target": "http://127.0.0.1:9000"}"#;

#[tokio::test]
async fn r_01_p_004_the_table_is_an_object_of_paths() {
    let api = Api::open();
    assert_eq!(api.json("/api/routes").await, json!({}));
    api.registry.preset("/".parse().unwrap(), "http://h:1".parse().unwrap());
    assert_eq!(api.keys("/api/routes").await, ["/"]);
    assert_eq!(api.json("/api/routes/").await["/"]["target"], "http://h:1/");
}

#[tokio::test]
async fn r_02_p_005_p_006_one_route_is_found_with_and_without_slash() {
    let api = Api::open();
    api.send("POST", "/api/routes/user/ada", TARGET).await;
    for path in ["/api/routes/user/ada", "/api/routes/user/ada/"] {
        assert_eq!(api.json(path).await["target"], "http://127.0.0.1:9000");
    }
    let absent = api.send("GET", "/api/routes/user/bob", "").await;
    assert_eq!((absent.status().as_u16(), absent.body().as_str()), (404, ""));
}

#[tokio::test]
async fn r_03_p_007_a_route_is_added_with_all_it_carries_and_is_live() {
    let api = Api::open();
    let sent = json!({"target": "http://127.0.0.1:9000", "jupyterhub": true, "user": "ada"});
    let added = api.send("POST", "/api/routes/user/ada", sent.to_string()).await;
    assert_eq!((added.status().as_u16(), added.body().as_str()), (201, ""));
    let route = api.json("/api/routes/user/ada").await;
    assert_eq!((&route["jupyterhub"], &route["user"]), (&json!(true), &json!("ada")));
    assert!(route["last_activity"].as_str().unwrap().ends_with('Z'));

    let other = json!({"target": "http://127.0.0.1:9001"});
    api.send("POST", "/api/routes/user/ada/", other.to_string()).await;
    let route = api.json("/api/routes/user/ada").await;
    assert_eq!(route["target"], "http://127.0.0.1:9001");
    assert!(route.get("user").is_none(), "replaced whole: {route}");
}

#[tokio::test]
async fn r_04_p_009_without_a_path_the_root_is_meant() {
    let api = Api::open();
    assert_eq!(api.status("POST", "/api/routes", TARGET).await, 201);
    assert_eq!(api.keys("/api/routes").await, ["/"]);
}

#[tokio::test]
async fn r_05_p_010_a_route_is_deleted_once() {
    let api = Api::open();
    api.send("POST", "/api/routes/user/ada", TARGET).await;
    let deleted = api.send("DELETE", "/api/routes/user/ada/", "").await;
    assert_eq!((deleted.status().as_u16(), deleted.body().as_str()), (204, ""));
    assert_eq!(api.status("DELETE", "/api/routes/user/ada", "").await, 404);
    assert_eq!(api.json("/api/routes").await, json!({}));
}

#[tokio::test]
async fn r_06_r_07_without_the_token_nothing_is_read_or_done() {
    let api = Api::with(Some("s3cret"), false);
    for (method, target, body) in [
        ("GET", "/api/routes", ""),
        ("GET", "/api/v2/status", ""),
        ("POST", "/api/routes/a", "no json"),
        ("POST", "/api/routes/%zz", TARGET),
        ("PUT", "/api/v2/routes", r#"{"routes": {}}"#),
        ("DELETE", "/api/routes/a", ""),
    ] {
        let refused = api.send_with(method, target, body, "token wrong").await;
        assert_eq!((refused.status().as_u16(), refused.body().as_str()), (403, ""), "{target}");
    }
    let admitted = api.send_with("POST", "/api/routes/a", TARGET, "token s3cret").await;
    assert_eq!(admitted.status().as_u16(), 201);
}

#[tokio::test]
async fn r_07_r_08_r_14_bad_bodies_are_refused_in_words() {
    let api = Api::open();
    for (body, beginning) in [
        ("{", "Body not valid JSON"),
        ("", "Body not valid JSON"),
        ("{}", "Must specify 'target' as string"),
        ("[1]", "Must specify 'target' as string"),
        ("null", "Must specify 'target' as string"),
        (r#"{"target": 7}"#, "Must specify 'target' as string"),
        (r#"{"target": "nonsense"}"#, "'target' is not usable: not a URL"),
    ] {
        let refused = api.send("POST", "/api/routes/a", body).await;
        assert_eq!(refused.status().as_u16(), 400, "{body}");
        assert!(refused.body().starts_with(beginning), "{body}: {}", refused.body());
    }
    assert_eq!(api.json("/api/routes").await, json!({}));
}

#[tokio::test]
async fn r_09_r_10_what_there_is_not_is_refused() {
    let api = Api::open();
    let method = api.send("PATCH", "/api/routes/a", "").await;
    assert_eq!((method.status().as_u16(), method.body().as_str()), (405, "Method not supported"));
    let path = api.send("GET", "/other", "").await;
    assert_eq!((path.status().as_u16(), path.body().as_str()), (404, "Not Found"));
}

#[tokio::test]
async fn r_11_p_011_p_012_routes_can_be_listed_by_age() {
    let api = Api::open();
    api.send("POST", "/api/routes/today", TARGET).await;
    let list = |age| format!("/api/routes?inactiveSince={age}");
    assert!(api.keys(&list("1970-01-01")).await.is_empty());
    assert_eq!(api.keys(&list("9999-01-01T00:00:00Z")).await, ["/today"]);
    assert_eq!(api.status("GET", &list("endoftheuniverse"), "").await, 400);
}

#[tokio::test]
async fn r_12_p_008_r_16_paths_are_kept_decoded_with_one_slash() {
    let api = Api::open();
    for path in ["/user/foo%40bar", "//d", "/a%2Fb"] {
        assert_eq!(api.status("POST", &format!("/api/routes{path}"), TARGET).await, 201, "{path}");
    }
    assert_eq!(api.keys("/api/routes").await, ["/a/b", "/d", "/user/foo@bar"]);
}

#[tokio::test]
async fn r_13_a_path_that_cannot_be_decoded_is_refused() {
    assert_eq!(Api::open().status("POST", "/api/routes/%zz", TARGET).await, 400);
}

#[tokio::test]
async fn r_15_a_body_beyond_the_limit_is_refused() {
    let api = Api::open();
    let padding = "x".repeat(MAX_ROUTE_BYTES);
    let body = json!({"target": "http://h:1", "padding": padding}).to_string();
    assert_eq!(api.status("POST", "/api/routes/a", body).await, 413);
    assert_eq!(api.json("/api/routes").await, json!({}));
}

#[tokio::test]
async fn r_30_r_34_the_whole_table_is_replaced_or_nothing() {
    let api = Api::open();
    api.send("POST", "/api/routes/old", TARGET).await;
    let version = api.json("/api/v2/routes").await["version"].as_u64().unwrap();

    let bad = json!({"routes": {"/a": {"target": "http://h:1"}, "/b": {}}});
    assert_eq!(api.status("PUT", "/api/v2/routes", bad.to_string()).await, 400);
    let stale = json!({"routes": {}, "if_version": version + 7});
    assert_eq!(api.status("PUT", "/api/v2/routes", stale.to_string()).await, 409);
    assert_eq!(api.keys("/api/routes").await, ["/old"]);

    let routes =
        json!({"/a": {"target": "http://h:1", "user": "ada"}, "/b": {"target": "http://h:2"}});
    let good = json!({"routes": routes, "if_version": version});
    let replaced = api.send("PUT", "/api/v2/routes", good.to_string()).await;
    let told: Value = serde_json::from_str(replaced.body()).unwrap();
    assert_eq!(told, json!({"version": version + 1, "routes": 2}));
    assert_eq!(api.keys("/api/routes").await, ["/a", "/b"]);
    assert_eq!(api.json("/api/routes/a").await["user"], "ada");

    let listed = api.json("/api/v2/routes").await;
    assert_eq!(api.status("PUT", "/api/v2/routes", listed.to_string()).await, 200, "as listed");
}

#[tokio::test]
async fn r_34_a_tag_is_no_older_than_what_it_comes_with() {
    let api = Api::open();
    let table = api.json("/api/v2/routes").await;
    let tag = |version: u64| format!("\"{}-{version}\"", api.start());
    assert_eq!(table["version"], 0);
    for path in ["/api/routes", "/api/v2/routes", "/api/v2/status"] {
        let answer = api.send("GET", path, "").await;
        assert_eq!(answer.headers()["etag"], tag(0), "{path}");
    }
    let added = api.send("POST", "/api/routes/a", TARGET).await;
    assert_eq!(added.status().as_u16(), 201);
    assert_eq!(added.headers()["etag"], tag(1));
    assert_eq!(api.send("GET", "/api/routes/a", "").await.headers()["etag"], tag(1));
    let replaced = api.send("PUT", "/api/v2/routes", r#"{"routes": {}}"#).await;
    assert_eq!(replaced.headers()["etag"], tag(2));
    for (method, path) in [("GET", "/api/routes/a"), ("DELETE", "/api/routes/a"), ("GET", "/x")] {
        assert!(api.send(method, path, "").await.headers().get("etag").is_none(), "{path}");
    }
}

#[tokio::test]
async fn r_31_r_33_the_status_and_every_answer_name_the_start() {
    let api = Api::open();
    api.send("POST", "/api/routes/a", TARGET).await;
    let status = api.json("/api/v2/status").await;
    assert_eq!((&status["version"], &status["state"]), (&json!("1.2.3"), &json!("serving")));
    assert_eq!((&status["routes"], &status["connections"]), (&json!(1), &json!(0)));
    for (method, target) in [("GET", "/api/routes"), ("PATCH", "/api/routes"), ("GET", "/none")] {
        let answer = api.send(method, target, "").await;
        assert_eq!(answer.headers()["hub-proxy-start"], status["start"].as_str().unwrap());
    }
    let other = Api::open().json("/api/v2/status").await;
    assert_ne!(other["start"], status["start"]);
}

#[tokio::test]
async fn p_072_hosts_have_no_case_and_are_shown() {
    let api = Api::with(None, true);
    api.send("POST", "/api/routes/Hub.Example/User", TARGET).await;
    assert_eq!(api.keys("/api/routes").await, ["/hub.example/User"]);
    assert_eq!(api.json("/api/routes/HUB.example/User").await["host"], "hub.example");
    assert_eq!(api.status("DELETE", "/api/routes/hub.EXAMPLE/User", "").await, 204);
}

#[cfg(feature = "cli")]
#[tokio::test]
async fn z_03_changes_wait_while_routes_are_handed_over() {
    let api = Api::open();
    api.send("POST", "/api/routes/a", TARGET).await;

    let frozen = api.registry.freeze();
    let waiting = api.status("POST", "/api/routes/b", TARGET);
    tokio::pin!(waiting);
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    assert_eq!(api.keys("/api/routes").await, ["/a"], "reading goes on");
    drop(frozen);
    assert_eq!(waiting.await, 201, "nobody took over");

    let frozen = api.registry.freeze();
    let waiting = api.status("DELETE", "/api/routes/b", "");
    tokio::pin!(waiting);
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    frozen.hand_over();
    assert_eq!(waiting.await, 503, "somebody did");
    assert_eq!(api.status("POST", "/api/routes/c", TARGET).await, 503);
}

#[cfg(feature = "cli")]
#[tokio::test]
async fn z_03_a_successor_has_the_same_routes() {
    let (old, new) = (Api::open(), Api::open());
    old.registry.preset("/".parse().unwrap(), "http://h:1".parse().unwrap());
    old.send("POST", "/api/routes/user/a%20b", r#"{"target": "http://h:2", "user": "a b"}"#).await;
    old.registry.used("/user/a b", "2099-01-01T00:00:00Z".parse().unwrap());
    let handed = serde_json::to_string(&old.registry.handed()).unwrap();
    new.registry.take_over(serde_json::from_str(&handed).unwrap()).unwrap();
    let listed = old.json("/api/v2/routes").await;
    assert_eq!(new.json("/api/v2/routes").await, listed);
    assert_eq!(listed["routes"]["/user/a b"]["last_activity"], "2099-01-01T00:00:00.000Z");
}
