//! A hub on which every user has a host of their own.

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hub_proxy::{ListenConfig, Listener, Proxy};
use hub_spawner::fake::FakeSpawner;
use hub_store::Store;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    harness::{ADMIN, Answer, CONFIG, TestHub, eventually, notebook, send},
    proxy_api::ProxyApi,
};

const AUTHORIZE: &str = "/hub/api/oauth2/authorize?client_id=jupyterhub-user-ada&response_type=code&state=s&redirect_uri=";

async fn hub(more: &str) -> TestHub {
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    TestHub::with_subdomains(more, spawner, Store::in_memory().await.unwrap()).await
}

/// A request as it arrives for some host.
async fn on(hub: &TestHub, host: &str, method: Method, path: &str, token: Option<&str>) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, host);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("token {token}"));
    }
    send(&hub.router, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn servers_are_on_their_users_hosts() {
    let hub = hub("").await;
    assert_eq!(hub.post("/users/ada/server", None).await.status, StatusCode::CREATED);
    let ada = hub.get("/users/ada").await.json();
    assert_eq!(ada["server"], "http://ada.hub.test/user/ada/");
    let server = &ada["servers"][""];
    assert_eq!(server["url"], "http://ada.hub.test/user/ada/");
    assert_eq!(server["full_url"], server["url"]);
    assert_eq!(server["progress_url"], "/hub/api/users/ada/server/progress");
    assert_eq!(server["full_progress_url"], "http://hub.test/hub/api/users/ada/server/progress");
    let links = hub.spawner.requests()[0].links.clone();
    assert_eq!(links.host, "http://hub.test");
    assert_eq!(links.oauth_callback, "http://ada.hub.test/user/ada/oauth_callback");
    assert_eq!(links.public_url, "http://ada.hub.test/user/ada/");
    assert_eq!(links.public_hub_url, "http://hub.test/hub/");
    assert_eq!((links.base_url.as_str(), links.service_prefix.as_str()), ("/", "/user/ada/"));
    let routes = hub.assembled.routes().snapshot();
    assert_eq!(routes[0].prefix.to_string(), "/ada.hub.test/user/ada/");
    assert_eq!(routes.len(), 1);
}

#[tokio::test]
async fn services_have_hosts_too() {
    let grader = r#"
[[services]]
name = "grader"
url = "http://127.0.0.1:9000"
api_token = "grader-token-0123456789"
[[roles]]
name = "graders"
scopes = ["access:services!service=grader"]
users = ["ada"]
"#;
    let hub = hub(grader).await;
    let home = hub.signed_in("ada").await.get("/hub/home").await.text;
    assert!(home.contains(r#"href="http://grader--service.hub.test/services/grader/""#), "{home}");
    let client = hub.store.oauth().client("service-grader").await.unwrap().unwrap();
    assert_eq!(
        client.redirect_uri,
        "http://grader--service.hub.test/services/grader/oauth_callback"
    );
    hub.post("/users/ada/server", None).await;
    let shown = hub.api("chief-service-token", Method::GET, "/proxy", None).await.json();
    let mut specs: Vec<_> = shown.as_object().unwrap().keys().map(String::as_str).collect();
    specs.sort_unstable();
    let theirs = ["/", "ada.hub.test/user/ada/", "grader--service.hub.test/services/grader/"];
    assert_eq!(specs, theirs);
    assert_eq!(shown[theirs[2]]["data"]["service"], "grader");
    assert_eq!(shown[theirs[1]]["data"]["user"], "ada");
}

#[tokio::test]
async fn codes_go_to_the_users_host() {
    let hub = hub("").await;
    hub.post("/users/ada/server", None).await;
    let mut ada = hub.signed_in("ada").await;
    let there = "http%3A%2F%2Fada.hub.test%2Fuser%2Fada%2Foauth_callback";
    let answer = ada.get(&format!("{AUTHORIZE}{there}")).await;
    assert_eq!(answer.status, StatusCode::FOUND, "{}", answer.text);
    let callback = "http://ada.hub.test/user/ada/oauth_callback?code=";
    assert!(answer.location().starts_with(callback), "{}", answer.location());
    for other in [
        "%2Fuser%2Fada%2Foauth_callback",
        "http%3A%2F%2Fbob.hub.test%2Fuser%2Fada%2Foauth_callback",
    ] {
        let answer = ada.get(&format!("{AUTHORIZE}{other}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{other}");
    }
}

#[tokio::test]
async fn only_the_session_id_is_for_all_hosts() {
    let hub = hub("").await;
    let mut browser = hub.browser();
    let answer = browser.sign_in("ada", "/hub/login").await;
    let session = answer.set_cookie("jupyterhub-session-id").unwrap();
    assert!(session.contains("Domain=hub.test"), "{session}");
    for name in ["jupyterhub-hub-login", "_xsrf"] {
        let cookie = answer.set_cookie(name).unwrap();
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
    let gone = browser.get("/hub/logout").await;
    let session = gone.set_cookie("jupyterhub-session-id").unwrap();
    assert!(session.contains("Domain=hub.test") && session.contains("Max-Age=0"), "{session}");
    let reserved = hub_server::reserved_cookies();
    assert!(reserved.contains(&"jupyterhub-session-id".to_owned()), "{reserved:?}");
}

#[tokio::test]
async fn a_next_on_a_users_host_is_followed_and_others_are_not() {
    let hub = hub("").await;
    for (next, expected) in [
        ("http%3A%2F%2Fada.hub.test%2Fuser%2Fada%2Flab", "/user/ada/lab"),
        ("%2F%2Fada.hub.test%2Fuser%2Fada%2Flab", "/user/ada/lab"),
        ("http%3A%2F%2Fhub.test%2Fhub%2Fhome", "/hub/home"),
        ("http%3A%2F%2Fevil.example%2Fada.hub.test", "/hub/spawn"),
        ("http%3A%2F%2Fx%40evil.example%2F.hub.test", "/hub/spawn"),
        ("http%3A%2F%2Fevil.example%5C.hub.test%2F", "/hub/spawn"),
        ("http%3A%2F%2Fnothub.test%2F", "/hub/spawn"),
        ("http%3A%2F%2Fada.hub.test%2F%2Fevil.example", "/evil.example"),
    ] {
        let answer = hub.browser().sign_in("ada", &format!("/hub/login?next={next}")).await;
        assert_eq!(answer.location(), expected, "{next}");
    }
}

#[tokio::test]
async fn pages_are_on_the_hubs_host() {
    let hub = hub("").await;
    let location = async |host: &str, path: &str| {
        on(&hub, host, Method::GET, path, None).await.location().to_owned()
    };
    assert_eq!(location("ada.hub.test", "/").await, "http://hub.test/hub/");
    assert_eq!(
        location("ada.hub.test", "/user/ada/lab?x=1").await,
        "http://hub.test/hub/user/ada/lab?x=1"
    );
    assert_eq!(
        location("ada.hub.test", "/hub/login?next=%2Fhub%2F").await,
        "http://hub.test/hub/login?next=%2Fhub%2F"
    );
    let post = on(&hub, "ada.hub.test", Method::POST, "/hub/login", None).await;
    assert_eq!(post.status, StatusCode::FORBIDDEN);
    let style = on(&hub, "ada.hub.test", Method::GET, "/hub/static/css/hub.css", None).await;
    assert_eq!(style.status, StatusCode::OK);
    let moved = on(&hub, "ada.hub.test", Method::GET, "/hub/home", None).await;
    assert!(moved.headers.contains_key("x-jupyterhub-version"), "as on every answer");
    let api = on(&hub, "ada.hub.test", Method::GET, "/hub/api/users", Some(ADMIN)).await;
    assert_eq!(api.status, StatusCode::OK);

    hub.post("/users/ada/server", None).await;
    let mut ada = hub.signed_in("ada").await;
    let ready = ada.get("/hub/user/ada/lab?x=1").await;
    assert_eq!(ready.location(), "http://ada.hub.test/user/ada/lab?x=1&redirects=1");
    assert_eq!(ada.get("/hub/spawn").await.location(), "http://ada.hub.test/user/ada/");
    let home = ada.get("/hub/home").await.text;
    assert!(home.contains(r#"href="http://ada.hub.test/user/ada/""#), "{home}");
}

#[tokio::test]
async fn a_proxy_elsewhere_is_told_the_hosts() {
    let api = ProxyApi::start().await;
    let hub = hub(&api.config()).await;
    hub.post("/users/ada/server", None).await;
    eventually("the proxy has the routes", || async {
        api.paths() == ["/", "/ada.hub.test/user/ada"]
    })
    .await;
    assert_eq!(api.route("/ada.hub.test/user/ada").unwrap()["user"], json!("ada"));
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
async fn the_proxy_leads_each_host_to_its_server() {
    let hub = hub("").await;
    hub.post("/users/ada/server", None).await;
    let config = hub.assembled.proxy_config();
    assert!(config.host_routing && config.guard_origin && !config.reserved_cookies.is_empty());
    let listener =
        Listener::bind(&ListenConfig::new("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let address = listener.local_addr();
    let proxy = Proxy::new(hub.assembled.routes().clone(), config, hub.router.clone());
    let stop = CancellationToken::new();
    let grace = std::time::Duration::from_secs(1);
    let serving = tokio::spawn(listener.serve(proxy, stop.clone(), grace));

    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let get = async |host: &str, path: &str| {
        let request = Request::get(format!("http://{address}{path}"))
            .header(header::HOST, host)
            .body(Empty::new())
            .unwrap();
        let (parts, body) = client.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let location = parts.headers.get(header::LOCATION);
        let location = location.map_or("", |value| value.to_str().unwrap()).to_owned();
        (parts.status.as_u16(), location, String::from_utf8_lossy(&body).into_owned())
    };
    let (status, _, body) = get("ada.hub.test", "/user/ada/api").await;
    assert_eq!(status, 200);
    assert!(body.contains("2.21.1"), "{body}");
    assert_eq!(get("ADA.hub.test:80", "/user/ada/api").await.0, 200, "hosts have no case");
    // On another host it is another site: nothing of ada's is there.
    for host in ["hub.test", "bob.hub.test", "evil.example"] {
        let (status, location, _) = get(host, "/user/ada/api").await;
        assert_eq!(
            (status, location.as_str()),
            (302, "http://hub.test/hub/user/ada/api"),
            "{host}"
        );
    }
    assert_eq!(get("hub.test", "/hub/health").await.0, 200);
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn c_4_no_page_on_another_host_can_set_the_cookie_that_says_who_somebody_is() {
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    let text = CONFIG.replace("public_url = \"http:", "subdomain_host = \"https:");
    let hub = TestHub::reading(&text, spawner, Store::in_memory().await.unwrap()).await;
    let mut ada = hub.browser();
    let signed_in = ada.sign_in("ada", "/hub/login").await;
    let cookie = signed_in.set_cookie("__Host-jupyterhub-hub-login").unwrap().to_owned();
    assert!(cookie.contains("Path=/;") || cookie.ends_with("Path=/"), "{cookie}");
    assert!(cookie.contains("Secure") && !cookie.contains("Domain"), "{cookie}");
    assert_eq!(ada.get("/hub/home").await.status, StatusCode::OK);

    // One of the usual name is whoever's, and says nothing.
    let value = cookie.split(['=', ';']).nth(1).unwrap();
    let usual = format!("jupyterhub-hub-login={value}");
    let planted = hub.browser().request(Method::GET, "/hub/home", &[("cookie", &usual)], "").await;
    assert_eq!(planted.status, StatusCode::FOUND);

    let gone = ada.get("/hub/logout").await;
    let cookie = gone.set_cookie("__Host-jupyterhub-hub-login").unwrap();
    assert!(cookie.contains("Max-Age=0") && cookie.contains("Secure"), "{cookie}");
}
