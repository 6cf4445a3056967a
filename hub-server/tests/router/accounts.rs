//! Accounts with the hub itself, as people and administrators meet them.

use http::{Method, StatusCode};
use hub_auth::hash_password;
use hub_server::accounts::import;
use hub_store::Store;
use jiff::{SignedDuration, Timestamp};

use crate::harness::{Answer, Browser, PASSWORD, TestHub};

/// The harness's password with bcrypt, as a NativeAuthenticator keeps it.
pub(crate) const BCRYPT: &str = "$2b$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW";
/// As a form sends it.
pub(crate) const GIVEN: &str = "open+sesame";
pub(crate) const OTHER: &str = "battery+staple";

pub(crate) async fn hub_over(lines: &str, auth: &str, store: &Store) -> TestHub {
    let text = format!(
        "[http]\npublic_url = \"http://hub.test\"\n[auth]\n{auth}\n[auth.local]\n{lines}\n\
         [spawner.docker]\nimage = \"unused\"\n"
    );
    TestHub::signing_in(&text, store.clone()).await
}

async fn hub(mode: &str) -> TestHub {
    let lines = format!("sign_up = '{mode}'");
    hub_over(&lines, "", &Store::in_memory().await.unwrap()).await
}

/// The path of a link, without the host.
fn path(link: &str) -> &str {
    link.strip_prefix("http://hub.test").unwrap_or_else(|| panic!("{link}"))
}

/// Opens the page, fills in the form and sends it to where the page is.
pub(crate) async fn fill(browser: &mut Browser, page: &str, form: &str) -> Answer {
    let opened = browser.get(page).await;
    if opened.status != StatusCode::OK {
        return opened;
    }
    let (target, query) = page.split_once('?').unwrap_or((page, ""));
    let form = format!("_xsrf={}&{query}&{form}", browser.xsrf());
    browser.post(target, &form).await
}

pub(crate) async fn sign_up(browser: &mut Browser, page: &str, name: &str) -> Answer {
    let form = format!("username={name}&password={GIVEN}&password_confirmation={GIVEN}");
    fill(browser, page, &form).await
}

pub(crate) async fn sign_in(hub: &TestHub, name: &str, password: &str) -> (Answer, Browser) {
    let mut browser = hub.browser();
    let form = format!("username={name}&password={password}");
    let answer = fill(&mut browser, "/hub/login", &form).await;
    (answer, browser)
}

/// A browser of the first administrator.
pub(crate) async fn root(hub: &TestHub) -> Browser {
    let mut browser = hub.browser();
    let link = hub.assembled.set_up_link().unwrap().to_owned();
    let made = sign_up(&mut browser, path(&link), "root").await;
    assert_eq!((made.status, made.location()), (StatusCode::FOUND, "/hub/home"), "{}", made.text);
    browser
}

pub(crate) async fn act(admin: &mut Browser, form: &str) -> Answer {
    fill(admin, "/hub/authorize", form).await
}

/// The path of the link that the page shows.
async fn link(admin: &mut Browser, form: &str) -> String {
    let page = act(admin, form).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let (_, rest) = page.text.split_once("id=\"link-result\" tabindex=\"0\">").unwrap();
    path(rest.split('<').next().unwrap()).to_owned()
}

/// Of the configuration that every hub of these tests has.
pub(crate) fn sealing() -> import::Sealing {
    let text = "[spawner.docker]\nimage = \"unused\"\n";
    import::Sealing::of(&crate::harness::configuration(text)).unwrap()
}

pub(crate) async fn id_of(hub: &TestHub, name: &str) -> String {
    let found = hub.store.local_accounts().by_name(&name.parse().unwrap()).await.unwrap();
    found.unwrap_or_else(|| panic!("{name} has no account")).id
}

#[tokio::test]
async fn nat_1_the_first_administrator_comes_with_the_link_of_the_log() {
    let store = Store::in_memory().await.unwrap();
    let hub = hub_over("", "admin_users = ['root']", &store).await;
    let without = hub.browser().get("/hub/signup").await;
    assert_eq!(without.status, StatusCode::FORBIDDEN, "{}", without.text);
    let link = hub.assembled.set_up_link().unwrap().to_owned();
    // Only the last start's link is good.
    let hub = hub_over("", "admin_users = ['root']", &store).await;
    assert_eq!(hub.browser().get(path(&link)).await.status, StatusCode::NOT_FOUND);

    let mut admin = root(&hub).await;
    assert_eq!(admin.get("/hub/authorize").await.status, StatusCode::OK);
    assert!(admin.get("/hub/home").await.text.contains("href=\"/hub/authorize\""));
    let link = hub.assembled.set_up_link().unwrap().to_owned();
    assert_eq!(hub.browser().get(path(&link)).await.status, StatusCode::NOT_FOUND, "used");
    let again = hub_over("", "admin_users = ['root']", &store).await;
    assert_eq!(again.assembled.set_up_link(), None);
    let (known, _) = sign_in(&again, "Root", GIVEN).await;
    assert_eq!(known.status, StatusCode::FOUND, "{}", known.text);
}

#[tokio::test]
async fn everybody_signs_up_where_that_is_open() {
    let hub = hub("open").await;
    root(&hub).await;
    let page = hub.browser().get("/hub/login").await.text;
    assert!(page.contains("href=\"/hub/signup\""), "{page}");
    let mut ada = hub.browser();
    let made = sign_up(&mut ada, "/hub/signup", "Ada").await;
    assert_eq!((made.status, made.location()), (StatusCode::FOUND, "/hub/home"), "{}", made.text);
    assert!(ada.get("/hub/home").await.text.contains("Signed in as ada"));
    let refused = ada.get("/hub/authorize").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);

    let mut mallory = hub.browser();
    for name in ["ada", "ADA", "root"] {
        let taken = sign_up(&mut mallory, "/hub/signup", name).await;
        assert_eq!(taken.status, StatusCode::CONFLICT, "{name}");
        assert!(taken.text.contains("This name is not available."), "{}", taken.text);
    }
    for (form, part) in [
        ("username=bob&password=short&password_confirmation=short", "at least 10"),
        ("username=bob&password=open+sesame&password_confirmation=other", "not the same"),
        ("username=a+b&password=open+sesame&password_confirmation=open+sesame", "blanks"),
    ] {
        let bad = fill(&mut mallory, "/hub/signup", form).await;
        assert_eq!(bad.status, StatusCode::BAD_REQUEST, "{form}");
        assert!(bad.text.to_lowercase().contains(part), "{form}: {}", bad.text);
    }
    let forged = mallory.post("/hub/signup", "username=bob&password=open+sesame").await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let bob = "bob".parse().unwrap();
    assert!(hub.store.local_accounts().by_name(&bob).await.unwrap().is_none());
}

#[tokio::test]
async fn a_user_of_the_hub_who_never_signed_in_is_nobodys_to_take() {
    let store = Store::in_memory().await.unwrap();
    let hub = hub_over("sign_up = 'open'", "allowed_users = ['ada']", &store).await;
    let mut admin = root(&hub).await;
    let taken = sign_up(&mut hub.browser(), "/hub/signup", "ada").await;
    assert_eq!(taken.status, StatusCode::CONFLICT, "{}", taken.text);
    let anybody = link(&mut admin, "action=invite&uses=2").await;
    let taken = sign_up(&mut hub.browser(), &anybody, "ada").await;
    assert_eq!(taken.status, StatusCode::CONFLICT, "{}", taken.text);
    // An administrator has said whom the name is for.
    let hers = link(&mut admin, "action=invite&username=ada").await;
    let other = sign_up(&mut hub.browser(), &hers, "eve").await;
    assert_eq!(other.status, StatusCode::FORBIDDEN, "{}", other.text);
    let made = sign_up(&mut hub.browser(), &hers, "ada").await;
    assert_eq!(made.status, StatusCode::FOUND, "{}", made.text);
}

#[tokio::test]
async fn an_account_waits_until_an_administrator_approves_it() {
    let hub = hub("approval").await;
    let mut admin = root(&hub).await;
    for name in ["ada", "bob"] {
        let made = sign_up(&mut hub.browser(), "/hub/signup", name).await;
        assert_eq!(made.status, StatusCode::OK);
        assert!(made.text.contains("waits for approval"), "{}", made.text);
    }
    // Only whoever knows the password learns that it waits (A2).
    let (waits, _) = sign_in(&hub, "ada", GIVEN).await;
    assert!(waits.text.contains("waits for the approval"), "{}", waits.text);
    let (wrong, _) = sign_in(&hub, "ada", OTHER).await;
    let (unknown, _) = sign_in(&hub, "nobody", OTHER).await;
    assert_eq!(wrong.status, unknown.status);
    assert!(wrong.text.contains("Invalid username or password"));
    assert!(unknown.text.contains("Invalid username or password"));

    let page = admin.get("/hub/authorize").await.text;
    assert_eq!(page.matches("data-waiting").count(), 2, "{page}");
    let (ada, bob) = (id_of(&hub, "ada").await, id_of(&hub, "bob").await);
    let done = act(&mut admin, &format!("action=approve&account={ada}")).await;
    assert_eq!((done.status, done.location()), (StatusCode::FOUND, "/hub/authorize"));
    act(&mut admin, &format!("action=refuse&account={bob}")).await;
    assert_eq!(sign_in(&hub, "ada", GIVEN).await.0.status, StatusCode::FOUND);
    assert!(hub.store.local_accounts().by_id(&bob).await.unwrap().is_none());
    // What was approved is not refused any more, and the name of what was is free.
    let late = act(&mut admin, &format!("action=refuse&account={ada}")).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);
    let again = sign_up(&mut hub.browser(), "/hub/signup", "bob").await;
    assert!(again.text.contains("waits for approval"), "{}", again.text);
}

#[tokio::test]
async fn nat_1_invitations_are_used_up_expire_and_are_withdrawn() {
    let hub = hub("invitation").await;
    let mut admin = root(&hub).await;
    let without = hub.browser().get("/hub/signup").await;
    assert_eq!(without.status, StatusCode::FORBIDDEN);
    assert!(without.text.contains("You need an invitation"), "{}", without.text);

    let two = link(&mut admin, "action=invite&uses=2&days=1&groups=staff,+lab").await;
    for name in ["ada", "bob"] {
        let made = sign_up(&mut hub.browser(), &two, name).await;
        assert_eq!(made.status, StatusCode::FOUND, "{name}: {}", made.text);
        let user = hub.store.users().by_name(&name.parse().unwrap()).await.unwrap().unwrap();
        assert!(!user.admin);
        assert_eq!(hub.store.groups().of_user(user.id).await.unwrap(), ["lab", "staff"]);
    }
    let used_up = sign_up(&mut hub.browser(), &two, "cyd").await;
    assert_eq!(used_up.status, StatusCode::NOT_FOUND, "{}", used_up.text);

    let withdrawn = link(&mut admin, "action=invite").await;
    let page = admin.get("/hub/authorize").await.text;
    let (_, rest) = page.split_once("data-invitation=\"").unwrap();
    let ticket = rest.split('"').next().unwrap();
    act(&mut admin, &format!("action=withdraw&ticket={ticket}")).await;
    assert_eq!(hub.browser().get(&withdrawn).await.status, StatusCode::NOT_FOUND);

    let day = link(&mut admin, "action=invite&days=1").await;
    hub.clock.advance(SignedDuration::from_hours(25));
    let expired = sign_up(&mut hub.browser(), &day, "cyd").await;
    assert_eq!(expired.status, StatusCode::NOT_FOUND, "{}", expired.text);
    for wrong in ["/hub/signup?token=x", "/hub/reset-password?token=x", "/hub/reset-password"] {
        assert_eq!(hub.browser().get(wrong).await.status, StatusCode::NOT_FOUND, "{wrong}");
    }
}

#[tokio::test]
async fn nat_2_a_restart_forgives_no_failed_try() {
    let store = Store::in_memory().await.unwrap();
    let lines = "sign_up = 'open'\nallowed_failed_logins = 3\nfailed_login_seconds = 60";
    let hub = hub_over(lines, "", &store).await;
    sign_up(&mut hub.browser(), "/hub/signup", "ada").await;
    for name in ["ada", "nobody"] {
        for _ in 0..3 {
            let (wrong, _) = sign_in(&hub, name, OTHER).await;
            assert_eq!(wrong.status, StatusCode::FORBIDDEN, "{}", wrong.text);
        }
    }
    let restarted = hub_over(lines, "", &store).await;
    for name in ["ada", "nobody"] {
        let (locked, _) = sign_in(&restarted, name, GIVEN).await;
        assert_eq!(locked.status, StatusCode::TOO_MANY_REQUESTS, "{name}: {}", locked.text);
        assert!(locked.headers.contains_key("retry-after"));
    }
    restarted.clock.advance(SignedDuration::from_secs(61));
    assert_eq!(sign_in(&restarted, "ada", GIVEN).await.0.status, StatusCode::FOUND);
}

#[tokio::test]
async fn nat_2_a_restart_forgives_nobody_with_an_account_in_the_configuration() {
    let hash = hash_password(&PASSWORD.into()).unwrap();
    let text = format!(
        "[spawner.docker]\nimage = 'unused'\n[http]\npublic_url = 'http://hub.test'\n\
         [auth.password]\nallow_all = true\n\
         accounts = {{ ada = '{hash}', bob = '{hash}' }}\n"
    );
    let store = Store::in_memory().await.unwrap();
    let hub = TestHub::signing_in(&text, store.clone()).await;
    for name in ["ada", "nobody"] {
        for _ in 0..10 {
            let (wrong, _) = sign_in(&hub, name, OTHER).await;
            assert_eq!(wrong.status, StatusCode::FORBIDDEN, "{}", wrong.text);
        }
    }
    let restarted = TestHub::signing_in(&text, store).await;
    for name in ["ada", "nobody"] {
        let (locked, _) = sign_in(&restarted, name, GIVEN).await;
        assert_eq!(locked.status, StatusCode::TOO_MANY_REQUESTS, "{name}: {}", locked.text);
        assert!(locked.headers.contains_key("retry-after"));
    }
    assert_eq!(sign_in(&restarted, "bob", GIVEN).await.0.status, StatusCode::FOUND);
    restarted.clock.advance(SignedDuration::from_secs(301));
    assert_eq!(sign_in(&restarted, "ada", GIVEN).await.0.status, StatusCode::FOUND);
}

#[tokio::test]
async fn nat_2_an_address_is_counted_across_a_restart() {
    let store = Store::in_memory().await.unwrap();
    let lines = "sign_up = 'open'\nallowed_failed_logins_per_address = 3";
    let from = async |hub: &TestHub, address: &str, name: &str, password: &str| {
        let mut browser = hub.browser();
        let form_type = ("content-type", "application/x-www-form-urlencoded");
        let headers = [form_type, ("x-forwarded-for", address)];
        // The form is for whoever opened the page.
        browser.request(Method::GET, "/hub/login", &headers, "").await;
        let form = format!("_xsrf={}&username={name}&password={password}", browser.xsrf());
        browser.request(Method::POST, "/hub/login", &headers, &form).await.status
    };
    let hub = hub_over(lines, "", &store).await;
    sign_up(&mut hub.browser(), "/hub/signup", "ada").await;
    for name in ["a", "b", "c"] {
        assert_eq!(from(&hub, "2001:db8::1", name, OTHER).await, StatusCode::FORBIDDEN);
    }
    let restarted = hub_over(lines, "", &store).await;
    let (same_line, other) = ("2001:db8::ffff", "192.0.2.9");
    let locked = from(&restarted, same_line, "ada", GIVEN).await;
    assert_eq!(locked, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(from(&restarted, other, "ada", GIVEN).await, StatusCode::FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_tries_at_the_same_moment_get_no_more_answers_than_one_after_the_other() {
    let store = Store::in_memory().await.unwrap();
    let lines = "sign_up = 'open'\nallowed_failed_logins_per_address = 5";
    let hub = hub_over(lines, "", &store).await;
    let tries = (0..40).map(async |number: u32| {
        let mut browser = hub.browser();
        let form_type = ("content-type", "application/x-www-form-urlencoded");
        let headers = [form_type, ("x-forwarded-for", "192.0.2.9")];
        browser.request(Method::GET, "/hub/login", &headers, "").await;
        let form = format!("_xsrf={}&username=n{number}&password={OTHER}", browser.xsrf());
        browser.request(Method::POST, "/hub/login", &headers, &form).await.status
    });
    let answers = futures_util::future::join_all(tries).await;
    let looked_at = answers.iter().filter(|status| **status == StatusCode::FORBIDDEN).count();
    let refused = answers.iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS);
    let together = std::thread::available_parallelism().unwrap().get();
    assert!((5..5 + together).contains(&looked_at), "{answers:?}");
    assert_eq!(refused.count(), 40 - looked_at, "{answers:?}");
}

#[tokio::test]
async fn a_changed_password_ends_all_other_sessions() {
    let hub = hub("open").await;
    let mut ada = hub.browser();
    sign_up(&mut ada, "/hub/signup", "ada").await;
    let mut elsewhere = hub.signed_in("ada").await;
    let form = |current: &str, new: &str| {
        format!("current_password={current}&password={new}&password_confirmation={new}")
    };
    let page = "/hub/change-password";
    let wrong = fill(&mut ada, page, &form("wrong", OTHER)).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert!(wrong.text.contains("The current password is wrong."), "{}", wrong.text);
    let same = fill(&mut ada, page, &form(GIVEN, GIVEN)).await;
    assert_eq!(same.status, StatusCode::BAD_REQUEST, "{}", same.text);
    let short = fill(&mut ada, page, &form(GIVEN, "short")).await;
    assert_eq!(short.status, StatusCode::BAD_REQUEST, "{}", short.text);
    let forged = ada.post(page, &form(GIVEN, OTHER)).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    assert_eq!(elsewhere.get("/hub/home").await.status, StatusCode::OK);

    let changed = fill(&mut ada, page, &form(GIVEN, OTHER)).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    assert_eq!(ada.get("/hub/home").await.status, StatusCode::OK, "goes on here");
    assert_eq!(elsewhere.get("/hub/home").await.status, StatusCode::FOUND, "signed out there");
    assert_eq!(sign_in(&hub, "ada", GIVEN).await.0.status, StatusCode::FORBIDDEN);
    assert_eq!(sign_in(&hub, "ada", OTHER).await.0.status, StatusCode::FOUND);
    let nobody = hub.browser().get(page).await;
    assert_eq!(nobody.status, StatusCode::FOUND, "asked to sign in");
}

#[tokio::test]
async fn a_forgotten_password_is_set_with_an_administrators_link() {
    let hub = hub("open").await;
    let mut admin = root(&hub).await;
    let mut ada = hub.browser();
    sign_up(&mut ada, "/hub/signup", "ada").await;
    let wish = format!("action=reset&account={}", id_of(&hub, "ada").await);
    let first = link(&mut admin, &wish).await;
    let second = link(&mut admin, &wish).await;
    assert_eq!(hub.browser().get(&first).await.status, StatusCode::NOT_FOUND, "only the last");

    let form = format!("password={OTHER}&password_confirmation={OTHER}");
    let set = fill(&mut hub.browser(), &second, &form).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.text);
    assert!(set.text.contains("Your password is set"), "{}", set.text);
    assert_eq!(hub.browser().get(&second).await.status, StatusCode::NOT_FOUND, "once");
    assert_eq!(ada.get("/hub/home").await.status, StatusCode::FOUND, "signed out");
    assert_eq!(sign_in(&hub, "ada", OTHER).await.0.status, StatusCode::FOUND);

    let old = link(&mut admin, &wish).await;
    hub.clock.advance(SignedDuration::from_hours(25));
    assert_eq!(hub.browser().get(&old).await.status, StatusCode::NOT_FOUND, "for a day");
}

#[tokio::test]
async fn administrators_make_and_close_accounts_where_nobody_signs_up() {
    let hub = hub("closed").await;
    let mut admin = root(&hub).await;
    let first = link(&mut admin, "action=add&username=Ada").await;
    let form = format!("password={GIVEN}&password_confirmation={GIVEN}");
    let set = fill(&mut hub.browser(), &first, &form).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.text);
    let (answer, mut ada) = sign_in(&hub, "ada", GIVEN).await;
    assert_eq!(answer.status, StatusCode::FOUND);
    let twice = act(&mut admin, "action=add&username=ada").await;
    assert_eq!(twice.status, StatusCode::BAD_REQUEST);

    let close = format!("action=close&account={}", id_of(&hub, "ada").await);
    act(&mut admin, &close).await;
    assert_eq!(ada.get("/hub/home").await.status, StatusCode::FOUND, "signed out");
    let (closed, _) = sign_in(&hub, "ada", GIVEN).await;
    assert!(closed.text.contains("closed by an administrator"), "{}", closed.text);
    act(&mut admin, &close.replace("close", "open")).await;
    assert_eq!(sign_in(&hub, "ada", GIVEN).await.0.status, StatusCode::FOUND);
    let own = format!("action=close&account={}", id_of(&hub, "root").await);
    assert_eq!(act(&mut admin, &own).await.status, StatusCode::BAD_REQUEST);

    // Others have no business there, and no forged form does anything.
    let (_, mut ada) = sign_in(&hub, "ada", GIVEN).await;
    let form = format!("_xsrf={}&action=invite", ada.xsrf());
    assert_eq!(ada.post("/hub/authorize", &form).await.status, StatusCode::FORBIDDEN);
    assert_eq!(admin.post("/hub/authorize", &close).await.status, StatusCode::FORBIDDEN);
    assert_eq!(ada.get("/hub/home").await.status, StatusCode::OK);
}

#[tokio::test]
async fn nat_2_old_hashes_are_taken_over_and_renewed_at_the_first_sign_in() {
    let store = Store::in_memory().await.unwrap();
    let hub = hub_over("", "", &store).await;
    root(&hub).await;
    let list = format!("Ada,{BCRYPT},1\nbob,{BCRYPT},0\nroot,{BCRYPT},1\n");
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let imported =
        import::import(&store, import::parse(&list).unwrap(), &sealing(), now).await.unwrap();
    assert_eq!((imported.added, imported.waiting), (2, 1));
    assert_eq!(imported.known, ["root"]);

    let hash = async || {
        let ada = store.local_accounts().by_name(&"ada".parse().unwrap()).await.unwrap();
        ada.unwrap().hash
    };
    assert_eq!(sign_in(&hub, "ada", OTHER).await.0.status, StatusCode::FORBIDDEN);
    assert_eq!(hash().await, BCRYPT);
    assert_eq!(sign_in(&hub, "ada", GIVEN).await.0.status, StatusCode::FOUND);
    assert!(hash().await.starts_with("$argon2id$"), "{}", hash().await);
    assert_eq!(sign_in(&hub, "ada", GIVEN).await.0.status, StatusCode::FOUND);
    let (waits, _) = sign_in(&hub, "bob", GIVEN).await;
    assert!(waits.text.contains("waits for the approval"), "{}", waits.text);
    assert_eq!(PASSWORD.replace(' ', "+"), GIVEN);
}

#[tokio::test]
async fn a_hub_without_such_accounts_has_no_such_pages() {
    let hub = TestHub::new().await;
    for path in ["/hub/signup", "/hub/reset-password"] {
        assert_eq!(hub.browser().get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let mut grace = hub.signed_in("grace").await;
    for path in ["/hub/authorize", "/hub/change-password"] {
        assert_eq!(grace.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(!grace.get("/hub/home").await.text.contains("/hub/authorize"));
    assert_eq!(hub.assembled.set_up_link(), None);
}
