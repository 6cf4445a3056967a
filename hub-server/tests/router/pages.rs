//! The pages, as a browser meets them.

use http::{Method, StatusCode};
use hub_spawner::{Exit, fake::FakeSpawner};
use jiff::SignedDuration;

use crate::harness::{Browser, PASSWORD, TestHub, eventually, key};

#[tokio::test]
async fn everything_leads_to_the_sign_in() {
    let hub = TestHub::new().await;
    let mut browser = hub.browser();
    assert_eq!(browser.get("/").await.location(), "http://hub.test/hub/");
    assert_eq!(browser.get("/hub").await.location(), "http://hub.test/hub/");
    assert_eq!(browser.get("/hub/").await.location(), "/hub/login?next=%2Fhub%2F");
    assert_eq!(
        browser.get("/user/ada/lab?x=1").await.location(),
        "http://hub.test/hub/user/ada/lab?x=1"
    );
    assert_eq!(
        browser.get("/hub/user/ada/lab?x=1").await.location(),
        "/hub/login?next=%2Fhub%2Fuser%2Fada%2Flab%3Fx%3D1"
    );
    assert_eq!(browser.get("/hub/home").await.location(), "/hub/login?next=%2Fhub%2Fhome");
    assert_eq!(browser.post("/hub/stop/ada", "").await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        browser.request(Method::POST, "/user/ada/api/kernels", &[], "").await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        browser.request(Method::HEAD, "/user/ada/", &[], "").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test]
async fn signing_in_sets_the_cookies_of_the_contract() {
    let hub = TestHub::new().await;
    let mut browser = hub.browser();
    let page = browser.get("/hub/login?next=%2Fhub%2Fhome").await;
    assert_eq!(page.status, StatusCode::OK);
    let xsrf = page.set_cookie("_xsrf").unwrap();
    assert!(
        xsrf.contains("Path=/hub/") && xsrf.contains("Max-Age=3600") && !xsrf.contains("HttpOnly"),
        "{xsrf}"
    );
    let before = browser.xsrf();
    assert!(page.text.contains(&before), "the form carries the cookie's token");

    let answer = browser.sign_in("Ada", "/hub/login?next=%2Fhub%2Fhome").await;
    assert_eq!((answer.status, answer.location()), (StatusCode::FOUND, "/hub/home"));
    let login = answer.set_cookie("jupyterhub-hub-login").unwrap();
    assert!(
        login.contains("HttpOnly")
            && login.contains("Path=/hub/")
            && login.contains("SameSite=Lax"),
        "{login}"
    );
    let session = answer.set_cookie("jupyterhub-session-id").unwrap();
    assert!(session.contains("Path=/;") || session.ends_with("Path=/"), "{session}");
    assert!(session.contains("HttpOnly") && !session.contains("Max-Age"), "{session}");
    assert_ne!(browser.xsrf(), before, "the token changes at sign-in");
    let home = browser.get("/hub/home").await;
    assert!(home.status == StatusCode::OK && home.text.contains("ada"));
}

#[tokio::test]
async fn session_id_changes_at_login() {
    let hub = TestHub::new().await;
    let mut browser = hub.browser();
    browser.cookies.insert("jupyterhub-session-id".to_owned(), "planted".to_owned());
    browser.sign_in("ada", "/hub/login").await;
    let first = browser.cookies["jupyterhub-session-id"].clone();
    assert_ne!(first, "planted");
    browser.get("/hub/logout").await;
    browser.sign_in("ada", "/hub/login").await;
    assert_ne!(browser.cookies["jupyterhub-session-id"], first);
}

#[tokio::test]
async fn a_browser_that_lost_its_session_id_gets_it_back_at_the_sign_in_page() {
    let hub = TestHub::new().await;
    let mut browser = hub.signed_in("ada").await;
    let lost = browser.cookies.remove("jupyterhub-session-id").unwrap();
    let answer = browser.get("/hub/login").await;
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(browser.cookies["jupyterhub-session-id"], lost);
    let again = browser.get("/hub/login").await;
    assert_eq!(again.set_cookie("jupyterhub-session-id"), None);
}

#[tokio::test]
async fn a_page_of_another_site_signs_nobody_in() {
    let hub = TestHub::new().await;
    let mut browser = hub.browser();
    browser.get("/hub/login").await;
    let password = PASSWORD.replace(' ', "+");
    let form = format!("_xsrf={}&username=ada&password={password}", browser.xsrf());
    let send = async |browser: &mut Browser, site: &str| {
        let headers =
            [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", site)];
        browser.request(Method::POST, "/hub/login", &headers, &form).await
    };
    let refused = send(&mut browser, "cross-site").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("Another site asked to sign you in."), "{}", refused.text);
    assert_eq!(send(&mut browser, "same-origin").await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn rst_7_a_sign_in_lasts_14_days_and_7_unused() {
    const DAY: SignedDuration = SignedDuration::from_hours(24);
    let hub = TestHub::new().await;
    let mut browser = hub.browser();
    let answer = browser.sign_in("ada", "/hub/login").await;
    let cookie = answer.set_cookie("jupyterhub-hub-login").unwrap();
    assert!(cookie.contains("Max-Age=1209600"), "{cookie}");
    let mut unused = hub.signed_in("ada").await;
    let at_home = async |browser: &mut Browser, days: i32| {
        hub.clock.advance(DAY * days);
        browser.get("/hub/home").await.status
    };
    for days in [6, 6] {
        assert_eq!(at_home(&mut browser, days).await, StatusCode::OK);
    }
    assert_eq!(at_home(&mut unused, 0).await, StatusCode::FOUND, "not used for 12 days");
    assert_eq!(at_home(&mut browser, 1).await, StatusCode::OK, "13 days");
    assert_eq!(at_home(&mut browser, 1).await, StatusCode::FOUND, "14 days");
}

#[tokio::test]
async fn login_xsrf_is_required() {
    let hub = TestHub::new().await;
    let mut browser = hub.browser();
    browser.get("/hub/login").await;
    let form = format!("username=ada&password={}", PASSWORD.replace(' ', "+"));
    for form in [form.clone(), format!("{form}&_xsrf=guess")] {
        let answer = browser.post("/hub/login", &form).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.text.contains("Login form invalid or expired. Try again."));
        assert!(!browser.cookies.contains_key("jupyterhub-hub-login"));
    }
    // Another browser's token is not this one's.
    let mut other = hub.browser();
    other.request(Method::GET, "/hub/login", &[("user-agent", "other")], "").await;
    let stolen = format!("{form}&_xsrf={}", other.xsrf());
    browser.cookies.insert("_xsrf".to_owned(), other.xsrf());
    assert_eq!(browser.post("/hub/login", &stolen).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn login_unknown_same_answer() {
    let hub = TestHub::new().await;
    let mut texts = Vec::new();
    for user in ["ada", "nobody"] {
        let mut browser = hub.browser();
        browser.get("/hub/login").await;
        let form = format!("_xsrf={}&username={user}&password=wrong", browser.xsrf());
        let answer = browser.post("/hub/login", &form).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.text.contains("Invalid username or password"));
        texts.push(answer.text.replace(user, "USER").replace(&browser.xsrf(), "XSRF"));
    }
    assert_eq!(texts[0], texts[1]);
}

#[tokio::test]
async fn somebody_who_was_not_named_is_told_why() {
    let hub = TestHub::new().await;
    let answer = hub.browser().sign_in("eve", "/hub/login").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text.contains("you are not allowed to use this hub"), "{}", answer.text);
    assert!(hub.store.users().by_name(&"eve".parse().unwrap()).await.unwrap().is_none());
}

#[tokio::test]
async fn adv_open_redirect_everywhere() {
    let hub = TestHub::new().await;
    for next in [
        "https%3A%2F%2Fevil.example%2Fx",
        "%2F%2Fevil.example",
        "%5C%5Cevil.example",
        "%2F%09%2Fevil.example",
    ] {
        let answer = hub.browser().sign_in("ada", &format!("/hub/login?next={next}")).await;
        assert_eq!(answer.location(), "/hub/spawn", "{next}");
    }
    let own =
        hub.browser().sign_in("ada", "/hub/login?next=http%3A%2F%2Fhub.test%2Fhub%2Fhome").await;
    assert_eq!(own.location(), "/hub/home");
}

#[tokio::test]
async fn tossed_cookie_ignored_and_no_lockout() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let real = ada.cookies.remove("jupyterhub-hub-login").unwrap();
    let planted = |value: &str, times| format!("jupyterhub-hub-login={value}; ").repeat(times);
    let real = format!("jupyterhub-hub-login={real}; ");
    for line in [
        planted("planted", 1) + &real,
        real.replace('=', "=\"").replace(';', "\";") + &planted("planted", 1),
        planted("planted", 100) + &real + &planted("planted", 100),
        planted(&"a".repeat(64), 40) + &real,
        real + &planted(&"a".repeat(64), 40),
    ] {
        let answer =
            hub.browser().request(Method::GET, "/hub/home", &[("cookie", &line)], "").await;
        assert_eq!(answer.status, StatusCode::OK, "{line}");
    }
}

#[tokio::test]
async fn a_person_starts_watches_opens_and_stops_a_server() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let started = ada.get("/hub/spawn?next=%2Fuser%2Fada%2Flab").await;
    assert_eq!(started.location(), "/hub/spawn-pending/ada?next=%2Fuser%2Fada%2Flab");
    eventually("the server is ready", || {
        let mut ada = ada.clone();
        async move {
            ada.get("/hub/spawn-pending/ada?next=%2Fuser%2Fada%2Flab").await.location()
                == "/user/ada/lab"
        }
    })
    .await;
    assert_eq!(ada.get("/hub/").await.location(), "/user/ada/");

    let without = ada.post("/hub/stop/ada", "").await;
    assert_eq!(without.status, StatusCode::FORBIDDEN);
    let form = format!("_xsrf={}", ada.xsrf());
    assert_eq!(ada.post("/hub/stop/ada", &form).await.location(), "/hub/home");
    assert!(hub.spawner.running().is_empty());

    let stopped = ada.get("/hub/user/ada/lab").await;
    assert_eq!(stopped.status, StatusCode::FAILED_DEPENDENCY);
    assert!(stopped.text.contains("/hub/spawn/ada?next=%2Fuser%2Fada%2Flab"), "{}", stopped.text);
}

#[tokio::test]
async fn a_page_shows_progress_while_a_server_starts() {
    let hub = TestHub::new().await;
    hub.spawner.hold_starts();
    let mut ada = hub.signed_in("ada").await;
    assert_eq!(ada.get("/hub/spawn").await.location(), "/hub/spawn-pending/ada");
    let page = ada.get("/hub/spawn-pending/ada").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("/hub/api/users/ada/server/progress"), "{}", page.text);
    assert_eq!(ada.get("/hub/user/ada/lab").await.status, StatusCode::SEE_OTHER);
    hub.spawner.let_starts_go();
}

#[tokio::test]
async fn a_failed_start_shows_the_last_words_as_text() {
    let exit = Exit {
        code: 3,
        oom_killed: false,
        error: None,
        finished_at: Some("2026-11-23T00:00:00.5Z".to_owned()),
        log_tail: "<script>alert(1)</script> boom".to_owned(),
        memory_limit: None,
    };
    let hub = TestHub::over(FakeSpawner::new().exits(exit)).await;
    let mut ada = hub.signed_in("ada").await;
    ada.get("/hub/spawn").await;
    eventually("the failure is told", || {
        let mut ada = ada.clone();
        async move {
            ada.get("/hub/spawn-pending/ada").await.status == StatusCode::INTERNAL_SERVER_ERROR
        }
    })
    .await;
    let page = ada.get("/hub/spawn-pending/ada").await.text;
    assert!(page.contains("boom") && !page.contains("<script>alert"), "{page}");
    assert!(page.contains("Start again"));
    assert!(page.contains("2026-11-23 00:00:00 UTC"), "SPN-26: {page}");
    assert!(hub.spawner.running().is_empty());
}

#[tokio::test]
async fn a_link_elsewhere_does_not_start_a_server() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    ada.cookies.remove("hub-signed-in");
    let cross = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
    let page = ada.request(Method::GET, "/hub/spawn", &cross, "").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(hub.spawner.requests().is_empty());
    let out = ada.request(Method::GET, "/hub/logout", &cross, "").await;
    assert_eq!(out.status, StatusCode::FORBIDDEN);
    assert_eq!(ada.get("/hub/home").await.status, StatusCode::OK);
    // Straight from the sign-in it goes on, although the browser was at GitHub.
    ada.cookies.insert("hub-signed-in".to_owned(), "1".to_owned());
    ada.request(Method::GET, "/hub/spawn", &cross, "").await;
    assert_eq!(hub.spawner.requests().len(), 1);
}

#[tokio::test]
async fn nobody_sees_anothers_pages() {
    let hub = TestHub::new().await;
    hub.post("/users/ada/server", None).await;
    let mut bob = hub.signed_in("bob").await;
    for path in
        ["/hub/spawn/ada", "/hub/spawn-pending/ada", "/hub/user/ada/lab", "/hub/spawn/nobody"]
    {
        let answer = bob.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    let form = format!("_xsrf={}", bob.xsrf());
    assert_eq!(bob.post("/hub/stop/ada", &form).await.status, StatusCode::NOT_FOUND);
    assert_eq!(hub.spawner.running(), [key("ada")]);
}

#[tokio::test]
async fn a_stopped_server_answers_scripts_in_json() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    for (method, path, accept) in [
        (Method::GET, "/hub/user/ada/api/kernels", "*/*"),
        (Method::GET, "/hub/user/ada/lab", "application/json"),
    ] {
        let answer = ada.request(method, path, &[("accept", accept)], "").await;
        assert_eq!(answer.status, StatusCode::FAILED_DEPENDENCY, "{path}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("http://hub.test/hub/spawn/ada"), "{message}");
        assert!(answer.json().get("status").is_none());
    }
}

#[tokio::test]
async fn the_api_by_cookie_needs_the_xsrf_token() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let xsrf = ada.xsrf();
    let path = "/hub/api/user";
    let with_query = format!("{path}?_xsrf={xsrf}");
    type Row<'a> = (&'a str, Vec<(&'a str, &'a str)>, u16);
    let rows: [Row<'_>; 8] = [
        (path, vec![("sec-fetch-mode", "navigate")], 200),
        (path, vec![], 200),
        (path, vec![("sec-fetch-mode", "no-cors"), ("sec-fetch-site", "same-origin")], 200),
        (path, vec![("sec-fetch-mode", "cors")], 403),
        (path, vec![("sec-fetch-mode", "no-cors"), ("sec-fetch-site", "cross-site")], 403),
        (path, vec![("sec-fetch-mode", "cors"), ("x-xsrftoken", &xsrf)], 200),
        (path, vec![("sec-fetch-mode", "cors"), ("x-csrftoken", &xsrf)], 200),
        (&with_query, vec![("sec-fetch-mode", "cors")], 200),
    ];
    for (path, headers, status) in rows {
        let answer = ada.request(Method::GET, path, &headers, "").await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?}: {}", answer.text);
    }
    let form = [("content-type", "text/plain"), ("x-xsrftoken", xsrf.as_str())];
    let answer = ada.request(Method::POST, "/hub/api/users/ada/server", &form, "").await;
    assert_eq!(answer.json()["message"], "Missing or invalid credentials.");
}

#[tokio::test]
async fn a_link_for_everybody_opens_ones_own_server() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let answer = ada.get("/hub/user-redirect/lab/tree/a%20b.ipynb?x=1").await;
    assert_eq!(
        answer.location(),
        "/hub/spawn/ada?next=%2Fuser%2Fada%2Flab%2Ftree%2Fa%2520b.ipynb%3Fx%3D1"
    );
}

#[tokio::test]
async fn where_to_go_counts_at_the_hubs_root_as_well() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    assert_eq!(ada.get("/hub/?next=%2Fhub%2Ftoken").await.location(), "/hub/token");
    assert_eq!(ada.get("/hub/?next=https%3A%2F%2Fevil.test").await.location(), "/hub/spawn");
}

#[tokio::test]
async fn nobody_is_signed_out_by_a_look_at_the_head() {
    let hub = TestHub::new().await;
    let mut ada = hub.signed_in("ada").await;
    let head = ada.request(Method::HEAD, "/hub/logout", &[], "").await;
    assert_eq!(head.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(ada.get("/hub/home").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_script_that_changes_something_is_told_the_same_of_every_server_that_is_not_there() {
    let hub = TestHub::new().await;
    let made = hub.api("chief-service-token", Method::POST, "/users/bob/tokens", None).await.json();
    let token = format!("token {}", made["token"].as_str().unwrap());
    for user in ["bob", "ada", "nobody"] {
        let path = format!("/hub/user/{user}/api/kernels");
        let headers = [("authorization", token.as_str())];
        let answer = hub.browser().request(Method::POST, &path, &headers, "").await;
        assert_eq!(answer.status, StatusCode::FAILED_DEPENDENCY, "{user}: {}", answer.text);
        assert!(answer.json()["message"].as_str().unwrap().contains("no longer running"));
        assert!(answer.json().get("status").is_none(), "{}", answer.text);
    }
    let looking = hub.browser();
    let headers = [("authorization", token.as_str())];
    let ada = looking.clone().request(Method::GET, "/hub/user/ada/api/kernels", &headers, "").await;
    assert_eq!(ada.status, StatusCode::NOT_FOUND, "{}", ada.text);
}
