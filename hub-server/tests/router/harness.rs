//! A hub without listeners, and a browser that speaks to it.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use hub_auth::{Authenticator, DummyAuthenticator};
use hub_names::ServerKey;
use hub_server::{
    Assembled, Clock, Leaves, SystemClock, assemble_with,
    config::{self, Config},
};
use hub_spawner::fake::FakeSpawner;
use hub_store::Store;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::{net::TcpListener, time::timeout};
use tower::ServiceExt;
use url::Url;

/// How long anything may take before a test gives up.
const DEADLINE: Duration = Duration::from_secs(60);

/// The password of everybody.
pub(crate) const PASSWORD: &str = "open sesame";
/// The token of the service that may administer.
pub(crate) const ADMIN: &str = "admin-service-token";

pub(crate) const CONFIG: &str = r#"
[http]
public_url = "http://hub.test"
[auth]
allowed_users = ["ada", "bob"]
admin_users = ["grace"]
[servers]
http_timeout_seconds = 1
slow_spawn_timeout_seconds = 60
slow_stop_timeout_seconds = 60
[spawner.docker]
image = "unused"
[[services]]
name = "admin"
api_token = "admin-service-token"
scopes = ["admin:users", "admin:servers", "access:servers", "list:users"]
[[services]]
name = "chief"
api_token = "chief-service-token"
admin = true
[[services]]
name = "weak"
api_token = "weak-service-token"
scopes = ["read:users!user=ada"]
"#;

/// A hub and what it stands on.
pub(crate) struct TestHub {
    pub(crate) router: Router,
    pub(crate) private: Router,
    pub(crate) spawner: FakeSpawner,
    pub(crate) store: Store,
    pub(crate) assembled: Assembled,
    pub(crate) clock: TestClock,
    _dir: tempfile::TempDir,
}

impl TestHub {
    /// A hub whose servers answer.
    pub(crate) async fn new() -> Self {
        Self::over(FakeSpawner::new().answers_with(notebook().await)).await
    }

    /// A hub over this spawner.
    pub(crate) async fn over(spawner: FakeSpawner) -> Self {
        Self::on(spawner, Store::in_memory().await.unwrap()).await
    }

    /// A hub over this spawner and store: what a restart is.
    pub(crate) async fn on(spawner: FakeSpawner, store: Store) -> Self {
        Self::configured("", spawner, store).await
    }

    /// A hub with these lines in its section `[servers]`.
    pub(crate) async fn with_servers(lines: &str, spawner: FakeSpawner) -> Self {
        let text = CONFIG.replace("[servers]\n", &format!("[servers]\n{lines}\n"));
        Self::reading(&text, spawner, Store::in_memory().await.unwrap()).await
    }

    /// The same with more lines at the end of its configuration.
    pub(crate) async fn configured(more: &str, spawner: FakeSpawner, store: Store) -> Self {
        Self::reading(&format!("{CONFIG}{more}"), spawner, store).await
    }

    /// The same where every user has a host of their own below `hub.test`.
    pub(crate) async fn with_subdomains(more: &str, spawner: FakeSpawner, store: Store) -> Self {
        let text = CONFIG.replace("public_url", "subdomain_host");
        Self::reading(&format!("{text}{more}"), spawner, store).await
    }

    /// A hub whose servers answer, with more lines in its section `[auth]`.
    pub(crate) async fn with_auth(more: &str) -> Self {
        let config = CONFIG.replace("[auth]\n", &format!("[auth]\n{more}\n"));
        let spawner = FakeSpawner::new().answers_with(notebook().await);
        Self::reading(&config, spawner, Store::in_memory().await.unwrap()).await
    }

    /// The same with another configuration.
    pub(crate) async fn reading(text: &str, spawner: FakeSpawner, store: Store) -> Self {
        let dummy = DummyAuthenticator::new(Some(PASSWORD.to_owned().into()));
        Self::put_together(configuration(text), spawner, store, vec![Arc::new(dummy)]).await
    }

    /// A hub that people sign in to as its configuration says.
    pub(crate) async fn signing_in(text: &str, store: Store) -> Self {
        let config = configuration(text);
        let methods = hub_server::sign_in_methods(&config).unwrap();
        let spawner = FakeSpawner::new().answers_with(notebook().await);
        Self::put_together(config, spawner, store, methods).await
    }

    /// A hub of the usual configuration to which people sign in by `authenticator` alone.
    pub(crate) async fn signing_in_by(
        authenticator: impl Authenticator + 'static,
        store: Store,
    ) -> Self {
        let spawner = FakeSpawner::new().answers_with(notebook().await);
        let methods: Vec<Arc<dyn Authenticator>> = vec![Arc::new(authenticator)];
        Self::put_together(configuration(CONFIG), spawner, store, methods).await
    }

    async fn put_together(
        config: Config,
        spawner: FakeSpawner,
        store: Store,
        authenticators: Vec<Arc<dyn Authenticator>>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = TestClock::default();
        let leaves = Leaves {
            store: store.clone(),
            spawner: Arc::new(spawner.clone()),
            authenticators,
            clock: Arc::new(clock.clone()),
        };
        let api_url = "http://10.0.0.1:8081/hub/api".to_owned();
        // On the heap: every test's future holds it.
        let assembled = Box::pin(assemble_with(&config, leaves, api_url)).await.unwrap();
        Self {
            router: assembled.router(),
            private: assembled.private_router(),
            spawner,
            store,
            assembled,
            clock,
            _dir: dir,
        }
    }

    /// Sends a request with a token.
    pub(crate) async fn api(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        send(&self.router, api_request(token, method, path, body)).await
    }

    /// GET of an event stream with the administrating service's token.
    pub(crate) async fn stream(&self, path: &str) -> EventStream {
        let request = api_request(ADMIN, Method::GET, path, None);
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        EventStream(response.into_body())
    }

    /// GET with the administrating service's token.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.api(ADMIN, Method::GET, path, None).await
    }

    /// POST with the administrating service's token.
    pub(crate) async fn post(&self, path: &str, body: Option<Value>) -> Answer {
        self.api(ADMIN, Method::POST, path, body).await
    }

    /// A browser in which nobody is signed in.
    pub(crate) fn browser(&self) -> Browser {
        Browser { router: self.router.clone(), cookies: BTreeMap::new() }
    }

    /// A browser in which `user` is signed in.
    pub(crate) async fn signed_in(&self, user: &str) -> Browser {
        let mut browser = self.browser();
        let answer = browser.sign_in(user, "/hub/login").await;
        assert_eq!(answer.status, StatusCode::FOUND, "{}", answer.text);
        browser
    }
}

pub(crate) fn configuration(text: &str) -> Config {
    let environment =
        [("JPY_COOKIE_SECRET", "ab".repeat(32))].into_iter().collect::<config::Environment>();
    config::parse(text, "hub.toml", Path::new("."), &environment, false).unwrap().config
}

/// A clock that can be put forward. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub(crate) fn advance(&self, by: SignedDuration) {
        self.0.fetch_add(by.as_secs(), Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + SignedDuration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

/// One answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {:?}", self.text))
    }

    pub(crate) fn location(&self) -> &str {
        self.headers.get(header::LOCATION).map_or("", |value| value.to_str().unwrap())
    }

    /// The `Set-Cookie` of this name.
    pub(crate) fn set_cookie(&self, name: &str) -> Option<&str> {
        self.headers
            .get_all(header::SET_COOKIE)
            .iter()
            .map(|value| value.to_str().unwrap())
            .find(|line| line.starts_with(&format!("{name}=")))
    }
}

/// A person's browser: cookies on the hub, nothing else.
#[derive(Clone)]
pub(crate) struct Browser {
    router: Router,
    pub(crate) cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.request(Method::GET, path, &[], "").await
    }

    pub(crate) async fn post(&mut self, path: &str, form: &str) -> Answer {
        let form_type = ("content-type", "application/x-www-form-urlencoded");
        self.request(Method::POST, path, &[form_type], form).await
    }

    pub(crate) async fn request(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(path).header(header::HOST, "hub.test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !self.cookies.is_empty() {
            let line: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, line.join("; "));
        }
        let answer = send(&self.router, request.body(Body::from(body.to_owned())).unwrap()).await;
        for line in answer.headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// The XSRF token that this browser's pages carry.
    pub(crate) fn xsrf(&self) -> String {
        self.cookies.get("_xsrf").cloned().unwrap_or_default()
    }

    /// Opens the sign-in page at `path` and sends the form.
    pub(crate) async fn sign_in(&mut self, user: &str, path: &str) -> Answer {
        self.get(path).await;
        let form = format!(
            "_xsrf={}&username={user}&password={}",
            self.xsrf(),
            PASSWORD.replace(' ', "+")
        );
        self.post(path, &form).await
    }
}

/// An answer that goes on.
pub(crate) struct EventStream(Body);

impl EventStream {
    /// The JSON of the next event; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        let next = async {
            loop {
                let frame = self.0.frame().await?.unwrap();
                let bytes = frame.into_data().unwrap();
                let text = std::str::from_utf8(&bytes).unwrap();
                if let Some(json) = text.strip_prefix("data: ") {
                    return Some(serde_json::from_str(json).unwrap());
                }
            }
        };
        timeout(DEADLINE, next).await.expect("no event in time")
    }
}

pub(crate) fn api_request(
    token: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(format!("/hub/api{path}"))
        .header(header::HOST, "hub.test")
        .header(header::AUTHORIZATION, format!("token {token}"))
        .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))
        .unwrap()
}

/// Sends a request to a router and reads the answer to its end.
pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let exchange = async {
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            // Templates write every slash of a value as an entity.
            text: String::from_utf8(bytes.to_vec()).unwrap().replace("&#x2f;", "/"),
        }
    };
    timeout(DEADLINE, exchange).await.expect("no answer in time")
}

/// Waits until `reached` says so.
pub(crate) async fn eventually<F: Future<Output = bool>>(
    what: &str,
    mut reached: impl FnMut() -> F,
) {
    let wait = async {
        while !reached().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("never happened: {what}"));
}

/// The key of a named server.
pub(crate) fn named(user: &str, server: &str) -> ServerKey {
    ServerKey::new(user.parse().unwrap(), server.parse().unwrap())
}

/// The key of somebody's default server.
pub(crate) fn key(user: &str) -> ServerKey {
    ServerKey::default_of(user.parse().unwrap())
}

/// Something that answers like a single-user server of the hub's own version.
pub(crate) async fn notebook() -> Url {
    notebook_of("6.1.1").await
}

/// The same with another version of the package.
#[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
pub(crate) async fn notebook_of(version: &'static str) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let answer = r#"{"version": "2.21.1", "content": []}"#;
    let router = Router::new()
        .fallback(move || async move { ([("x-jupyterhub-version", version)], answer) });
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
