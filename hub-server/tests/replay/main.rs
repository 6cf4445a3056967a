//! A recording of real traffic with JupyterHub 6.1, driven against this hub.
//!
//! Each recorded request is sent again, with our cookies, tokens and codes in the
//! place of the recorded ones; status, fields, cookies and JSON are compared. Where
//! we answer otherwise on purpose, [`deliberate`] says in what, and why.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod compare;
mod deliberate;
#[expect(dead_code, reason = "written for the tests of the routers, which use all of it")]
#[path = "../router/harness.rs"]
mod harness;
mod older;
mod opaque;
mod recording;

use axum::body::Body;
use http::{Method, Request, header};
use hub_spawner::fake::FakeSpawner;
use hub_store::Store;
use secrecy::ExposeSecret;

use crate::{
    compare::differences,
    deliberate::deliberate,
    harness::{Answer, PASSWORD, TestHub, eventually, notebook, send},
    opaque::Opaque,
    recording::{Exchange, exchanges},
};

/// The recorded hub's configuration.
const CONFIG: &str = include_str!("fixtures/hub.toml");

/// In which order to send them: what servers asked belongs between what browsers did.
fn order() -> Vec<u32> {
    let mut order: Vec<u32> = (1..=25).collect();
    order.extend([77, 78]);
    order.extend(26..=31);
    order.extend([79, 80, 81]);
    order.extend(32..=52);
    order.extend([82, 83]);
    order.extend(53..=63);
    order.extend([84, 85]);
    order.extend(64..=76);
    order.extend(129..=357);
    order.extend([390, 391, 359, 392, 363, 393, 394, 364]);
    order.extend(365..=389);
    order.extend(395..=399);
    order
}

/// A server's own token, first seen in this recorded request, is that of the server
/// `user/name`.
const SERVER_TOKENS: [(u32, &str); 3] = [(78, "alice/"), (85, "alice/second"), (391, "v151/")];

/// The token of the recorded hub's administrating service.
const SERVICE_TOKEN: &str = "svc-token-0123456789abcdef0123456789abcdef";

/// A token of u1, used from this exchange on.
const UNSEEN_TOKEN: &str = "94f98f63628f41d0915530e90c943e6c";
const UNSEEN_TOKEN_USED: u32 = 190;

#[tokio::test]
async fn recorded_traffic_is_answered_as_jupyterhub_did() {
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    let hub = TestHub::reading(CONFIG, spawner, Store::in_memory().await.unwrap()).await;
    let recorded = exchanges();
    let mut opaque = Opaque::default();
    let mut wrong = Vec::new();
    let mut compared = 0;
    for exchange in order().iter().filter_map(|seq| recorded.get(seq)) {
        if let Some((_, server)) = SERVER_TOKENS.iter().find(|(seq, _)| *seq == exchange.seq) {
            learn_server_token(&hub, exchange, server, &mut opaque).await;
        }
        if exchange.seq == UNSEEN_TOKEN_USED {
            make_unseen_token(&hub, &mut opaque).await;
        }
        if older::SERVERS.contains(&exchange.seq) {
            older::make_what_is_unseen(&hub, exchange, &mut opaque).await;
        }
        let answer = replay(&hub, exchange, &opaque).await;
        learn(exchange, &answer, &mut opaque);
        compared += 1;
        let mut found = differences(exchange, &answer, &opaque);
        if let Some(deliberate) = deliberate(exchange.seq) {
            found = deliberate.compare(&found);
        }
        wrong.extend(found.iter().map(|difference| {
            let Exchange { seq, step, method, target, .. } = exchange;
            let target: String = target.chars().take(80).collect();
            format!("{seq} ({step}) {method} {target}: {difference}\n    {}", excerpt(&answer))
        }));
    }
    assert!(compared > 280, "only {compared} exchanges were found");
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Makes the token of somebody that the recording uses without showing how it came.
async fn make_unseen_token(hub: &TestHub, opaque: &mut Opaque) {
    let made = hub.api(SERVICE_TOKEN, Method::POST, "/users/u1/tokens", None).await.json();
    opaque.learn(UNSEEN_TOKEN, made["token"].as_str().unwrap());
}

async fn replay(hub: &TestHub, exchange: &Exchange, opaque: &Opaque) -> Answer {
    let target = opaque.put_into_target(&exchange.target);
    let mut request = Request::builder()
        .method(exchange.method.as_str())
        .uri(target)
        .header(header::HOST, "127.0.0.1:18000");
    for (name, value) in &exchange.headers {
        request = request.header(name, opaque.put_into(value));
    }
    // Everybody's password is another one here.
    let body = opaque
        .put_into(&exchange.body)
        .replace("password=pw", &format!("password={}", PASSWORD.replace(' ', "+")))
        .replace(r#""password": "pw""#, &format!(r#""password": "{PASSWORD}""#));
    let body = Body::from(body);
    send(&hub.router, request.body(body).unwrap()).await
}

fn learn(exchange: &Exchange, answer: &Answer, opaque: &mut Opaque) {
    if let (Some(recorded), Ok(ours)) = (exchange.answer(), serde_json::from_str(&answer.text)) {
        opaque.learn_from_json(&recorded, &ours);
    }
    if let Some(recorded) = exchange.location() {
        opaque.learn_from_location(recorded, answer.location());
    }
    for recorded in exchange.replies("set-cookie") {
        let name = recorded.split('=').next().unwrap_or_default();
        if let Some(ours) = answer.set_cookie(name) {
            opaque.learn_from_cookie(recorded, ours);
        }
    }
}

/// The server's token is the spawner's to know.
async fn learn_server_token(hub: &TestHub, exchange: &Exchange, server: &str, opaque: &mut Opaque) {
    let recorded = exchange.headers["Authorization"].split_once(' ').unwrap().1;
    let find =
        || hub.spawner.requests().into_iter().rev().find(|one| one.key.to_string() == server);
    eventually("the server is started", || async { find().is_some() }).await;
    opaque.learn(recorded, find().unwrap().api_token.expose_secret());
}

fn excerpt(answer: &Answer) -> String {
    answer.text.chars().filter(|c| *c != '\n').take(300).collect()
}
