//! What somebody without any credential gets.

use http::{Method, StatusCode, header};

use crate::harness::TestHub;

#[tokio::test]
async fn anonymous_surface() {
    let hub = TestHub::new().await;
    let rows: [(&str, u16); 28] = [
        ("/hub/health", 200),
        ("/hub/metrics", 403),
        ("/hub/api/metrics", 403),
        ("/hub/api", 200),
        ("/hub/api/health", 200),
        ("/hub/login", 200),
        ("/hub/logout", 302),
        ("/hub/token", 302),
        ("/hub/admin", 302),
        ("/hub/logo", 200),
        ("/hub/static/css/hub.css", 200),
        ("/hub/static/../Cargo.toml", 404),
        ("/hub/", 302),
        ("/hub/home", 302),
        ("/hub/spawn", 302),
        ("/hub/spawn/ada", 302),
        ("/hub/spawn-pending/ada", 302),
        ("/hub/user/ada/", 302),
        ("/hub/accept-share?code=x", 302),
        ("/hub/oauth_login", 404),
        ("/hub/oauth_callback?code=x&state=y", 404),
        ("/hub/api/oauth2/authorize", 302),
        ("/hub/api/info", 403),
        ("/hub/api/users", 403),
        ("/hub/api/users/ada/server/log", 403),
        ("/hub/api/nothing", 404),
        ("/hub/nothing", 404),
        ("/hub/security/csp-report", 405),
    ];
    for (path, status) in rows {
        let answer = hub.browser().get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn every_answer_has_its_headers() {
    let hub = TestHub::new().await;
    for (path, api) in
        [("/hub/login", false), ("/hub/nothing", false), ("/hub/api", true), ("/", false)]
    {
        let headers = hub.browser().get(path).await.headers;
        assert_eq!(headers["x-jupyterhub-version"], "6.1.1", "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
        assert!(headers.get(header::SERVER).is_none());
        let csp = headers["content-security-policy"].to_str().unwrap();
        assert!(csp.contains("frame-ancestors 'none'"), "{csp}");
        assert_eq!(csp.contains("default-src 'none'"), api, "{path}: {csp}");
    }
}

#[tokio::test]
async fn files_are_not_answers_of_the_hub() {
    let hub = TestHub::new().await;
    for path in ["/hub/logo", "/hub/static/img/icon.svg"] {
        let headers = hub.browser().get(path).await.headers;
        assert_eq!(headers["content-type"], "image/svg+xml", "{path}");
        for name in ["x-jupyterhub-version", "content-security-policy"] {
            assert!(headers.get(name).is_none(), "{path}: {name}");
        }
    }
    let logo = hub.browser().request(Method::HEAD, "/hub/logo", &[], "").await;
    assert_eq!(logo.status, StatusCode::OK);
    let page = hub.browser().get("/hub/login").await;
    assert_eq!(page.headers["content-type"], "text/html");
}

#[tokio::test]
async fn signing_out_forgets_every_cookie() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let out = ada.get("/hub/logout").await;
    assert_eq!((out.status, out.location()), (StatusCode::FOUND, "/hub/login"));
    for (name, path) in
        [("jupyterhub-hub-login", "/hub/"), ("jupyterhub-session-id", "/"), ("_xsrf", "/hub/")]
    {
        let line = out.set_cookie(name).unwrap();
        assert!(line.contains("Max-Age=0") && line.contains(&format!("Path={path}")), "{line}");
    }
}

#[tokio::test]
async fn the_private_listener_serves_no_pages() {
    let hub = TestHub::new().await;
    for (path, status) in [("/hub/api", 200), ("/hub/login", 404), ("/hub/home", 404), ("/", 404)] {
        let request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        let answer = crate::harness::send(&hub.private, request).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn what_the_framework_refuses_is_told_in_the_right_form() {
    let hub = TestHub::new().await;
    let large = "x".repeat(2 * 1024 * 1024);
    let api =
        hub.api(crate::harness::ADMIN, Method::POST, "/users", Some(large.clone().into())).await;
    assert_eq!(api.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(api.json()["status"], 413);
    let name = hub.api(crate::harness::ADMIN, Method::GET, "/users/%FF", None).await;
    assert_eq!(name.status, StatusCode::BAD_REQUEST);
    assert_eq!(name.json()["status"], 400);

    let page = hub.browser().post("/hub/login", &large).await;
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(page.text.contains("<html"));
    let method = hub.browser().post("/hub/home", "").await;
    assert_eq!(method.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(method.text.contains("<html"));
}

#[tokio::test]
async fn options_and_unknown_methods_follow_the_api() {
    let hub = TestHub::new().await;
    let options = hub.browser().request(Method::OPTIONS, "/hub/api/users", &[], "").await;
    assert_eq!((options.status, options.text.as_str()), (StatusCode::OK, ""));
    let patch = hub.get("/users").await;
    assert_eq!(patch.status, StatusCode::OK);
    let wrong = hub.api(crate::harness::ADMIN, Method::PUT, "/users", None).await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong.json()["message"], "Method Not Allowed");
}

#[tokio::test]
async fn an_empty_answer_has_a_type_too() {
    let hub = TestHub::new().await;
    for (method, path, kind) in [
        (Method::OPTIONS, "/hub/api/users", "application/json"),
        (Method::GET, "/hub/health", "text/html"),
        (Method::GET, "/hub/api/health", "text/html"),
        (Method::GET, "/hub/home", "text/html"),
        (Method::GET, "/foo/bar", "text/html"),
    ] {
        let answer = hub.browser().request(method, path, &[], "").await;
        assert_eq!(answer.text, "", "{path}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], kind, "{path}");
    }
}
