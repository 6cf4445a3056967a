//! Where the program sends requests, and what it writes down about them.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/http2.rs"]
mod http2;
#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::{path::Path, time::Duration};

use http2::Tls;
use process::{Answer, PROGRAM, Program, ask, command};
use serde_json::Value;
use support::*;

const HANDSHAKE: &str = "GET /user/ada/ws?token=hush HTTP/1.1\r\nHost: h\r\n\
    Connection: Upgrade\r\nUpgrade: websocket\r\nCookie: login=hush\r\n\r\n";

async fn last_activity(program: &Program) -> String {
    let routes = program.routes().await;
    routes["/user/ada"]["last_activity"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn p_001_to_p_004_p_040_a_default_target_is_the_route_of_the_root() {
    let (target, mut heads) = answering(ONCE).await;
    let program = Program::start(&["--default-target", &format!("http://{target}")]).await;
    let routes = program.routes().await;
    assert_eq!(routes.as_object().unwrap().keys().collect::<Vec<_>>(), ["/"]);
    assert_eq!(routes["/"]["target"], Value::from(format!("http://{target}/")));
    for path in ["/", "/any/random/url"] {
        assert_eq!(program.get(path).await.body, "ok");
        assert!(soon(heads.recv()).await.unwrap().starts_with(&format!("get {path} ")));
    }
}

#[tokio::test]
async fn p_014_h2_01_s_09_the_program_serves_https_with_and_without_http_2() {
    let (target, _heads) = answering(ONCE).await;
    let (tls, dir) = (Tls::new(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    std::fs::write(&cert, &tls.cert_pem).unwrap();
    std::fs::write(&key, &tls.key_pem).unwrap();
    let url = format!("http://{target}");
    let args = ["--ssl-cert", &cert, "--ssl-key", &key, "--default-target", &url];
    let program = Program::start(&args).await;
    let request = http::Request::builder().uri("https://hub.example/x");
    let mut sender = tls.open(program.public).await;
    let answer = soon(sender.send_request(request.body(Default::default()).unwrap())).await;
    assert_eq!(answer.unwrap().status(), 200);

    let program = Program::start(&[&args[..], &["--no-http2"]].concat()).await;
    let mut client = Client::over(tls.connect(program.public).await);
    client.send(get("/x")).await;
    assert!(client.head().await.starts_with("http/1.1 200 "));
    assert_eq!(client.take(2).await, b"ok");
}

#[tokio::test]
async fn p_030_p_045_use_moves_the_time_of_last_activity_and_failure_does_not() {
    let (target, _heads) = answering(ONCE).await;
    let program = Program::start(&[]).await;
    program.route("/user/ada", nowhere().await).await;
    let added = last_activity(&program).await;
    assert_eq!(program.get("/user/ada/").await.status, 503);
    let mut socket = Client::to(program.public).await;
    socket.send(HANDSHAKE).await;
    assert!(socket.rest().await.starts_with("HTTP/1.1 503 "));
    assert_eq!(last_activity(&program).await, added);

    program.route("/user/ada", target).await;
    let added = last_activity(&program).await;
    soon(async {
        while last_activity(&program).await <= added {
            assert_eq!(program.get("/user/ada/").await.body, "ok");
        }
    })
    .await;
}

#[tokio::test]
async fn p_036_p_043_odd_names_are_forwarded_as_they_were_sent() {
    let (target, mut heads) = answering(ONCE).await;
    let program = Program::start(&[]).await;
    program.route("/b%40r/b%20r", target).await;
    for path in ["/b%40r/b%20r/x", "/b@r/b%20r/x"] {
        assert_eq!(program.get(path).await.body, "ok");
        let head = soon(heads.recv()).await.unwrap();
        assert!(head.starts_with(&format!("get {path} http/1.1\r\n")), "{head}");
    }
}

#[tokio::test]
async fn p_051_redirects_of_a_target_to_itself_can_lead_to_the_proxy() {
    let target = target(|mut client| async move {
        client.head().await;
        let own = client.stream.local_addr().unwrap();
        client
            .send(format!(
                "HTTP/1.1 302 Found\r\nLocation: http://{own}/x?y\r\nConnection: close\r\n\
                 Content-Length: 0\r\n\r\n"
            ))
            .await;
    })
    .await;
    let url = format!("http://{target}");
    let args = ["--default-target", &url, "--auto-rewrite", "--protocol-rewrite", "https"];
    let program = Program::start(&args).await;
    let head = program.get("/").await.head;
    assert!(head.contains("\r\nlocation: https://h/x?y\r\n"), "{head}");
    let program = Program::start(&args[..2]).await;
    let head = program.get("/").await.head;
    assert!(head.contains(&format!("\r\nlocation: {url}/x?y\r\n")), "P-050: {head}");
}

#[tokio::test]
async fn g_01_to_g_05_the_log_tells_what_was_done_and_no_secret() {
    let (target, _heads) = answering(ONCE).await;
    let mut program = Program::start(&["--log-level", "debug"]).await;
    program.route("/user/ada", target).await;
    let fields = "Cookie: login=hush\r\nAuthorization: token hush\r\n";
    ask(program.public, "GET", "/user/ada/lab?token=hush", fields, "").await;
    let mut socket = Client::to(program.public).await;
    socket.send(HANDSHAKE).await;
    socket.gone().await;
    ask(program.api, "GET", "/api/routes?token=hush", "Authorization: token hush\r\n", "").await;
    program.api("DELETE", "/api/routes/user/ada", "").await;
    program.api("DELETE", "/api/routes/user/ada", "").await;
    let log = program.last_words().await;
    for line in [
        "[ConfigProxy] info: Proxying http://127.0.0.1:",
        "[ConfigProxy] info: Proxy API at http://127.0.0.1:",
        &format!("[ConfigProxy] info: Adding route /user/ada -> http://{target}"),
        "[ConfigProxy] info: Route added /user/ada",
        "[ConfigProxy] info: Removing route /user/ada",
        "[ConfigProxy] info: 201 POST /api/routes/user/ada",
        "[ConfigProxy] warn: 403 GET /api/routes",
        "[ConfigProxy] info: 204 DELETE /api/routes/user/ada",
        "[ConfigProxy] warn: 404 DELETE /api/routes/user/ada",
        "[ConfigProxy] debug: PROXY WEB /user/ada/lab to http://",
        "[ConfigProxy] debug: PROXY WS /user/ada/ws to http://",
    ] {
        assert!(log.contains(line), "{line} in {log}");
    }
    assert!(!log.contains("hush") && !log.contains("s3cret"), "{log}");
    assert!(!log.contains('\u{1b}'), "colours are for terminals: {log}");
    let first = log.lines().next().unwrap();
    let (time, _) = first.split_once(" [ConfigProxy] ").unwrap();
    assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{first}");

    let mut quiet = Program::start(&["--log-level", "INFO"]).await;
    quiet.route("/user/ada", target).await;
    quiet.get("/user/ada/lab").await;
    assert!(!quiet.last_words().await.contains("PROXY WEB"), "at debug level only");
}

#[tokio::test]
async fn p_035_g_05_a_query_of_a_target_is_kept_and_not_logged() {
    let (target, mut heads) = answering(ONCE).await;
    let mut program = Program::start(&["--log-level", "debug"]).await;
    let url = format!("http://{target}/base?key=hush");
    let body = format!(r#"{{"target": "{url}"}}"#);
    let answer = program.api("POST", "/api/routes/user/ada", &body).await;
    assert_eq!((answer.status, answer.body.as_str()), (201, ""));
    assert_eq!(program.routes().await["/user/ada"]["target"], Value::from(url));
    for (path, expected) in [
        ("/user/ada/lab?x=1", "get /base/user/ada/lab?key=hush&x=1 "),
        ("/user/ada/lab", "get /base/user/ada/lab?key=hush "),
    ] {
        assert_eq!(program.get(path).await.body, "ok");
        let head = soon(heads.recv()).await.unwrap();
        assert!(head.starts_with(expected), "{head}");
    }
    let log = program.last_words().await;
    assert!(log.contains("PROXY WEB /user/ada/lab to http://"), "{log}");
    assert!(!log.contains("hush"), "{log}");
}

#[tokio::test]
async fn g_04_targets_that_fail_are_errors_and_say_why() {
    let mut program = Program::start(&[]).await;
    program.route("/user/ada", nowhere().await).await;
    assert_eq!(program.get("/user/ada/lab?token=hush").await.status, 503);
    let mut socket = Client::to(program.public).await;
    socket.send(HANDSHAKE).await;
    socket.gone().await;
    let log = program.last_words().await;
    let errors: Vec<_> = log.lines().filter(|line| line.contains("] error: ")).collect();
    assert_eq!(errors.len(), 2, "{log}");
    for line in errors {
        let says_all = ["a target failed", "/user/ada", "refused"];
        assert!(says_all.iter().all(|part| line.contains(part)), "{line}");
    }
    assert!(!log.contains("hush"), "{log}");
}

#[tokio::test]
async fn g_02_an_api_without_a_token_is_warned_of() {
    let mut command = command(Path::new(PROGRAM), &[]);
    command.env_remove("CONFIGPROXY_AUTH_TOKEN");
    let mut program = Program::of(command).await;
    let log = program.last_words().await;
    assert!(log.contains("[ConfigProxy] warn: REST API is not authenticated."), "{log}");
}

#[tokio::test]
async fn g_06_the_log_can_be_objects() {
    let mut command = command(Path::new(PROGRAM), &["--log-format", "json"]);
    command.args(["--default-target", "http://127.0.0.1:9"]);
    let mut program = Program::of(command).await;
    let log = program.last_words().await;
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let of = |text: &str| lines.iter().find(|line| line["message"] == text);
    assert_eq!(of("Route added /").unwrap()["level"], "INFO", "{log}");
    assert!(lines.iter().all(|line| line["timestamp"].is_string()), "{log}");
}

/// An answer to a request with these fields, and its tag.
async fn tagged(
    program: &Program,
    method: &str,
    path: &str,
    fields: &str,
    body: &str,
) -> (Answer, String) {
    let fields = format!("Authorization: token s3cret\r\n{fields}");
    let answer = ask(program.api, method, path, &fields, body).await;
    let tag = answer.head.lines().find_map(|line| line.strip_prefix("etag: "));
    let tag = tag.unwrap_or_default().to_owned();
    (answer, tag)
}

const TO_NINE: &str = r#"{"target": "http://127.0.0.1:9"}"#;

#[tokio::test]
async fn r_34_whoever_has_read_an_older_table_changes_nothing() {
    let program = Program::start(&["--default-target", "http://127.0.0.1:9"]).await;
    let (_, read) = tagged(&program, "GET", "/api/v2/routes", "", "").await;
    assert!(read.starts_with('"') && read.ends_with('"'), "strong: {read}");
    let holds = format!("If-Match: {read}\r\n");
    let (answer, now) = tagged(&program, "POST", "/api/routes/a", &holds, TO_NINE).await;
    assert_eq!((answer.status, answer.body.as_str()), (201, ""));
    assert_ne!(now, read);

    let before = program.routes().await;
    let whole = format!(r#"{{"routes": {{"/b": {TO_NINE}}}}}"#);
    for (method, path, body) in [
        ("POST", "/api/routes/b", TO_NINE),
        ("POST", "/api/routes/a", TO_NINE),
        ("DELETE", "/api/routes/a", ""),
        ("PUT", "/api/v2/routes", &*whole),
    ] {
        for stale in [&*holds, "If-Match: \"other\"\r\n", "If-None-Match: *\r\n"] {
            if (path, stale) == ("/api/routes/b", "If-None-Match: *\r\n") {
                continue;
            }
            let (answer, told) = tagged(&program, method, path, stale, body).await;
            assert_eq!((answer.status, &told), (412, &now), "{method} {path} {stale}");
            assert!(answer.body.starts_with("Nothing was done: "), "{}", answer.body);
        }
        let (answer, _) = tagged(&program, method, path, "If-Match: 7\r\n", body).await;
        assert_eq!(answer.status, 400, "{method} {path}");
        assert!(answer.body.contains("with its quotes"), "{}", answer.body);
    }
    assert_eq!(program.routes().await, before);

    let holds = format!("If-Match: \"x\", {now}\r\n");
    let (answer, now) = tagged(&program, "PUT", "/api/v2/routes", &holds, &whole).await;
    assert_eq!(answer.status, 200);
    let holds = format!("If-Match: {now}\r\n");
    let (answer, _) = tagged(&program, "DELETE", "/api/routes/b", &holds, "").await;
    assert_eq!(answer.status, 204);
    let (answer, _) = tagged(&program, "DELETE", "/api/routes/b", &holds, "").await;
    assert_eq!(answer.status, 404, "what is not there is not there");
}

#[tokio::test]
async fn r_34_who_knows_the_table_is_not_told_it_again_until_it_changes() {
    let program = Program::start(&["--default-target", "http://127.0.0.1:9"]).await;
    for path in ["/api/routes", "/api/routes/", "/api/v2/routes"] {
        let (_, tag) = tagged(&program, "GET", path, "", "").await;
        for known in [&*tag, "*", &format!("\"x\", W/{tag}")] {
            let known = format!("If-None-Match: {known}\r\n");
            let (answer, again) = tagged(&program, "GET", path, &known, "").await;
            assert_eq!((answer.status, answer.body.as_str(), &again), (304, "", &tag), "{path}");
        }
        let known = format!("If-None-Match: {tag}\r\n");
        assert_eq!(program.api("POST", "/api/routes/a", TO_NINE).await.status, 201);
        let (answer, now) = tagged(&program, "GET", path, &known, "").await;
        assert_eq!(answer.status, 200);
        assert_ne!(now, tag);
    }
    let (answer, _) = tagged(&program, "GET", "/api/routes/none", "If-None-Match: *\r\n", "").await;
    assert_eq!(answer.status, 404);
    // What changes while the table does not is told each time, and kept by no cache.
    for path in ["/api/v2/status", "/api/routes?inactive_since=2026-01-01"] {
        let (_, tag) = tagged(&program, "GET", path, "", "").await;
        let known = format!("If-None-Match: {tag}\r\n");
        let (answer, _) = tagged(&program, "GET", path, &known, "").await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.head.contains("cache-control: no-store\r\n"), "{}", answer.head);
    }
    let (_, tag) = tagged(&program, "GET", "/api/routes", "", "").await;
    drop(program);
    let program = Program::start(&["--default-target", "http://127.0.0.1:9"]).await;
    let known = format!("If-None-Match: {tag}\r\n");
    for _ in 0..4 {
        assert_eq!(program.api("POST", "/api/routes/a", TO_NINE).await.status, 201);
        let (answer, _) = tagged(&program, "GET", "/api/routes", &known, "").await;
        assert_eq!(answer.status, 200, "another process has other tags");
    }
}

#[tokio::test]
async fn r_34_of_several_writers_at_once_one_wins() {
    let program = Program::start(&[]).await;
    let (_, mut tag) = tagged(&program, "GET", "/api/routes", "", "").await;
    for round in 0..8 {
        let holds = format!("If-Match: {tag}\r\n");
        let write = async |writer: usize| {
            let path = format!("/api/routes/{round}/{writer}");
            tagged(&program, "POST", &path, &holds, TO_NINE).await.0.status
        };
        let mut all: [u16; 4] = tokio::join!(write(0), write(1), write(2), write(3)).into();
        all.sort_unstable();
        assert_eq!(all, [201, 412, 412, 412]);
        tag = tagged(&program, "GET", "/api/routes", "", "").await.1;
        assert_eq!(program.routes().await.as_object().unwrap().len(), round + 1);
    }
}

#[tokio::test]
async fn r_32_routes_outlive_the_process_in_a_file() {
    let (target, _heads) = answering(ONCE).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("routes.json");
    let storage = format!("snapshot:{}", file.display());
    let args = ["--storage-backend", &storage, "--default-target", "http://127.0.0.1:9"];
    let proxy = Program::start(&args).await;
    proxy.route("/user/ada", target).await;
    proxy.route("/user/gone", target).await;
    assert_eq!(proxy.api("DELETE", "/api/routes/user/gone", "").await.status, 204);
    assert_eq!(proxy.get("/user/ada/x").await.status, 200);
    let written = || std::fs::read_to_string(&file).unwrap();
    let is_kept = |used: &str| {
        let kept: Value = serde_json::from_str(&written()).unwrap();
        let kept = kept["routes"].as_array().unwrap();
        let moment = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
        kept.len() == 1
            && kept[0]["path"] == "/user/ada"
            && kept[0]["last_used"].as_str().map(moment) == Some(moment(used))
    };
    // The end of the answer may count as a use after the client has seen it.
    soon(async {
        while !is_kept(&last_activity(&proxy).await) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let routes = proxy.routes().await;
    // Killed: nothing is written at the end.
    drop(proxy);

    let mut proxy = Program::start(&args).await;
    assert!(proxy.beginning.iter().any(|line| line.contains("1 routes read from")));
    assert_eq!(proxy.routes().await["/user/ada"], routes["/user/ada"], "time and user, too");
    assert_eq!(proxy.get("/user/ada/x").await.status, 200);
    proxy.signal(rustix::process::Signal::TERM);
    assert!(proxy.ended().await.success());

    // Ended in order: what was used last is there, too.
    let proxy = Program::start(&["--storage-backend", &storage]).await;
    let later = last_activity(&proxy).await;
    assert!(later.as_str() > routes["/user/ada"]["last_activity"].as_str().unwrap(), "{later}");
    assert_eq!(proxy.routes().await["/"], Value::Null, "the default target is not told again");
    drop(proxy);

    std::fs::write(&file, "{").unwrap();
    let (code, said) = process::refused(&args).await;
    assert!(code == 1 && said.contains("routes.json: cannot be used"), "{code}: {said}");
    assert_eq!(written(), "{", "and left as it is");
    let (code, said) = process::refused(&["--storage-backend", "snapshot:/none/such/x"]).await;
    assert!(
        code == 1 && said.contains("--storage-backend /none/such/x: cannot be written"),
        "{said}"
    );
}
