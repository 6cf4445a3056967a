//! The pages of accounts that people have with the hub itself, in a real browser.

use std::process::Command;

use hub_tests::{Chromium, TestHub, eventually, hub::program};
use reqwest::Method;
use thirtyfour::prelude::*;

use crate::admin_page::{click, shows};

const LOCAL: &str = "[auth.local]\nsign_up = \"invitation\"\n";
const PASSWORD: &str = "seven green bottles";
/// What NativeAuthenticator keeps of the password `U*U`; a vector of bcrypt's own.
const BCRYPT: &str = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const CREATE: &str = "Create";

/// Fills the form of a new account or password in and sends it.
async fn fill(chromium: &Chromium, fields: &[(&str, &str)], button: &str) {
    for (name, value) in fields {
        let css = format!("main input[name={name}]");
        let field = chromium.find(&css).await;
        field.clear().await.unwrap();
        field.send_keys(*value).await.unwrap();
    }
    click(chromium, "main form", button).await;
}

async fn signs_in(chromium: &Chromium, hub: &TestHub, user: &str, password: &str) {
    chromium.page.goto(format!("{}/hub/login?next=%2Fhub%2Fhome", hub.url)).await.unwrap();
    chromium.find("input[name=username]").await.send_keys(user).await.unwrap();
    chromium.find("input[name=password]").await.send_keys(password + Key::Enter).await.unwrap();
}

#[tokio::test]
#[ignore = "needs Docker and Chromium: cargo xtask test"]
async fn the_first_administrator_sets_the_hub_up_and_invites_somebody() {
    let hub = TestHub::builder().config(LOCAL).start().await;
    let log = hub.log();
    let link = log.split("link=").nth(1).and_then(|rest| rest.split_whitespace().next());
    let link = link.expect("the log has the link").trim_matches('"').to_owned();

    let chromium = Chromium::start().await;
    chromium.page.goto(&link).await.unwrap();
    shows(&chromium, "main", Some("first administrator")).await;
    let again = [
        ("username", "grace"),
        ("password", PASSWORD),
        ("password_confirmation", "other words here"),
    ];
    fill(&chromium, &again, CREATE).await;
    shows(&chromium, "main [role=alert]", Some("The two passwords are not the same.")).await;
    let good = [("username", "grace"), ("password", PASSWORD), ("password_confirmation", PASSWORD)];
    fill(&chromium, &good, CREATE).await;
    chromium.arrives("signed in", |url| !url.contains("/hub/signup")).await;
    let (_, grace) = hub.api(Method::GET, "/users/grace", None).await;
    assert_eq!(grace["admin"], true, "{grace}");

    chromium.page.goto(format!("{}/hub/authorize", hub.url)).await.unwrap();
    click(&chromium, "section[aria-labelledby=invite]", "Invite").await;
    let invitation = chromium.find("#link-result").await.text().await.unwrap();
    chromium.screenshots("accounts").await;

    // Whoever has the link makes an account, is signed in, and changes the password.
    let guest = Chromium::start().await;
    guest.page.goto(&invitation).await.unwrap();
    shows(&guest, "main", Some("You were invited")).await;
    guest.screenshots("signup").await;
    let account =
        [("username", "emmy"), ("password", PASSWORD), ("password_confirmation", PASSWORD)];
    fill(&guest, &account, CREATE).await;
    guest.arrives("home", |url| url.contains("/hub/home")).await;
    shows(&guest, "header", Some("emmy")).await;
    guest.page.goto(format!("{}/hub/change-password", hub.url)).await.unwrap();
    let new = "eight green bottles";
    guest.screenshots("change-password").await;
    let change =
        [("current_password", PASSWORD), ("password", new), ("password_confirmation", new)];
    fill(&guest, &change, "Save the password").await;
    shows(&guest, "main", Some("Your password is changed")).await;
    eventually("the new password counts", || async {
        guest
            .page
            .goto(format!("{}/hub/logout", hub.url))
            .await
            .map_err(|error| error.to_string())?;
        signs_in(&guest, &hub, "emmy", new).await;
        let url = guest.page.current_url().await.map_err(|error| error.to_string())?;
        if url.path() == "/hub/home" { Ok(()) } else { Err(url.to_string()) }
    })
    .await;

    // The invitation was for one.
    chromium.page.goto(format!("{}/hub/logout", hub.url)).await.unwrap();
    chromium.page.goto(&invitation).await.unwrap();
    shows(&chromium, "main input[name=username]", None).await;
}

#[tokio::test]
#[ignore = "needs Docker and Chromium: cargo xtask test"]
async fn accounts_of_an_older_hub_are_imported_and_sign_in() {
    let mut hub = TestHub::builder().allowed("ada").config(LOCAL).start().await;
    assert!(hub.terminate().success());
    let list = hub.dir().join("accounts.csv");
    std::fs::write(&list, format!("ada,{BCRYPT},1\nbad name,{BCRYPT},1\n")).unwrap();
    let import = |hub: &TestHub| {
        Command::new(program("hub-server"))
            .args(["import-accounts", "--config", "hub.toml"])
            .arg(&list)
            .current_dir(hub.dir())
            .output()
            .unwrap()
    };
    let refused = import(&hub);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("bad name"), "{said}");
    std::fs::write(&list, format!("ada,{BCRYPT},1\n")).unwrap();
    let done = import(&hub);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    hub.launch().await;
    hub.reachable().await;
    let chromium = Chromium::start().await;
    signs_in(&chromium, &hub, "ada", "U*U").await;
    chromium.arrives("home", |url| url.contains("/hub/home")).await;
}
