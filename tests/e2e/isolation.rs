//! Nobody gets into anybody else's server.

use hub_tests::{Browser, Kernel, TestHub, kernel};
use reqwest::Method;
use serde_json::json;
use tokio_tungstenite::tungstenite;

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn cross_user_matrix() {
    let hub = TestHub::builder().password("ada").password("bob").start().await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    ada.start_server("ada").await;
    let kernel = Kernel::start(&mut ada, "ada").await;
    let mut bob = Browser::new(&hub);
    bob.sign_in("bob").await;
    let made = bob.script(Method::POST, "/hub/api/users/bob/tokens", Some(json!({}))).await;
    let token = made.json()["token"].as_str().unwrap().to_owned();

    // The page: the server asks the hub, and the hub says no.
    let page = bob.get("/user/ada/lab").await;
    assert_eq!(page.status, 403, "{}", page.text);
    assert!(
        page.text.contains("You do not have permission to access Server at /user/ada/"),
        "{}",
        page.text
    );

    // The API, with bob's cookies and with bob's token.
    for path in ["/user/ada/api/kernels", "/user/ada/api/contents", "/user/ada/api/terminals"] {
        let by_cookie = bob.script(Method::GET, path, None).await;
        assert_eq!(by_cookie.status, 403, "{path}: {}", by_cookie.text);
        let by_token = hub
            .client()
            .get(format!("{}{path}", hub.url))
            .header("authorization", format!("token {token}"))
            .send()
            .await
            .unwrap();
        assert_eq!(by_token.status(), 403, "{path}");
    }
    let start = bob.script(Method::POST, "/user/ada/api/kernels", Some(json!({}))).await;
    assert_eq!(start.status, 403, "{}", start.text);

    // The WebSocket, with bob's cookies, with his token, and with nothing.
    let nobody = Browser::new(&hub);
    for (who, browser, token) in
        [("cookie", &bob, None), ("token", &bob, Some(token.as_str())), ("nobody", &nobody, None)]
    {
        match kernel::open(browser, "ada", &kernel.id, token).await {
            Err(tungstenite::Error::Http(response)) => assert_eq!(response.status(), 403, "{who}"),
            other => panic!("{who}: {other:?}"),
        }
    }

    // The hub's own API and pages.
    for (method, path) in [
        (Method::GET, "/hub/api/users/ada"),
        (Method::DELETE, "/hub/api/users/ada/server"),
        (Method::GET, "/hub/api/users/ada/server/progress"),
        (Method::GET, "/hub/api/users/ada/server/log"),
        (Method::GET, "/hub/api/users/ada/tokens"),
    ] {
        let answer = bob.script(method.clone(), path, None).await;
        assert!(matches!(answer.status, 403 | 404), "{method} {path}: {}", answer.status);
    }
    assert_eq!(hub.containers().await.len(), 1, "ada's server runs on");
}
