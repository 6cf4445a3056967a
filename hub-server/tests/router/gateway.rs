//! The page for an error of a proxy in front.

use axum::body::Body;
use http::{Method, Request, StatusCode};
use hub_proxy::GatewayFailure;
use serde_json::Value;

use crate::harness::{TestHub, send};

#[tokio::test]
async fn e_01_the_page_for_a_proxys_error_is_for_anybody() {
    let hub = TestHub::new().await;
    let mut anybody = hub.browser();
    let page = anybody.get("/hub/error/503?url=%2Fuser%2Fada%2Flab%3Fx%3D1").await;
    assert_eq!(page.status, StatusCode::OK, "the proxy sets the status");
    assert!(page.text.contains("503"), "{}", page.text);
    assert!(page.text.contains("Your server is not answering"), "{}", page.text);
    assert!(page.text.contains("href=\"/user/ada/lab?x"), "{}", page.text);
    assert!(page.text.contains("/hub/spawn/ada?next="), "{}", page.text);
    assert!(page.headers.get("set-cookie").is_none(), "the answer is not for who asked");
    let mut ada = hub.signed_in("ada").await;
    let page = ada.get("/hub/error/503?url=%2Fuser%2Fada%2F").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.headers.get("set-cookie").is_none());

    for (path, status) in [
        ("/hub/error/404?url=%2Fnowhere", 200),
        ("/hub/error/500?url=%2F%25", 200),
        ("/hub/error/503", 200),
        ("/hub/error/200?url=%2F", 404),
        ("/hub/error/teapot", 404),
    ] {
        assert_eq!(anybody.get(path).await.status.as_u16(), status, "{path}");
    }
    for evil in ["https:%2F%2Fevil.example%2Fuser%2F", "%2F%2Fevil.example%2F", "javascript:x"] {
        let page = anybody.get(&format!("/hub/error/503?url={evil}")).await;
        assert!(!page.text.contains("evil") && !page.text.contains("javascript:"), "{}", page.text);
    }
    let accept = ("accept", "application/json");
    let answer = anybody.request(Method::GET, "/hub/error/503?url=%2F", &[accept], "").await;
    assert_eq!(answer.json()["status"], Value::from(503));
}

#[tokio::test]
async fn what_the_embedded_proxy_refuses_is_told_with_its_status_whatever_the_path() {
    let hub = TestHub::new().await;
    for path in ["/hub/api/users/n%00", "/hub/home", "/user/ada/lab"] {
        let failure = GatewayFailure { status: StatusCode::BAD_REQUEST, path: path.to_owned() };
        let request = Request::get(path)
            .header("host", "hub.test")
            .header("accept", "application/json")
            .extension(failure);
        let answer = send(&hub.router, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(answer.json()["status"], Value::from(400), "{path}: {}", answer.text);
    }
}
