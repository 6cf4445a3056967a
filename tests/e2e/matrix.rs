//! Notebook images with JupyterHub packages from 1.5 to the newest: the same
//! journey for each, as unmodified servers make it possible.

use hub_tests::{
    ADMIN_TOKEN, Browser, Kernel, TestHub, eventually,
    hub::{notebook_image, variable},
};
use reqwest::Method;

/// What the first page of a server must contain.
#[derive(Clone, Copy)]
enum FirstPage {
    /// The classic notebook's list of files.
    Tree,
    /// JupyterLab.
    Lab,
}

impl FirstPage {
    /// What a service gets that may access all servers. Packages before 2.0 do
    /// not know scopes: they let in the owner and, if told so, administrators.
    fn status_for_service(self) -> u16 {
        match self {
            Self::Tree => 403,
            Self::Lab => 200,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Tree => "/user/ada/tree",
            Self::Lab => "/user/ada/lab",
        }
    }

    fn marker(self) -> &'static str {
        match self {
            Self::Tree => "id=\"notebook_list\"",
            Self::Lab => "id=\"jupyter-config-data\"",
        }
    }
}

/// The image of the matrix for `version`.
fn image(version: &str) -> String {
    variable(&format!("HUB_TEST_IMAGE_{}", version.replace('.', "_")))
        .unwrap_or_else(|| format!("hub-notebook-{version}:latest"))
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn nbi_1_package_1_5_with_the_classic_notebook() {
    journey(&image("1.5"), FirstPage::Tree).await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn nbi_1_package_2_3_with_lab_3() {
    journey(&image("2.3"), FirstPage::Lab).await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn nbi_1_package_3_1_with_lab_3() {
    journey(&image("3.1"), FirstPage::Lab).await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn nbi_1_package_4_1_with_lab_4() {
    journey(&image("4.1"), FirstPage::Lab).await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn nbi_1_package_5_4_with_lab_4() {
    journey(&image("5.4"), FirstPage::Lab).await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn nbi_1_package_6_1_with_lab_4() {
    journey(&notebook_image(), FirstPage::Lab).await;
}

async fn journey(image: &str, first: FirstPage) {
    let hub = TestHub::builder()
        .password("ada")
        .password("eve")
        .image(image)
        // The old ones take their time to import on a busy machine.
        .config("[servers]\nhttp_timeout_seconds = 90")
        .start()
        .await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    ada.start_server("ada").await;

    let page = ada.get(first.path()).await;
    assert_eq!((page.status, page.url.path()), (200, first.path()), "{}", page.text);
    assert!(page.text.contains(first.marker()), "{}", page.text);

    let about = ada.script(Method::GET, "/user/ada/api", None).await;
    assert!(about.json()["version"].is_string(), "{}", about.text);
    by_token(&hub, first.status_for_service()).await;

    let mut kernel = Kernel::start(&mut ada, "ada").await;
    assert_eq!(kernel.run("6*7").await, "42");

    let mut eve = Browser::new(&hub);
    eve.sign_in("eve").await;
    let refused = eve.get(first.path()).await;
    assert_eq!(refused.status, 403, "{}", refused.text);

    reports_activity(&hub).await;

    let (status, body) = hub.api(Method::DELETE, "/users/ada/server", None).await;
    assert!(matches!(status, 202 | 204), "{status}: {body}");
    eventually("the container is gone", || async {
        let left = hub.containers().await;
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    let gone = ada.get(first.path()).await;
    assert!(gone.text.contains("is not running"), "{}", gone.text);
}

/// A script enters with its owner's token, with that of a service that may, and
/// with no other.
async fn by_token(hub: &TestHub, status_for_service: u16) {
    let (status, made) = hub.api(Method::POST, "/users/ada/tokens", None).await;
    assert_eq!(status, 201, "{made}");
    let own = made["token"].as_str().unwrap();
    for (token, status) in [(own, 200), (ADMIN_TOKEN, status_for_service), ("no-such-token", 403)] {
        let request = hub
            .client()
            .get(format!("{}/user/ada/api/contents", hub.url))
            .header("authorization", format!("token {token}"));
        let answer = request.send().await.unwrap();
        let found = answer.status().as_u16();
        assert_eq!(found, status, "{}", answer.text().await.unwrap());
    }
}

/// The server has told the hub that it is used, and was not refused.
async fn reports_activity(hub: &TestHub) {
    eventually("the server reports activity", || async {
        let log = hub.log();
        let mut reports = log.lines().filter(|line| line.contains("/users/ada/activity"));
        if reports.any(|line| line.contains("200")) { Ok(()) } else { Err(log) }
    })
    .await;
}
