//! A stand-in for the API of a proxy, for faults that a real one cannot be asked
//! for.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The token of the API.
pub(crate) const TOKEN: &str = "proxy-token";

/// A table of routes, and what is to fail.
#[derive(Clone, Default)]
pub(crate) struct ProxyApi {
    url: String,
    shared: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    routes: BTreeMap<String, Value>,
    failing: Option<(Method, String)>,
    failures: usize,
}

impl ProxyApi {
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let api = Self { url, ..Self::default() };
        let routes = Router::new()
            .route("/api/routes", get(list))
            .route("/api/routes/", get(list).post(add_root))
            .route("/api/routes/{*path}", get(one).post(add))
            .route("/api/routes/{*path}", delete(remove))
            .layer(middleware::from_fn_with_state(api.clone(), faults))
            .with_state(api.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        api
    }

    /// Lines for the configuration of a hub that drives this proxy.
    pub(crate) fn config(&self) -> String {
        format!(
            "[proxy]\napi_url = \"{}\"\nauth_token = \"{TOKEN}\"\nhub_url = \"http://10.0.0.1:8000\"\n",
            self.url
        )
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The paths of its routes.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.table().routes.keys().cloned().collect()
    }

    /// The route at a path.
    pub(crate) fn route(&self, path: &str) -> Option<Value> {
        self.table().routes.get(path).cloned()
    }

    /// Puts a route there behind the hub's back.
    pub(crate) fn put(&self, path: &str, data: Value) {
        self.table().routes.insert(path.to_owned(), data);
    }

    /// Answers these calls with 503 until [`work`](Self::work).
    pub(crate) fn fail(&self, method: Method, path: &str) {
        self.table().failing = Some((method, path.to_owned()));
    }

    /// Whether calls have failed since [`fail`](Self::fail).
    pub(crate) fn has_failed(&self) -> bool {
        self.table().failures > 0
    }

    /// Lets all calls succeed again.
    pub(crate) fn work(&self) {
        let mut table = self.table();
        (table.failing, table.failures) = (None, 0);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.shared.lock().unwrap()
    }
}

async fn faults(State(api): State<ProxyApi>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION);
    if given.is_none_or(|given| *given != format!("token {TOKEN}")) {
        return StatusCode::FORBIDDEN.into_response();
    }
    {
        let mut table = api.table();
        let fails = table.failing.as_ref().is_some_and(|(method, path)| {
            request.method() == method && request.uri().path() == format!("/api/routes{path}")
        });
        if fails {
            table.failures += 1;
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    }
    next.run(request).await
}

async fn list(State(api): State<ProxyApi>) -> Json<BTreeMap<String, Value>> {
    Json(api.table().routes.clone())
}

async fn one(State(api): State<ProxyApi>, Path(path): Path<String>) -> Response {
    match api.route(&format!("/{path}")) {
        Some(data) => Json(data).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn add_root(State(api): State<ProxyApi>, body: String) -> StatusCode {
    add(State(api), Path(String::new()), body).await
}

async fn add(State(api): State<ProxyApi>, Path(path): Path<String>, body: String) -> StatusCode {
    let mut data: Value = serde_json::from_str(&body).unwrap();
    data["last_activity"] = json!("2026-01-02T03:04:05.678Z");
    api.put(&format!("/{path}"), data);
    StatusCode::CREATED
}

async fn remove(State(api): State<ProxyApi>, Path(path): Path<String>) -> StatusCode {
    match api.table().routes.remove(&format!("/{path}")) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}
