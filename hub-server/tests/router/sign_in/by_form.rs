//! Passwords beside a provider whose word is asked for again.

use http::{Method, StatusCode};
use hub_auth::hash_password;
use jiff::SignedDuration;

use super::{by_openid, hub, openid_section, user};
use crate::{
    harness::{Browser, PASSWORD, TestHub, eventually},
    stand_ins::openid::Openid,
};

/// Where ada has a password and is known to the provider, too.
async fn both(openid: &Openid) -> TestHub {
    let hash = hash_password(&PASSWORD.to_owned().into()).unwrap();
    let key = "ab".repeat(32);
    let sections = format!(
        "[auth.password]\nallow_all = true\n[auth.password.accounts]\nada = \"{hash}\"\n{}",
        openid_section(openid, "")
    );
    let keeps =
        format!("allowed_users = [\"ada\"]\nenable_auth_state = true\ncrypt_key = \"{key}\"");
    let hub = hub(&keeps, &sections).await;
    hub.signed_in("ada").await;
    let ada = user(&hub, "ada").await.unwrap();
    hub.store.users().bind_identity(ada.id, "oidc", "4711", ada.created).await.unwrap();
    hub
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    let home = browser.get("/hub/home").await;
    let path = format!("/hub/api/user?_xsrf={}", browser.xsrf());
    let script = browser.get(&path).await;
    assert_eq!(script.status == StatusCode::OK, home.status == StatusCode::OK, "{}", script.text);
    home.status == StatusCode::OK
}

#[tokio::test]
async fn aut_a_password_is_nobody_elses_word_and_takes_nobody_elses_away() {
    let openid = Openid::start().await;
    let hub = both(&openid).await;
    let ada = user(&hub, "ada").await.unwrap();
    let (mut by_provider, answer) = by_openid(&hub, &openid).await;
    assert_eq!(answer.location(), "/hub/home");
    let kept = hub.store.auth_states().get(ada.id).await.unwrap();
    assert!(kept.is_some());

    let mut by_password = hub.signed_in("ada").await;
    assert!(is_signed_in(&mut by_password).await);
    assert_eq!(hub.store.auth_states().get(ada.id).await.unwrap(), kept);
    assert!(is_signed_in(&mut by_provider).await, "in the other browser");

    openid.change(|inner| _ = inner.fails.insert("/userinfo", StatusCode::UNAUTHORIZED));
    hub.clock.advance(SignedDuration::from_secs(301));
    assert!(!is_signed_in(&mut by_provider).await);
    assert!(is_signed_in(&mut by_password).await);
    assert_eq!(hub.store.auth_states().get(ada.id).await.unwrap(), None);
    assert!(is_signed_in(&mut by_password).await, "nor is it missed");
    assert!(is_signed_in(&mut hub.signed_in("ada").await).await);
}

#[tokio::test]
async fn aut_whoever_signed_in_by_password_starts_their_server_by_their_own_word() {
    let openid = Openid::start().await;
    for way in ["page", "api"] {
        let hub = both(&openid).await;
        openid.change(|inner| inner.fails.clear());
        let (_, answer) = by_openid(&hub, &openid).await;
        assert_eq!(answer.location(), "/hub/home");
        openid.change(|inner| _ = inner.fails.insert("/userinfo", StatusCode::UNAUTHORIZED));
        let mut browser = hub.signed_in("ada").await;
        hub.clock.advance(SignedDuration::from_secs(301));
        let started = match way {
            "page" => browser.get("/hub/spawn").await,
            _ => {
                browser.get("/hub/home").await;
                let path = format!("/hub/api/users/ada/server?_xsrf={}", browser.xsrf());
                browser.request(Method::POST, &path, &[], "").await
            }
        };
        assert!(!started.location().starts_with("/hub/login"), "{way}: {started:?}");
        assert_ne!(started.status, StatusCode::FORBIDDEN, "{way}: {started:?}");
        eventually("the server's start", async || !hub.spawner.requests().is_empty()).await;
    }
}
