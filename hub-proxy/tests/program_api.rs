//! The REST API of the program over its socket, as a hub uses it (R-01 to R-34).
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::net::SocketAddr;

use futures_util::future::join_all;
use jiff::{Timestamp, ToSpan};
use process::{Answer, Program, ask};
use serde_json::{Value, json};
use support::*;

const TOKEN: &str = "Authorization: token s3cret\r\n";
const TARGET: &str = r#"{"target": "http://127.0.0.1:9000"}"#;

async fn json(program: &Program, path: &str) -> Value {
    let answer = program.api("GET", path, "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.contains("\r\ncontent-type: application/json\r\n"), "{}", answer.head);
    serde_json::from_str(&answer.body).unwrap()
}

async fn keys(program: &Program, path: &str) -> Vec<String> {
    json(program, path).await.as_object().unwrap().keys().cloned().collect()
}

#[expect(clippy::disallowed_methods, reason = "compared with what another process says")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// Status and text.
async fn said(program: &Program, method: &str, path: &str, body: &str) -> (u16, String) {
    let Answer { status, body, .. } = program.api(method, path, body).await;
    (status, body)
}

fn is(status: u16, text: &str) -> (u16, String) {
    (status, text.to_owned())
}

/// A target that answers all requests with a word.
async fn saying(word: &'static str) -> SocketAddr {
    target(move |mut client| async move {
        client.head().await;
        let len = word.len();
        client
            .send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{word}"
            ))
            .await;
    })
    .await
}

#[tokio::test]
async fn r_01_r_02_p_004_to_p_006_the_table_and_each_route_can_be_read() {
    let program = Program::start(&[]).await;
    assert_eq!(json(&program, "/api/routes").await, json!({}));
    for path in ["/user/ada", "/user/bob"] {
        assert_eq!(said(&program, "POST", &format!("/api/routes{path}"), TARGET).await.0, 201);
    }
    let table = json(&program, "/api/routes").await;
    assert_eq!(json(&program, "/api/routes/").await, table);
    let routes = table.as_object().unwrap();
    assert_eq!(routes.keys().collect::<Vec<_>>(), ["/user/ada", "/user/bob"]);
    for path in ["/api/routes/user/ada", "/api/routes/user/ada/"] {
        assert_eq!(json(&program, path).await, routes["/user/ada"]);
    }
    assert_eq!(routes["/user/ada"]["target"], "http://127.0.0.1:9000");
    for absent in ["/api/routes/user", "/api/routes/user/ada/lab", "/api/routes/none/"] {
        assert_eq!(said(&program, "GET", absent, "").await, is(404, ""), "{absent}");
    }
}

#[tokio::test]
async fn r_03_r_04_p_007_p_009_a_route_is_live_when_it_is_added_and_replaced_whole() {
    let program = Program::start(&[]).await;
    let (one, other, root) = (saying("one").await, saying("other").await, saying("root").await);
    let target = |addr: SocketAddr| format!("http://{addr}");
    let before = now();
    let sent = json!({
        "target": target(one), "jupyterhub": true, "user": "ada", "extra": {"a": [1, null]},
    });
    let added = said(&program, "POST", "/api/routes/user/ada", &sent.to_string()).await;
    assert_eq!(added, is(201, ""));
    assert_eq!(program.get("/user/ada/lab").await.body, "one");
    let route = json(&program, "/api/routes/user/ada").await;
    for member in ["target", "jupyterhub", "user", "extra"] {
        assert_eq!(route[member], sent[member], "{member}");
    }
    let text = route["last_activity"].as_str().unwrap();
    assert!(text.len() == 24 && text.ends_with('Z'), "milliseconds of UTC: {text}");
    let used: Timestamp = text.parse().unwrap();
    // What is kept has no parts of milliseconds.
    assert!(used >= before - 1.millisecond() && used <= now(), "{used}");

    let sent = json!({"target": target(other)}).to_string();
    assert_eq!(said(&program, "POST", "/api/routes/user/ada/", &sent).await, is(201, ""));
    assert_eq!(program.get("/user/ada/lab").await.body, "other");
    let route = json(&program, "/api/routes/user/ada").await;
    let mut members: Vec<_> = route.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["last_activity", "target"], "nothing of the first one is left");

    for path in ["/api/routes", "/api/routes/"] {
        assert_eq!(program.get("/elsewhere").await.status, 404);
        let sent = json!({"target": target(root)}).to_string();
        assert_eq!(said(&program, "POST", path, &sent).await, is(201, ""));
        assert_eq!(program.get("/elsewhere").await.body, "root");
        assert_eq!(keys(&program, "/api/routes").await, ["/", "/user/ada"]);
        assert_eq!(said(&program, "DELETE", path, "").await, is(204, ""));
    }
}

#[tokio::test]
async fn r_05_p_010_of_many_who_delete_a_route_one_has_done_it() {
    let program = Program::start(&[]).await;
    program.route("/user/ada", saying("ok").await).await;
    assert_eq!(program.get("/user/ada").await.body, "ok");
    let paths = ["/api/routes/user/ada", "/api/routes/user/ada/"];
    let deleting = (0..16).map(|at| said(&program, "DELETE", paths[at % 2], ""));
    let mut answers = join_all(deleting).await;
    answers.sort();
    assert_eq!(answers[0], is(204, ""));
    assert!(answers[1..].iter().all(|answer| *answer == is(404, "")), "{answers:?}");
    assert_eq!(program.get("/user/ada").await.status, 404);
    assert_eq!(json(&program, "/api/routes").await, json!({}));
}

#[tokio::test]
async fn r_06_r_07_without_the_token_nothing_is_read_or_told() {
    let mut program = Program::start(&["--log-level", "debug"]).await;
    assert_eq!(said(&program, "POST", "/api/routes/kept", TARGET).await.0, 201);
    for fields in [
        "",
        "Authorization: s3cret\r\n",
        "Authorization: token\r\n",
        "Authorization: token  \r\n",
        "Authorization: token s3cre\r\n",
        "Authorization: token s3cret1\r\n",
        "Authorization: token S3CRET\r\n",
        "Authorization: Bearer s3cret\r\n",
        "Authorization: my token s3cret\r\n",
        "X-Authorization: token s3cret\r\n",
        "Authorization: token offered-by-somebody\r\n",
    ] {
        for (method, path, body) in [
            ("GET", "/api/routes", ""),
            ("GET", "/api/routes/kept", ""),
            ("GET", "/api/routes/absent", ""),
            ("GET", "/api/routes?inactive_since=never", ""),
            ("POST", "/api/routes/a", "not JSON"),
            ("POST", "/api/routes/a", "{}"),
            ("POST", "/api/routes/a", TARGET),
            ("POST", "/api/routes/%zz", TARGET),
            ("DELETE", "/api/routes/kept", ""),
            ("PUT", "/api/v2/routes", r#"{"routes": {}}"#),
            ("GET", "/api/v2/routes", ""),
            ("GET", "/api/v2/status", ""),
        ] {
            let answer = ask(program.api, method, path, fields, body).await;
            let told = (answer.status, answer.body.as_str());
            assert_eq!(told, (403, ""), "{fields:?} {method} {path}");
        }
    }
    assert_eq!(keys(&program, "/api/routes").await, ["/kept"]);
    for scheme in ["token", "Token", "TOKEN  ", "token\t"] {
        let fields = format!("Authorization: {scheme} s3cret\r\n");
        assert_eq!(ask(program.api, "GET", "/api/routes", &fields, "").await.status, 200);
    }
    let log = program.last_words().await;
    assert!(log.contains("403 GET /api/routes"), "{log}");
    assert!(!log.contains("s3cre") && !log.contains("offered-by-somebody"), "{log}");
}

#[tokio::test]
async fn r_07_r_08_r_14_what_is_wrong_with_a_body_is_told() {
    let program = Program::start(&[]).await;
    let must = "Must specify 'target' as string";
    for (body, beginning) in [
        ("", "Body not valid JSON"),
        ("{", "Body not valid JSON"),
        ("target=http://h", "Body not valid JSON"),
        ("{} {}", "Body not valid JSON"),
        ("{}", must),
        ("null", must),
        ("[]", must),
        ("7", must),
        (r#""http://h:1""#, must),
        (r#"{"target": null}"#, must),
        (r#"{"target": ["http://h:1"]}"#, must),
        (r#"{"target": ""}"#, "'target' is not usable"),
        (r#"{"target": "h:1"}"#, "'target' is not usable"),
        (r#"{"target": "ftp://h:1"}"#, "'target' is not usable"),
        (r#"{"target": "http://"}"#, "'target' is not usable"),
    ] {
        let (status, text) = said(&program, "POST", "/api/routes/a", body).await;
        assert!(status == 400 && text.starts_with(beginning), "{body}: {status} {text}");
    }
    assert_eq!(json(&program, "/api/routes").await, json!({}), "none of it is a route");
    for scheme in ["http", "https", "ws", "wss"] {
        let body = json!({"target": format!("{scheme}://h:1")}).to_string();
        assert_eq!(said(&program, "POST", &format!("/api/routes/{scheme}"), &body).await.0, 201);
    }
    for scheme in ["http+unix", "unix+http"] {
        let body = json!({"target": format!("{scheme}://%2Frun%2Fh.sock")}).to_string();
        assert_eq!(said(&program, "POST", &format!("/api/routes/{scheme}"), &body).await.0, 201);
    }
}

#[tokio::test]
async fn r_09_r_10_what_there_is_not_is_refused_in_words() {
    let program = Program::start(&[]).await;
    for (method, path) in [
        ("PUT", "/api/routes"),
        ("PATCH", "/api/routes/a"),
        ("OPTIONS", "/api/routes/a"),
        ("DELETE", "/api/v2/routes"),
        ("POST", "/api/v2/status"),
    ] {
        let answer = said(&program, method, path, "").await;
        assert_eq!(answer, is(405, "Method not supported"), "{method} {path}");
    }
    let head = ask(program.api, "HEAD", "/api/routes", TOKEN, "").await;
    assert_eq!((head.status, head.body.as_str()), (405, ""), "HEAD has no body");
    for path in ["/", "/api", "/api/", "/api/routesx", "/api/v3/status", "/metrics"] {
        assert_eq!(said(&program, "GET", path, "").await, is(404, "Not Found"), "{path}");
    }
}

#[tokio::test]
async fn r_11_p_011_p_012_routes_can_be_listed_by_age() {
    let program = Program::start(&[]).await;
    program.route("/a", nowhere().await).await;
    let used = json(&program, "/api/routes/a").await["last_activity"].as_str().unwrap().to_owned();
    let later = (used.parse::<Timestamp>().unwrap() + 1.millisecond()).to_string();
    let day = |text: &str| text[..10].to_owned();
    let tomorrow = day(&(now() + 48.hours()).to_string());
    for (query, expected) in [
        // Strictly before.
        (format!("inactive_since={used}"), vec![]),
        (format!("inactiveSince={used}"), vec![]),
        (format!("inactive_since={later}"), vec!["/a"]),
        (format!("inactiveSince={later}"), vec!["/a"]),
        (format!("inactiveSince={}", later.replace(':', "%3A")), vec!["/a"]),
        // Of both, the camel's counts.
        (format!("inactive_since={used}&inactiveSince={later}"), vec!["/a"]),
        (format!("inactiveSince={used}&inactive_since={later}"), vec![]),
        // Days begin at midnight UTC.
        (format!("inactiveSince={}", day(&used)), vec![]),
        (format!("inactiveSince={tomorrow}"), vec!["/a"]),
        ("inactiveSince=1970-01-01".to_owned(), vec![]),
        ("other=1".to_owned(), vec!["/a"]),
    ] {
        assert_eq!(keys(&program, &format!("/api/routes?{query}")).await, expected, "{query}");
    }
    for text in ["endoftheuniverse", "2026-13-01", ""] {
        let answer = said(&program, "GET", &format!("/api/routes?inactiveSince={text}"), "").await;
        assert_eq!(answer, is(400, &format!("Invalid datestamp '{text}' must be ISO8601.")));
    }
    let one = json(&program, "/api/routes/a?inactiveSince=never").await;
    assert_eq!(one["last_activity"], used, "of one route the age is not asked");
}

#[tokio::test]
async fn r_12_r_13_r_16_p_008_paths_are_decoded_once_and_strictly() {
    let program = Program::start(&[]).await;
    let target = saying("ok").await;
    let body = json!({"target": format!("http://{target}")}).to_string();
    for (added, kept, asked) in [
        ("/user/foo%40bar", "/user/foo@bar", "/user/foo@bar/path"),
        ("/a%2Fb", "/a/b", "/a/b/c"),
        ("/a%2525", "/a%25", "/a%2525"),
        ("//d", "/d", "/d"),
        ("/user/%E7%A7%80%E6%A8%B9", "/user/秀樹", "/user/%E7%A7%80%E6%A8%B9/"),
        ("/has%20space/foo/", "/has space/foo", "/has%20space/foo/"),
    ] {
        let path = format!("/api/routes{added}");
        assert_eq!(program.get(asked).await.status, 404, "{added}");
        assert_eq!(said(&program, "POST", &path, &body).await.0, 201, "{added}");
        assert_eq!(keys(&program, "/api/routes").await, [kept]);
        assert_eq!(program.get(asked).await.body, "ok", "{added}");
        assert_eq!(said(&program, "DELETE", &path, "").await.0, 204, "{added}");
    }
    for spec in ["/%zz", "/%", "/a/%ff", "/a%00", "/a/../b"] {
        for method in ["GET", "POST", "DELETE"] {
            let (status, text) = said(&program, method, &format!("/api/routes{spec}"), &body).await;
            assert_eq!(status, 400, "{method} {spec}");
            assert!(text.starts_with("Invalid route: "), "{method} {spec}: {text}");
        }
    }
}

#[tokio::test]
async fn r_15_a_body_of_1_mib_is_taken_and_one_beyond_it_refused() {
    const MIB: usize = 1 << 20;
    let program = Program::start(&[]).await;
    let of_size = |size: usize| {
        let (start, end) = (r#"{"target": "http://h:1", "padding": ""#, r#""}"#);
        format!("{start}{}{end}", "x".repeat(size - start.len() - end.len()))
    };
    let answer = program.api("POST", "/api/routes/most", &of_size(MIB)).await;
    assert_eq!(answer.status, 201, "{}", answer.head);
    for (name, framing, body) in [
        ("length", format!("Content-Length: {}", MIB + 1), of_size(MIB + 1)),
        (
            "chunks",
            "Transfer-Encoding: chunked".to_owned(),
            format!("{:x}\r\n{}\r\n0\r\n\r\n", MIB + 1, of_size(MIB + 1)),
        ),
    ] {
        let mut client = Client::to(program.api).await;
        client
            .send(format!(
                "POST /api/routes/{name} HTTP/1.1\r\nHost: h\r\n{TOKEN}{framing}\r\n\r\n"
            ))
            .await;
        client.send(body).await;
        let head = client.head().await;
        assert!(head.starts_with("http/1.1 413 "), "{name}: {head}");
    }
    assert_eq!(keys(&program, "/api/routes").await, ["/most"]);
}

#[tokio::test]
async fn r_30_r_34_the_table_is_replaced_in_one_step_by_who_has_seen_it() {
    let program = Program::start(&[]).await;
    let (one, other) = (saying("one").await, saying("other").await);
    let table = |target: SocketAddr| {
        let target = json!({"target": format!("http://{target}"), "user": "ada"});
        json!({"/a": target, "/b": target})
    };
    let version = async || json(&program, "/api/v2/routes").await["version"].as_u64().unwrap();
    let put = async |body: Value| said(&program, "PUT", "/api/v2/routes", &body.to_string()).await;
    program.route("/old", one).await;
    let first = version().await;

    let bad = put(json!({"routes": {"/a": {"target": "http://h:1"}, "/b": {}}})).await;
    assert!(bad.0 == 400 && bad.1.contains("/b"), "{bad:?}");
    assert_eq!(keys(&program, "/api/routes").await, ["/old"], "or nothing");
    let (status, told) = put(json!({"routes": table(one), "if_version": first})).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((status, &told["routes"]), (200, &json!(2)));
    assert_eq!(told["version"], version().await);
    assert_eq!(keys(&program, "/api/routes").await, ["/a", "/b"]);
    assert_eq!(program.get("/old").await.status, 404);
    assert_eq!(program.get("/b").await.body, "one");

    // Of those who have seen the same table, one may replace it.
    let seen = version().await;
    let replacing = (0..8).map(|_| put(json!({"routes": table(other), "if_version": seen})));
    let mut statuses: Vec<_> = join_all(replacing).await.iter().map(|answer| answer.0).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
    assert_eq!(program.get("/a").await.body, "other");
    // Single changes count as well.
    let seen = version().await;
    program.route("/c", one).await;
    assert_eq!(put(json!({"routes": {}, "if_version": seen})).await.0, 409);
    assert_eq!(keys(&program, "/api/routes").await, ["/a", "/b", "/c"]);

    // Nobody ever sees a mixture.
    let changing = async {
        for at in 0..50 {
            put(json!({"routes": table(if at % 2 == 0 { one } else { other })})).await;
        }
    };
    let reading = async {
        for _ in 0..50 {
            let routes = json(&program, "/api/routes").await;
            let target = &routes["/a"]["target"];
            let both = routes.as_object().unwrap().len() <= 3 && *target == routes["/b"]["target"];
            assert!(both && target.is_string(), "{routes}");
        }
    };
    tokio::join!(changing, reading);
}

#[tokio::test]
async fn r_31_r_33_the_status_tells_how_the_proxy_fares_and_answers_name_the_start() {
    let program = Program::start(&[]).await;
    program.route("/a", nowhere().await).await;
    let held = Client::to(program.public).await;
    soon(async { while program.status().await["connections"] != 1 {} }).await;
    let status = program.status().await;
    assert_eq!((&status["state"], &status["routes"]), (&json!("serving"), &json!(1)));
    assert!(status["version"].is_string(), "{status}");
    drop(held);

    let start = status["start"].as_str().unwrap().to_lowercase();
    let named = format!("\r\nhub-proxy-start: {start}\r\n");
    for (method, path, fields) in [
        ("GET", "/api/routes", TOKEN),
        ("GET", "/api/routes", ""),
        ("GET", "/none", TOKEN),
        ("PATCH", "/api/routes", TOKEN),
        ("DELETE", "/api/routes/absent", TOKEN),
    ] {
        let answer = ask(program.api, method, path, fields, "").await;
        assert!(answer.head.contains(&named), "{method} {path}: {}", answer.head);
    }
    let other = Program::start(&[]).await.status().await;
    assert_ne!(other["start"], status["start"], "another start");
}
