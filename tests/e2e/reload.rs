//! A changed configuration reaches a hub that runs (CFG-1).

use std::{
    fs,
    process::{Command, Output},
};

use hub_tests::{Browser, TestHub, certificate, docker::engine, eventually, hub::program, wire};
use reqwest::Method;

use crate::failures::image_that_exits;

const CHIEF: &str = "end-to-end-chief-token-for-reloads";

/// A hub with a service that may reload it.
fn builder() -> hub_tests::hub::Builder {
    TestHub::builder()
        .config(&format!("[[services]]\nname = \"chief\"\napi_token = \"{CHIEF}\"\nadmin = true"))
}

/// Replaces a file of the hub as editors do: whole, by renaming.
fn write(hub: &TestHub, name: &str, text: &str) {
    let new = hub.dir().join("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, hub.dir().join(name)).unwrap();
}

/// Replaces a part of the configuration file.
#[track_caller]
fn edit(hub: &TestHub, from: &str, to: &str) {
    let text = fs::read_to_string(hub.dir().join("hub.toml")).unwrap();
    assert!(text.contains(from), "{from:?} in {text}");
    write(hub, "hub.toml", &text.replacen(from, to, 1));
}

/// `hub reload`
fn reload(hub: &TestHub) -> Output {
    Command::new(program("hub"))
        .arg("reload")
        .env_clear()
        .env("HUB_URL", &hub.url)
        .env("HUB_TOKEN", CHIEF)
        .output()
        .unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn usr_6_the_user_list_decides_within_seconds() {
    let hub = builder().password("ada").password("bob").start().await;
    let (mut ada, mut bob) = (Browser::new(&hub), Browser::new(&hub));
    ada.sign_in("ada").await;
    ada.start_server("ada").await;
    bob.sign_in("bob").await;

    write(&hub, "userlist", "ada\n");
    edit(
        &hub,
        "allowed_users = [\"ada\", \"bob\"]\nadmin_users = [\"grace\"]\n",
        "userlist = \"userlist\"\nuserlist_mode = \"authoritative\"\nremoved_user_grace_seconds = 1\n",
    );
    eventually("bob is signed out", || async {
        let answer = bob.clone().look("/hub/home").await;
        if answer.status == 302 { Ok(()) } else { Err(answer.status) }
    })
    .await;
    assert_eq!(ada.look("/hub/home").await.status, 200);
    let (_, grace) = hub.api(Method::GET, "/users/grace", None).await;
    assert_eq!(grace["admin"], false, "{grace}");

    write(&hub, "userlist", "bob admin\n");
    eventually("bob is an administrator", || async {
        let (_, bob) = hub.api(Method::GET, "/users/bob", None).await;
        if bob["admin"] == true { Ok(()) } else { Err(bob) }
    })
    .await;
    bob.sign_in("bob").await;
    eventually("ada's server is stopped after the grace time", || async {
        let left = hub.containers().await;
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    let (status, _) = hub.api(Method::GET, "/users/ada", None).await;
    assert_eq!(status, 200, "the account stays");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn faq_3_another_image_is_for_new_servers_alone() {
    let hub = builder().password("ada").password("bob").start().await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    ada.start_server("ada").await;
    let container = hub.container("ada").await;

    let image = format!("image = \"{}\"", hub_tests::hub::notebook_image());
    edit(&hub, &image, &format!("image = \"{}\"", image_that_exits()));
    edit(&hub, "listen = \"127.0.0.1:", "base_url = \"/elsewhere/\"\nlisten = \"127.0.0.1:");
    let told = reload(&hub);
    assert!(told.status.success(), "{told:?}");
    // The hub may have seen the change by itself before.
    let log = hub.log();
    let told = text(told.stdout);
    assert!(told.contains("needs a restart of the hub: http.base_url"), "{told}");
    let image_changed = "applied to servers that start from now on: spawner.docker.image";
    assert!(
        told.contains(image_changed) || log.contains("for_new_servers=\"spawner.docker.image\""),
        "{told}{log}"
    );

    assert_eq!(hub.container("ada").await, container);
    assert_eq!(ada.get("/user/ada/api/status").await.status, 200);
    hub.api(Method::POST, "/users/bob/server", None).await;
    eventually("bob's server ends as the new image does", || async {
        let (_, log) = hub.api(Method::GET, "/users/bob?include_stopped_servers=1", None).await;
        let failure = log["servers"][""]["last_failure"]["message"].clone();
        if failure.is_string() { Ok(()) } else { Err(log) }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn a_bad_file_changes_nothing_and_says_why() {
    let hub = builder().password("ada").start().await;
    edit(&hub, "allowed_users = [\"ada\"]", "alowed_users = []\nblocked_users = [\"ada\"]");
    let told = reload(&hub);
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    let told = text(told.stderr);
    assert!(told.contains("did you mean \"allowed_users\""), "{told}");
    assert!(hub.log().contains("was not reloaded"), "{}", hub.log());
    Browser::new(&hub).sign_in("ada").await;

    edit(&hub, "alowed_users = []\nblocked_users = [\"ada\"]", "blocked_users = [\"ada\"]");
    eventually("ada is kept out", || async {
        let mut browser = Browser::new(&hub);
        let page = browser.get("/hub/login").await;
        let form = [
            ("_xsrf", page.field("_xsrf")),
            ("username", "ada".to_owned()),
            ("password", hub_tests::PASSWORD.to_owned()),
        ];
        let answer = browser.submit("/hub/login", &form).await;
        if answer.status == 403 { Ok(()) } else { Err(answer.status) }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn tls_3_a_new_certificate_is_served_without_a_signal() {
    let hub = builder().https().start().await;
    serves(&hub, &certificate::issue(hub.dir())).await;
    let log = hub.log();
    assert_eq!(log.matches("Certificate and key were read again").count(), 1, "{log}");
    assert!(!log.contains("files of the configuration have changed"), "{log}");

    // Not even when the rest of the configuration is broken.
    edit(&hub, "allowed_users", "alowed_users");
    eventually("the hub has seen the mistake", || async {
        if hub.log().contains("was not reloaded") { Ok(()) } else { Err("not yet") }
    })
    .await;
    serves(&hub, &certificate::issue(hub.dir())).await;
}

async fn serves(hub: &TestHub, certificate: &str) {
    let url = hub.url.parse().unwrap();
    eventually("the new certificate is served", || async {
        wire::connect(&url, Some(certificate)).await.map(drop).map_err(|error| error.to_string())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn only_an_administrator_reloads() {
    let hub = builder().start().await;
    let (status, _) = hub.api(Method::POST, "/reload", None).await;
    assert_eq!(status, 403);
    let (status, report) = hub.api_with(CHIEF, Method::POST, "/reload", None).await;
    assert_eq!((status, &report["outcome"]), (200, &"unchanged".into()), "{report}");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn new_limits_are_for_running_servers_too() {
    let hub = builder().password("ada").start().await;
    hub.start_server("ada").await;
    let container = hub.container("ada").await;
    edit(&hub, "mem_limit = \"1G\"", "mem_limit = \"1536M\"");
    let told = reload(&hub);
    assert!(told.status.success(), "{told:?}");
    // The hub may have seen the change by itself before, and be at it.
    eventually("the running server has the new limit", || async {
        let details = engine().await.inspect(&container).await.unwrap().unwrap();
        if details.memory_limit == Some(1536 << 20) { Ok(()) } else { Err(details.memory_limit) }
    })
    .await;
    assert_eq!(hub.container("ada").await, container);
}
