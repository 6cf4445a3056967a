//! Starts that do not succeed: each is explained, and leaves nothing behind.

use hub_tests::{
    Answer, Browser, TestHub, docker, eventually,
    hub::{notebook_image, variable},
};
use reqwest::Method;

/// An image whose servers say something and end with code 3.
pub(crate) fn image_that_exits() -> String {
    variable("HUB_TEST_IMAGE_EXITS").unwrap_or_else(|| "hub-notebook-exits:latest".to_owned())
}

/// An image whose servers run and listen to nobody.
fn image_that_never_listens() -> String {
    variable("HUB_TEST_IMAGE_SILENT").unwrap_or_else(|| "hub-notebook-silent:latest".to_owned())
}

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
    let hub = TestHub::builder().password("ada").image(&image_that_exits()).start().await;
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
    let hub = TestHub::builder()
        .password("ada")
        .image(&image_that_never_listens())
        .config("[servers]\nhttp_timeout_seconds = 3")
        .start()
        .await;
    let page = failed_start(&hub).await;
    assert!(page.text.contains("did not answer within 3 seconds"), "{}", page.text);
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn a_start_that_failed_can_be_tried_again() {
    let image = LateImage::default();
    let hub = TestHub::builder().password("ada").image(&image.0).start().await;
    failed_start(&hub).await;

    docker::engine().await.tag(&notebook_image(), &image.0).await.unwrap();
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    ada.start_server("ada").await;
    assert_eq!(ada.get("/user/ada/api/status").await.status, 200);
}

/// The name of an image that comes to be later. Dropping it takes the name away.
struct LateImage(String);

impl Default for LateImage {
    fn default() -> Self {
        Self(format!("registry.invalid/test/{}:late", uuid::Uuid::new_v4().simple()))
    }
}

impl Drop for LateImage {
    fn drop(&mut self) {
        docker::forget_image(&self.0);
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_34_a_start_can_be_cancelled() {
    let hub = TestHub::builder().password("ada").image(&image_that_never_listens()).start().await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    let home = ada.get("/hub/home").await;
    let pending = ada.submit("/hub/spawn/ada", &[("_xsrf", home.field("_xsrf"))]).await;
    assert_eq!(pending.url.path(), "/hub/spawn-pending/ada");
    eventually("the container runs", || async {
        let containers = hub.containers().await;
        if containers.len() == 1 { Ok(()) } else { Err(containers) }
    })
    .await;

    assert!(pending.text.contains("action=\"/hub/stop/ada\""), "{}", pending.text);
    ada.submit("/hub/stop/ada", &[("_xsrf", pending.field("_xsrf"))]).await;
    eventually("nothing is left", || async {
        let containers = hub.containers().await;
        if containers.is_empty() { Ok(()) } else { Err(containers) }
    })
    .await;
    eventually("the home page offers a start", || {
        let mut ada = ada.clone();
        async move {
            let home = ada.get("/hub/home").await.text;
            if home.contains("data-state=\"stopped\"") { Ok(()) } else { Err(home) }
        }
    })
    .await;
}
