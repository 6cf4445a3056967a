//! What is written about requests, and what is not.

use std::{
    io,
    sync::{Arc, Mutex},
};

use http::Method;
use hub_server::{
    config::{LogConfig, LogFormat},
    logging,
};
use serde_json::Value;
use tracing_subscriber::{fmt::MakeWriter, util::SubscriberInitExt};

use crate::harness::{ADMIN, TestHub};

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn line_with(&self, part: &str) -> String {
        let lines = self.lines();
        let found = lines.iter().find(|line| line.contains(part));
        found.unwrap_or_else(|| panic!("no line with {part:?}: {lines:#?}")).clone()
    }
}

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Kept {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// What this thread, which is the test's whole runtime, logs from now on.
fn keep(format: LogFormat) -> (Kept, tracing::subscriber::DefaultGuard) {
    let kept = Kept::default();
    let config = LogConfig { format, ..LogConfig::default() };
    let (subscriber, _) = logging::subscriber(&config, kept.clone(), false);
    (kept, subscriber.set_default())
}

#[tokio::test]
async fn g1_a_request_is_one_line_without_secrets() {
    let hub = TestHub::new().await;
    let (kept, _guard) = keep(LogFormat::Text);
    let mut ada = hub.signed_in("ada").await;
    ada.request(
        Method::GET,
        "/hub/home?code=hush&x=1",
        &[("x-request-id", "from-outside.1"), ("x-forwarded-for", "192.0.2.7")],
        "",
    )
    .await;
    ada.get("/hub/user-redirect/lab?token=hush").await;
    hub.api(ADMIN, Method::GET, "/authorizations/token/hush", None).await;

    let home = kept.line_with(" GET /hub/home");
    assert!(home.contains(" INFO request{request_id=\"from-outside.1\"}: 200 GET"), "{home}");
    assert!(home.contains("/hub/home?code=[secret]&x=1 (ada@192.0.2.7) "), "{home}");
    assert!(home.ends_with("ms"), "{home}");
    let away = kept.line_with("user-redirect");
    assert!(away.contains(" -> /hub/spawn/ada?next=%2Fuser%2Fada%2Flab?[secret] (ada@"), "{away}");
    let token = kept.line_with("authorizations");
    assert!(token.contains(" WARN ") && token.contains("/authorizations/[secret] "), "{token}");
    let all = kept.lines().join("\n");
    assert!(!all.contains("hush") && !all.contains(ADMIN), "{all}");
}

#[tokio::test]
async fn a_programs_line_has_fields() {
    let hub = TestHub::new().await;
    let (kept, _guard) = keep(LogFormat::Json);
    let answer = hub.get("/users/nobody").await;
    let id = answer.headers["x-request-id"].to_str().unwrap();
    let line: Value = serde_json::from_str(&kept.line_with("/users/nobody")).unwrap();
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["http.status"], 404);
    assert_eq!(line["http.method"], "GET");
    assert_eq!(line["http.uri"], "/hub/api/users/nobody");
    assert_eq!(line["http.user"], "service admin");
    assert!(line["http.ms"].as_f64().is_some());
    assert_eq!(line["span"]["request_id"], id);
    assert!(line["message"].as_str().unwrap().starts_with("404 GET /hub/api/users/nobody ("));
}

#[tokio::test]
async fn every_line_of_a_request_and_its_error_page_have_its_id() {
    let hub = TestHub::new().await;
    let (kept, _guard) = keep(LogFormat::Json);
    let mut browser = hub.browser();
    browser.get("/hub/login").await;
    let form = format!("_xsrf={}&username=ada&password=wrong", browser.xsrf());
    let failed = browser.post("/hub/login", &form).await;
    let id = failed.headers["x-request-id"].to_str().unwrap();
    for part in ["sign-in failed", "POST /hub/login"] {
        let line: Value = serde_json::from_str(&kept.line_with(part)).unwrap();
        assert_eq!(line["span"]["request_id"], id, "{part}");
    }

    let page = browser.request(Method::GET, "/hub/nothing", &[("x-request-id", "abc-1")], "").await;
    assert_eq!(page.headers["x-request-id"], "abc-1");
    assert!(page.text.contains("<code>abc-1</code>"), "{}", page.text);
    let odd = browser.request(Method::GET, "/hub/nothing", &[("x-request-id", "a<b")], "").await;
    assert_ne!(odd.headers["x-request-id"], "a<b");
}

#[tokio::test]
async fn what_is_asked_all_the_time_is_told_only_to_those_who_debug() {
    let hub = TestHub::new().await;
    let (kept, _guard) = keep(LogFormat::Text);
    hub.browser().get("/hub/health").await;
    hub.browser().get("/hub/static/css/hub.css").await;
    hub.browser().get("/hub/static/css/none.css").await;
    let lines = kept.lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains(" WARN ") && lines[0].contains("none.css"), "{lines:#?}");
}
