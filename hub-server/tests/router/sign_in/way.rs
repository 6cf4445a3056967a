//! The way to a provider and back: addresses, the browser's memory of it, and where it ends.

use http::{Method, StatusCode, header};
use hub_store::Store;
use url::Url;

use super::{by_github, config, github_section, hub};
use crate::{
    harness::{Answer, Browser, TestHub, eventually},
    stand_ins::{
        address,
        github::{Fault, Github, USER_PATH},
        way_back,
    },
};

const ALLOWED: &str = "allowed_users = [\"octo-cat\"]";
const BEGIN: &str = "/hub/oauth_login?provider=github";

/// The address of GitHub that a sign-in begins with.
async fn begin(browser: &mut Browser) -> Url {
    address(browser.get(BEGIN).await.location())
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The names of the cookies of sign-ins under way.
fn under_way(browser: &Browser) -> Vec<&String> {
    browser.cookies.keys().filter(|name| name.starts_with("oauthenticator-state-")).collect()
}

#[tokio::test]
async fn oau_1_a_sign_in_begins_comes_back_and_ends_at_the_addresses_of_jupyterhub() {
    let github = Github::start().await;
    let hub = hub(ALLOWED, &github_section(&github, "")).await;
    let mut browser = hub.browser();
    // With one provider it need not be named, as in links of an older hub.
    let begun = browser.get("/hub/oauth_login").await;
    assert_eq!(begun.status, StatusCode::FOUND);
    let there = address(begun.location());
    assert_eq!(
        parameter(&there, "redirect_uri").as_deref(),
        Some("http://hub.test/hub/oauth_callback")
    );
    let back = browser.get(&way_back(&github.approve(&there))).await;
    assert_eq!(back.status, StatusCode::FOUND, "{}", back.text);
    assert_eq!(browser.get("/hub/home").await.status, StatusCode::OK);
    assert_eq!(browser.get("/hub/logout").await.status, StatusCode::OK);
    assert!(browser.get("/hub/home").await.location().starts_with("/hub/login"));
}

#[tokio::test]
async fn oau_2_what_a_browser_remembers_of_a_sign_in_is_sealed_and_for_the_hub_alone() {
    let github = Github::start().await;
    for (public, secure) in [("http://hub.test", false), ("https://hub.test", true)] {
        let text = config(ALLOWED, &github_section(&github, "")).replace("http://hub.test", public);
        let hub = TestHub::signing_in(&text, Store::in_memory().await.unwrap()).await;
        let begun = hub.browser().get(BEGIN).await;
        let there = address(begun.location());
        let state = parameter(&there, "state").unwrap();
        let line = begun.headers[header::SET_COOKIE].to_str().unwrap();
        let (name, rest) = line.split_once('=').unwrap();
        let (value, attributes) = rest.split_once("; ").unwrap();
        let id = name.strip_prefix("oauthenticator-state-").unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        let attributes: Vec<&str> = attributes.split("; ").collect();
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/hub/", "Max-Age=600"] {
            assert!(attributes.contains(&attribute), "{attribute} in {line}");
        }
        assert_eq!(attributes.contains(&"Secure"), secure, "{line}");
        // Neither the state nor anything like JSON can be read in it.
        assert!(!value.contains(&state) && !value.contains(id), "{value}");
        assert!(!value.contains("eyJ"), "{value}");
    }
}

#[tokio::test]
async fn oau_2_five_sign_ins_of_one_browser_do_not_overwrite_each_other() {
    let github = Github::start().await;
    let hub = hub(ALLOWED, &github_section(&github, "")).await;
    let mut browser = hub.browser();
    let mut begun = Vec::new();
    for _ in 0..5 {
        begun.push(begin(&mut browser).await);
    }
    assert_eq!(under_way(&browser).len(), 5);
    for there in begun.iter().rev() {
        let back = browser.get(&way_back(&github.approve(there))).await;
        assert_eq!(back.status, StatusCode::FOUND, "{}", back.text);
    }
    assert_eq!(under_way(&browser).len(), 0);

    // A browser that leaves one after the other does not send more and more.
    let mut browser = hub.browser();
    for _ in 0..12 {
        begin(&mut browser).await;
        assert!(under_way(&browser).len() <= 5);
    }
    let last = begin(&mut browser).await;
    let back = browser.get(&way_back(&github.approve(&last))).await;
    assert_eq!(back.status, StatusCode::FOUND, "{}", back.text);
}

#[tokio::test]
async fn oau_4_a_sign_in_ends_on_this_hub_and_copies_nothing_of_the_callback() {
    let github = Github::start().await;
    let hub = hub(ALLOWED, &github_section(&github, "")).await;
    for (next, expected) in [
        ("%2Fhub%2Ftoken%3Fa%3D1%23b", "/hub/token?a=1#b"),
        ("http%3A%2F%2Fhub.test%2Fhub%2Ftoken", "/hub/token"),
        ("%2Fhub%2F%5Cevil.test", "/hub/%5Cevil.test"),
        ("https%3A%2F%2Fevil.test%2Fx", "/hub/spawn"),
        ("%2F%2Fevil.test%2Fx", "/hub/spawn"),
        ("%2F%2F%2Fevil.test%2Fx", "/hub/spawn"),
        ("evil.test", "/hub/spawn"),
        ("", "/hub/spawn"),
    ] {
        let mut browser = hub.browser();
        let begun = browser.get(&format!("{BEGIN}&next={next}")).await;
        let callback = way_back(&github.approve(&address(begun.location())));
        let back = browser.get(&format!("{callback}&next=%2Fhub%2Fadmin&image=evil")).await;
        assert_eq!(back.status, StatusCode::FOUND, "{}", back.text);
        assert_eq!(back.location(), expected, "{next}");
    }
}

#[tokio::test]
async fn oau_5_without_a_target_a_sign_in_ends_where_the_operator_or_the_server_is() {
    for (pages, running, expected) in [
        ("", false, "/hub/spawn"),
        ("", true, "/user/octo-cat/"),
        ("redirect_to_server = false", false, "/hub/home"),
        ("redirect_to_server = false", true, "/hub/home"),
        ("default_url = \"/hub/token\"", true, "/hub/token"),
    ] {
        let github = Github::start().await;
        let providers = format!("{}[pages]\n{pages}\n", github_section(&github, ""));
        let hub = hub(ALLOWED, &providers).await;
        let chief = "chief-service-token";
        if running {
            by_github(&hub, &github).await;
            let started = hub.api(chief, Method::POST, "/users/octo-cat/server", None).await;
            assert!(started.status.is_success(), "{}", started.text);
            eventually("the server", async || {
                let user = hub.api(chief, Method::GET, "/users/octo-cat", None).await.json();
                user["server"].is_string() && user["pending"].is_null()
            })
            .await;
        }
        let mut browser = hub.browser();
        let callback = way_back(&github.approve(&begin(&mut browser).await));
        assert_eq!(browser.get(&callback).await.location(), expected, "{pages} {running}");
    }
}

/// What comes back, of a code and a state.
type Query = fn(&str, &str) -> String;

#[tokio::test]
async fn oau_6_each_way_in_which_a_sign_in_fails_is_a_page_of_its_own() {
    let github = Github::start().await;
    let hub = hub(ALLOWED, &github_section(&github, "")).await;
    // The query that comes back, whether the browser still has its cookie, and the page.
    let stale = "no sign-in under way that fits";
    let rows: [(&str, Query, bool, StatusCode, &str); 7] = [
        (
            "an error",
            |_, state| format!("error=access_denied&error_description=No+thanks&state={state}"),
            true,
            StatusCode::BAD_REQUEST,
            "No thanks",
        ),
        ("no code", |_, state| format!("state={state}"), true, StatusCode::BAD_REQUEST, "code"),
        (
            "no cookie",
            |code, state| format!("code={code}&state={state}"),
            false,
            StatusCode::BAD_REQUEST,
            stale,
        ),
        ("no state", |code, _| format!("code={code}"), true, StatusCode::BAD_REQUEST, "no state"),
        (
            "a state that is none",
            |code, _| format!("code={code}&state=e30"),
            true,
            StatusCode::BAD_REQUEST,
            "no state",
        ),
        (
            "the state of another",
            // {"state_id":"00000000000000000000000000000000"}
            |code, _| {
                let other = "eyJzdGF0ZV9pZCI6IjAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwIn0";
                format!("code={code}&state={other}")
            },
            true,
            StatusCode::BAD_REQUEST,
            stale,
        ),
        (
            "an error of a stranger",
            |_, _| "error=x&error_description=Call+0900".to_owned(),
            true,
            StatusCode::BAD_REQUEST,
            "no state",
        ),
    ];
    for (what, query, has_cookie, status, part) in rows {
        let mut browser = hub.browser();
        let there = begin(&mut browser).await;
        let code =
            parameter(&address(&format!("http://x{}", way_back(&github.approve(&there)))), "code");
        let state = parameter(&there, "state").unwrap();
        if !has_cookie {
            browser.cookies.clear();
        }
        let query = query(&code.unwrap(), &state);
        let answer = browser.get(&format!("/hub/oauth_callback?{query}")).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text);
        assert!(answer.text.contains(part), "{what}: {}", answer.text);
        assert!(answer.text.contains("href=\"/hub/login"), "{what}: no way to start again");
        assert!(!answer.text.contains("0900"), "{what}: {}", answer.text);
    }
    let page = hub.browser().get("/hub/oauth_callback?code=x&state=eyJzdGF0ZV9pZCI6IjAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwIn0").await;
    for cause in ["same address", "http instead of https", "ten minutes", "accept cookies"] {
        assert!(page.text.contains(cause), "{cause}: {}", page.text);
    }

    github.fails(USER_PATH, Fault::Answer(StatusCode::INTERNAL_SERVER_ERROR, "{}"));
    let (_, down): (_, Answer) = by_github(&hub, &github).await;
    assert_eq!(down.status, StatusCode::BAD_GATEWAY, "{}", down.text);
}

#[tokio::test]
async fn oau_7_signing_out_leaves_no_cookie_and_says_that_github_still_knows_them() {
    let github = Github::start().await;
    let hub = hub(ALLOWED, &github_section(&github, "")).await;
    let (mut browser, _) = by_github(&hub, &github).await;
    let before = browser.cookies.clone();
    let out = browser.get("/hub/logout").await;
    assert_eq!(out.status, StatusCode::OK);
    assert!(out.text.contains("GitHub"), "{}", out.text);
    for gone in ["jupyterhub-hub-login", "jupyterhub-session-id"] {
        assert!(before.contains_key(gone), "{before:?}");
        assert!(!browser.cookies.contains_key(gone), "{:?}", browser.cookies);
    }
    let mut copy = hub.browser();
    copy.cookies = before;
    assert!(copy.get("/hub/home").await.location().starts_with("/hub/login"));
}
