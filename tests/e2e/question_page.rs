//! The pages on which people say yes to something, in a real browser.

use hub_tests::{Chromium, TestHub, eventually};
use reqwest::Method;
use serde_json::json;

use crate::{
    admin_page::{at, click, shows},
    services::hub_with,
};

const SHARER_TOKEN: &str = "end-to-end-sharer-token";
const SHARER: &str = r#"
[[services]]
name = "sharer"
api_token = "end-to-end-sharer-token"
scopes = ["shares"]
"#;

async fn opens(chromium: &Chromium, hub: &TestHub, path: &str) {
    chromium.page.goto(format!("{}{path}", hub.url)).await.unwrap();
}

#[tokio::test]
#[ignore = "needs Docker, Chromium and Python packages: cargo xtask test"]
async fn a_person_lets_a_service_know_who_they_are() {
    let hub = hub_with("whoami", "tornado_whoami.py", "").await;
    let chromium = at(&hub, "ada", "/hub/home").await;
    click(&chromium, "main", "whoami").await;
    shows(&chromium, "main", Some("JupyterHub service whoami")).await;
    chromium.screenshots("consent").await;

    // Who says no is back at home, and nothing was given.
    click(&chromium, "main", "Cancel").await;
    chromium.arrives("home", |url| url.ends_with("/hub/home")).await;

    click(&chromium, "main", "whoami").await;
    click(&chromium, "main", "Authorize").await;
    chromium.arrives("the service", |url| url.ends_with("/services/whoami/")).await;
    shows(&chromium, "body", Some("\"ada\"")).await;
}

#[tokio::test]
#[ignore = "needs Docker and Chromium: cargo xtask test"]
async fn a_person_accepts_an_invitation_to_somebody_elses_server() {
    let hub = TestHub::builder().password("ada").password("bob").config(SHARER).start().await;
    hub.start_server("ada").await;
    let code = Some(json!({}));
    let (status, code) = hub.api_with(SHARER_TOKEN, Method::POST, "/share-codes/ada/", code).await;
    assert_eq!(status, 200, "{code}");
    let accept = code["accept_url"].as_str().unwrap();
    let chromium = at(&hub, "bob", "/hub/home").await;
    opens(&chromium, &hub, accept).await;
    shows(&chromium, "main", Some("ada invites you, bob")).await;
    chromium.screenshots("accept-share").await;
    click(&chromium, "main", "Accept").await;
    // It is not theirs: they are asked before it learns who they are.
    click(&chromium, "main", "Authorize").await;
    chromium.arrives("ada's server", |url| url.contains("/user/ada/lab")).await;
    eventually("the share is ada's to see", || async {
        let (_, shares) = hub.api_with(SHARER_TOKEN, Method::GET, "/shares/ada", None).await;
        match shares["items"][0]["user"]["name"] == "bob" {
            true => Ok(()),
            false => Err(shares),
        }
    })
    .await;
    // The server is one that bob finds at home from now on.
    opens(&chromium, &hub, "/hub/home").await;
    shows(&chromium, "main", Some("ada")).await;
}
