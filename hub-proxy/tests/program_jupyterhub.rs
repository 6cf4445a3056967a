//! The program as JupyterHub's proxy client uses it (section 12 of the proxy contract).
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::{collections::BTreeMap, net::SocketAddr};

use futures_util::{StreamExt, stream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use process::{Program, ask};
use serde_json::{Value, json};
use support::*;

/// What Python's `quote(path, safe="@/~")` leaves as it is.
const KEPT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'@').remove(b'/').remove(b'~').remove(b'_').remove(b'.').remove(b'-');

/// The name of a route in the API from its decoded path: escaped, as the client does it.
fn escaped(path: &str) -> String {
    utf8_percent_encode(path, KEPT).to_string()
}

/// The routes that a hub believes to be its own, under the specs that it knows them by:
/// keys are escaped, and end with a slash.
async fn listed(program: &Program) -> BTreeMap<String, Value> {
    let routes = program.routes().await;
    let ours = routes.as_object().unwrap().iter().filter(|(_, data)| data["jupyterhub"] == true);
    let spec = |key: &str| format!("{}/", escaped(key).trim_end_matches('/'));
    ours.map(|(key, data)| (spec(key), data.clone())).collect()
}

fn data(target: SocketAddr, more: Value) -> Value {
    let mut data = json!({ "target": format!("http://{target}"), "jupyterhub": true });
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    data
}

async fn add(program: &Program, spec: &str, data: &Value) {
    let path = format!("/api/routes{spec}");
    assert_eq!(program.api("POST", &path, &data.to_string()).await.status, 201, "{spec}");
}

async fn delete(program: &Program, spec: &str) -> u16 {
    program.api("DELETE", &format!("/api/routes{spec}"), "").await.status
}

/// A target that answers all requests.
async fn page() -> SocketAddr {
    target(|mut client| async move {
        client.head().await;
        client.send(ONCE).await;
    })
    .await
}

#[tokio::test]
async fn j_01_to_j_03_a_proxy_has_no_routes_but_those_that_the_hub_gives_it() {
    let (hub, server) = (page().await, page().await);
    // Of an address of its own, where nobody else takes a port meanwhile.
    let ip = {
        let [_, high, middle, low] = std::process::id().to_be_bytes();
        format!("127.{}.{middle}.{}", 64 + high % 64, low.max(1))
    };
    let begin = async |public: &str, api: &str| {
        let args = ["--ip", &ip, "--port", public, "--api-ip", &ip, "--api-port", api];
        let program = std::path::Path::new(process::PROGRAM);
        let mut command = process::command_anywhere(program, &args);
        command.args(["--log-level", "debug"]);
        Program::of(command).await
    };
    let program = begin("0", "0").await;
    assert_eq!(program.routes().await, json!({}));
    add(&program, "/", &data(hub, json!({"hub": true}))).await;
    assert_eq!(listed(&program).await.keys().collect::<Vec<_>>(), ["/"]);
    add(&program, "/user/ada/", &data(server, json!({"user": "ada", "server_name": ""}))).await;
    let before = listed(&program).await;
    assert_eq!(before.keys().collect::<Vec<_>>(), ["/", "/user/ada/"]);

    // Another process at the same places, which the hub tells everything again.
    let (public, api) = (program.public.port().to_string(), program.api.port().to_string());
    drop(program);
    soon(async {
        // The sockets of the first may take a moment to go.
        let is_free = |port: &str| std::net::TcpListener::bind(format!("{ip}:{port}")).is_ok();
        while !is_free(&public) || !is_free(&api) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let program = begin(&public, &api).await;
    assert_eq!(program.routes().await, json!({}));
    for (spec, data) in &before {
        add(&program, spec, data).await;
    }
    assert_eq!(listed(&program).await.keys().collect::<Vec<_>>(), ["/", "/user/ada/"]);
    assert_eq!(program.get("/user/ada/lab").await.body, "ok");
}

#[tokio::test]
async fn j_04_a_default_target_is_no_route_of_the_hubs() {
    let hub = page().await;
    let mut command = process::command(
        std::path::Path::new(process::PROGRAM),
        &["--default-target", &format!("http://{hub}")],
    );
    command.env("CONFIGPROXY_AUTH_TOKEN", "another");
    let program = Program::of(command).await;
    let with = |token: &str| format!("Authorization: token {token}\r\n");
    let old = ask(program.api, "GET", "/api/routes", &with("s3cret"), "").await;
    assert_eq!(old.status, 403, "the old token");
    let new = ask(program.api, "GET", "/api/routes", &with("another"), "").await;
    let routes: Value = serde_json::from_str(&new.body).unwrap();
    assert_eq!(routes.as_object().unwrap().keys().collect::<Vec<_>>(), ["/"]);
    assert_eq!(routes["/"].get("jupyterhub"), None);
    assert_eq!(program.get("/hub/").await.body, "ok");
}

#[tokio::test]
async fn j_05_users_of_any_name_come_go_and_come_back() {
    let program = Program::start(&[]).await;
    let server = page().await;
    let names = ["zoe", "50fia", "秀樹", "~TestJH", "has@", "a.b+c-d_e", "50%"];
    let specs = names.map(|name| format!("/user/{}/", escaped(name)));
    for (name, spec) in names.iter().zip(&specs) {
        add(&program, spec, &data(server, json!({"user": name, "server_name": ""}))).await;
    }
    let before = listed(&program).await;
    let mut expected = specs.to_vec();
    expected.sort();
    assert_eq!(before.keys().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    for (name, spec) in names.iter().zip(&specs) {
        assert_eq!(before[spec]["user"], *name);
        assert_eq!(program.get(&format!("{spec}lab")).await.body, "ok", "{name}");
        assert_eq!(delete(&program, spec).await, 204, "{name}");
        assert_eq!(program.get(&format!("{spec}lab")).await.status, 404, "{name}");
        assert!(!listed(&program).await.contains_key(spec), "{name}");
        add(&program, spec, &before[spec]).await;
    }
    let after = listed(&program).await;
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
}

#[tokio::test]
async fn j_06_j_07_extra_routes_come_back_with_all_they_carry() {
    let paths = [
        "/has%20space/foo/",
        "/missing-trailing/slash",
        "/has/@/",
        "/has/%C3%BCni/",
        "/has/%F0%9F%98%80/",
    ];
    for host in ["", "/host.example"] {
        let flags: &[&str] = if host.is_empty() { &[] } else { &["--host-routing"] };
        let program = Program::start(flags).await;
        let target = page().await;
        for path in paths {
            let spec = format!("{host}{path}");
            let extra = json!({ "extra": {"arbitrary": ["data", 1, null]} });
            add(&program, &spec, &data(target, extra.clone())).await;
            let routes = listed(&program).await;
            let known = format!("{}/", spec.trim_end_matches('/'));
            assert_eq!(routes.keys().collect::<Vec<_>>(), [&known]);
            assert_eq!(routes[&known]["target"], format!("http://{target}"));
            assert_eq!(routes[&known]["extra"], extra["extra"]);
            let one = program.api("GET", &format!("/api/routes{spec}"), "").await;
            let one: Value = serde_json::from_str(&one.body).unwrap();
            assert_eq!(one, routes[&known]);
            let mut client = Client::to(program.public).await;
            let request = get(path).replace("hub.example", "host.example");
            client.send(request).await;
            assert!(client.head().await.starts_with("http/1.1 200 "), "{spec}");
            assert_eq!(delete(&program, &known).await, 204, "{spec}");
            assert_eq!(delete(&program, &known).await, 404, "{spec}: which is fine");
            assert!(listed(&program).await.is_empty());
        }
    }
}

/// More than a hub has.
const MANY: usize = 10_000;

#[tokio::test]
async fn j_08_j_09_ten_at_a_time_ten_thousand_routes_are_added_and_read_between_requests() {
    let program = Program::start(&[]).await;
    let server = page().await;
    let user = |at: usize| (format!("/user/u{at}/"), json!({"user": format!("u{at}")}));
    let adding = stream::iter(0..200).map(|at| {
        let (spec, more) = user(at);
        let program = &program;
        async move { add(program, &spec, &data(server, more)).await }
    });
    adding.buffer_unordered(10).collect::<Vec<_>>().await;
    assert_eq!(listed(&program).await.len(), 200);
    let table: serde_json::Map<_, _> = (0..MANY)
        .map(|at| {
            let (spec, more) = user(at);
            (spec, data(server, more))
        })
        .collect();
    let table = json!({ "routes": table }).to_string();
    assert_eq!(program.api("PUT", "/api/v2/routes", &table).await.status, 200);

    for _ in 0..5 {
        let mut hub = Client::to(program.api).await;
        hub.send(
            "GET /api/routes HTTP/1.1\r\nHost: h\r\nAuthorization: token s3cret\r\n\
             Connection: close\r\n\r\n",
        )
        .await;
        // Whether the answer is being made or waits to be taken.
        for at in 0..20 {
            assert_eq!(program.get(&format!("/user/u{at}/lab")).await.body, "ok");
        }
        assert!(hub.head().await.starts_with("http/1.1 200 "));
        let routes: Value = serde_json::from_str(&hub.rest().await).unwrap();
        assert_eq!(routes.as_object().unwrap().len(), MANY);
    }
}
