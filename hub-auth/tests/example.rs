//! The example, driven against the stand-in as a browser would.

#![expect(clippy::unwrap_used, reason = "a stand-in that breaks ends its test")]

#[expect(dead_code, reason = "its main is not called here")]
#[path = "../examples/github_signin.rs"]
mod example;
mod support {
    #[expect(dead_code, reason = "the example needs less of it")]
    pub(crate) mod github;
}

use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hub_auth::{AccessPolicy, AccessRules, CryptKeys};
use secrecy::ExposeSecret;
use support::github::Github;
use tower::ServiceExt;
use url::Url;

async fn get(app: &axum::Router, path: &str, cookie: &str) -> Response<Body> {
    let request = Request::get(path).header(header::COOKIE, cookie).body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap()
}

async fn text(response: Response<Body>) -> (StatusCode, String) {
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn the_example_signs_somebody_in() {
    let github = Github::start().await;
    let rules = AccessRules { allow_all: true, ..AccessRules::default() };
    let parts = (github.authenticator(), AccessPolicy::new(rules), CryptKeys::generate());
    let app = example::service(Arc::new(parts));

    let begun = get(&app, "/", "").await;
    let header = |name| begun.headers().get(name).unwrap().to_str().unwrap();
    let redirect: Url = header(header::LOCATION).parse().unwrap();
    let set_cookie = header(header::SET_COOKIE);
    let cookie = set_cookie.split(';').next().unwrap();
    let callback = github.approve(&redirect);
    let code = callback.code.unwrap();
    let back = format!("/callback?code={}&state={}", code.expose_secret(), callback.state.unwrap());

    let (status, body) = text(get(&app, &back, "other=1").await).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
    let (status, body) = text(get(&app, &back, cookie).await).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "Welcome, octo-cat (github:583231)"));
    let (status, body) = text(get(&app, &back, cookie).await).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
    assert!(body.contains("used already"), "{body}");
}
