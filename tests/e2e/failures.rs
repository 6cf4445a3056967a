//! Starts that do not succeed: each is explained, and leaves nothing behind.

use hub_tests::{Answer, Browser, TestHub, eventually, hub::variable};
use reqwest::Method;

/// Signs ada in, starts her server in vain and returns the page that tells.
async fn failed_start(hub: &TestHub) -> Answer {
    let mut ada = Browser::new(hub);
    ada.sign_in("ada").await;
    let home = ada.get("/hub/home").await;
    ada.submit("/hub/spawn/ada", &[("_xsrf", home.field("_xsrf"))]).await;
    let page = eventually("the page tells that the start failed", || {
        let mut ada = ada.clone();
        async move {
            let page = ada.get("/hub/spawn-pending/ada").await;
            if page.status == 500 { Ok(page) } else { Err((page.status, page.url)) }
        }
    })
    .await;
    assert!(page.text.contains("did not start"), "{}", page.text);
    assert!(page.text.contains("Start again"), "{}", page.text);
    assert_eq!(hub.containers().await, [], "nothing is left");
    let (_, user) = hub.api(Method::GET, "/users/ada", None).await;
    assert_eq!(user["servers"], serde_json::json!({}));
    page
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_13_an_image_that_is_nowhere_is_named() {
    let hub =
        TestHub::builder().password("ada").image("registry.invalid/no/such:image").start().await;
    let page = failed_start(&hub).await;
    assert!(page.text.contains("registry.invalid/no/such:image"), "{}", page.text);
    assert!(page.text.contains("Ask your administrator"), "{}", page.text);
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_33_an_image_that_exits_leaves_its_last_words() {
    let image =
        variable("HUB_TEST_IMAGE_EXITS").unwrap_or_else(|| "hub-notebook-exits:latest".to_owned());
    let hub = TestHub::builder().password("ada").image(&image).start().await;
    let page = failed_start(&hub).await;
    assert!(page.text.contains("the licence file is missing"), "{}", page.text);
    assert!(
        page.text.contains("exit code 3") || page.text.contains("Exit code 3"),
        "{}",
        page.text
    );
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn an_image_that_never_listens_fails_at_its_deadline() {
    let image = variable("HUB_TEST_IMAGE_SILENT")
        .unwrap_or_else(|| "hub-notebook-silent:latest".to_owned());
    let hub = TestHub::builder()
        .password("ada")
        .image(&image)
        .config("[servers]\nhttp_timeout_seconds = 3")
        .start()
        .await;
    let page = failed_start(&hub).await;
    assert!(page.text.contains("did not answer within 3 seconds"), "{}", page.text);
}
