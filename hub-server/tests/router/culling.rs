//! Idle servers, over a fake spawner and a notebook that says what runs in it.

use std::sync::{Arc, Mutex, OnceLock};

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, Method, Request, StatusCode, header};
use hub_server::Clock;
use hub_spawner::fake::FakeSpawner;
use hub_store::Store;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};
use url::Url;

use crate::harness::{TestHub, eventually, key, send};

const CULLING: &str = "[culling]\ntimeout_seconds = 3600\ninterval_seconds = 1\n";

/// A single-user server as far as the culler is concerned: it asks the hub about
/// whoever asks it.
#[derive(Clone, Default)]
struct Notebook {
    kernels: Arc<Mutex<Value>>,
    /// What the tokens of those who asked may do.
    asked: Arc<Mutex<Vec<Value>>>,
    /// The headers of the last one.
    credential: Arc<Mutex<HeaderMap>>,
    hub: Arc<OnceLock<Router>>,
    /// Whether bob's servers keep those waiting who ask.
    held: watch::Sender<bool>,
}

impl Notebook {
    /// A hub whose servers are this one, and the configuration's last lines.
    async fn hub(&self, more: &str) -> TestHub {
        *self.kernels.lock().unwrap() = json!([]);
        let spawner = FakeSpawner::new().answers_with(self.serve().await);
        let hub = TestHub::configured(more, spawner, Store::in_memory().await.unwrap()).await;
        self.hub.set(hub.private.clone()).unwrap();
        hub
    }

    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    async fn serve(&self) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let router = Router::new()
            .route("/user/{user}/api/kernels", get(kernels))
            .route("/user/{user}/api/terminals", get(|| async { StatusCode::NOT_FOUND }))
            .fallback(|| async { [("x-jupyterhub-version", "6.1.1")] })
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn runs(&self, state: &str, last_activity: jiff::Timestamp) {
        *self.kernels.lock().unwrap() = json!([{
            "id": "a", "name": "python3", "execution_state": state, "connections": 0,
            "last_activity": last_activity.to_string(),
        }]);
    }

    fn times_asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// Waits until it has been asked twice from now on: the first of the two may have
    /// been on its way.
    async fn is_asked_again(&self) {
        let before = self.times_asked();
        eventually("it is asked again", || async { self.times_asked() >= before + 2 }).await;
    }
}

async fn kernels(
    State(notebook): State<Notebook>,
    Path(user): Path<String>,
    headers: HeaderMap,
) -> Response {
    let request = Request::get("/hub/api/user")
        .header(header::AUTHORIZATION, &headers[header::AUTHORIZATION])
        .body(axum::body::Body::empty())
        .unwrap();
    let who = send(notebook.hub.get().unwrap(), request).await;
    if who.status != StatusCode::OK {
        return StatusCode::FORBIDDEN.into_response();
    }
    *notebook.credential.lock().unwrap() = headers;
    notebook.asked.lock().unwrap().push(who.json()["scopes"].clone());
    if user == "bob" {
        notebook.held.subscribe().wait_for(|held| !held).await.unwrap();
    }
    Json(notebook.kernels.lock().unwrap().clone()).into_response()
}

async fn server(hub: &TestHub, user: &str) -> Value {
    let user = hub.get(&format!("/users/{user}?include_stopped_servers")).await.json();
    user["servers"][""].clone()
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

#[tokio::test]
async fn an_unused_server_is_announced_and_then_stopped() {
    let hub = Notebook::default().hub(CULLING).await;
    let mut ada = hub.signed_in("ada").await;
    hub.post("/users/ada/server", None).await;
    hub.clock.advance(minutes(55));
    eventually("it is announced", || async { !server(&hub, "ada").await["stops_at"].is_null() })
        .await;
    assert_eq!(server(&hub, "ada").await["stops_because"], "idle");
    let home = ada.get("/hub/home").await;
    const ANNOUNCED: &str = r#"data-field="stops" role="status">"#;
    assert!(home.text.contains(ANNOUNCED), "{}", home.text);
    assert_eq!(hub.spawner.running(), [key("ada")]);

    hub.clock.advance(minutes(10));
    eventually("it is stopped", || async { hub.spawner.running().is_empty() }).await;
    eventually("the hub knows", || async { server(&hub, "ada").await["stopped"] == true }).await;
    let told = "Your server was stopped after 65 minutes without use.";
    assert_eq!(server(&hub, "ada").await["last_stop"]["message"], told);
    for page in ["/hub/home", "/hub/user/ada/lab"] {
        let page = ada.get(page).await;
        assert!(page.text.contains(told), "{}", page.text);
        assert!(!page.text.contains(ANNOUNCED), "{}", page.text);
    }
}

#[tokio::test]
async fn a_server_that_computes_is_kept_until_it_has_done() {
    let notebook = Notebook::default();
    let hub = notebook.hub(CULLING).await;
    hub.post("/users/ada/server", None).await;
    notebook.runs("busy", hub.clock.now());
    hub.clock.advance(minutes(600));
    notebook.is_asked_again().await;
    assert_eq!(hub.spawner.running(), [key("ada")]);

    // It has done just now, which is as good as a visit.
    notebook.runs("idle", hub.clock.now());
    notebook.is_asked_again().await;
    assert_eq!(hub.spawner.running(), [key("ada")]);
    hub.clock.advance(minutes(61));
    eventually("it is stopped", || async { hub.spawner.running().is_empty() }).await;
}

#[tokio::test]
async fn a_server_that_is_slow_to_answer_delays_no_other_and_is_kept_if_it_is_used_meanwhile() {
    let notebook = Notebook::default();
    let hub = notebook.hub(CULLING).await;
    notebook.held.send_replace(true);
    // His is looked at first.
    for user in ["bob", "ada"] {
        hub.post(&format!("/users/{user}/server"), None).await;
    }
    hub.clock.advance(minutes(4));
    hub.post("/users/grace/server", None).await;
    hub.clock.advance(minutes(57));
    let left = [key("bob"), key("grace")];
    eventually("ada's is stopped", || async { hub.spawner.running() == left }).await;
    assert_eq!(notebook.held.receiver_count(), 1, "his is still being asked");

    let now = hub.clock.now().to_string();
    let told = json!({ "servers": { "": { "last_activity": now } } });
    let told = hub.post("/users/bob/activity", Some(told)).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    notebook.held.send_replace(false);
    // That is told at the end of a round.
    let announced = || async { !server(&hub, "grace").await["stops_at"].is_null() };
    eventually("hers is announced", announced).await;
    hub.clock.advance(minutes(10));
    eventually("hers is stopped", || async { hub.spawner.running() != left }).await;
    assert_eq!(hub.spawner.running(), [key("bob")]);
}

#[tokio::test]
async fn a_server_is_asked_with_a_token_that_opens_it_and_nothing_else() {
    let notebook = Notebook::default();
    let hub = notebook.hub(CULLING).await;
    hub.post("/users/ada/server", None).await;
    let seen = hub.get("/users/ada").await.json()["last_activity"].clone();
    notebook.runs("busy", hub.clock.now());
    hub.clock.advance(minutes(61));
    notebook.is_asked_again().await;
    let mut scopes: Vec<String> = notebook.asked.lock().unwrap()[0]
        .as_array()
        .unwrap()
        .iter()
        .map(|scope| scope.as_str().unwrap().to_owned())
        .collect();
    scopes.retain(|scope| !scope.starts_with("read:users:"));
    assert_eq!(scopes, ["access:servers!server=ada/"]);

    // To be asked is not to be used, and the token is good for one question.
    assert_eq!(hub.get("/users/ada").await.json()["last_activity"], seen);
    let revoked = || async {
        let token = notebook.credential.lock().unwrap()[header::AUTHORIZATION].clone();
        let token = token.to_str().unwrap().strip_prefix("token ").unwrap().to_owned();
        let answer = hub.api(&token, Method::GET, "/user", None).await;
        answer.status == StatusCode::FORBIDDEN
    };
    eventually("the token is revoked", revoked).await;
}

#[tokio::test]
async fn rules_and_exemptions_decide_for_whom() {
    let more = format!(
        "{CULLING}exempt_admins = true\n\
         [[culling.rules]]\nusers = [\"bob\"]\ntimeout_seconds = 0\n"
    );
    let hub = Notebook::default().hub(&more).await;
    for user in ["ada", "bob", "grace"] {
        hub.signed_in(user).await;
        hub.post(&format!("/users/{user}/server"), None).await;
    }
    hub.clock.advance(minutes(61));
    let left = [key("bob"), key("grace")];
    eventually("ada's is stopped", || async { hub.spawner.running() == left }).await;
}

#[tokio::test]
async fn accounts_are_removed_only_where_that_is_wanted() {
    let more = format!(
        "{CULLING}remove_users = true\n[[culling.rules]]\nusers = [\"bob\"]\ntimeout_seconds = 0\n"
    );
    let hub = Notebook::default().hub(&more).await;
    for user in ["ada", "bob", "grace"] {
        hub.signed_in(user).await;
    }
    hub.clock.advance(minutes(61));
    let gone = || async { hub.get("/users/ada").await.status == StatusCode::NOT_FOUND };
    eventually("ada's account is removed", gone).await;
    assert_eq!(hub.spawner.forgotten_users(), ["ada".parse().unwrap()], "with what is hers");
    // An administrator stays, and so does who may be away for ever.
    for user in ["bob", "grace"] {
        assert_eq!(hub.get(&format!("/users/{user}")).await.status, StatusCode::OK, "{user}");
    }
}

#[tokio::test]
async fn whoever_comes_back_while_others_are_removed_stays() {
    let hub = Notebook::default().hub(&format!("{CULLING}remove_users = true\n")).await;
    hub.post("/users/zoe", None).await;
    hub.spawner.hold_removals();
    hub.clock.advance(minutes(61));
    eventually("ada is being removed", || async { hub.spawner.removals_waiting() > 0 }).await;
    assert_eq!(hub.post("/users/bob/server", None).await.status, StatusCode::CREATED);
    hub.spawner.let_removals_go();
    let gone = || async { hub.get("/users/zoe").await.status == StatusCode::NOT_FOUND };
    eventually("zoe, who comes after him, is removed", gone).await;
    assert_eq!(hub.get("/users/bob").await.status, StatusCode::OK);
    assert_eq!(hub.spawner.running(), [key("bob")]);
}
