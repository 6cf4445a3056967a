//! A hub that drives a proxy of its own process (design: two processes): the one
//! of JupyterHub, and ours.

use hub_tests::{Browser, Kernel, Proxy, ProxyProgram, TestHub, eventually};
use reqwest::Method;
use serde_json::{Value, json};

/// A hub behind a running proxy, and a person who is signed in.
async fn signed_in(program: ProxyProgram) -> (Proxy, TestHub, Browser) {
    let proxy = Proxy::start(program).await;
    let hub = TestHub::builder().password("ada").behind(&proxy).start().await;
    hub.reachable().await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    (proxy, hub, ada)
}

/// Waits until the proxy has exactly these routes.
async fn has_routes(proxy: &Proxy, paths: &[&str]) -> Value {
    eventually("the proxy has the wanted routes", || async {
        let routes = proxy.routes().await;
        let mut found: Vec<_> = routes.as_object().unwrap().keys().cloned().collect();
        found.sort();
        if found == paths { Ok(routes) } else { Err(routes) }
    })
    .await
}

async fn ready(hub: &TestHub, user: &str) -> bool {
    let (_, user) = hub.api(Method::GET, &format!("/users/{user}"), None).await;
    user["servers"][""]["ready"] == true
}

/// The time of last use that the hub has written down, which it does when it is
/// told to end.
async fn written_activity(hub: &mut TestHub) -> String {
    let status = hub.terminate();
    assert!(status.success(), "{status}");
    hub.launch().await;
    let (_, ada) = hub.api(Method::GET, "/users/ada", None).await;
    ada["last_activity"].as_str().unwrap().to_owned()
}

async fn a_killed_hub_is_not_noticed(program: ProxyProgram) {
    let (proxy, mut hub, mut ada) = signed_in(program).await;
    let page = ada.get("/user/ada/lab").await;
    assert_eq!(page.status, 424, "a request for a stopped server comes to the hub");
    ada.start_server("ada").await;
    let routes = has_routes(&proxy, &["/", "/user/ada"]).await;
    assert_eq!(routes["/"]["hub"], true);
    assert_eq!(routes["/"]["jupyterhub"], true);
    assert_eq!(routes["/user/ada"]["user"], "ada");
    assert_eq!(routes["/user/ada"]["server_name"], "");
    assert_eq!(routes["/user/ada"]["jupyterhub"], true);
    let mut kernel = Kernel::start(&mut ada, "ada").await;
    kernel.run("secret = 41").await;

    hub.kill();
    assert_eq!(kernel.run("secret += 1; secret").await, "42", "while there is no hub");
    let target = routes["/user/ada"]["target"].clone();
    proxy.add("/user/gone", json!({ "target": target, "jupyterhub": true })).await;
    proxy.add("/elsewhere", json!({ "target": target })).await;
    hub.launch().await;

    has_routes(&proxy, &["/", "/elsewhere", "/user/ada"]).await;
    eventually("the hub knows its server again", || async {
        if ready(&hub, "ada").await { Ok(()) } else { Err("not ready") }
    })
    .await;
    assert_eq!(kernel.run("secret + 1").await, "43", "over the same connection");
    assert!(!proxy.log().contains("Removing route /user/ada"), "{}", proxy.log());
    assert_eq!(ada.get("/user/ada/api/status").await.status, 200);

    let (status, body) = hub.api(Method::DELETE, "/users/ada/server", None).await;
    assert!(matches!(status, 202 | 204), "{status}: {body}");
    has_routes(&proxy, &["/", "/elsewhere"]).await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn z_4_an_open_websocket_does_not_notice_that_the_hub_was_killed() {
    a_killed_hub_is_not_noticed(ProxyProgram::configurable_http_proxy()).await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn z_4_an_open_websocket_does_not_notice_that_the_hub_was_killed_with_our_own() {
    a_killed_hub_is_not_noticed(ProxyProgram::hub_proxy()).await;
}

async fn routes_come_back(program: ProxyProgram) {
    let (mut proxy, hub, mut ada) = signed_in(program).await;
    ada.start_server("ada").await;
    let before = has_routes(&proxy, &["/", "/user/ada"]).await;

    proxy.kill();
    // A server that starts now has to wait for the proxy, and for nothing else.
    let (status, body) = hub.api(Method::POST, "/users/grace/server", None).await;
    assert!(matches!(status, 201 | 202), "{status}: {body}");
    eventually("grace's server is written down as running", || async {
        if hub.containers().await.len() == 2 { Ok(()) } else { Err("not yet") }
    })
    .await;
    let log = eventually("the hub has noticed", || async {
        let log = hub.log();
        if log.contains("routes cannot be kept") { Ok(log) } else { Err(log) }
    })
    .await;
    assert!(log.contains(&proxy.api_url()) && log.contains("proxy.api_url"), "{log}");
    assert!(!ready(&hub, "grace").await, "nobody can get to it");
    proxy.launch().await;

    let after = has_routes(&proxy, &["/", "/user/ada", "/user/grace"]).await;
    assert_eq!(after["/user/ada"]["target"], before["/user/ada"]["target"]);
    eventually("grace's server is ready", || async {
        if ready(&hub, "grace").await { Ok(()) } else { Err("not ready") }
    })
    .await;
    assert_eq!(ada.get("/user/ada/api/status").await.status, 200);
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn j_03_a_proxy_that_was_killed_gets_its_routes_back() {
    routes_come_back(ProxyProgram::configurable_http_proxy()).await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn j_03_a_proxy_that_was_killed_gets_its_routes_back_with_our_own() {
    routes_come_back(ProxyProgram::hub_proxy()).await;
}

async fn use_is_written_down(program: ProxyProgram) {
    let (mut proxy, mut hub, mut ada) = signed_in(program).await;
    ada.start_server("ada").await;
    // Whatever the start and the sign-in count for is behind us.
    let start = written_activity(&mut hub).await;
    proxy.kill();
    proxy.launch().await;
    let routes = has_routes(&proxy, &["/", "/user/ada"]).await;
    let added = routes["/user/ada"]["last_activity"].as_str().unwrap().to_owned();
    assert!(added > start, "{added} {start}");
    assert!(written_activity(&mut hub).await < added, "adding the route was no use of it");

    assert_eq!(ada.get("/user/ada/api/status").await.status, 200);
    assert!(written_activity(&mut hub).await > added, "but this was");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn use_of_a_server_is_read_from_the_proxy() {
    use_is_written_down(ProxyProgram::configurable_http_proxy()).await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn use_of_a_server_is_read_from_the_proxy_with_our_own() {
    use_is_written_down(ProxyProgram::hub_proxy()).await;
}

async fn failures_are_told(program: ProxyProgram) {
    let mut proxy = Proxy::new(program);
    // No proxy: the hub runs and says what is missing.
    let hub = TestHub::builder().password("ada").behind(&proxy).start().await;
    told(&hub, "see whether the proxy runs").await;
    // A proxy with another token.
    proxy.set_token("another-token");
    proxy.launch().await;
    told(&hub, "CONFIGPROXY_AUTH_TOKEN").await;
    proxy.kill();
    proxy.set_token(hub_tests::proxy::PROXY_TOKEN);
    proxy.launch().await;
    hub.reachable().await;

    // A route to nowhere: the page is the hub's, the status is the proxy's.
    let nowhere = format!("http://127.0.0.1:{}", hub_tests::hub::free_port());
    proxy.add("/user/ada", json!({ "target": nowhere })).await;
    let mut anybody = Browser::new(&hub);
    let page = anybody.look("/user/ada/lab").await;
    assert_eq!(page.status, 503);
    assert!(page.text.contains("Your server is not answering"), "{}", page.text);
    assert!(page.text.replace("&#x2f;", "/").contains("/hub/spawn/ada?next="), "{}", page.text);
}

async fn told(hub: &TestHub, advice: &str) {
    eventually("the log tells what to do", || async {
        let log = hub.log();
        if log.contains(advice) { Ok(()) } else { Err(log) }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn e_01_what_is_wrong_between_hub_and_proxy_is_told() {
    failures_are_told(ProxyProgram::configurable_http_proxy()).await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn e_01_what_is_wrong_between_hub_and_proxy_is_told_with_our_own() {
    failures_are_told(ProxyProgram::hub_proxy()).await;
}
