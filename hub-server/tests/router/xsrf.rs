//! Who is believed: tokens, cookies, and requests that another site makes a browser
//! send (hub-contract 2.3, 5.1).

use http::{Method, StatusCode};
use serde_json::json;

use crate::harness::{ADMIN, Answer, Browser, TestHub};

const MISSING: &str = "Missing or invalid credentials.";

fn refused(answer: &Answer, message: &str, row: &str) {
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{row}: {}", answer.text);
    assert_eq!(answer.json(), json!({ "status": 403, "message": message }), "{row}");
}

async fn ask(browser: &mut Browser, method: Method, headers: &[(&str, &str)]) -> Answer {
    browser.request(method, "/hub/api/user", headers, "").await
}

#[tokio::test]
async fn every_row_of_the_fetch_mode_table() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let xsrf = ada.xsrf();
    let (mode, site) = ("sec-fetch-mode", "sec-fetch-site");
    let ok: [&[(&str, &str)]; 7] = [
        &[],
        &[(mode, "navigate")],
        &[(mode, "websocket")],
        &[(mode, "no-cors"), (site, "same-origin")],
        &[(mode, "cors"), ("x-xsrftoken", &xsrf)],
        &[(mode, "cors"), ("x-csrftoken", &xsrf)],
        &[(mode, "no-cors"), (site, "cross-site"), ("x-xsrftoken", &xsrf)],
    ];
    for headers in ok {
        let answer = ask(&mut ada, Method::GET, headers).await;
        assert_eq!(answer.status, StatusCode::OK, "{headers:?}: {}", answer.text);
    }
    let query = format!("/hub/api/user?_xsrf={xsrf}");
    let answer = ada.request(Method::GET, &query, &[(mode, "cors")], "").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);

    let missing = "'_xsrf' argument missing from GET";
    let mismatch = "XSRF cookie does not match GET argument";
    let bad: [(&[(&str, &str)], &str); 5] = [
        (&[(mode, "cors")], missing),
        (&[(mode, "cors"), (site, "same-origin")], missing),
        (&[(mode, "no-cors"), (site, "cross-site")], missing),
        (&[(mode, "no-cors")], missing),
        (&[(mode, "cors"), ("x-xsrftoken", "guess")], mismatch),
    ];
    for (headers, message) in bad {
        refused(&ask(&mut ada, Method::GET, headers).await, message, &format!("{headers:?}"));
    }
    let head = ask(&mut ada, Method::HEAD, &[(mode, "cors"), (site, "cross-site")]).await;
    assert_eq!(head.status, StatusCode::OK);
}

#[tokio::test]
async fn a_change_by_cookie_needs_the_token_whatever_the_mode() {
    let hub = TestHub::new().await;
    let mut grace = hub.signed_in("grace").await;
    let xsrf = grace.xsrf();
    for (method, path) in [
        (Method::POST, "/hub/api/users/eve"),
        (Method::PATCH, "/hub/api/users/ada"),
        (Method::PUT, "/hub/api/groups/crew/properties"),
        (Method::DELETE, "/hub/api/users/ada"),
        (Method::POST, "/hub/api/users/ada/tokens"),
        (Method::POST, "/hub/api/shutdown"),
    ] {
        for headers in [&[][..], &[("sec-fetch-mode", "navigate")], &[("sec-fetch-mode", "cors")]] {
            let answer = grace.request(method.clone(), path, headers, "{}").await;
            let message = format!("'_xsrf' argument missing from {method}");
            refused(&answer, &message, &format!("{method} {path} {headers:?}"));
        }
    }
    let planted = [("x-xsrftoken", xsrf.as_str())];
    let mut other = hub.signed_in("bob").await;
    let answer = other.request(Method::DELETE, "/hub/api/users/bob", &planted, "").await;
    refused(&answer, "XSRF cookie does not match DELETE argument", "another session's token");
    assert_eq!(hub.get("/users/ada").await.status, StatusCode::OK, "nobody was deleted");
}

#[tokio::test]
async fn a_post_by_cookie_is_json_or_nobodys() {
    let hub = TestHub::new().await;
    let mut grace = hub.signed_in("grace").await;
    let xsrf = grace.xsrf();
    let rows = [
        (None, StatusCode::CREATED),
        (Some("application/json"), StatusCode::CREATED),
        (Some("Application/JSON; charset=utf-8"), StatusCode::CREATED),
        (Some("application/x-www-form-urlencoded"), StatusCode::FORBIDDEN),
        (Some("text/plain"), StatusCode::FORBIDDEN),
        (Some("multipart/form-data; boundary=x"), StatusCode::FORBIDDEN),
        (Some(""), StatusCode::CREATED),
    ];
    for (n, (content_type, status)) in rows.into_iter().enumerate() {
        let mut headers = vec![("x-xsrftoken", xsrf.as_str())];
        headers.extend(content_type.map(|kind| ("content-type", kind)));
        let path = format!("/hub/api/users/new{n}");
        let answer = grace.request(Method::POST, &path, &headers, "{}").await;
        assert_eq!(answer.status, status, "{content_type:?}: {}", answer.text);
        if status == StatusCode::FORBIDDEN {
            refused(&answer, MISSING, "a form");
        }
    }
    // Other methods cannot be sent by a form.
    let headers = [("x-xsrftoken", xsrf.as_str()), ("content-type", "text/plain")];
    let answer =
        grace.request(Method::PATCH, "/hub/api/users/new0", &headers, r#"{"admin": false}"#).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    // Nor is a token a browser's.
    let by_token = http::Request::post("/hub/api/users/new9")
        .header("authorization", format!("Bearer {ADMIN}"))
        .header("content-type", "text/plain")
        .header("origin", "http://elsewhere.test")
        .header("sec-fetch-mode", "cors")
        .body(axum::body::Body::from("{}"))
        .unwrap();
    let answer = crate::harness::send(&hub.router, by_token).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
}

#[tokio::test]
async fn a_bad_token_is_no_xsrf_error_but_for_another_site() {
    let hub = TestHub::new().await;
    let bad = ("authorization", "token wrong");
    let origin = ("origin", "http://elsewhere.test");
    let cors = ("sec-fetch-mode", "cors");
    type Row<'a> = (Method, &'a [(&'a str, &'a str)], &'a str);
    let rows: [Row<'_>; 7] = [
        (Method::GET, &[bad], MISSING),
        (Method::GET, &[bad, cors], MISSING),
        (Method::POST, &[bad], MISSING),
        (Method::DELETE, &[cors], MISSING),
        (Method::GET, &[bad, origin], MISSING),
        (Method::GET, &[bad, origin, cors], "'_xsrf' argument missing from GET"),
        (Method::DELETE, &[origin], "'_xsrf' argument missing from DELETE"),
    ];
    for (method, headers, message) in rows {
        let path = match method {
            Method::GET => "/hub/api/user",
            _ => "/hub/api/users/ada",
        };
        let answer = hub.browser().request(method.clone(), path, headers, "").await;
        refused(&answer, message, &format!("{method} {headers:?}"));
    }
    // An unknown token falls back to the cookie.
    let mut ada = hub.signed_in("ada").await;
    assert_eq!(ask(&mut ada, Method::GET, &[bad]).await.json()["name"], "ada");
    refused(
        &ask(&mut ada, Method::GET, &[bad, cors]).await,
        "'_xsrf' argument missing from GET",
        "a bad token beside a cookie",
    );
}

#[tokio::test]
async fn some_addresses_never_ask_for_the_token() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let cross = [("sec-fetch-mode", "cors"), ("origin", "http://elsewhere.test")];
    for (method, path, status) in [
        (Method::GET, "/hub/api", 200),
        (Method::GET, "/hub/api/", 200),
        (Method::GET, "/hub/api/health", 200),
        (Method::HEAD, "/hub/health", 200),
        (Method::HEAD, "/hub/api/health", 200),
        (Method::OPTIONS, "/hub/api/users", 200),
        (Method::OPTIONS, "/hub/api/groups/crew/users", 200),
        (Method::OPTIONS, "/hub/api/nothing", 200),
        (Method::OPTIONS, "/hub/api/oauth2/token", 200),
        (Method::GET, "/hub/api/nothing", 404),
        (Method::POST, "/hub/api/nothing", 404),
        (Method::POST, "/hub/api/authorizations/token", 404),
        (Method::GET, "/hub/home", 200),
    ] {
        let answer = ada.request(method.clone(), path, &cross, "").await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.text);
        if path.ends_with("health") || method == Method::OPTIONS {
            assert_eq!(answer.text, "", "{method} {path}");
        }
    }
    let unknown = hub.get("/nothing").await;
    assert_eq!(unknown.json(), json!({ "status": 404, "message": "Not Found" }));
    let form = ("content-type", "application/x-www-form-urlencoded");
    let token = ada.request(Method::POST, "/hub/api/oauth2/token", &[cross[0], form], "x=1").await;
    assert_eq!(token.status, StatusCode::BAD_REQUEST, "{}", token.text);
}

#[tokio::test]
async fn bodies_that_are_no_json_are_said_so() {
    let hub = TestHub::new().await;
    for (method, path) in [
        (Method::POST, "/users"),
        (Method::POST, "/users/eve"),
        (Method::PATCH, "/users/ada"),
        (Method::POST, "/groups"),
        (Method::PUT, "/groups/crew/properties"),
        (Method::POST, "/shutdown"),
        (Method::POST, "/users/ada/tokens"),
    ] {
        hub.api("chief-service-token", Method::POST, "/groups/crew", None).await;
        let request = http::Request::builder()
            .method(method.clone())
            .uri(format!("/hub/api{path}"))
            .header("authorization", "token chief-service-token")
            .body(axum::body::Body::from("{nonsense"))
            .unwrap();
        let answer = crate::harness::send(&hub.router, request).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{method} {path}");
        assert_eq!(
            answer.json(),
            json!({ "status": 400, "message": "Invalid JSON in body of request" }),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn a_form_may_bring_its_token_in_a_header_or_the_query() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let token = ada.xsrf();
    let form = ("content-type", "application/x-www-form-urlencoded");
    for name in ["x-xsrftoken", "x-csrftoken"] {
        let headers = [form, (name, token.as_str())];
        let answer = ada.request(Method::POST, "/hub/accept-share", &headers, "code=nope").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name}: {}", answer.text);
    }
    let in_query = format!("/hub/accept-share?_xsrf={token}");
    assert_eq!(ada.post(&in_query, "code=nope").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(ada.post("/hub/accept-share", "code=nope").await.status, StatusCode::FORBIDDEN);
    let headers = [form, ("x-xsrftoken", token.as_str())];
    let started = ada.request(Method::POST, "/hub/spawn", &headers, "").await;
    assert_eq!(started.status, StatusCode::FOUND, "{}", started.text);
}
