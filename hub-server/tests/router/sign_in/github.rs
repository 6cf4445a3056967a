//! GitHub: organizations and teams, accounts that change hands, and failures.

use http::{Method, StatusCode};
use hub_server::Clock as _;
use hub_store::Store;
use jiff::SignedDuration;
use serde_json::json;

use super::{by_github, config, github_section, hub, user, way_back};
use crate::{
    harness::{Browser, TestHub},
    stand_ins::{
        address,
        github::{Fault, Github, USER_PATH},
    },
};

const LAB: &str = "/api/v3/orgs/ada-lab/members/Octo-Cat";
const CHIEFS: &str = "/api/v3/orgs/ada-lab/teams/chiefs/members/Octo-Cat";
const TEAMS: &str = "/api/v3/user/teams";
const NOT_FOUND: Fault = Fault::Answer(StatusCode::NOT_FOUND, "{}");
const ORGANIZATIONS: &str = "scope = [\"read:org\"]\nallowed_organizations = [\"ada-lab\"]\n\
                             admin_organizations = [\"ada-lab:chiefs\"]";

#[tokio::test]
async fn gh_2_members_are_let_in_and_a_team_makes_administrators_while_one_is_in_it() {
    let github = Github::start().await;
    let hub = hub("", &github_section(&github, ORGANIZATIONS)).await;
    let (_, refused) = by_github(&hub, &github).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("ask an owner of ada-lab"), "{}", refused.text);
    assert!(user(&hub, "octo-cat").await.is_none(), "a stranger leaves nothing behind");

    github.has_member(LAB);
    let (mut browser, answer) = by_github(&hub, &github).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::FOUND, "/hub/home"));
    assert_eq!(browser.get("/hub/home").await.status, StatusCode::OK);
    assert!(!user(&hub, "octo-cat").await.unwrap().admin);

    github.has_member(CHIEFS);
    by_github(&hub, &github).await;
    assert!(user(&hub, "octo-cat").await.unwrap().admin);
    github.fails(CHIEFS, NOT_FOUND);
    by_github(&hub, &github).await;
    assert!(!user(&hub, "octo-cat").await.unwrap().admin, "whoever left the team is none any more");

    github.fails(LAB, NOT_FOUND);
    let (_, refused) = by_github(&hub, &github).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "an account alone lets nobody in");
}

#[tokio::test]
async fn gh_4_what_could_not_be_found_out_is_no_refusal_of_the_person() {
    let github = Github::start().await;
    let hub = hub("", &github_section(&github, ORGANIZATIONS)).await;
    for (path, fault, wait, part) in [
        (
            LAB,
            Fault::Answer(StatusCode::BAD_GATEWAY, "{}"),
            "60",
            "could not check your membership of ada-lab",
        ),
        (
            USER_PATH,
            Fault::Header(StatusCode::TOO_MANY_REQUESTS, "retry-after", "720"),
            "720",
            "try again in 12 min",
        ),
    ] {
        github.fails(path, fault);
        let (browser, answer) = by_github(&hub, &github).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers["retry-after"], wait);
        assert!(answer.text.contains(part), "{}", answer.text);
        assert!(!browser.cookies.contains_key("jupyterhub-hub-login"));
    }
}

/// Somebody else, who took the login name.
const TAKER: &str = r#"{"login": "Octo-Cat", "id": 999, "name": null, "email": null}"#;
/// The first one under a new login name.
const RENAMED: &str = r#"{"login": "tabby", "id": 583231, "name": null, "email": null}"#;

#[tokio::test]
async fn gh_3_an_account_belongs_to_the_number_and_not_to_the_login_name() {
    let github = Github::start().await;
    let store = Store::in_memory().await.unwrap();
    let named = |more: &str| {
        config(&format!("allowed_users = [\"octo-cat\"]\n{more}"), &github_section(&github, ""))
    };
    let by_number = TestHub::signing_in(&named(""), store.clone()).await;
    assert_eq!(by_github(&by_number, &github).await.1.status, StatusCode::FOUND);

    github.user_is(RENAMED);
    let (mut browser, answer) = by_github(&by_number, &github).await;
    assert_eq!(answer.status, StatusCode::FOUND);
    assert!(browser.get("/hub/home").await.text.contains("octo-cat"), "the account is kept");
    assert!(user(&by_number, "tabby").await.is_none());

    github.user_is(TAKER);
    let (_, answer) = by_github(&by_number, &github).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text.contains("belongs to somebody else"), "{}", answer.text);

    let by_name = TestHub::signing_in(&named("identity_key = \"login\""), store).await;
    assert_eq!(by_github(&by_name, &github).await.1.status, StatusCode::FOUND);
}

#[tokio::test]
async fn a_sign_in_too_many_ends_the_one_that_began_first() {
    let github = Github::start().await;
    let hub = hub("allowed_users = [\"octo-cat\"]", &github_section(&github, "")).await;
    let mut browser = hub.browser();
    let mut begun = Vec::new();
    for _ in 0..6 {
        let answer = browser.get("/hub/oauth_login?provider=github").await;
        begun.push(github.approve(&address(answer.location())));
        hub.clock.advance(SignedDuration::from_secs(1));
    }
    let mut ended = Vec::new();
    for callback in &begun {
        ended.push(browser.get(&way_back(callback)).await.status.as_u16());
    }
    assert_eq!(ended, [400, 302, 302, 302, 302, 302]);
}

#[tokio::test]
async fn gh_7_teams_become_the_groups_of_the_account_and_the_api_is_closed_then() {
    let github = Github::start().await;
    github.grants("read:org");
    github.fails(
        TEAMS,
        Fault::Answer(
            StatusCode::OK,
            r#"[{"id": 5, "slug": "core", "name": "Core", "organization": {"login": "Ada-Lab", "id": 1}}]"#,
        ),
    );
    let hub = hub(
        "manage_groups = true\nallowed_users = [\"octo-cat\"]",
        &github_section(&github, "scope = [\"read:org\"]\npopulate_teams = true"),
    )
    .await;
    let name = "octo-cat".parse().unwrap();
    let account = hub.store.users().ensure(&name, jiff::Timestamp::UNIX_EPOCH).await.unwrap().0;
    hub.store.groups().replace_of_user(account.id, &["old".to_owned()]).await.unwrap();

    assert_eq!(by_github(&hub, &github).await.1.status, StatusCode::FOUND);
    let groups = hub.store.groups().of_user(account.id).await.unwrap();
    assert_eq!(groups, ["ada-lab", "ada-lab:core"]);

    let users = Some(json!({ "users": ["octo-cat"] }));
    for (method, path, body) in [
        (Method::POST, "/groups", Some(json!({ "groups": ["new"] }))),
        (Method::POST, "/groups/new", None),
        (Method::DELETE, "/groups/old", None),
        (Method::POST, "/groups/old/users", users.clone()),
        (Method::DELETE, "/groups/old/users", users.clone()),
    ] {
        let answer = hub.api("chief-service-token", method, path, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}: {}", answer.text);
        assert!(answer.text.contains("Group management via API is disabled"), "{}", answer.text);
    }
    let shown = hub.api("chief-service-token", Method::GET, "/groups", None).await;
    assert_eq!(shown.json().as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn oau_7_the_only_way_is_taken_at_once_but_not_after_a_sign_out_or_an_error() {
    let github = Github::start().await;
    let hub =
        hub("auto_login = true\nallowed_users = [\"octo-cat\"]", &github_section(&github, ""))
            .await;
    let mut browser = hub.browser();
    let answer = browser.get("/hub/login?next=%2Fhub%2Fhome").await;
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(answer.location(), "/hub/oauth_login?provider=github&next=%2Fhub%2Fhome");

    let begun = browser.get(answer.location()).await;
    let mut callback = github.approve(&crate::stand_ins::address(begun.location()));
    callback.code = None;
    callback.error = Some("access_denied".to_owned());
    let answer = browser.get(&crate::stand_ins::way_back(&callback)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "an error is shown, and not tried again");
    assert!(answer.text.contains("/hub/login"), "{}", answer.text);

    let (mut browser, _) = by_github(&hub, &github).await;
    let answer = browser.get("/hub/logout").await;
    assert_eq!(answer.status, StatusCode::OK, "a sign-out is not undone");
    assert!(answer.text.contains("GitHub"), "{}", answer.text);
    assert_eq!(browser.get("/hub/home").await.location(), "/hub/login?next=%2Fhub%2Fhome");
}

#[tokio::test]
async fn oau_6_who_is_refused_reads_what_the_operator_says() {
    let github = Github::start().await;
    let pages = "[pages]\ncustom_403_message = \"Write to <help@hub.test>.\"\n";
    let hub = hub("", &(github_section(&github, ORGANIZATIONS) + pages)).await;
    let (_, refused) = by_github(&hub, &github).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("Write to &lt;help@hub.test&gt;."), "{}", refused.text);
    assert!(refused.text.contains("ask an owner of ada-lab"), "the reason is told, too");
    assert!(!refused.text.contains("Ask the administrator"), "{}", refused.text);
}

#[tokio::test]
async fn aut_auto_login_oauth2_authorize_is_for_people_whom_a_server_sends() {
    let github = Github::start().await;
    let lines = "auto_login_oauth2_authorize = true\nallowed_users = [\"octo-cat\"]";
    let hub = hub(lines, &github_section(&github, "")).await;
    let sent = hub.browser().get("/hub/api/oauth2/authorize?client_id=x").await;
    assert!(sent.location().starts_with("/hub/login?next="), "{sent:?}");
    let gone_on = hub.browser().get(sent.location()).await;
    assert!(
        gone_on.location().starts_with("/hub/oauth_login?provider=github&next="),
        "{gone_on:?}"
    );
    for path in ["/hub/login", "/hub/login?next=%2Fhub%2Fhome", "/hub/login?next=%2Fhub%2Fapi"] {
        assert_eq!(hub.browser().get(path).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn oau_2_a_sign_in_that_failed_or_was_left_leaves_no_cookie() {
    let under_way = |browser: &Browser| {
        browser.cookies.keys().filter(|name| name.starts_with("oauthenticator-state-")).count()
    };
    let github = Github::start().await;
    let hub = hub("allowed_users = [\"octo-cat\"]", &github_section(&github, "")).await;
    github.fails(USER_PATH, Fault::Answer(StatusCode::BAD_GATEWAY, "{}"));
    let (browser, answer) = by_github(&hub, &github).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{}", answer.text);
    assert_eq!(under_way(&browser), 0);

    let mut browser = hub.browser();
    browser.get("/hub/oauth_login?provider=github").await;
    browser.get("/hub/oauth_login?provider=github").await;
    assert_eq!(under_way(&browser), 2);
    browser.get("/hub/logout").await;
    assert_eq!(under_way(&browser), 0);
}

#[tokio::test]
async fn gh_3_an_account_of_a_way_that_is_gone_is_still_somebodys() {
    let github = Github::start().await;
    let hub = hub("allowed_users = [\"octo-cat\"]", &github_section(&github, "")).await;
    let (users, now) = (hub.store.users(), hub.clock.now());
    let (user, _) = users.ensure(&"octo-cat".parse().unwrap(), now).await.unwrap();
    users.bind_identity(user.id, "gitlab", "9", now).await.unwrap();
    let (_, refused) = by_github(&hub, &github).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("hub users identity octo-cat"), "{}", refused.text);
    assert!(users.forget_identity(user.id, "gitlab").await.unwrap());
    assert_eq!(by_github(&hub, &github).await.1.location(), "/hub/home");
}
