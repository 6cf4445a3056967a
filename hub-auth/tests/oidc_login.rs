//! Sign-in with an OpenID provider, against a stand-in that signs real tokens.

#![expect(clippy::unwrap_used, reason = "a stand-in that breaks ends its test")]

mod oidc {
    mod refresh;
}
mod support {
    pub(crate) mod openid;
}

use std::{error::Error, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use hub_auth::{
    Answer, AuthError, Authenticator, Callback, Claims, LoginStart, Offer, OidcAuthenticator,
    OidcConfig, Standing,
    oidc::{Endpoints, ProviderAddress, UserinfoUse},
};
use serde_json::{Value, json};
use support::openid::{CLIENT_ID, NOW, Openid, SigningKey, clock};
use url::Url;

/// The whole dance: begin, agree at the provider, come back.
async fn sign_in(openid: &Openid, oidc: &OidcAuthenticator) -> Result<Claims, AuthError> {
    let LoginStart { redirect, pending } = oidc.begin().await?.unwrap();
    let callback = openid.approve(&redirect);
    oidc.finish(Answer::Callback { pending, callback }).await
}

/// Why a token with these claims is refused.
async fn fault(change: impl FnOnce(&mut support::openid::Inner)) -> String {
    let openid = Openid::start().await;
    openid.change(change);
    let error = sign_in(&openid, &openid.authenticator()).await.unwrap_err();
    assert!(matches!(error, AuthError::BadAnswer { .. }), "{}", chain(&error));
    assert_eq!(
        error.to_string(),
        "Keycloak gave an unusable answer to the request for an ID token"
    );
    error.source().unwrap().to_string()
}

async fn fault_of_claims(claims: Value) -> String {
    fault(|inner| inner.claims = claims).await
}

/// The message with those of its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn value(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn oidc_1_the_whole_dance_tells_who_somebody_is() {
    let openid = Openid::start().await;
    let oidc = openid.authenticator();
    assert_eq!(oidc.offer(), Offer::Redirect { service: "Keycloak".to_owned() });
    let claims = sign_in(&openid, &oidc).await.unwrap();
    assert_eq!(claims.stable_id().to_string(), "oidc:4711");
    assert_eq!(claims.login, "Ada");
    assert_eq!(claims.email.as_deref(), Some("ada@lab.test"));
    assert_eq!(claims.membership.of("staff"), &Standing::NotAsked);
    // All that decides was in the ID token, so the user info was not asked for.
    let paths = ["/.well-known/openid-configuration", "/token", "/keys"];
    assert_eq!(openid.seen(), paths);

    // What is known is not asked for again.
    sign_in(&openid, &oidc).await.unwrap();
    assert_eq!(openid.seen()[3..], ["/token"]);
}

#[tokio::test]
async fn the_browser_is_sent_away_with_state_nonce_and_challenge() {
    let openid = Openid::start().await;
    let mut config = openid.config();
    config.extra_authorize_params = vec![("prompt".to_owned(), "login".to_owned())];
    let oidc = OidcAuthenticator::new(config, clock()).unwrap();
    let LoginStart { redirect, pending } = oidc.begin().await.unwrap().unwrap();
    assert_eq!(value(&redirect, "scope").as_deref(), Some("openid profile email"));
    assert_eq!(value(&redirect, "state"), Some(pending.state()));
    assert_eq!(value(&redirect, "nonce").map(|text| text.len()), Some(22));
    assert_eq!(value(&redirect, "code_challenge").map(|text| text.len()), Some(43));
    assert_eq!(value(&redirect, "prompt").as_deref(), Some("login"));
    assert_eq!(value(&redirect, "client_secret"), None);
}

#[tokio::test]
async fn oidc_1_a_token_of_another_issuer_is_refused() {
    let text = fault_of_claims(json!({ "iss": "https://evil.test" })).await;
    assert_eq!(
        text,
        "the token is from \"https://evil.test\", not from the provider that was asked"
    );
    assert_eq!(fault_of_claims(json!({ "iss": null })).await, "the token lacks iss");
}

#[tokio::test]
async fn oidc_1_a_token_for_another_application_is_refused() {
    let text = fault_of_claims(json!({ "aud": "other" })).await;
    assert_eq!(text, "the token is meant for another application (other)");
    assert_eq!(fault_of_claims(json!({ "aud": null })).await, "the token lacks aud");
    assert_eq!(
        fault_of_claims(json!({ "aud": [CLIENT_ID, "other"] })).await,
        "the token lacks azp"
    );
    let others = json!({ "aud": [CLIENT_ID, "other"], "azp": "other" });
    assert_eq!(fault_of_claims(others).await, "the token is meant for another application (other)");
    let openid = Openid::start().await;
    openid.change(|inner| {
        inner.claims = json!({ "aud": [CLIENT_ID, "other"], "azp": CLIENT_ID });
    });
    assert!(sign_in(&openid, &openid.authenticator()).await.is_ok());
}

#[tokio::test]
async fn oidc_1_a_token_of_another_sign_in_is_refused() {
    let expected = "the token is of another sign-in (its nonce is wrong)";
    assert_eq!(fault_of_claims(json!({ "nonce": "stolen" })).await, expected);
    assert_eq!(fault_of_claims(json!({ "nonce": null })).await, expected);
    assert_eq!(fault_of_claims(json!({ "nonce": "" })).await, expected);
}

#[tokio::test]
async fn oidc_1_a_token_has_its_time_with_some_skew() {
    assert_eq!(
        fault_of_claims(json!({ "exp": NOW - 60 })).await,
        "the token expired 60 s ago; are the clocks right?"
    );
    assert_eq!(fault_of_claims(json!({ "exp": null })).await, "the token lacks exp");
    assert_eq!(fault_of_claims(json!({ "exp": "soon" })).await, "the token lacks exp");
    for name in ["iat", "nbf"] {
        assert_eq!(
            fault_of_claims(json!({ name: NOW + 61 })).await,
            "the token is not valid for another 61 s; are the clocks right?"
        );
    }
    let openid = Openid::start().await;
    let skewed = json!({ "exp": NOW - 59, "iat": NOW + 60, "nbf": NOW + 60 });
    openid.change(|inner| inner.claims = skewed);
    assert!(sign_in(&openid, &openid.authenticator()).await.is_ok());
}

#[tokio::test]
async fn oidc_1_an_unsigned_token_is_refused() {
    let unsigned = |token: String| {
        let claims = token.split('.').nth(1).unwrap().to_owned();
        format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#))
    };
    let text = fault(|inner| inner.tamper = Some(unsigned)).await;
    assert!(text.starts_with("the token cannot be read"), "{text}");
}

#[tokio::test]
async fn oidc_1_a_token_signed_with_the_client_secret_is_refused() {
    let symmetric = |token: String| {
        let claims = token.split('.').nth(1).unwrap();
        let claims: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        let secret = support::openid::CLIENT_SECRET.as_bytes();
        let key = jsonwebtoken::EncodingKey::from_secret(secret).unwrap();
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
    };
    let text = fault(|inner| inner.tamper = Some(symmetric)).await;
    assert_eq!(text, "the token is signed with HS256, which is not accepted");
}

#[tokio::test]
async fn oidc_1_a_changed_token_is_refused() {
    let promoted = |token: String| {
        let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
        let claims = URL_SAFE_NO_PAD.decode(&parts[1]).unwrap();
        let claims = String::from_utf8(claims).unwrap().replace("4711", "0001");
        parts[1] = URL_SAFE_NO_PAD.encode(claims);
        parts.join(".")
    };
    assert_eq!(fault(|inner| inner.tamper = Some(promoted)).await, "the signature is wrong");
    let cut = |token: String| token[..token.len() - 10].to_owned();
    assert_eq!(fault(|inner| inner.tamper = Some(cut)).await, "the signature is wrong");
    let text = fault(|inner| inner.tamper = Some(|_| "nonsense".to_owned())).await;
    assert!(text.starts_with("the token cannot be read"), "{text}");
}

#[tokio::test]
async fn oidc_1_a_rotated_key_is_found_and_an_unknown_one_is_not() {
    let openid = Openid::start().await;
    let oidc = openid.authenticator();
    sign_in(&openid, &oidc).await.unwrap();
    openid.change(|inner| {
        inner.key = SigningKey::ec("second");
        inner.keys = vec![json!({ "kty": "quantum", "kid": "x" }), inner.key.published()];
    });
    sign_in(&openid, &oidc).await.unwrap();
    assert_eq!(openid.seen().iter().filter(|path| *path == "/keys").count(), 2);

    // Not published, so not believed; and the keys are not read again at once.
    openid.change(|inner| inner.key = SigningKey::ec("third"));
    let error = sign_in(&openid, &oidc).await.unwrap_err();
    let text = error.source().unwrap().to_string();
    assert_eq!(text, "the token is signed with a key that the provider does not publish");
    assert_eq!(openid.seen().iter().filter(|path| *path == "/keys").count(), 2);
}

#[tokio::test]
async fn oidc_1_a_token_may_leave_out_which_key_signed_it() {
    let openid = Openid::start().await;
    let other = SigningKey::rsa("other");
    openid.change(|inner| {
        inner.keys.insert(0, other.published());
        inner.key = inner.key.clone().without_id();
    });
    let oidc = openid.authenticator();
    sign_in(&openid, &oidc).await.unwrap();
    openid.change(|inner| inner.key = SigningKey::rsa("unpublished").without_id());
    let error = sign_in(&openid, &oidc).await.unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "the signature is wrong");
}

#[tokio::test]
async fn oidc_1_a_key_for_encryption_signs_nothing() {
    let text = fault(|inner| inner.keys[0]["use"] = json!("enc")).await;
    assert_eq!(text, "the token is signed with a key that the provider does not publish");
}

#[tokio::test]
async fn oidc_2_the_user_info_is_asked_for_what_the_token_lacks() {
    let openid = Openid::start().await;
    let mut config = openid.config();
    config.claims.groups = vec!["groups".to_owned()];
    let oidc = OidcAuthenticator::new(config, clock()).unwrap();
    openid.change(|inner| {
        inner.userinfo = json!({
            "sub": "4711", "name": "Ada L.", "groups": "staff,owls", "preferred_username": "eve",
        });
    });
    let claims = sign_in(&openid, &oidc).await.unwrap();
    assert_eq!(claims.login, "Ada", "what is signed is not overwritten");
    assert_eq!(claims.display_name.as_deref(), Some("Ada L."));
    assert!(claims.membership.groups().into_iter().eq(["owls", "staff"]));

    for other in [json!({ "sub": "1" }), json!({ "groups": ["staff"] })] {
        openid.change(|inner| inner.userinfo = other);
        let error = sign_in(&openid, &oidc).await.unwrap_err();
        assert!(chain(&error).ends_with("the user info: it is about somebody else"), "{error}");
    }
}

#[tokio::test]
async fn a_provider_that_fails_is_told_by_name() {
    let rows = [
        ("/.well-known/openid-configuration", StatusCode::NOT_FOUND, "its OpenID configuration"),
        ("/.well-known/openid-configuration", StatusCode::BAD_GATEWAY, "could not be reached"),
        ("/keys", StatusCode::NOT_FOUND, "its keys"),
        ("/token", StatusCode::TOO_MANY_REQUESTS, "takes no more requests"),
        ("/token", StatusCode::INTERNAL_SERVER_ERROR, "could not be reached"),
    ];
    for (path, status, part) in rows {
        let openid = Openid::start().await;
        openid.change(|inner| {
            inner.fails.insert(path, status);
        });
        let error = sign_in(&openid, &openid.authenticator()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("Keycloak ") && text.contains(part), "{path}: {}", chain(&error));
    }
}

#[tokio::test]
async fn hostile_answers_each_give_their_message() {
    let endless = || Some(" ".repeat(10 << 20));
    let unusable = "Keycloak gave an unusable answer to the request for ";
    let rows = [
        ("/.well-known/openid-configuration", "its OpenID configuration"),
        ("/keys", "its keys"),
        ("/token", "an access token"),
        ("/userinfo", "the user info"),
    ];
    for (path, what) in rows {
        for (answer, begins, cause) in [
            (None, "Keycloak could not be reached: ".to_owned(), "no complete answer within 0.3 s"),
            (endless(), format!("{unusable}{what}: "), "the answer is larger than 1048576 bytes"),
            (Some("{\"a\":".to_owned()), format!("{unusable}{what}: "), "EOF while parsing"),
            (Some("<html>".to_owned()), format!("{unusable}{what}: "), "expected value"),
        ] {
            let openid = Openid::start().await;
            openid.change(|inner| {
                inner.says.insert(path, answer);
            });
            let mut config = openid.config();
            config.timeout = Duration::from_millis(300);
            // The user info is asked for them.
            config.claims.groups = vec!["groups".to_owned()];
            let oidc = OidcAuthenticator::new(config, clock()).unwrap();
            let error = sign_in(&openid, &oidc).await.unwrap_err();
            let told = chain(&error);
            assert!(told.starts_with(&begins) && told.contains(cause), "{path}: {told}");
        }
    }
}

#[tokio::test]
async fn oidc_1_a_wrong_issuer_in_the_configuration_says_what_to_set() {
    let openid = Openid::start().await;
    let right = openid.issuer();
    let address = ProviderAddress::Issuer(format!("{right}/"));
    let oidc = OidcAuthenticator::new(OidcConfig { address, ..openid.config() }, clock()).unwrap();
    let error = oidc.begin().await.unwrap_err();
    assert!(matches!(error, AuthError::Misconfigured { .. }));
    assert!(error.to_string().contains(&format!("it calls itself {right:?}")), "{error}");
}

#[tokio::test]
async fn an_answer_of_another_provider_is_refused_rfc_9207() {
    let openid = Openid::start().await;
    let oidc = openid.authenticator();
    for iss in [Some("https://evil.test".to_owned()), None] {
        let LoginStart { redirect, pending } = oidc.begin().await.unwrap().unwrap();
        let callback = Callback { iss, ..openid.approve(&redirect) };
        let error = oidc.finish(Answer::Callback { pending, callback }).await.unwrap_err();
        assert!(matches!(error, AuthError::Stale { .. }), "{error}");
    }
    assert!(!openid.seen().contains(&"/token".to_owned()), "no code was shown");
}

#[tokio::test]
async fn a_code_is_good_for_one_use_in_its_own_browser() {
    let openid = Openid::start().await;
    let oidc = openid.authenticator();
    let LoginStart { redirect, pending } = oidc.begin().await.unwrap().unwrap();
    let again = openid.approve(&redirect);
    let Callback { code, state, iss, .. } = openid.approve(&redirect);
    let stranger = oidc.begin().await.unwrap().unwrap().pending;
    let callback = Callback { code: code.clone(), state, iss, ..Callback::default() };
    let answer = Answer::Callback { pending: stranger, callback };
    let error = oidc.finish(answer).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "this sign-in cannot be finished: it was begun in another window or browser"
    );
    let callback = Callback { code: Some("made-up".into()), ..again };
    let error = oidc.finish(Answer::Callback { pending, callback }).await.unwrap_err();
    assert!(matches!(error, AuthError::Stale { .. }), "{error}");
}

#[tokio::test]
async fn a_wrong_secret_calls_the_operator() {
    let openid = Openid::start().await;
    let config = OidcConfig { client_secret: Some("stale".into()), ..openid.config() };
    let oidc = OidcAuthenticator::new(config, clock()).unwrap();
    let error = sign_in(&openid, &oidc).await.unwrap_err();
    assert!(matches!(error, AuthError::Misconfigured { .. }), "{error}");
    assert!(!error.to_string().contains("stale"));
}

#[tokio::test]
async fn signing_out_at_the_provider_leads_back() {
    let openid = Openid::start().await;
    let oidc = openid.authenticator();
    let claims = sign_in(&openid, &oidc).await.unwrap();
    let state = claims.auth_state.unwrap();
    let kept = oidc.remembered(&state).unwrap();
    assert_eq!((kept.subject, kept.login), (claims.subject, claims.login));
    let then = "https://hub.test/hub/login".parse().unwrap();
    let url = oidc.sign_out_url(Some(&state), &then).await.unwrap().unwrap();
    assert_eq!(url.path(), "/end");
    assert_eq!(value(&url, "realm").as_deref(), Some("lab"));
    assert_eq!(value(&url, "id_token_hint").as_deref(), state.id_token());
    assert_eq!(value(&url, "post_logout_redirect_uri").as_deref(), Some(then.as_str()));
    assert_eq!(value(&url, "client_id").as_deref(), Some(CLIENT_ID));
}

/// One without an issuer: the user info alone tells who somebody is.
fn plain_oauth(openid: &Openid) -> OidcConfig {
    let url = |path: &str| format!("{}{path}", openid.issuer()).parse().unwrap();
    let mut config = openid.config();
    config.address = ProviderAddress::Endpoints(Box::new(Endpoints {
        authorize: url("/authorize"),
        token: url("/token"),
        userinfo: url("/userinfo"),
    }));
    config.scope = vec!["profile".to_owned()];
    config.claims.subject = "id".to_owned();
    config.claims.username = "data.login".to_owned();
    config.userinfo = UserinfoUse::Always;
    config
}

#[tokio::test]
async fn a_plain_oauth_provider_tells_all_by_its_user_info() {
    let openid = Openid::start().await;
    let config = plain_oauth(&openid);
    openid.change(|inner| {
        inner.userinfo = json!({ "id": 12, "data": { "login": "ada" } });
    });
    let oidc = OidcAuthenticator::new(config, clock()).unwrap();
    let claims = sign_in(&openid, &oidc).await.unwrap();
    assert_eq!((claims.subject.as_str(), claims.login.as_str()), ("12", "ada"));
    assert_eq!(openid.seen(), ["/token", "/userinfo"]);
    let then = "https://hub.test/".parse().unwrap();
    assert_eq!(oidc.sign_out_url(None, &then).await.unwrap(), None);
}

#[tokio::test]
async fn oidc_the_question_for_the_user_info_has_the_parameters_of_the_operator() {
    let openid = Openid::start().await;
    let mut config = openid.config();
    config.userinfo = UserinfoUse::Always;
    let oidc = OidcAuthenticator::new(config.clone(), clock()).unwrap();
    sign_in(&openid, &oidc).await.unwrap();
    openid.change(|inner| assert_eq!(inner.userinfo_query, None));

    config.userinfo_params = vec![("fields".to_owned(), "id,name & more".to_owned())];
    let oidc = OidcAuthenticator::new(config, clock()).unwrap();
    let claims = sign_in(&openid, &oidc).await.unwrap();
    let asked = Some("fields=id%2Cname+%26+more");
    openid.change(|inner| assert_eq!(inner.userinfo_query.take().as_deref(), asked));
    oidc.refresh(claims.auth_state.as_ref().unwrap()).await.unwrap();
    openid.change(|inner| assert_eq!(inner.userinfo_query.as_deref(), asked, "also later"));
}

#[tokio::test]
async fn g1_neither_secret_nor_token_appears_in_an_error() {
    let openid = Openid::start().await;
    let oidc = openid.authenticator();
    openid.change(|inner| inner.claims = json!({ "aud": "other" }));
    let error = sign_in(&openid, &oidc).await.unwrap_err();
    let printed = format!("{error:?} {} {oidc:?}", chain(&error));
    for secret in [support::openid::CLIENT_SECRET, "access-1", "eyJ"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
