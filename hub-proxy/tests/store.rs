//! Routes in a store of the library's user: what the API changes is kept there, and read
//! from there by the next process (P-042).
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/running.rs"]
mod support;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hub_proxy::{
    BoxError, Listener, RoutePrefix, RouteTable, Traffic,
    admin::{AdminApi, Registry, RouteChange, RouteStore, StoreError, StoredRoute, Vitals},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use support::*;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// Stands for a database. Clones are the same one.
#[derive(Clone)]
struct Rows {
    rows: Arc<Mutex<BTreeMap<RoutePrefix, StoredRoute>>>,
    /// Each change takes one, and waits until there is one.
    permits: Arc<Semaphore>,
    /// Told when one begins.
    begun: mpsc::UnboundedSender<RouteChange>,
    is_broken: Arc<Mutex<bool>>,
    /// Whether the change is there before there is a permit for it.
    is_done_first: Arc<Mutex<bool>>,
    /// Whether reading never ends.
    is_stuck: Arc<Mutex<bool>>,
}

impl Rows {
    fn new() -> (Self, mpsc::UnboundedReceiver<RouteChange>) {
        let (begun, changes) = mpsc::unbounded_channel();
        let permits = Arc::new(Semaphore::new(100));
        let rows = Self {
            rows: Arc::default(),
            permits,
            begun,
            is_broken: Arc::default(),
            is_done_first: Arc::default(),
            is_stuck: Arc::default(),
        };
        (rows, changes)
    }

    fn make(&self, change: &RouteChange) {
        let mut rows = self.rows.lock().unwrap();
        match change {
            RouteChange::Put(route) => {
                rows.insert(route.prefix.clone(), route.clone());
            }
            RouteChange::Removed(prefix) => {
                rows.remove(prefix);
            }
            RouteChange::Replaced(routes) => {
                *rows = routes.iter().map(|one| (one.prefix.clone(), one.clone())).collect();
            }
        }
    }

    fn paths(&self) -> Vec<String> {
        self.rows.lock().unwrap().keys().map(ToString::to_string).collect()
    }

    fn row(&self, path: &str) -> StoredRoute {
        self.rows.lock().unwrap()[&path.parse().unwrap()].clone()
    }

    fn check(&self) -> Result<(), BoxError> {
        if *self.is_broken.lock().unwrap() { Err("the disk is full: hush".into()) } else { Ok(()) }
    }
}

impl RouteStore for Rows {
    async fn load(&self) -> Result<Vec<StoredRoute>, BoxError> {
        self.check()?;
        if *self.is_stuck.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        Ok(self.rows.lock().unwrap().values().cloned().collect())
    }

    async fn keep(&self, change: &RouteChange) -> Result<(), BoxError> {
        self.begun.send(change.clone())?;
        if *self.is_done_first.lock().unwrap() {
            self.make(change);
        }
        self.permits.acquire().await?.forget();
        self.check()?;
        self.make(change);
        Ok(())
    }

    async fn keep_uses(&self, uses: &[(RoutePrefix, Timestamp)]) -> Result<(), BoxError> {
        self.check()?;
        let mut rows = self.rows.lock().unwrap();
        for (prefix, at) in uses {
            if let Some(row) = rows.get_mut(prefix) {
                row.last_used = Some(*at);
            }
        }
        Ok(())
    }
}

/// A proxy with its API, whose routes are in a store.
struct Stored {
    proxy: Running,
    registry: Registry,
    api: SocketAddr,
    /// That of the API.
    traffic: Traffic,
}

impl Stored {
    async fn over(rows: &Rows) -> Self {
        let proxy = Running::to(nowhere().await).await;
        proxy.routes.remove(&"/user/ada".parse().unwrap());
        let registry = Registry::open(proxy.routes.clone(), false, rows.clone()).await.unwrap();
        let vitals = Vitals::new("1.2.3", CancellationToken::new(), Vec::new());
        let service = AdminApi::new(registry.clone(), None, vitals);
        let listener = Listener::bind(&listen()).await.unwrap();
        let (api, stop) = (listener.local_addr(), CancellationToken::new());
        let traffic = listener.traffic();
        TaskTracker::new().spawn(listener.serve(service, stop, Duration::ZERO));
        Self { proxy, registry, api, traffic }
    }

    /// Status and body.
    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut client = Client::to(self.api).await;
        let len = body.len();
        client
            .send(format!(
                "{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
                 Content-Length: {len}\r\n\r\n{body}"
            ))
            .await;
        let head = client.head().await;
        (head.split(' ').nth(1).unwrap().parse().unwrap(), client.rest().await)
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.ask("GET", path, "").await.1).unwrap()
    }

    async fn get(&self, path: &str) -> String {
        self.proxy.ask(&get(path)).await
    }
}

fn rows_of(table: &RouteTable) -> Vec<String> {
    table.snapshot().iter().map(|route| route.prefix.to_string()).collect()
}

fn to(target: SocketAddr) -> String {
    json!({"target": format!("http://{target}"), "user": "ada", "deep": {"a": [1, null]}})
        .to_string()
}

#[tokio::test]
async fn p_042_p_080_to_p_086_p_088_p_089_routes_are_kept_in_a_store_of_ones_own_and_read_from_it()
{
    let (target, _heads) = answering(ONCE).await;
    let (rows, mut changes) = Rows::new();
    let stored = Stored::over(&rows).await;
    assert_eq!(stored.json("/api/routes").await, json!({}), "the store was empty");
    assert_eq!(stored.ask("POST", "/api/routes/user/ada", &to(target)).await.0, 201);
    assert_eq!(stored.ask("POST", "/api/routes/user/bob", &to(target)).await.0, 201);
    assert!(matches!(changes.recv().await, Some(RouteChange::Put(_))));
    assert!(stored.get("/user/ada/x").await.ends_with("ok"), "P-082");
    assert_eq!(rows.paths(), ["/user/ada/", "/user/bob/"]);
    assert_eq!(rows.row("/user/ada").target.to_string(), format!("http://{target}/"));
    assert_eq!(stored.ask("DELETE", "/api/routes/user/bob", "").await.0, 204);
    assert_eq!(stored.ask("DELETE", "/api/routes/user/bob", "").await.0, 404, "P-089");
    assert_eq!(rows.paths(), ["/user/ada/"]);
    let listed = stored.json("/api/routes").await;
    let row = rows.row("/user/ada");
    drop(stored);

    let again = Stored::over(&rows).await;
    let relisted = again.json("/api/routes/user/ada").await;
    for member in ["target", "user", "deep"] {
        assert_eq!(relisted[member], listed["/user/ada"][member], "{member}");
    }
    assert_eq!(again.json("/api/v2/status").await["routes"], 1);
    assert!(again.get("/user/ada/x").await.ends_with("ok"));
    assert!(again.get("/user/bob/x").await.contains("failure=none"), "the fallback's");

    // P-086: replaced whole, and with another target its time begins anew.
    let other = nowhere().await;
    let short = json!({"target": format!("http://{other}")}).to_string();
    assert_eq!(again.ask("POST", "/api/routes/user/ada", &short).await.0, 201);
    let replaced = rows.row("/user/ada");
    assert_eq!(
        serde_json::from_str::<Value>(&replaced.members).unwrap(),
        serde_json::from_str::<Value>(&short).unwrap()
    );
    assert!(replaced.added >= row.added && replaced.last_used.is_none());

    let table = format!(r#"{{"routes": {{"/a": {short}, "/b": {short}}}}}"#);
    assert_eq!(again.ask("PUT", "/api/v2/routes", &table).await.0, 200);
    assert_eq!(rows.paths(), ["/a/", "/b/"]);
}

#[tokio::test]
async fn p_042_a_store_that_fails_changes_nothing_and_holds_up_no_request() {
    let (target, _heads) = answering(ONCE).await;
    let (rows, mut changes) = Rows::new();
    let stored = Stored::over(&rows).await;
    stored.ask("POST", "/api/routes/user/ada", &to(target)).await;
    changes.recv().await.unwrap();
    let before = stored.json("/api/v2/routes").await;

    *rows.is_broken.lock().unwrap() = true;
    let table = r#"{"routes": {}}"#;
    for (method, path, body) in [
        ("POST", "/api/routes/user/bob", &*to(target)),
        ("DELETE", "/api/routes/user/ada", ""),
        ("PUT", "/api/v2/routes", table),
    ] {
        let (status, text) = stored.ask(method, path, body).await;
        assert_eq!(status, 503, "{method} {path}");
        assert!(text.contains("the store of routes did not take the change"), "{text}");
        assert!(!text.contains("hush"), "{text}");
        changes.recv().await.unwrap();
    }
    // What is refused anyway does not get to the store.
    let stale = r#"{"routes": {}, "if_version": 77}"#;
    assert_eq!(stored.ask("PUT", "/api/v2/routes", stale).await.0, 409);
    assert_eq!(stored.ask("DELETE", "/api/routes/none", "").await.0, 404);
    assert!(changes.try_recv().is_err());
    assert_eq!(stored.json("/api/v2/routes").await["version"], before["version"]);
    *rows.is_broken.lock().unwrap() = false;

    // One that hangs: nobody waits but other changes, which come after.
    rows.permits.forget_permits(100);
    let (first, second) = (to(target), to(nowhere().await));
    let one = stored.ask("POST", "/api/routes/user/bob", &first);
    let two = async {
        // The first has begun.
        assert!(matches!(soon(changes.recv()).await, Some(RouteChange::Put(_))));
        let two = stored.ask("POST", "/api/routes/user/bob", &second);
        let meanwhile = async {
            assert!(stored.get("/user/ada/x").await.ends_with("ok"));
            assert_eq!(stored.ask("GET", "/api/routes/user/bob", "").await.0, 404, "not yet");
            assert!(changes.try_recv().is_err(), "one at a time");
            rows.permits.add_permits(2);
        };
        tokio::join!(two, meanwhile).0
    };
    let (one, two) = tokio::join!(one, two);
    assert_eq!((one.0, two.0), (201, 201));
    let kept = rows.row("/user/bob").target.to_string();
    let shown = stored.json("/api/routes/user/bob").await["target"].clone();
    assert_eq!(Value::from(kept.trim_end_matches('/')), shown, "store and table agree");
    assert!(second.contains(shown.as_str().unwrap()), "the later one counts");
}

#[tokio::test]
async fn p_042_a_change_once_begun_ends_though_its_client_breaks_off() {
    let (target, _heads) = answering(ONCE).await;
    let (rows, mut changes) = Rows::new();
    let stored = Stored::over(&rows).await;
    stored.ask("POST", "/api/routes/user/bob", &to(target)).await;
    changes.recv().await.unwrap();
    rows.permits.forget_permits(100);
    let table = format!(r#"{{"routes": {{"/user/eve": {}}}}}"#, to(target));
    for (method, path, body, expected) in [
        ("POST", "/api/routes/user/ada", &*to(target), "/user/ada/ /user/bob/"),
        ("DELETE", "/api/routes/user/bob", "", "/user/ada/"),
        ("PUT", "/api/v2/routes", &table, "/user/eve/"),
    ] {
        let mut client = Client::to(stored.api).await;
        let len = body.len();
        client
            .send(format!(
                "{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len}\r\n\r\n{body}"
            ))
            .await;
        soon(changes.recv()).await.unwrap();
        drop(client);
        // The proxy has seen that it is gone.
        soon(async {
            while stored.traffic.connections() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        rows.permits.add_permits(1);
        let shown = || rows_of(&stored.proxy.routes).join(" ");
        soon(async {
            while shown() != expected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        assert_eq!(rows.paths().join(" "), expected, "{method}: store and table agree");
    }
}

#[tokio::test(start_paused = true)]
async fn p_042_a_store_that_hangs_costs_one_change_and_the_table_has_what_it_did() {
    let (rows, mut changes) = Rows::new();
    let table = RouteTable::default();
    let registry = Registry::open(table.clone(), false, rows.clone()).await.unwrap();
    let vitals = Vitals::new("1.2.3", CancellationToken::new(), Vec::new());
    let api = AdminApi::new(registry, None, vitals);
    let post = async |path: &str| {
        let body = Full::new(Bytes::from_static(br#"{"target": "http://127.0.0.1:9"}"#));
        let request = Request::post(format!("/api/routes{path}")).body(body).unwrap();
        let answer = api.clone().oneshot(request).await.unwrap();
        (answer.status().as_u16(), answer.into_body())
    };
    let has = |path: &str| rows_of(&table).contains(&format!("{path}/"));

    rows.permits.forget_permits(100);
    for (is_done_first, path) in [(false, "/lost"), (true, "/done")] {
        *rows.is_done_first.lock().unwrap() = is_done_first;
        let (status, text) = post(path).await;
        assert_eq!(status, 504, "{text}");
        assert!(text.contains("not known whether"), "{text}");
        changes.recv().await.unwrap();
        // The store is read without anybody's doing.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(has(path), is_done_first, "{path}");
        assert_eq!(rows.paths().len(), usize::from(is_done_first));
    }

    // It cannot be read either: nothing is changed until it can.
    *rows.is_stuck.lock().unwrap() = true;
    assert_eq!(post("/stuck").await.0, 504);
    changes.recv().await.unwrap();
    rows.permits.add_permits(100);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (status, text) = post("/next").await;
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("Nothing was done"), "{text}");
    assert!(changes.try_recv().is_err(), "the store was not asked");
    *rows.is_stuck.lock().unwrap() = false;
    assert_eq!(post("/next").await.0, 201);
    assert!(has("/stuck") && has("/next") && has("/done") && !has("/lost"));
    assert_eq!(rows.paths(), ["/done/", "/next/", "/stuck/"]);

    // Who waits for a turn too long has changed nothing.
    rows.permits.forget_permits(200);
    let (first, second, third) = tokio::join!(post("/a"), post("/b"), post("/c"));
    let mut all = [first.0, second.0, third.0];
    all.sort_unstable();
    assert_eq!(all[2], 504);
    assert!(all[0] == 503, "{all:?}");
    rows.permits.add_permits(1);
    assert_eq!(post("/d").await.0, 201, "the next one works");
}

#[tokio::test]
async fn p_087_an_update_of_a_route_keeps_the_rest_of_it() {
    let (target, _heads) = answering(ONCE).await;
    let (rows, _changes) = Rows::new();
    let stored = Stored::over(&rows).await;
    stored.ask("POST", "/api/routes/user/ada", &to(target)).await;
    stored.ask("POST", "/api/routes/user/bob", &to(target)).await;
    let (before, bob) = (rows.row("/user/ada"), rows.row("/user/bob"));
    let listed = stored.json("/api/routes/user/ada").await;
    assert_eq!(before.last_used, None);
    let keeping = stored.registry.clone();
    let keeping = TaskTracker::new().spawn(async move { keeping.keep_uses().await });
    stored.get("/user/ada/x").await;
    soon(async {
        while rows.row("/user/ada").last_used.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    keeping.abort();
    let after = rows.row("/user/ada");
    assert!(after.last_used.unwrap() >= before.added);
    let mut rest = after.clone();
    rest.last_used = None;
    assert_eq!(rest, before, "nothing else");
    assert_eq!(rows.row("/user/bob"), bob, "nor another one");
    let mut relisted = stored.json("/api/routes/user/ada").await;
    relisted["last_activity"] = listed["last_activity"].clone();
    assert_eq!(relisted, listed);
    // The same target again updates what was said about it, and keeps the times.
    let said = json!({"target": format!("http://{target}"), "user": "eve"}).to_string();
    stored.ask("POST", "/api/routes/user/ada", &said).await;
    let again = rows.row("/user/ada");
    assert!(again.members.contains("eve"));
    assert!(again.last_used >= after.last_used && again.added <= before.added);

    let next = Stored::over(&rows).await;
    let kept = next.proxy.routes.last_used(&"/user/ada".parse().unwrap());
    assert_eq!(kept, again.last_used, "the next process knows it");
}

#[tokio::test]
async fn p_042_what_others_changed_in_the_store_is_taken_up() {
    let (target, _heads) = answering(ONCE).await;
    let (rows, _changes) = Rows::new();
    let stored = Stored::over(&rows).await;
    stored
        .registry
        .preset("/default".parse().unwrap(), format!("http://{target}").parse().unwrap());
    stored.ask("POST", "/api/routes/user/ada", &to(target)).await;
    let version = stored.json("/api/v2/routes").await["version"].clone();
    stored.registry.refresh().await.unwrap();
    assert_eq!(stored.json("/api/v2/routes").await["version"], version, "it is the same");

    let bob = "/user/bob".parse::<RoutePrefix>().unwrap();
    let url = format!("http://{target}").parse().unwrap();
    rows.rows.lock().unwrap().insert(bob.clone(), StoredRoute::new(bob, url));
    rows.rows.lock().unwrap().remove(&"/user/ada".parse().unwrap());
    stored.registry.refresh().await.unwrap();
    let routes = stored.json("/api/v2/routes").await;
    let paths: Vec<_> = routes["routes"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/default", "/user/bob"]);
    assert_ne!(routes["version"], version);
    assert!(stored.get("/user/bob/x").await.ends_with("ok"));

    *rows.is_broken.lock().unwrap() = true;
    assert!(matches!(stored.registry.refresh().await, Err(StoreError::Unreadable(_))));
    *rows.is_broken.lock().unwrap() = false;
    for members in ["[]", "{"] {
        rows.rows.lock().unwrap().values_mut().for_each(|row| row.members = members.to_owned());
        let error = stored.registry.refresh().await.unwrap_err().to_string();
        assert!(error.contains("/user/bob"), "{error}");
    }
    assert!(stored.get("/user/bob/x").await.ends_with("ok"), "nothing changed");
}
