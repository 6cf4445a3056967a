//! The administration and token pages in a real browser.

use hub_tests::{Chromium, PASSWORD, TestHub, eventually};
use reqwest::Method;
use thirtyfour::prelude::*;

const READER_TOKEN: &str = "end-to-end-reader-token";
const READER: &str = r#"
[[services]]
name = "reader"
api_token = "end-to-end-reader-token"
scopes = ["read:groups"]
"#;

/// A browser in which `user` is signed in, at the page `path`.
pub(super) async fn at(hub: &TestHub, user: &str, path: &str) -> Chromium {
    let chromium = Chromium::start().await;
    let next = path.replace('/', "%2F");
    chromium.page.goto(format!("{}/hub/login?next={next}", hub.url)).await.unwrap();
    chromium.find("input[name=username]").await.send_keys(user).await.unwrap();
    chromium.find("input[name=password]").await.send_keys(PASSWORD + Key::Enter).await.unwrap();
    chromium.arrives("signed in", |url| url.contains(path)).await;
    chromium
}

/// Clicks the first button below `css` whose text starts with `label`, once it is there.
pub(super) async fn click(chromium: &Chromium, css: &str, label: &str) {
    let selector = format!("{css} button, {css} a, {css} summary");
    eventually(&format!("{label:?} in {css}"), || async {
        let found = chromium.page.find_all(By::Css(selector.as_str())).await;
        let mut texts = Vec::new();
        for button in found.map_err(|error| error.to_string())? {
            let text = button.text().await.unwrap_or_default();
            if text.starts_with(label) && button.is_displayed().await.unwrap_or(false) {
                return button.click().await.map_err(|error| error.to_string());
            }
            texts.push(text);
        }
        Err(format!("{texts:?}"))
    })
    .await;
}

/// Waits until the text of `css` has `wanted`; `None`: until there is no such element.
pub(super) async fn shows(chromium: &Chromium, css: &str, wanted: Option<&str>) {
    eventually(&format!("{css} shows {wanted:?}"), || async {
        let text = match chromium.page.find(By::Css(css)).await {
            Ok(element) => Some(element.text().await.map_err(|error| error.to_string())?),
            Err(_) => None,
        };
        match (&text, wanted) {
            (Some(text), Some(wanted)) if text.contains(wanted) => Ok(()),
            (None, None) => Ok(()),
            _ => Err(text),
        }
    })
    .await;
}

async fn click_box(chromium: &Chromium, css: &str) {
    chromium.find(css).await.click().await.unwrap();
}

async fn type_into(chromium: &Chromium, css: &str, text: &str) {
    chromium.find(css).await.send_keys(text).await.unwrap();
}

#[tokio::test]
#[ignore = "needs Docker and Chromium: cargo xtask test"]
async fn an_administrator_looks_after_people_on_the_admin_page() {
    let hub = TestHub::builder().password("grace").start().await;
    let chromium = at(&hub, "grace", "/hub/admin").await;

    // Three at once, one of them with a mistake, which changes nothing and is told there.
    click(&chromium, "#panel-users", "Add users").await;
    type_into(&chromium, "dialog textarea", "hypatia, emmy bad/name").await;
    click(&chromium, "dialog", "Add").await;
    shows(&chromium, "dialog [role=alert]", Some("bad/name")).await;
    let names = chromium.find("dialog textarea").await;
    names.clear().await.unwrap();
    names.send_keys("hypatia, emmy").await.unwrap();
    click(&chromium, "dialog", "Add").await;
    shows(&chromium, "#panel-users [role=status]", Some("Added hypatia, emmy")).await;
    chromium.find("[data-user=emmy]").await;

    // Search, and all for one.
    type_into(&chromium, "#users-name_filter", "hyp").await;
    shows(&chromium, "[data-user=emmy]", None).await;
    click(&chromium, "[data-user=hypatia]", "Start").await;
    shows(&chromium, "[data-user=hypatia] .state", Some("Running")).await;
    chromium.screenshots("admin").await;
    chromium.find("[data-user=hypatia] a[href='/hub/log/hypatia']").await;
    click(&chromium, "[data-user=hypatia]", "Stop").await;
    shows(&chromium, "[data-user=hypatia] .state", Some("Stopped")).await;
    assert_eq!(hub.containers().await, []);

    click(&chromium, "[data-user=hypatia]", "Delete").await;
    click(&chromium, "dialog", "Delete").await;
    shows(&chromium, "[data-user=hypatia]", None).await;
    let (status, _) = hub.api(Method::GET, "/users/hypatia", None).await;
    assert_eq!(status, 404);
}

#[tokio::test]
#[ignore = "needs Docker and Chromium: cargo xtask test"]
async fn an_administrator_edits_a_person_and_opens_their_server() {
    let hub = TestHub::builder().password("grace").allowed("emmy").start().await;
    let chromium = at(&hub, "grace", "/hub/admin").await;
    let rename = async |from: &str, to: &str| {
        click(&chromium, &format!("[data-user={from}]"), "Edit").await;
        let name = chromium.find("dialog input[name=name]").await;
        name.clear().await.unwrap();
        name.send_keys(to).await.unwrap();
        click(&chromium, "dialog", "Save").await;
    };
    rename("emmy", "grace").await;
    shows(&chromium, "dialog [role=alert]", Some("grace already exists")).await;
    click(&chromium, "dialog", "Cancel").await;
    rename("emmy", "amalie").await;
    shows(&chromium, "[data-user=amalie]", Some("amalie")).await;
    click(&chromium, "[data-user=amalie]", "Edit").await;
    click_box(&chromium, "dialog input[name=admin]").await;
    click(&chromium, "dialog", "Save").await;
    eventually("amalie is an administrator", || async {
        match hub.api(Method::GET, "/users/amalie", None).await {
            (200, user) if user["admin"] == true => Ok(()),
            other => Err(other),
        }
    })
    .await;

    click(&chromium, "[data-user=amalie]", "Start").await;
    shows(&chromium, "[data-user=amalie] .state", Some("Running")).await;
    click(&chromium, "[data-user=amalie]", "Open").await;
    // It is not theirs: they are asked before it learns who they are.
    click(&chromium, "main", "Authorize").await;
    chromium.arrives("the server of somebody else", |url| url.contains("/user/amalie/lab")).await;

    // Now that there are files under the name, it stays.
    chromium.page.goto(format!("{}/hub/admin", hub.url)).await.unwrap();
    click(&chromium, "[data-user=amalie]", "Stop").await;
    shows(&chromium, "[data-user=amalie] .state", Some("Stopped")).await;
    rename("amalie", "emmy").await;
    shows(&chromium, "dialog [role=alert]", Some("would stay behind")).await;
}

#[tokio::test]
#[ignore = "needs Docker and Chromium: cargo xtask test"]
async fn an_administrator_makes_a_group_on_the_admin_page() {
    let hub = TestHub::builder()
        .password("grace")
        .allowed("emmy")
        .allowed("hypatia")
        .config(READER)
        .start()
        .await;
    let chromium = at(&hub, "grace", "/hub/admin").await;
    click(&chromium, "[role=tablist]", "Groups").await;
    click(&chromium, "#panel-groups", "Add groups").await;
    type_into(&chromium, "dialog [name=groups]", "logic").await;
    type_into(&chromium, "dialog [name=users]", "emmy").await;
    click(&chromium, "dialog", "Add").await;
    shows(&chromium, "[data-group=logic] .chips", Some("emmy")).await;
    type_into(&chromium, "[data-group=logic] .add-members input", "hypatia").await;
    click(&chromium, "[data-group=logic]", "Add members").await;
    shows(&chromium, "[data-group=logic] .chips", Some("hypatia")).await;
    click(&chromium, "[data-group=logic]", "Properties").await;
    click(&chromium, "[data-group=logic]", "Add a property").await;
    let pair = "[data-group=logic] .pair input";
    let fields = {
        chromium.find(pair).await;
        chromium.page.find_all(By::Css(pair)).await.unwrap()
    };
    fields[0].send_keys("seats").await.unwrap();
    fields[1].send_keys("12").await.unwrap();
    chromium.screenshots("admin-groups").await;
    click(&chromium, "[data-group=logic]", "Save").await;
    eventually("the property is kept", || async {
        let (_, group) = hub.api_with(READER_TOKEN, Method::GET, "/groups/logic", None).await;
        if group["properties"]["seats"] == 12 { Ok(()) } else { Err(group) }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker and Chromium: cargo xtask test"]
async fn a_person_makes_uses_and_revokes_a_token() {
    let hub = TestHub::builder().password("ada").start().await;
    let chromium = at(&hub, "ada", "/hub/token").await;
    type_into(&chromium, "#token-note", "backup script").await;
    click(&chromium, "#request-token-form", "Make a token").await;
    let token = chromium.find("#token-result").await.text().await.unwrap();
    chromium.screenshots("token").await;
    let (status, who) = hub.api_with(&token, Method::GET, "/user", None).await;
    assert_eq!((status, &who["name"]), (200, &serde_json::json!("ada")), "{who}");

    chromium.page.goto(format!("{}/hub/token", hub.url)).await.unwrap();
    shows(&chromium, "[data-token]", Some("backup script")).await;
    shows(&chromium, "#token-result", None).await;
    click(&chromium, "[data-token]", "Revoke").await;
    shows(&chromium, "[data-token]", None).await;
    let (status, _) = hub.api_with(&token, Method::GET, "/user", None).await;
    assert_eq!(status, 403);
}
