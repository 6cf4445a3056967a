//! An OpenID provider, alone and next to others.

use http::StatusCode;
use hub_store::Store;
use serde_json::json;

use super::{by_github, by_openid, config, github_section, hub, openid_section, user};
use crate::{
    harness::TestHub,
    stand_ins::{address, github::Github, openid::Openid},
};

#[tokio::test]
async fn oidc_1_groups_of_the_provider_let_in_and_make_administrators() {
    let openid = Openid::start().await;
    let rules = "allowed_groups = [\"staff\"]\nadmin_groups = [\"chiefs\"]\n\
                 groups_claims = [\"groups\"]\nrequired_claims = { email = \"ada@lab.test\" }\n";
    let hub = hub("", &openid_section(&openid, rules)).await;
    let (mut browser, answer) = by_openid(&hub, &openid).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::FOUND, "/hub/home"));
    assert!(browser.get("/hub/home").await.text.contains("ada"));
    assert!(!user(&hub, "ada").await.unwrap().admin);

    let groups = |groups: &[&str]| {
        let groups = json!({ "sub": "4711", "groups": groups });
        openid.change(|inner| inner.userinfo = groups);
    };
    groups(&["chiefs"]);
    by_openid(&hub, &openid).await;
    assert!(user(&hub, "ada").await.unwrap().admin);

    groups(&[]);
    let (_, refused) = by_openid(&hub, &openid).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(!user(&hub, "ada").await.unwrap().admin, "their tokens are no administrator's");

    groups(&["staff"]);
    openid.change(|inner| inner.claims["email"] = "ada@evil.test".into());
    let (_, refused) = by_openid(&hub, &openid).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("people whose email is ada@lab.test"), "{}", refused.text);
}

#[tokio::test]
async fn two_providers_stand_on_one_page_and_do_not_share_accounts() {
    let (github, openid) = (Github::start().await, Openid::start().await);
    github.user_is(r#"{"login": "ada", "id": 7, "name": null, "email": null}"#);
    let both = github_section(&github, "") + &openid_section(&openid, "service = \"University\"");
    // One of two is not gone to by itself.
    let hub = hub("auto_login = true\nallowed_users = [\"ada\"]", &both).await;
    let page = hub.browser().get("/hub/login").await;
    assert_eq!(page.status, StatusCode::OK);
    let places: Vec<usize> = ["provider=github", "provider=oidc"]
        .iter()
        .map(|part| page.text.find(part).unwrap_or_else(|| panic!("{part}: {}", page.text)))
        .collect();
    assert!(places[0] < places[1], "in the order of the configuration's sections");
    assert!(page.text.contains("University") && page.text.contains("GitHub"), "{}", page.text);

    assert_eq!(by_openid(&hub, &openid).await.1.status, StatusCode::FOUND);
    let (_, refused) = by_github(&hub, &github).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("another way of signing in"), "{}", refused.text);
}

#[tokio::test]
async fn oidc_1_signing_out_goes_by_the_provider_and_is_not_undone() {
    let openid = Openid::start().await;
    let text = config(
        "auto_login = true\nallowed_users = [\"ada\"]",
        &openid_section(&openid, "sign_out = true"),
    );
    let hub = TestHub::signing_in(&text, Store::in_memory().await.unwrap()).await;
    let (mut browser, _) = by_openid(&hub, &openid).await;
    let out = browser.get("/hub/logout").await;
    assert_eq!(out.status, StatusCode::FOUND);
    let there = address(out.location());
    assert_eq!(there.path(), "/end");
    let then = there.query_pairs().find(|(name, _)| name == "post_logout_redirect_uri").unwrap().1;
    assert_eq!(then, "http://hub.test/hub/login");

    let back = browser.get("/hub/login").await;
    assert_eq!(back.status, StatusCode::OK, "the sign-out is not undone");
    let again = browser.get("/hub/login").await;
    assert_eq!(again.location(), "/hub/oauth_login?provider=oidc", "the next visit is a new one");

    // Nobody who was not signed in is sent there.
    assert_eq!(hub.browser().get("/hub/logout").await.status, StatusCode::OK);
    // A provider that is down keeps nobody signed in here.
    let (mut browser, _) = by_openid(&hub, &openid).await;
    drop(openid);
    assert!(matches!(browser.get("/hub/logout").await.status, StatusCode::OK | StatusCode::FOUND));
    assert!(browser.get("/hub/home").await.location().starts_with("/hub/login"));
}

#[tokio::test]
async fn oau_7_who_signs_out_goes_where_the_operator_says_and_is_not_signed_in_again() {
    let openid = Openid::start().await;
    for (key, sign_out, expected) in [
        ("https://www.test/bye", "", "https://www.test/bye"),
        // To a page that would lead to the sign-in.
        ("/hub/home", "", "/hub/home"),
        ("/bye", "sign_out = true", "http://hub.test/bye"),
    ] {
        let sections = openid_section(&openid, sign_out)
            + &format!("[pages]\nlogout_redirect_url = \"{key}\"\n");
        let hub = hub("auto_login = true\nallowed_users = [\"ada\"]", &sections).await;
        let (mut browser, _) = by_openid(&hub, &openid).await;
        let out = browser.get("/hub/logout").await;
        assert_eq!(out.status, StatusCode::FOUND, "{key}");
        let to = match sign_out {
            "" => out.location().to_owned(),
            _ => {
                let there = address(out.location());
                let then = there.query_pairs().find(|(name, _)| name == "post_logout_redirect_uri");
                then.unwrap().1.into_owned()
            }
        };
        assert_eq!(to, expected);
        assert!(browser.get("/hub/home").await.location().starts_with("/hub/login"), "{key}");
        let page = browser.get("/hub/login?next=%2Fhub%2Fhome").await;
        assert_eq!(page.status, StatusCode::OK, "{key}: the sign-out is not undone");
    }
}
