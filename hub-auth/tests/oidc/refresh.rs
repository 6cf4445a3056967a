//! Asking again after the sign-in: what is new, what is gone, and new tokens.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use http::StatusCode;
use hub_auth::{
    AuthError, AuthState, Authenticator, Claims, Clock, OidcAuthenticator, OidcConfig,
    RefreshError, oidc::UserinfoUse,
};
use serde_json::json;

use crate::{
    chain, plain_oauth, sign_in,
    support::openid::{NOW, Openid, clock},
};

async fn refreshed(openid: &Openid, state: &AuthState) -> Result<Claims, AuthError> {
    openid.authenticator().refresh(state).await.map_err(|RefreshError { error, .. }| error)
}

#[tokio::test]
async fn a_refresh_asks_the_user_info_and_then_for_new_tokens() {
    let openid = Openid::start().await;
    openid.change(|inner| inner.refresh_token = Some("refresh-1".to_owned()));
    let first = sign_in(&openid, &openid.authenticator()).await.unwrap().auth_state.unwrap();
    assert_eq!(first.token_lifetime_seconds(), Some(300));

    openid.change(|inner| inner.userinfo["name"] = json!("Ada of L."));
    let claims = refreshed(&openid, &first).await.unwrap();
    assert_eq!((claims.login.as_str(), claims.subject.as_str()), ("Ada", "4711"));
    assert_eq!(claims.display_name.as_deref(), Some("Ada of L."));
    assert_eq!(claims.auth_state.unwrap().id_token(), first.id_token());

    openid.change(|inner| inner.access_token = "revoked".to_owned());
    let claims = refreshed(&openid, &first).await.unwrap();
    let second = claims.auth_state.unwrap();
    assert_eq!(second.access_token(), Some("access-2"));
    assert_eq!(second.refresh_token(), Some("refresh-1"));

    // New tokens of somebody else are nobody's.
    openid.change(|inner| {
        inner.access_token = "revoked".to_owned();
        inner.claims = json!({ "sub": "1" });
    });
    assert!(refreshed(&openid, &second).await.is_err());

    openid.change(|inner| {
        inner.access_token = "revoked".to_owned();
        inner.refresh_token = None;
    });
    let error = refreshed(&openid, &second).await.unwrap_err();
    assert!(matches!(error, AuthError::SignInAgain { .. }), "{error}");
}

/// One that takes groups from these claims.
fn with_groups(openid: &Openid) -> OidcAuthenticator {
    let mut config = openid.config();
    config.claims.groups = vec!["groups".to_owned()];
    OidcAuthenticator::new(config, clock()).unwrap()
}

#[tokio::test]
async fn oidc_2_groups_that_the_user_info_tells_no_longer_are_gone_at_the_next_refresh() {
    for refresh_token in [None, Some("refresh-1".to_owned())] {
        let openid = Openid::start().await;
        openid.change(|inner| inner.refresh_token = refresh_token);
        let oidc = with_groups(&openid);
        let first = sign_in(&openid, &oidc).await.unwrap();
        assert!(first.membership.groups().into_iter().eq(["staff"]));
        openid.change(|inner| inner.userinfo = json!({ "sub": "4711", "name": "Ada L." }));
        let then = oidc.refresh(first.auth_state.as_ref().unwrap()).await.unwrap();
        assert_eq!(then.login, "Ada", "what the ID token told stays");
        assert_eq!(then.membership.groups().len(), 0, "{:?}", then.attributes);
        let kept = oidc.remembered(then.auth_state.as_ref().unwrap()).unwrap();
        assert_eq!(kept.membership.groups().len(), 0);
    }
}

#[tokio::test]
async fn oidc_2_groups_of_the_id_token_are_asked_again_by_a_new_one() {
    let openid = Openid::start().await;
    openid.change(|inner| {
        inner.refresh_token = Some("refresh-1".to_owned());
        inner.claims = json!({ "groups": ["staff"] });
        inner.userinfo = json!({ "sub": "4711" });
    });
    let oidc = with_groups(&openid);
    let first = sign_in(&openid, &oidc).await.unwrap();
    assert!(first.membership.groups().into_iter().eq(["staff"]));
    // As Keycloak and Entra say that somebody is in no group any more.
    openid.change(|inner| inner.claims = json!({}));
    let then = oidc.refresh(first.auth_state.as_ref().unwrap()).await.unwrap();
    assert_eq!(then.membership.groups().len(), 0, "{:?}", then.attributes);
    assert_ne!(then.auth_state.unwrap().id_token(), first.auth_state.unwrap().id_token());
}

#[tokio::test]
async fn oidc_2_a_claim_of_the_rules_is_asked_again_like_a_group() {
    let openid = Openid::start().await;
    openid.change(|inner| {
        inner.refresh_token = Some("refresh-1".to_owned());
        inner.claims = json!({ "role": "chief" });
    });
    let deciding_claims = vec!["role".to_owned()];
    let config = OidcConfig { deciding_claims, ..openid.config() };
    let oidc = OidcAuthenticator::new(config, clock()).unwrap();
    let first = sign_in(&openid, &oidc).await.unwrap();
    openid.change(|inner| inner.claims = json!({}));
    let then = oidc.refresh(first.auth_state.as_ref().unwrap()).await.unwrap();
    assert_eq!(then.attributes.get("role"), None);
}

#[tokio::test]
async fn oidc_how_somebody_signed_in_holds_without_being_told_again() {
    let openid = Openid::start().await;
    openid.change(|inner| {
        inner.refresh_token = Some("refresh-1".to_owned());
        inner.claims = json!({ "acr": "mfa" });
    });
    let config = OidcConfig { deciding_claims: vec!["acr".to_owned()], ..openid.config() };
    let oidc = OidcAuthenticator::new(config, clock()).unwrap();
    let mut state = sign_in(&openid, &oidc).await.unwrap().auth_state.unwrap();
    openid.change(|inner| inner.claims = json!({}));
    // By the user info, by a new ID token, and by the user info after that.
    for (accepted, expected) in
        [("access-1", "access-1"), ("revoked", "access-2"), ("access-2", "access-2")]
    {
        openid.change(|inner| inner.access_token = accepted.to_owned());
        let then = oidc.refresh(&state).await.unwrap();
        assert_eq!(then.attributes.get("acr"), Some(&json!("mfa")), "{accepted}");
        state = then.auth_state.unwrap();
        assert_eq!(state.access_token(), Some(expected));
    }
    // A new word counts.
    openid.change(|inner| {
        inner.access_token = "revoked".to_owned();
        inner.claims = json!({ "acr": "password" });
    });
    assert_eq!(oidc.refresh(&state).await.unwrap().attributes["acr"], "password");
}

#[tokio::test]
async fn oidc_new_tokens_are_not_lost_if_the_question_after_them_fails() {
    let openid = Openid::start().await;
    openid.change(|inner| {
        inner.refresh_token = Some("refresh-1".to_owned());
        inner.claims = json!({ "groups": ["staff"] });
    });
    let oidc = with_groups(&openid);
    let first = sign_in(&openid, &oidc).await.unwrap().auth_state.unwrap();
    openid.change(|inner| {
        inner.next_refresh_token = Some("refresh-2".to_owned());
        // So that the user info is needed.
        inner.claims = json!({});
        inner.fails.insert("/userinfo", StatusCode::BAD_GATEWAY);
    });
    let RefreshError { renewed, error } = oidc.refresh(&first).await.unwrap_err();
    assert!(matches!(error, AuthError::Unreachable { .. }), "{error}");
    let renewed = renewed.unwrap();
    assert_eq!(renewed.access_token(), Some("access-2"));
    assert_eq!(renewed.refresh_token(), Some("refresh-2"));
    assert_eq!(renewed.id_token(), first.id_token(), "what was not used to the end is not kept");

    openid.change(|inner| inner.fails.clear());
    let error = refreshed(&openid, &first).await.unwrap_err();
    assert!(matches!(error, AuthError::SignInAgain { .. }), "the old one is used up: {error}");
    let then = oidc.refresh(&renewed).await.unwrap();
    assert_eq!(then.auth_state.unwrap().refresh_token(), Some("refresh-2"));

    // Those of somebody else are not kept.
    openid.change(|inner| inner.claims = json!({ "sub": "1" }));
    let RefreshError { renewed, error } = oidc.refresh(&renewed).await.unwrap_err();
    assert!(chain(&error).ends_with("it is about somebody else") && renewed.is_none(), "{error}");
}

#[tokio::test]
async fn accounts_may_be_bound_to_another_claim_than_sub() {
    for refresh_token in [None, Some("refresh-1".to_owned())] {
        let openid = Openid::start().await;
        openid.change(|inner| {
            inner.refresh_token = refresh_token;
            inner.claims = json!({ "oid": "object-7" });
            inner.userinfo["preferred_username"] = json!("eve");
        });
        let mut config = openid.config();
        config.claims.subject = "oid".to_owned();
        config.claims.groups = vec!["groups".to_owned()];
        let oidc = OidcAuthenticator::new(config, clock()).unwrap();
        let first = sign_in(&openid, &oidc).await.unwrap();
        let then = oidc.refresh(first.auth_state.as_ref().unwrap()).await.unwrap();
        for claims in [first, then] {
            assert_eq!((claims.subject.as_str(), claims.login.as_str()), ("object-7", "Ada"));
            assert!(claims.membership.groups().into_iter().eq(["staff"]));
        }
    }
}

#[tokio::test]
async fn where_the_user_info_is_never_asked_it_is_not_asked_later_either() {
    let openid = Openid::start().await;
    let config = OidcConfig { userinfo: UserinfoUse::Never, ..openid.config() };
    let oidc = OidcAuthenticator::new(config.clone(), clock()).unwrap();
    let first = sign_in(&openid, &oidc).await.unwrap().auth_state.unwrap();
    let then = oidc.refresh(&first).await.unwrap();
    assert_eq!((then.login.as_str(), then.display_name), ("Ada", None));
    // The ID token is good for five minutes, and there is nothing to get a new one with.
    let late: Clock = Arc::new(|| UNIX_EPOCH + Duration::from_secs(NOW + 361));
    let late = OidcAuthenticator::new(config, late).unwrap();
    let RefreshError { error, .. } = late.refresh(&first).await.unwrap_err();
    assert!(matches!(error, AuthError::SignInAgain { .. }), "{error}");

    openid.change(|inner| inner.refresh_token = Some("refresh-1".to_owned()));
    let first = sign_in(&openid, &oidc).await.unwrap().auth_state.unwrap();
    openid.change(|inner| inner.claims = json!({ "name": "Ada the Second" }));
    let then = oidc.refresh(&first).await.unwrap();
    assert_eq!(then.display_name.as_deref(), Some("Ada the Second"));
    assert!(!openid.seen().contains(&"/userinfo".to_owned()), "{:?}", openid.seen());
}

#[tokio::test]
async fn keys_that_cannot_be_read_end_no_sign_in() {
    let openid = Openid::start().await;
    let config = OidcConfig { userinfo: UserinfoUse::Never, ..openid.config() };
    let new = || OidcAuthenticator::new(config.clone(), clock()).unwrap();
    let state = sign_in(&openid, &new()).await.unwrap().auth_state.unwrap();
    openid.change(|inner| {
        inner.says.insert("/keys", Some("<html>Under maintenance</html>".to_owned()));
    });
    let after_a_restart = new();
    let RefreshError { error, .. } = after_a_restart.refresh(&state).await.unwrap_err();
    assert!(matches!(error, AuthError::BadAnswer { .. }), "{error}");
    openid.change(|inner| inner.says.clear());
    assert_eq!(after_a_restart.refresh(&state).await.unwrap().login, "Ada");
}

#[tokio::test]
async fn the_operators_parameters_go_along_with_every_request_for_tokens() {
    let openid = Openid::start().await;
    openid.change(|inner| inner.refresh_token = Some("refresh-1".to_owned()));
    let token_params = vec![("audience".to_owned(), "lab & more".to_owned())];
    let config = OidcConfig { token_params, ..openid.config() };
    let oidc = OidcAuthenticator::new(config, clock()).unwrap();
    let first = sign_in(&openid, &oidc).await.unwrap().auth_state.unwrap();
    for kind in ["authorization_code", "refresh_token"] {
        openid.change(|inner| {
            assert_eq!(inner.token_form["grant_type"], kind);
            assert_eq!(inner.token_form["audience"], "lab & more", "{kind}");
            inner.access_token = "revoked".to_owned();
        });
        oidc.refresh(&first).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let openid = Openid::start().await;
    openid.change(|inner| inner.refresh_token = Some("refresh-1".to_owned()));
    let first = sign_in(&openid, &openid.authenticator()).await.unwrap().auth_state.unwrap();
    assert_eq!(first.expires_at(), Some(NOW + 300));
    // Asked in between, it still expires when it does.
    let asked = refreshed(&openid, &first).await.unwrap().auth_state.unwrap();
    assert_eq!((asked.expires_at(), asked.access_token()), (Some(NOW + 300), Some("access-1")));
    let soon: Clock = Arc::new(|| UNIX_EPOCH + Duration::from_secs(NOW + 241));
    let late = OidcAuthenticator::new(openid.config(), soon).unwrap();
    let renewed = late.refresh(&asked).await.unwrap().auth_state.unwrap();
    assert_eq!(renewed.access_token(), Some("access-2"));
    assert_eq!(renewed.expires_at(), Some(NOW + 541));
}

#[tokio::test]
async fn a_plain_oauth_provider_is_asked_again_by_its_user_info_alone() {
    let openid = Openid::start().await;
    let mut config = plain_oauth(&openid);
    config.claims.groups = vec!["groups".to_owned()];
    let told = |groups: &[&str]| json!({ "id": 12, "data": { "login": "ada" }, "groups": groups });
    openid.change(|inner| {
        inner.refresh_token = Some("refresh-1".to_owned());
        inner.userinfo = told(&["staff"]);
        // In an ID token that comes unasked and is not checked.
        inner.claims = json!({ "groups": ["chiefs"], "sub": "1" });
    });
    let oidc = OidcAuthenticator::new(config, clock()).unwrap();
    let first = sign_in(&openid, &oidc).await.unwrap();
    assert!(first.membership.groups().into_iter().eq(["staff"]));
    let asked = oidc.refresh(first.auth_state.as_ref().unwrap()).await.unwrap();
    assert!(asked.membership.groups().into_iter().eq(["staff"]), "{:?}", asked.attributes);

    openid.change(|inner| {
        inner.access_token = "revoked".to_owned();
        inner.userinfo = told(&[]);
    });
    let renewed = oidc.refresh(asked.auth_state.as_ref().unwrap()).await.unwrap();
    assert_eq!((renewed.subject.as_str(), renewed.login.as_str()), ("12", "ada"));
    assert_eq!(renewed.membership.groups().len(), 0, "{:?}", renewed.attributes);
    assert_eq!(renewed.auth_state.unwrap().access_token(), Some("access-2"));
}

#[tokio::test]
async fn an_outage_is_no_reason_to_sign_in_again() {
    let openid = Openid::start().await;
    let state = sign_in(&openid, &openid.authenticator()).await.unwrap().auth_state.unwrap();
    openid.change(|inner| {
        inner.fails.insert("/userinfo", StatusCode::BAD_GATEWAY);
    });
    let error = refreshed(&openid, &state).await.unwrap_err();
    assert!(matches!(error, AuthError::Unreachable { .. }), "{error}");
}
