//! A hub whose users have hosts of their own, in a real browser.

use hub_tests::{Chromium, PASSWORD, TestHub, eventually, hub::HOST};
use thirtyfour::prelude::*;

use crate::page::computes;

#[tokio::test]
#[ignore = "needs Docker and Chromium: cargo xtask test"]
async fn a_notebook_is_on_its_owners_host_and_cannot_act_for_them_at_the_hub() {
    let hub = TestHub::builder().password("ada").subdomains().start().await;
    let port = hub.url.rsplit_once(':').unwrap().1.to_owned();
    let (at_hub, at_ada) = (format!("https://{HOST}:{port}"), format!("https://ada.{HOST}:{port}"));
    let chromium = Chromium::start().await;
    let page = &chromium.page;
    page.goto(format!("{at_hub}/hub/login?next=%2Fhub%2Fspawn")).await.unwrap();
    chromium.find("input[name=username]").await.send_keys("ada").await.unwrap();
    chromium.find("input[name=password]").await.send_keys(PASSWORD + Key::Enter).await.unwrap();
    chromium
        .arrives("Lab on the host of its owner", |url| {
            url.starts_with(&format!("{at_ada}/user/ada/lab"))
        })
        .await;
    computes(&chromium).await;

    // What a notebook's page can do at the hub: nothing, and it sets no cookie for it.
    let ask = format!(
        "const done = arguments[0];\n\
         document.cookie = 'jupyterhub-hub-login=planted; domain={HOST}; path=/; secure';\n\
         document.cookie = '__Host-jupyterhub-hub-login=planted; domain={HOST}; path=/; secure';\n\
         fetch('{at_hub}/hub/api/user', {{ credentials: 'include' }})\n\
           .then(answer => answer.json(), error => 'refused: ' + error).then(done);"
    );
    let told = page.execute_async(ask, Vec::new()).await.unwrap().json().to_string();
    assert!(told.contains("refused: TypeError"), "{told}");

    page.goto(format!("{at_hub}/hub/home")).await.unwrap();
    chromium.find("#stop").await.click().await.unwrap();
    eventually("the page offers to start again", || async {
        let button = page.find(By::Css("#start")).await.map_err(|error| error.to_string())?;
        if button.is_displayed().await.unwrap_or(false) { Ok(()) } else { Err("hidden".to_owned()) }
    })
    .await;
    assert_eq!(hub.containers().await, []);
}
