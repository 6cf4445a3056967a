//! Signing in with GitHub, and out again.

use hub_tests::{Browser, GitHub, Kernel, TestHub, docker, github::Organization, hub::variable};
use reqwest::Method;
use serde_json::{Value, json};

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
async fn gh_2_a_team_is_let_in_the_rest_of_the_organization_is_not_and_teams_are_groups() {
    let github = GitHub::start().await;
    let settings = "scope = [\"read:org\"]\npopulate_teams = true\n\
                    allowed_organizations = [\"engine-lab:builders\"]";
    let builder = TestHub::builder().github_with(&github, settings);
    let hub = builder.auth("manage_groups = true").start().await;
    github.register(&format!("{}/hub/oauth_callback", hub.url));
    github.person("Ada", 1815);
    github.person("Charles", 1791);
    let lab = Organization::new("Engine-Lab", &["Ada", "Charles"]);
    github.organization(lab.team("builders", &["Ada"]).team("visitors", &["Ada", "Charles"]));

    github.sign_in("Charles");
    let mut charles = Browser::new(&hub);
    let refused = charles.get("/hub/oauth_login").await;
    assert_eq!(refused.status, 403);
    for part in ["charles", "not allowed to use this hub", "engine-lab:builders"] {
        assert!(refused.text.contains(part), "{part}: {}", refused.text);
    }
    let (status, _) = hub.api(Method::GET, "/users/charles", None).await;
    assert_eq!(status, 404, "a stranger leaves nothing behind");

    github.sign_in("Ada");
    let mut ada = Browser::new(&hub);
    let home = ada.get("/hub/oauth_login?next=%2Fhub%2Fhome").await;
    assert_eq!((home.status, home.url.path()), (200, "/hub/home"), "{}", home.text);
    let (status, user) = hub.api(Method::GET, "/users/ada", None).await;
    assert_eq!(status, 200, "{user}");
    let groups = json!(["engine-lab", "engine-lab:builders", "engine-lab:visitors"]);
    assert_eq!(user["groups"], groups, "{user}");
    ada.start_server("ada").await;
    assert_eq!(ada.get("/user/ada/api/kernels").await.status, 200);

    // Whoever has left the team is not let in again, and has its group no more.
    let lab = Organization::new("Engine-Lab", &["Ada", "Charles"]);
    github.organization(lab.team("builders", &[]).team("visitors", &["Ada"]));
    let refused = Browser::new(&hub).get("/hub/oauth_login").await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    let (_, user) = hub.api(Method::GET, "/users/ada", None).await;
    assert_eq!(user["groups"], json!(["engine-lab", "engine-lab:visitors"]), "{user}");
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
    let token = token_of_her_server(&hub, &mut ada).await;
    let (status, known) = hub.api_with(&token, Method::GET, "/user", None).await;
    assert_eq!((status, &known["name"]), (200, &json!("ada")), "{known}");
    let before = ada.clone();

    let out = ada.get("/hub/logout").await;
    assert_eq!(out.status, 200);
    assert_eq!(ada.cookie("jupyterhub-hub-login", "/hub/"), None);
    assert_eq!(ada.cookie("jupyterhub-session-id", "/user/ada/"), None);
    // The server's own cookie is still there. The server knows a person by it and
    // by the session's id, and asks the hub when the two do not belong together.
    assert!(ada.cookie("jupyterhub-user-ada", "/user/ada/").is_some());
    for path in ["/user/ada/api/kernels", "/user/ada/api/contents"] {
        let answer = ada.look(path).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.text);
    }
    assert_eq!(ada.get("/user/ada/lab").await.url.path(), "/hub/login");
    assert_eq!(ada.get("/hub/home").await.url.path(), "/hub/login");
    let (status, _) = hub.api_with(&token, Method::GET, "/user", None).await;
    assert_eq!(status, 403, "the server's token ends with the session it was made in");

    let mut copied = before;
    assert_eq!(copied.get("/hub/home").await.url.path(), "/hub/login", "a copy is worthless");
    let api = copied.script(Method::GET, "/hub/api/user", None).await;
    assert_eq!(api.status, 403, "{}", api.text);
}

/// What a single-user server does to learn who its visitor is: the visitor's
/// browser carries a code to it, and it redeems the code with its own secret.
async fn token_of_her_server(hub: &TestHub, ada: &mut Browser) -> String {
    let env = docker::engine().await.exec(&hub.container("ada").await, &["env"]).await.unwrap();
    let secret = env.output.lines().find_map(|line| line.strip_prefix("JUPYTERHUB_API_TOKEN="));
    let client =
        [("client_id", "jupyterhub-user-ada"), ("redirect_uri", "/user/ada/oauth_callback")];
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(client)
        .append_pair("response_type", "code")
        .finish();
    let back = ada.look(&format!("/hub/api/oauth2/authorize?{query}")).await;
    let location = back.location().expect("nobody is asked about one's own server");
    let (_, code) = location.query_pairs().find(|(name, _)| name == "code").unwrap();
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(client)
        .append_pair("grant_type", "authorization_code")
        .append_pair("client_secret", secret.unwrap())
        .append_pair("code", &code)
        .finish();
    let answer = hub
        .client()
        .post(format!("{}/hub/api/oauth2/token", hub.url))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.unwrap();
    body["access_token"].as_str().unwrap().to_owned()
}
