//! Which target a request finds, and as what it arrives there.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/running.rs"]
mod support;

use std::time::Duration;

use hub_proxy::ProxyConfig;
use support::*;

#[tokio::test]
async fn p_033_a_layer_may_change_a_request_before_it_is_forwarded() {
    use tower::ServiceBuilder;

    let (target, mut heads) = answering(OK).await;
    let routes = hub_proxy::RouteTable::default();
    routes.insert("/".parse().unwrap(), format!("http://{target}").parse().unwrap());
    let fallback = tower::service_fn(async |_| {
        Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
    });
    let proxy = hub_proxy::Proxy::new(routes, ProxyConfig::default(), fallback);
    let marked = ServiceBuilder::new()
        .map_request(|mut request: http::Request<hub_proxy::RequestBody>| {
            request.headers_mut().insert("x-mark", "layer".parse().unwrap());
            request
        })
        .service(proxy);
    let listener = hub_proxy::Listener::bind(&listen()).await.unwrap();
    let addr = listener.local_addr();
    let stop = tokio_util::sync::CancellationToken::new();
    let tasks = tokio_util::task::TaskTracker::new();
    tasks.spawn(listener.serve(marked, stop.clone(), Duration::ZERO));
    let mut client = Client::to(addr).await;
    client.send(get("/x")).await;
    assert!(client.rest().await.ends_with("ok"));
    assert!(soon(heads.recv()).await.unwrap().contains("\r\nx-mark: layer\r\n"));
    stop.cancel();
    tasks.close();
    soon(tasks.wait()).await;
}

#[tokio::test]
async fn p_060_to_p_062_p_064_to_p_071_p_073_p_074_paths_find_their_target_as_they_were_sent() {
    let (target, mut heads) = answering(ONCE).await;
    let proxy = Running::to(target).await;
    let url = || format!("http://{target}").parse().unwrap();
    for route in ["/p", "/a/b", "/user/a@b", "/~t", "/__proto__"] {
        proxy.routes.insert(route.parse().unwrap(), url());
    }
    for path in [
        "/p",
        "/p/",
        "/p?x",
        "/p/q",
        "/%70/q",
        "//p/q",
        "/a%2Fb/c",
        "/user/a@b/x",
        "/user/a%40b/x",
        "/p//q",
        "/%7Et/x",
        "/~t",
        "/%5f%5Fproto__/x",
        "/p?/../x?y",
    ] {
        let answer = proxy.ask(&get(path)).await;
        assert!(answer.ends_with("\r\n\r\nok"), "{path}: {answer}");
        let line = soon(heads.recv()).await.unwrap();
        let line = line.lines().next().unwrap();
        assert_eq!(line, format!("get {path} http/1.1").to_lowercase());
    }
    // Section 3.2: what may not stand there is escaped, for routes and targets alike.
    proxy.routes.insert("/j%7Bs%7D".parse().unwrap(), url());
    for (path, forwarded) in [
        (r#"/p/a?filter={"a":1}&b=<c>"#, "/p/a?filter={%22a%22:1}&b=%3Cc%3E"),
        (r#"/j{s}/"x"<y>`"#, "/j%7Bs%7D/%22x%22%3Cy%3E%60"),
        ("/p/a|b^c?d|e^f\\g", "/p/a|b^c?d|e^f\\g"),
    ] {
        let answer = proxy.ask(&get(path)).await;
        assert!(answer.ends_with("\r\n\r\nok"), "{path}: {answer}");
        let line = soon(heads.recv()).await.unwrap();
        assert_eq!(
            line.lines().next().unwrap(),
            format!("get {forwarded} http/1.1").to_lowercase()
        );
    }
    for path in ["/pq", "/P", "/a", "/constructor", "/hasOwnProperty", "/?/p", "/x?/p"] {
        let answer = proxy.ask(&get(path)).await;
        assert!(answer.contains("failure=none"), "{path}: {answer}");
    }
    let mut client = proxy.connect().await;
    client.send([b"GET /p/\xe7\xa7\x80 HTTP/1.1\r\nHost: h\r\n\r\n".as_slice()].concat()).await;
    assert!(client.head().await.starts_with("http/1.1 400 "), "P-067");
    assert!(heads.try_recv().is_err());
}
