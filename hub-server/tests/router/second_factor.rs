//! The second factor of accounts with the hub itself.

use std::collections::BTreeSet;

use http::{Method, StatusCode, header};
use hub_auth::local::TotpSecret;
use hub_server::{Clock, accounts::import};
use hub_store::Store;
use jiff::{SignedDuration, Timestamp};

use crate::{
    accounts::{BCRYPT, GIVEN, OTHER, act, fill, hub_over, id_of, root, sealing, sign_in, sign_up},
    harness::{Answer, Browser, TestHub},
};

const SESSION: &str = "jupyterhub-session-id";

async fn hub(mode: &str) -> TestHub {
    let lines = format!("sign_up = 'open'\nsecond_factor = '{mode}'");
    let hub = hub_over(&lines, "", &Store::in_memory().await.unwrap()).await;
    if mode != "required" {
        root(&hub).await;
    }
    hub
}

/// The code of now, after the last one is out of the window.
fn next_code(hub: &TestHub, secret: &TotpSecret) -> String {
    hub.clock.advance(SignedDuration::from_secs(90));
    secret.code(hub.clock.now().into())
}

/// What stands in the page between two texts.
fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before} in {text}"));
    rest.split(after).next().unwrap()
}

/// The secret of the page, and the field that brings it back.
fn offered(page: &Answer) -> (TotpSecret, String) {
    let secret = TotpSecret::parse(between(&page.text, "id=\"secret\">", "<")).unwrap();
    (secret, between(&page.text, "name=\"offer\" value=\"", "\"").to_owned())
}

fn recovery_codes(page: &Answer) -> Vec<String> {
    let list = between(&page.text, "id=\"recovery-codes\"", "</ul>");
    let codes: BTreeSet<&str> =
        list.split("<code>").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
    assert_eq!(codes.len(), 10, "{}", page.text);
    codes.into_iter().map(str::to_owned).collect()
}

/// Ada, with an account of the usual password and a second factor.
async fn ada(hub: &TestHub) -> (Browser, TotpSecret, Vec<String>) {
    let mut browser = hub.browser();
    assert_eq!(sign_up(&mut browser, "/hub/signup", "ada").await.status, StatusCode::FOUND);
    let page = browser.get("/hub/second-factor").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let (secret, offer) = offered(&page);
    let code = next_code(hub, &secret);
    let form = format!("action=on&offer={offer}&otp={code}&current_password={GIVEN}");
    let on = fill(&mut browser, "/hub/second-factor", &form).await;
    assert_eq!(on.status, StatusCode::OK, "{}", on.text);
    let codes = recovery_codes(&on);
    (browser, secret, codes)
}

/// A browser after the right password.
async fn first_step(hub: &TestHub) -> Browser {
    let (answer, browser) = sign_in(hub, "ada", GIVEN).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::FOUND, "/hub/login/code"));
    assert_no_session(&answer, browser.clone()).await;
    browser
}

async fn assert_no_session(answer: &Answer, mut browser: Browser) {
    for line in answer.headers.get_all(header::SET_COOKIE) {
        let line = line.to_str().unwrap();
        assert!(line.starts_with("hub-second-step=") || line.starts_with("_xsrf="), "{line}");
    }
    assert!(!browser.cookies.contains_key(SESSION));
    let home = browser.get("/hub/home").await;
    assert_eq!(home.status, StatusCode::FOUND);
    assert!(home.location().starts_with("/hub/login"), "{}", home.location());
    let api = browser.get("/hub/api/user").await;
    assert_eq!(api.status, StatusCode::FORBIDDEN);
}

async fn second_step(browser: &mut Browser, code: &str) -> Answer {
    fill(browser, "/hub/login/code", &format!("otp={code}")).await
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.get("/hub/home").await.status == StatusCode::OK
}

#[tokio::test]
async fn a_code_is_asked_for_between_the_password_and_the_session() {
    let hub = hub("optional").await;
    let (_, secret, _) = ada(&hub).await;
    let mut browser = first_step(&hub).await;
    let page = browser.get("/hub/login/code").await;
    for part in ["autocomplete=\"one-time-code\"", "<label for=\"otp_input\">"] {
        assert!(page.text.contains(part), "{}", page.text);
    }
    let wrong = second_step(&mut browser, "000000").await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert!(wrong.text.contains("This code is wrong"), "{}", wrong.text);
    assert_no_session(&wrong, browser.clone()).await;
    let copy = browser.clone();
    let code = next_code(&hub, &secret);
    let right = second_step(&mut browser, &code).await;
    assert_eq!(right.status, StatusCode::FOUND, "{}", right.text);
    assert!(is_signed_in(&mut browser).await);

    // The step is used up, and so is the code.
    let mut copy = copy;
    let late = copy.post("/hub/login/code", &format!("_xsrf={}&otp={code}", copy.xsrf())).await;
    assert_eq!(late.status, StatusCode::FORBIDDEN);
    assert!(late.text.contains("cannot go on"), "{}", late.text);
    let mut other = first_step(&hub).await;
    let replayed = second_step(&mut other, &code).await;
    assert_eq!(replayed.status, StatusCode::FORBIDDEN, "RFC 6238 5.2: a code is good once");
    assert!(!is_signed_in(&mut other).await);
    let code = next_code(&hub, &secret);
    assert_eq!(second_step(&mut other, &code).await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn the_first_step_is_bound_to_the_browser_and_ends() {
    let hub = hub("optional").await;
    let (_, secret, _) = ada(&hub).await;
    let mut without = hub.browser();
    assert_eq!(without.get("/hub/login/code").await.location(), "/hub/login");
    let code = next_code(&hub, &secret);
    let form = format!("_xsrf={}&otp={code}&username=ada", without.xsrf());
    assert_eq!(without.post("/hub/login/code", &form).await.status, StatusCode::FORBIDDEN);

    let mut forged = first_step(&hub).await;
    let code = next_code(&hub, &secret);
    let forgery = forged.post("/hub/login/code", &format!("otp={code}")).await;
    assert_eq!(forgery.status, StatusCode::FORBIDDEN);
    assert!(!is_signed_in(&mut forged).await);

    let mut late = first_step(&hub).await;
    hub.clock.advance(SignedDuration::from_mins(10));
    let code = next_code(&hub, &secret);
    assert_eq!(second_step(&mut late, &code).await.location(), "/hub/login");

    // A new password ends it, and leaves the second factor on.
    let mut overtaken = first_step(&hub).await;
    let mut owner = first_step(&hub).await;
    let code = next_code(&hub, &secret);
    assert_eq!(second_step(&mut owner, &code).await.status, StatusCode::FOUND);
    let change = format!("current_password={GIVEN}&password={OTHER}&password_confirmation={OTHER}");
    assert_eq!(fill(&mut owner, "/hub/change-password", &change).await.status, StatusCode::OK);
    let code = next_code(&hub, &secret);
    assert_eq!(second_step(&mut overtaken, &code).await.location(), "/hub/login");
    assert!(!is_signed_in(&mut overtaken).await);
    assert_eq!(sign_in(&hub, "ada", OTHER).await.0.location(), "/hub/login/code");
}

#[tokio::test]
async fn a2_a_wrong_password_does_not_tell_who_has_a_second_factor() {
    let hub = hub("optional").await;
    let (_, secret, _) = ada(&hub).await;
    assert_eq!(sign_up(&mut hub.browser(), "/hub/signup", "bob").await.status, StatusCode::FOUND);
    let code = next_code(&hub, &secret);
    let mut pages = BTreeSet::new();
    for form in [
        format!("username=ada&password={OTHER}"),
        format!("username=bob&password={OTHER}"),
        format!("username=nobody&password={OTHER}"),
        format!("username=ada&password={OTHER}&otp={code}"),
        format!("username=ada&password={GIVEN}&otp=000000"),
    ] {
        let mut browser = hub.browser();
        let answer = fill(&mut browser, "/hub/login", &form).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{form}");
        assert!(answer.set_cookie("hub-second-step").is_none(), "{form}");
        let page = answer.text.replace(&browser.xsrf(), "");
        pages.insert(
            ["ada", "bob", "nobody"]
                .iter()
                .fold(page, |page, name| page.replace(&format!("value=\"{name}\""), "")),
        );
    }
    assert_eq!(pages.len(), 1, "{pages:?}");
}

#[tokio::test]
async fn a1_wrong_codes_lock_out_and_a_right_password_forgives_none() {
    let hub = hub("optional").await;
    let (_, secret, codes) = ada(&hub).await;
    for _ in 0..10 {
        let mut browser = first_step(&hub).await;
        assert_eq!(second_step(&mut browser, "000000").await.status, StatusCode::FORBIDDEN);
    }
    let mut browser = first_step(&hub).await;
    let code = next_code(&hub, &secret);
    for right in [&code, &codes[0]] {
        let locked = second_step(&mut browser, right).await;
        assert_eq!(locked.status, StatusCode::TOO_MANY_REQUESTS, "{}", locked.text);
        assert!(locked.headers.contains_key(header::RETRY_AFTER));
    }
    let form = format!("username=ada&password={GIVEN}&otp={code}");
    let at_once = fill(&mut hub.browser(), "/hub/login", &form).await;
    assert_eq!(at_once.status, StatusCode::TOO_MANY_REQUESTS);
    hub.clock.advance(SignedDuration::from_secs(300));
    let code = next_code(&hub, &secret);
    assert_eq!(second_step(&mut browser, &code).await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn a_recovery_code_is_good_once() {
    let hub = hub("optional").await;
    let (_, _, codes) = ada(&hub).await;
    let mut browser = first_step(&hub).await;
    let typed = codes[3].to_uppercase().replace('-', "+");
    assert_eq!(second_step(&mut browser, &typed).await.status, StatusCode::FOUND);
    assert!(is_signed_in(&mut browser).await);
    let mut again = first_step(&hub).await;
    assert_eq!(second_step(&mut again, &codes[3]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(second_step(&mut again, &codes[4]).await.status, StatusCode::FOUND);
    let page = again.get("/hub/second-factor").await;
    assert!(page.text.contains("You have 8 left"), "{}", page.text);
}

#[tokio::test]
async fn nothing_but_a_right_code_turns_it_on_and_password_and_code_turn_it_off() {
    let hub = hub("optional").await;
    let mut ada = hub.browser();
    assert_eq!(sign_up(&mut ada, "/hub/signup", "ada").await.status, StatusCode::FOUND);
    let page = ada.get("/hub/change-password").await;
    assert!(page.text.contains("href=\"/hub/second-factor\""), "{}", page.text);
    let page = ada.get("/hub/second-factor").await;
    assert!(page.text.contains("<svg class=\"qr\""), "{}", page.text);
    let (secret, offer) = offered(&page);
    let uri = secret.uri("hub.test", "ada").replace('&', "&amp;");
    assert!(page.text.replace("&#x2f;", "/").contains(&uri), "{uri} in {}", page.text);
    let form = |action: &str, password: &str, code: &str| {
        format!("action={action}&offer={offer}&otp={code}&current_password={password}")
    };
    let has_one = async || {
        let account = hub.store.local_accounts().by_id(&id_of(&hub, "ada").await).await.unwrap();
        account.unwrap().has_second_factor
    };
    let code = next_code(&hub, &secret);
    for bad in [form("on", GIVEN, "000000"), form("on", OTHER, &code)] {
        let refused = fill(&mut ada, "/hub/second-factor", &bad).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{bad}");
        assert_eq!(offered(&refused).0, secret, "an app that has it keeps it");
        assert!(!has_one().await);
    }
    // What is offered to one is nothing for another.
    let mut bob = hub.browser();
    assert_eq!(sign_up(&mut bob, "/hub/signup", "bob").await.status, StatusCode::FOUND);
    let stolen = fill(&mut bob, "/hub/second-factor", &form("on", GIVEN, &code)).await;
    assert_eq!(stolen.status, StatusCode::FORBIDDEN);

    let on = fill(&mut ada, "/hub/second-factor", &form("on", GIVEN, &code)).await;
    let codes = recovery_codes(&on);
    assert!(has_one().await);
    let page = ada.get("/hub/second-factor").await;
    assert!(!page.text.contains("id=\"secret\"") && !page.text.contains(&codes[0]));

    let code = next_code(&hub, &secret);
    for action in ["off", "codes"] {
        for bad in [form(action, OTHER, &code), form(action, GIVEN, "000000")] {
            let refused = fill(&mut ada, "/hub/second-factor", &bad).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{bad}");
        }
    }
    let made = fill(&mut ada, "/hub/second-factor", &form("codes", GIVEN, &code)).await;
    let new = recovery_codes(&made);
    assert!(new.iter().all(|code| !codes.contains(code)));
    let old = fill(&mut ada, "/hub/second-factor", &form("off", GIVEN, &codes[0])).await;
    assert_eq!(old.status, StatusCode::FORBIDDEN);
    let off = fill(&mut ada, "/hub/second-factor", &form("off", GIVEN, &new[0])).await;
    assert_eq!(off.status, StatusCode::OK, "{}", off.text);
    assert!(!has_one().await);
    assert_ne!(sign_in(&hub, "ada", GIVEN).await.0.location(), "/hub/login/code");
}

#[tokio::test]
async fn where_it_is_required_it_is_set_up_before_there_is_a_session() {
    let hub = hub("required").await;
    let mut first = hub.browser();
    let link = hub.assembled.set_up_link().unwrap().to_owned();
    let link = link.strip_prefix("http://hub.test").unwrap();
    let made = sign_up(&mut first, link, "root").await;
    assert_eq!(made.location(), "/hub/login/code?next=%2Fhub%2Fhome", "{}", made.text);
    assert_no_session(&made, first.clone()).await;
    let page = first.get("/hub/login/code").await;
    let (secret, offer) = offered(&page);
    let wrong = second_step(&mut first, &format!("000000&offer={offer}")).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN, "{}", wrong.text);
    assert_no_session(&wrong, first.clone()).await;
    let code = next_code(&hub, &secret);
    let copy = first.clone();
    let page = second_step(&mut first, &format!("{code}&offer={offer}")).await;
    assert_eq!(recovery_codes(&page).len(), 10);
    assert!(is_signed_in(&mut first).await);
    let mut copy = copy;
    let again = copy
        .post("/hub/login/code", &format!("_xsrf={}&otp={code}&offer={offer}", copy.xsrf()))
        .await;
    assert_eq!(again.status, StatusCode::FORBIDDEN);

    // From now on there is one, and nobody sets up another with the password alone.
    let (answer, mut browser) = sign_in(&hub, "root", GIVEN).await;
    assert_eq!(answer.location(), "/hub/login/code");
    assert!(!browser.get("/hub/login/code").await.text.contains("id=\"secret\""));
    let code = next_code(&hub, &secret);
    assert_eq!(second_step(&mut browser, &code).await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn one_request_may_bring_the_code_along() {
    let hub = hub("optional").await;
    let (_, secret, _) = ada(&hub).await;
    for field in ["otp", "2fa"] {
        let mut browser = hub.browser();
        let code = next_code(&hub, &secret);
        let form = format!("username=ada&password={GIVEN}&{field}={code}");
        let answer = fill(&mut browser, "/hub/login", &form).await;
        assert_eq!(answer.status, StatusCode::FOUND, "{}", answer.text);
        assert!(is_signed_in(&mut browser).await);
        let replayed = fill(&mut hub.browser(), "/hub/login", &form).await;
        assert_eq!(replayed.status, StatusCode::FORBIDDEN, "{field}");
    }
}

#[tokio::test]
async fn a_token_by_name_and_password_takes_the_code_as_well() {
    let hub = hub("optional").await;
    let (_, secret, _) = ada(&hub).await;
    let password = GIVEN.replace('+', " ");
    let ask = async |otp: Option<String>| {
        let mut auth = serde_json::json!({"username": "ada", "password": password});
        if let Some(otp) = otp {
            auth["otp"] = otp.into();
        }
        let body = serde_json::json!({ "auth": auth }).to_string();
        let json = ("content-type", "application/json");
        let mut browser = hub.browser();
        browser.request(Method::POST, "/hub/api/users/ada/tokens", &[json], &body).await
    };
    let without = ask(None).await;
    assert_eq!(without.status, StatusCode::FORBIDDEN, "{}", without.text);
    assert!(without.text.contains("second factor"), "{}", without.text);
    let wrong = ask(Some("000000".to_owned())).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert!(!wrong.text.contains("second factor"), "{}", wrong.text);
    let code = next_code(&hub, &secret);
    assert_eq!(ask(Some(code.clone())).await.status, StatusCode::CREATED);
    assert_eq!(ask(Some(code)).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn who_is_signed_out_everywhere_between_the_steps_begins_anew() {
    let hub = hub("optional").await;
    let (_, secret, _) = ada(&hub).await;
    let mut browser = first_step(&hub).await;
    // As a password that is changed while the old one is looked at: the ticket is there, and
    // is of before.
    let user = hub.store.users().by_name(&"ada".parse().unwrap()).await.unwrap().unwrap();
    hub.store.sessions().delete_of_user(user.id).await.unwrap();
    let code = next_code(&hub, &secret);
    let late = second_step(&mut browser, &code).await;
    assert_no_session(&late, browser).await;
    // The code is not used up either.
    let mut again = first_step(&hub).await;
    assert_eq!(second_step(&mut again, &code).await.status, StatusCode::FOUND);
    assert!(is_signed_in(&mut again).await);
}

#[tokio::test]
async fn an_administrator_removes_what_somebody_has_lost() {
    let hub = hub_over(
        "sign_up = 'open'\nsecond_factor = 'optional'",
        "",
        &Store::in_memory().await.unwrap(),
    )
    .await;
    let mut admin = root(&hub).await;
    let (mut owner, _, _) = ada(&hub).await;
    let mut under_way = first_step(&hub).await;
    let id = id_of(&hub, "ada").await;
    let form = format!("action=remove_second_factor&account={id}");
    let own = format!("_xsrf={}&{form}", owner.xsrf());
    assert_eq!(owner.post("/hub/authorize", &own).await.status, StatusCode::FORBIDDEN);
    assert!(admin.get("/hub/authorize").await.text.contains("Remove the second factor"));
    let done = act(&mut admin, &form).await;
    assert_eq!(done.status, StatusCode::FOUND, "{}", done.text);
    assert!(!admin.get("/hub/authorize").await.text.contains("Remove the second factor"));
    assert_eq!(act(&mut admin, &form).await.status, StatusCode::NOT_FOUND);
    // One's own is taken away with password and code, not by a session alone.
    let own = format!("action=remove_second_factor&account={}", id_of(&hub, "root").await);
    let refused = act(&mut admin, &own).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
    assert_eq!(second_step(&mut under_way, "000000").await.location(), "/hub/login");
    let (answer, mut browser) = sign_in(&hub, "ada", GIVEN).await;
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_ne!(answer.location(), "/hub/login/code");
    assert!(is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn f1_neither_the_database_nor_a_page_holds_the_secret() {
    let hub = hub("optional").await;
    let (mut browser, secret, codes) = ada(&hub).await;
    let id = id_of(&hub, "ada").await;
    let row = hub.store.second_factors().get(&id).await.unwrap().unwrap();
    assert!(!row.sealed.contains(&secret.to_base32()));
    assert!(row.recovery.iter().all(|hash| !codes.contains(hash)));
    // Moved to another account, it opens nothing.
    assert_eq!(sign_up(&mut hub.browser(), "/hub/signup", "bob").await.status, StatusCode::FOUND);
    let moved = hub_store::NewSecondFactor {
        account_id: id_of(&hub, "bob").await,
        sealed: row.sealed,
        last_step: 0,
        recovery: row.recovery,
    };
    hub.store.second_factors().add(&moved, None, hub.clock.now()).await.unwrap();
    let (answer, mut bob) = sign_in(&hub, "bob", GIVEN).await;
    assert_eq!(answer.location(), "/hub/login/code");
    let code = next_code(&hub, &secret);
    assert_eq!(second_step(&mut bob, &code).await.status, StatusCode::FORBIDDEN);
    assert_eq!(second_step(&mut bob, &codes[0]).await.status, StatusCode::FORBIDDEN);
    for page in ["/hub/second-factor", "/hub/api/user", "/hub/token"] {
        assert!(!browser.get(page).await.text.contains(&secret.to_base32()), "{page}");
    }
}

#[tokio::test]
async fn nat_second_factors_of_a_native_authenticator_are_taken_over() {
    let store = Store::in_memory().await.unwrap();
    // Nobody can turn one on here, but who has one is asked for it.
    let hub = hub_over("", "", &store).await;
    let list = format!("ada,{BCRYPT},1,JBSWY3DPEHPK3PXP\nbob,{BCRYPT},1,\n");
    let now: Timestamp = hub.clock.now();
    let listed = import::parse(&list).unwrap();
    let imported = import::import(&store, listed, &sealing(), now).await.unwrap();
    assert_eq!(imported.added, 2);
    let mut browser = first_step(&hub).await;
    let secret = TotpSecret::parse("JBSWY3DPEHPK3PXP").unwrap();
    let code = next_code(&hub, &secret);
    assert_eq!(second_step(&mut browser, &code).await.status, StatusCode::FOUND);
    assert!(is_signed_in(&mut browser).await);
    let (bob, mut browser) = sign_in(&hub, "bob", GIVEN).await;
    assert_ne!(bob.location(), "/hub/login/code");
    let page = browser.get("/hub/second-factor").await;
    assert!(page.text.contains("offers no second factor"), "{}", page.text);
}
