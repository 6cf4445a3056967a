//! What ends together ends for good: nothing begins with a credential that was looked at
//! before.

use async_trait::async_trait;
use futures_util::future::join_all;
use http::{Method, StatusCode};
use hub_auth::{Answer as Given, AuthError, Authenticator, Claims, LoginStart, Offer};
use hub_server::{Clock as _, SystemClock};
use hub_store::{LocalStatus, NewLocalAccount, PasswordChange, Store};
use serde_json::json;

use crate::{
    harness::{Answer, Browser, PASSWORD, TestHub},
    oauth::{AUTHORIZE, authorize, redeem, running},
};

/// What happens to an account while its password is looked at.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Nothing,
    PasswordChange,
    Closing,
    ClosingAndOpening,
    Deletion,
}

/// Finds every password right, after a while in which something happens.
#[derive(Debug)]
struct Slow {
    store: Store,
    meanwhile: Meanwhile,
}

#[async_trait]
impl Authenticator for Slow {
    fn provider(&self) -> &str {
        "local"
    }

    fn offer(&self) -> Offer {
        Offer::Form
    }

    async fn begin(&self) -> Result<Option<LoginStart>, AuthError> {
        Ok(None)
    }

    async fn finish(&self, _: Given) -> Result<Claims, AuthError> {
        let name = "ada".parse().unwrap();
        let accounts = self.store.local_accounts();
        let account = accounts.by_name(&name).await.unwrap();
        let id = account.map_or_else(|| "id-of-ada".to_owned(), |account| account.id);
        let now = SystemClock.now();
        match self.meanwhile {
            Meanwhile::Nothing => {}
            Meanwhile::PasswordChange => change_password(&self.store).await,
            Meanwhile::Closing | Meanwhile::ClosingAndOpening => {
                accounts.set_status(&id, LocalStatus::Closed, now).await.unwrap();
                if matches!(self.meanwhile, Meanwhile::ClosingAndOpening) {
                    accounts.set_status(&id, LocalStatus::Active, now).await.unwrap();
                }
            }
            Meanwhile::Deletion => {
                if let Some(user) = accounts.owner(&name).await.unwrap() {
                    self.store.users().delete(user.id).await.unwrap();
                }
            }
        }
        Ok(Claims::new("local", id, "ada"))
    }
}

async fn change_password(store: &Store) {
    let account = store.local_accounts().by_name(&"ada".parse().unwrap()).await.unwrap().unwrap();
    let change = PasswordChange {
        account_id: account.id,
        new: format!("{}+", account.hash),
        old: account.hash,
        ticket: None,
        keep_session: None,
    };
    store.local_accounts().set_password(&change, SystemClock.now()).await.unwrap();
}

async fn add_ada(store: &Store) {
    let account = NewLocalAccount {
        id: "id-of-ada".to_owned(),
        name: "ada".parse().unwrap(),
        hash: "hash".to_owned(),
        status: LocalStatus::Active,
        admin: false,
        groups: Vec::new(),
    };
    store.local_accounts().create(&account, None, SystemClock.now()).await.unwrap();
}

/// How many sessions and tokens ada has.
async fn held(store: &Store) -> (u64, usize) {
    let ada = store.users().by_name(&"ada".parse().unwrap()).await.unwrap().unwrap();
    let tokens = store.tokens().of_user(ada.id, SystemClock.now()).await.unwrap().len();
    (store.sessions().delete_of_user(ada.id).await.unwrap(), tokens)
}

#[tokio::test]
async fn password_change_ends_sessions_and_tokens_that_are_about_to_begin() {
    for meanwhile in [
        Meanwhile::Nothing,
        Meanwhile::PasswordChange,
        Meanwhile::Closing,
        Meanwhile::ClosingAndOpening,
        Meanwhile::Deletion,
    ] {
        let store = Store::in_memory().await.unwrap();
        let hub = TestHub::signing_in_by(Slow { store: store.clone(), meanwhile }, store.clone());
        let hub = hub.await;
        let begins = matches!(meanwhile, Meanwhile::Nothing);
        let expected = |begun| if begins { begun } else { StatusCode::FORBIDDEN };

        add_ada(&store).await;
        let mut browser = hub.browser();
        // By another name that leads to the same account.
        let answer = browser.sign_in("ADA", "/hub/login").await;
        assert_eq!(answer.status, expected(StatusCode::FOUND), "{meanwhile:?} {}", answer.text);
        let home = browser.get("/hub/home").await.status;
        assert_eq!(home == StatusCode::OK, begins, "{meanwhile:?}");
        assert_eq!(held(&store).await, (u64::from(begins), 0), "{meanwhile:?}");

        if matches!(meanwhile, Meanwhile::Deletion) {
            let ada = store.users().by_name(&"ada".parse().unwrap()).await.unwrap().unwrap();
            store.users().delete(ada.id).await.unwrap();
            add_ada(&store).await;
        }
        let body = json!({ "auth": { "username": "ada", "password": PASSWORD } });
        let headers = [("content-type", "application/json")];
        let path = "/hub/api/users/ada/tokens";
        let answer = hub.browser().request(Method::POST, path, &headers, &body.to_string()).await;
        assert_eq!(answer.status, expected(StatusCode::CREATED), "{meanwhile:?} {}", answer.text);
        assert_eq!(held(&store).await, (0, usize::from(begins)), "{meanwhile:?}");
    }
}

#[tokio::test]
async fn password_change_ends_tokens_that_a_token_is_making() {
    let store = Store::in_memory().await.unwrap();
    let slow = Slow { store: store.clone(), meanwhile: Meanwhile::Nothing };
    let hub = TestHub::signing_in_by(slow, store.clone()).await;
    add_ada(&store).await;
    for _ in 0..10 {
        let body = json!({ "auth": { "username": "ada", "password": PASSWORD } });
        let headers = [("content-type", "application/json")];
        let path = "/hub/api/users/ada/tokens";
        let made = hub.browser().request(Method::POST, path, &headers, &body.to_string()).await;
        let stolen = made.json()["token"].as_str().unwrap().to_owned();
        // The rights are looked up anew for each.
        let more = (0..8).map(|_| hub.api(&stolen, Method::POST, "/users/ada/tokens", None));
        let (answers, ()) = tokio::join!(join_all(more), change_password(&store));
        for answer in answers {
            let ok = [StatusCode::CREATED, StatusCode::FORBIDDEN].contains(&answer.status);
            assert!(ok, "{} {}", answer.status, answer.text);
        }
        assert_eq!(held(&store).await.1, 0);
    }
}

fn token_of(answer: &Answer) -> Option<String> {
    let token = answer.json()["access_token"].as_str().map(str::to_owned);
    assert_eq!(token.is_some(), answer.status == StatusCode::OK, "{}", answer.text);
    token
}

#[tokio::test]
async fn adv_logout_with_traffic_leaves_no_code_behind() {
    let (hub, secret) = running().await;
    let mut ada = hub.signed_in("ada").await;
    let code = authorize(&mut ada).await;
    ada.get("/hub/logout").await;
    let late = redeem(&hub, &code, &secret, "").await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST, "{}", late.text);
    assert_eq!(late.json(), json!({ "error": "invalid_grant" }));
}

#[tokio::test]
async fn adv_logout_with_traffic() {
    let (hub, secret) = running().await;
    for round in 0..5 {
        let mut ada = hub.signed_in("ada").await;
        let mut codes = Vec::new();
        for _ in 0..10 {
            codes.push(authorize(&mut ada).await);
        }
        let tabs = vec![ada.clone(); 10];
        let asked = join_all(tabs.into_iter().map(async |mut tab| tab.get(AUTHORIZE).await));
        let redeemed = join_all(codes.iter().map(|code| redeem(&hub, code, &secret, "")));
        let mut out = ada.clone();
        let (asked, signed_out, redeemed) = tokio::join!(asked, out.get("/hub/logout"), redeemed);
        assert_eq!(signed_out.status, StatusCode::FOUND);

        let mut tokens: Vec<String> = redeemed.iter().filter_map(token_of).collect();
        for answer in &asked {
            assert_eq!(answer.status, StatusCode::FOUND, "{}", answer.text);
            let (path, query) = answer.location().split_once('?').unwrap();
            if path == "/hub/login" {
                continue;
            }
            let mut query = url::form_urlencoded::parse(query.as_bytes());
            let code = query.find(|(key, _)| key == "code").unwrap().1;
            tokens.extend(token_of(&redeem(&hub, &code, &secret, "").await));
        }
        for token in tokens {
            let who = hub.api(&token, Method::GET, "/user", None).await;
            assert_eq!(who.status, StatusCode::FORBIDDEN, "round {round}");
        }
        assert_eq!(ada.get("/hub/home").await.status, StatusCode::FOUND);
    }
}

#[tokio::test]
async fn a_code_that_comes_again_ends_what_was_made_from_it() {
    let (hub, secret) = running().await;
    let mut ada = hub.signed_in("ada").await;
    let (code, other) = (authorize(&mut ada).await, authorize(&mut ada).await);
    let token = token_of(&redeem(&hub, &code, &secret, "").await).unwrap();
    let another = token_of(&redeem(&hub, &other, &secret, "").await).unwrap();
    let wrong = redeem(&hub, &code, "not-the-secret", "").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert_eq!(hub.api(&token, Method::GET, "/user", None).await.status, StatusCode::OK);

    let again = redeem(&hub, &code, &secret, "").await;
    assert_eq!(again.json(), json!({ "error": "invalid_grant" }));
    assert_eq!(hub.api(&token, Method::GET, "/user", None).await.status, StatusCode::FORBIDDEN);
    assert_eq!(hub.api(&another, Method::GET, "/user", None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn session_id_changes_at_login_and_open_notebooks_go_on() {
    let (hub, secret) = running().await;
    let mut ada = hub.signed_in("ada").await;
    let token = token_of(&redeem(&hub, &authorize(&mut ada).await, &secret, "").await).unwrap();
    // The other tab is on its way when the same person signs in once more.
    let code = authorize(&mut ada).await;
    let (before, mut copied) = (ada.cookies["jupyterhub-session-id"].clone(), ada.clone());
    sign_in_again(&mut ada, "ada").await;

    let now = ada.cookies["jupyterhub-session-id"].clone();
    assert_ne!(before, now);
    assert_eq!(copied.get("/hub/home").await.status, StatusCode::FOUND, "the old cookie is dead");
    let other = token_of(&redeem(&hub, &code, &secret, "").await).unwrap();
    for token in [&token, &other] {
        let who = hub.api(token, Method::GET, "/user", None).await;
        assert_eq!((who.status, &who.json()["session_id"]), (StatusCode::OK, &json!(now)));
    }
    ada.get("/hub/logout").await;
    for token in [&token, &other] {
        let who = hub.api(token, Method::GET, "/user", None).await;
        assert_eq!(who.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn another_person_in_the_browser_ends_what_was_given_out_before() {
    let (hub, secret) = running().await;
    let mut browser = hub.signed_in("ada").await;
    let token = token_of(&redeem(&hub, &authorize(&mut browser).await, &secret, "").await).unwrap();
    let code = authorize(&mut browser).await;
    sign_in_again(&mut browser, "bob").await;
    assert_eq!(hub.api(&token, Method::GET, "/user", None).await.status, StatusCode::FORBIDDEN);
    let late = redeem(&hub, &code, &secret, "").await;
    assert_eq!(late.json(), json!({ "error": "invalid_grant" }));
}

/// Somebody signs in where somebody is signed in.
async fn sign_in_again(browser: &mut Browser, name: &str) {
    let form = format!("_xsrf={}&username={name}&password=open+sesame", browser.xsrf());
    let answer = browser.post("/hub/login", &form).await;
    assert_eq!(answer.status, StatusCode::FOUND, "{}", answer.text);
}
