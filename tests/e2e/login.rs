//! Signing in with GitHub, and out again.

use hub_tests::{Browser, GitHub, Kernel, TestHub, hub::variable};
use reqwest::Method;

/// A hub that signs people in with a stand-in GitHub, where ada has an account.
async fn with_github() -> (TestHub, GitHub) {
    with_github_on(None).await
}

async fn with_github_on(store: Option<&str>) -> (TestHub, GitHub) {
    let github = GitHub::start().await;
    let mut builder = TestHub::builder().github(&github).allowed("ada");
    if let Some(url) = store {
        builder = builder.store(url);
    }
    let hub = builder.start().await;
    github.register(&format!("{}/hub/oauth_callback", hub.url));
    github.person("Ada", 1815);
    github.sign_in("Ada");
    (hub, github)
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn a_person_signs_in_with_github_and_computes() {
    let (hub, _github) = with_github().await;
    let mut ada = Browser::new(&hub);
    let page = ada.get("/hub/login").await;
    assert!(page.text.contains("GitHub"), "{}", page.text);
    let home = ada.get("/hub/oauth_login?next=%2Fhub%2Fhome").await;
    assert_eq!((home.status, home.url.path()), (200, "/hub/home"), "{}", home.text);

    ada.start_server("ada").await;
    let mut kernel = Kernel::start(&mut ada, "ada").await;
    assert_eq!(kernel.run("6*7").await, "42");
}

#[tokio::test]
#[ignore = "needs Docker and PostgreSQL: cargo xtask test"]
async fn the_same_on_postgresql() {
    let url = variable("HUB_TEST_POSTGRES_URL").expect("cargo xtask test starts a PostgreSQL");
    let (mut hub, _github) = with_github_on(Some(&url)).await;
    let mut ada = Browser::new(&hub);
    ada.get("/hub/oauth_login").await;
    ada.start_server("ada").await;
    let mut kernel = Kernel::start(&mut ada, "ada").await;
    kernel.run("x = 41").await;
    hub.kill();
    hub.launch().await;
    ada.wait_for_server("ada").await;
    let mut kernel = Kernel::connect(&ada, "ada", &kernel.id).await;
    assert_eq!(kernel.run("x + 1").await, "42");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn somebody_who_is_not_listed_is_told_why() {
    let (hub, github) = with_github().await;
    github.person("mallory", 666);
    github.sign_in("mallory");
    let mut mallory = Browser::new(&hub);
    let refused = mallory.get("/hub/oauth_login").await;
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("mallory"), "{}", refused.text);
    assert!(refused.text.contains("not allowed to use this hub"), "{}", refused.text);
    assert!(refused.text.contains("Ask the administrator"), "{}", refused.text);
    assert!(mallory.look("/hub/home").await.location().unwrap().path().ends_with("/hub/login"));
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn gh_same_login_other_id_refused_and_gh_rename_keeps_account() {
    let (hub, github) = with_github().await;
    let mut ada = Browser::new(&hub);
    assert_eq!(ada.get("/hub/oauth_login?next=%2Fhub%2Fhome").await.status, 200);

    // She renames herself, and somebody else takes the name.
    github.person("lovelace", 1815);
    github.person("Ada", 2000);
    let mut thief = Browser::new(&hub);
    let refused = thief.get("/hub/oauth_login").await;
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("belongs to somebody else"), "{}", refused.text);

    github.sign_in("lovelace");
    let mut renamed = Browser::new(&hub);
    let home = renamed.get("/hub/oauth_login?next=%2Fhub%2Fhome").await;
    assert_eq!(home.status, 200, "{}", home.text);
    assert!(home.text.contains("ada"), "{}", home.text);
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn gh_state_missing_other_browser_reused_and_denied() {
    let (hub, github) = with_github().await;
    let mut ada = Browser::new(&hub);
    let missing = ada.get("/hub/oauth_callback?code=x").await;
    assert_eq!(missing.status, 400);

    // To GitHub and back by hand, to have the callback's address.
    let to_github = ada.look("/hub/oauth_login").await.location().unwrap();
    let back = hub.client().get(to_github).send().await.unwrap();
    let callback = back.headers()["location"].to_str().unwrap().to_owned();
    let path = callback.strip_prefix(&hub.url).unwrap().to_owned();

    let other = Browser::new(&hub).get(&path).await;
    assert_eq!(other.status, 400, "a callback belongs to the browser that began");
    assert!(other.text.contains("no sign-in under way"), "{}", other.text);
    let first = ada.look(&path).await;
    assert_eq!(first.status, 302, "{}", first.text);
    let again = ada.look(&path).await;
    assert_eq!(again.status, 400, "a callback counts once");

    github.refuse();
    let denied = Browser::new(&hub).get("/hub/oauth_login").await;
    assert_eq!(denied.status, 400);
    assert!(denied.text.contains("denied"), "{}", denied.text);
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn signing_out_really_signs_out() {
    let hub = TestHub::builder().password("ada").start().await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    ada.start_server("ada").await;
    assert_eq!(ada.get("/user/ada/api/kernels").await.status, 200);
    let before = ada.clone();
    let (_, tokens) = hub.api(Method::GET, "/users/ada/tokens", None).await;
    let in_session = |tokens: &serde_json::Value| {
        tokens["api_tokens"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| !one["session_id"].is_null())
            .count()
    };
    assert_eq!(in_session(&tokens), 1, "{tokens}");

    let out = ada.get("/hub/logout").await;
    assert_eq!(out.status, 200);
    // The server knows the person by the session's cookie, which is gone.
    let server = ada.look("/user/ada/api/kernels").await;
    assert_eq!(server.status, 403, "{}", server.text);
    assert!(ada.look("/hub/home").await.location().unwrap().path().ends_with("/hub/login"));
    let (_, tokens) = hub.api(Method::GET, "/users/ada/tokens", None).await;
    assert_eq!(in_session(&tokens), 0, "{tokens}");
    let mut copied = before;
    assert!(
        copied.look("/hub/home").await.location().unwrap().path().ends_with("/hub/login"),
        "a copy is worthless"
    );
}
