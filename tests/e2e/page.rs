//! The main job in a real browser.

use hub_tests::{Chromium, GitHub, PASSWORD, TestHub, eventually};
use thirtyfour::prelude::*;

use crate::failures::image_that_exits;

#[tokio::test]
#[ignore = "needs Docker and Chromium: cargo xtask test"]
async fn a_person_signs_in_opens_lab_and_computes() {
    let github = GitHub::start().await;
    let hub =
        TestHub::builder().github(&github).allowed("ada").password("grace").https().start().await;
    github.register(&format!("{}/hub/oauth_callback", hub.url));
    github.person("ada", 1815);
    github.sign_in("ada");

    let chromium = Chromium::start().await;
    let page = &chromium.page;
    page.goto(&hub.url).await.unwrap();
    chromium.find("input[name=username]").await;
    chromium.screenshot("login").await;

    // By way of GitHub to the start of the server, without another click.
    page.goto(format!("{}/hub/oauth_login", hub.url)).await.unwrap();
    chromium
        .arrives("the server is on its way", |url| {
            url.contains("/hub/spawn-pending/ada") || url.contains("/user/ada/")
        })
        .await;
    chromium.screenshot("pending").await;
    chromium.arrives("JupyterLab opens by itself", |url| url.contains("/user/ada/lab")).await;

    computes(&chromium).await;
    chromium.screenshot("lab").await;

    page.goto(format!("{}/hub/home", hub.url)).await.unwrap();
    chromium.find("#stop").await;
    chromium.screenshot("home").await;
    chromium.find("#stop").await.click().await.unwrap();
    eventually("the page offers to start again", || async {
        let button = page.find(By::Css("#start")).await.map_err(|error| error.to_string())?;
        if button.is_displayed().await.unwrap_or(false) { Ok(()) } else { Err("hidden".to_owned()) }
    })
    .await;
    assert_eq!(hub.containers().await, []);
}

/// Makes a new notebook from Lab's launcher: one cell, one result.
pub(super) async fn computes(chromium: &Chromium) {
    let page = &chromium.page;
    let card = chromium.find(".jp-LauncherCard[data-category=Notebook]").await;
    card.click().await.unwrap();
    // Lab drops what is run before there is a kernel, without a word.
    eventually("the status bar says that the kernel is idle", || async {
        let bar =
            page.find(By::Css("#jp-main-statusbar")).await.map_err(|error| error.to_string())?;
        let text = bar.text().await.map_err(|error| error.to_string())?;
        if text.contains("| Idle") { Ok(()) } else { Err(text) }
    })
    .await;
    // It also draws the cell anew while it loads, so typing is tried until it holds.
    let cell = eventually("the cell takes what is typed", || async {
        let cell = page
            .find(By::Css(".jp-Notebook .jp-CodeCell .cm-content"))
            .await
            .map_err(|error| error.to_string())?;
        let text = cell.text().await.map_err(|error| error.to_string())?;
        if text.trim() == "6*7" {
            return Ok(cell);
        }
        cell.click().await.map_err(|error| error.to_string())?;
        cell.send_keys("6*7").await.map_err(|error| error.to_string())?;
        Err(text)
    })
    .await;
    cell.send_keys(Key::Shift + Key::Enter).await.unwrap();
    eventually("the page shows 42", || async {
        let outputs = page
            .find_all(By::Css(".jp-OutputArea-output"))
            .await
            .map_err(|error| error.to_string())?;
        let mut texts = Vec::new();
        for output in outputs {
            texts.push(output.text().await.map_err(|error| error.to_string())?);
        }
        if texts.iter().any(|text| text.trim() == "42") {
            Ok(())
        } else {
            Err(format!("{texts:?}"))
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker and Chromium: cargo xtask test"]
async fn a_start_that_fails_is_explained_on_the_page_that_waits() {
    let hub = TestHub::builder().password("ada").image(&image_that_exits()).start().await;
    let chromium = Chromium::start().await;
    let page = &chromium.page;
    page.goto(format!("{}/hub/login?next=%2Fhub%2Fhome", hub.url)).await.unwrap();
    chromium.find("input[name=username]").await.send_keys("ada").await.unwrap();
    chromium.find("input[name=password]").await.send_keys(PASSWORD + Key::Enter).await.unwrap();
    chromium.arrives("signed in", |url| url.ends_with("/hub/home")).await;

    chromium.find("#start").await.click().await.unwrap();
    eventually("the page explains itself", || async {
        let main = page.find(By::Css("main")).await.map_err(|error| error.to_string())?;
        let text = main.text().await.map_err(|error| error.to_string())?;
        let told = ["did not start", "xit code 3", "the licence file is missing"];
        if told.iter().all(|part| text.contains(part)) { Ok(()) } else { Err(text) }
    })
    .await;
    chromium.screenshot("failed").await;
    assert_eq!(hub.containers().await, []);
}
