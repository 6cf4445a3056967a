//! A GitHub of our own, on loopback: it checks what it is sent as the real one is
//! documented to, and fails in the ways the real one fails.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hub_auth::{Callback, GithubAuthenticator, GithubConfig};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, task::JoinSet};
use url::Url;

pub(crate) const CLIENT_ID: &str = "Iv1.0123456789abcdef";
pub(crate) const CLIENT_SECRET: &str = "0123456789abcdef0123456789abcdef01234567";
pub(crate) const CALLBACK_URL: &str = "https://hub.test/hub/oauth_callback";
const TOKEN: &str = "gho_16C7e42F292c6912E7710c838347Ae178B4a";

/// How long the tokens of a GitHub App live, in seconds.
const APP_TOKEN_SECONDS: u32 = 28800;

/// The stand-in; it stops when dropped.
pub(crate) struct Github {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    _tasks: JoinSet<()>,
}

/// What it does; change it before the request that is to see it.
struct Inner {
    codes: HashMap<String, Code>,
    granted: &'static str,
    user: &'static str,
    emails: &'static str,
    fault: HashMap<String, Fault>,
    /// Path and query of each request that arrived.
    seen: Vec<String>,
    tokens: Tokens,
}

/// Which tokens it takes.
#[derive(Default)]
struct Tokens {
    /// Whether it hands out those of a GitHub App: they expire, and come with a
    /// refresh token instead of scopes.
    of_app: bool,
    /// How many pairs it handed out.
    made: u32,
    /// The one that is good; empty if none is.
    access: String,
    refresh: String,
    keeps_refresh_token: bool,
}

struct Code {
    redirect_uri: String,
    challenge: String,
}

/// What to do instead of answering properly.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    Answer(StatusCode, &'static str),
    /// A status with a header, and an empty JSON object.
    Header(StatusCode, &'static str, &'static str),
    /// A page of a list, with a `Link` header.
    Page(&'static str, &'static str),
    Html,
    Endless,
    Silence,
}

pub(crate) const TOKEN_PATH: &str = "/login/oauth/access_token";
pub(crate) const USER_PATH: &str = "/api/v3/user";
pub(crate) const EMAILS_PATH: &str = "/api/v3/user/emails";

impl Github {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Mutex::new(Inner {
            codes: HashMap::new(),
            granted: "",
            user: include_str!("../fixtures/github/user.json"),
            emails: include_str!("../fixtures/github/emails.json"),
            fault: HashMap::new(),
            seen: Vec::new(),
            tokens: Tokens::default(),
        }));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&inner)));
        Self { address, inner, _tasks: tasks }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn config(&self) -> GithubConfig {
        let callback_url = CALLBACK_URL.parse().unwrap();
        let mut config =
            GithubConfig::new(CLIENT_ID.to_owned(), CLIENT_SECRET.into(), callback_url);
        config.url = format!("http://{}/", self.address()).parse().unwrap();
        config
    }

    pub(crate) fn authenticator(&self) -> GithubAuthenticator {
        GithubAuthenticator::new(self.config()).unwrap()
    }

    /// What the person grants, in GitHub's comma separated form.
    pub(crate) fn grants(&self, scopes: &'static str) {
        self.inner.lock().unwrap().granted = scopes;
    }

    pub(crate) fn user_is(&self, user: &'static str) {
        self.inner.lock().unwrap().user = user;
    }

    pub(crate) fn emails_are(&self, emails: &'static str) {
        self.inner.lock().unwrap().emails = emails;
    }

    /// What to answer to requests for `path`, with its query or without.
    pub(crate) fn fails(&self, path: &str, fault: Fault) {
        self.inner.lock().unwrap().fault.insert(path.to_owned(), fault);
    }

    /// Whether somebody is in what `path` asks about.
    pub(crate) fn has_member(&self, path: &str) {
        self.fails(path, Fault::Answer(StatusCode::NO_CONTENT, ""));
    }

    /// The address of something here, for headers.
    pub(crate) fn address_of(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on it is a GitHub App that people sign in to.
    pub(crate) fn is_app(&self) {
        self.inner.lock().unwrap().tokens.of_app = true;
    }

    /// The access token is good no longer.
    pub(crate) fn token_expires(&self) {
        self.inner.lock().unwrap().tokens.access.clear();
    }

    /// The refresh token stays the same from now on, and is not told again.
    pub(crate) fn keeps_refresh_token(&self) {
        self.inner.lock().unwrap().tokens.keeps_refresh_token = true;
    }

    /// The owner took back all tokens.
    pub(crate) fn tokens_are_revoked(&self) {
        self.inner.lock().unwrap().tokens = Tokens::default();
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.inner.lock().unwrap().seen.clone()
    }

    /// The browser arrives at `authorize`, and the person agrees.
    pub(crate) fn approve(&self, authorize: &Url) -> Callback {
        assert_eq!(authorize.path(), "/login/oauth/authorize");
        let query: HashMap<String, String> = authorize.query_pairs().into_owned().collect();
        assert_eq!(query["client_id"], CLIENT_ID);
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["code_challenge_method"], "S256");
        let mut inner = self.inner.lock().unwrap();
        let code = format!("code{:016}", inner.codes.len());
        inner.codes.insert(
            code.clone(),
            Code {
                redirect_uri: query["redirect_uri"].clone(),
                challenge: query["code_challenge"].clone(),
            },
        );
        Callback {
            code: Some(code.into()),
            state: Some(query["state"].clone()),
            ..Callback::default()
        }
    }
}

async fn accept(listener: TcpListener, inner: Arc<Mutex<Inner>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let inner = Arc::clone(&inner);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&inner), request));
            // The other side hanging up early is part of some tests.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    inner: Arc<Mutex<Inner>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let path = parts.uri.path().to_owned();
    let whole = parts.uri.path_and_query().unwrap().to_string();
    let fault = {
        let mut inner = inner.lock().unwrap();
        let fault = inner.fault.get(&whole).or_else(|| inner.fault.get(&path)).copied();
        inner.seen.push(whole);
        fault
    };
    if let Some(fault) = fault {
        return Ok(fail(fault).await);
    }
    // Documented: requests without a User-Agent are rejected.
    if !parts.headers.contains_key(header::USER_AGENT) {
        return Ok(json(StatusCode::FORBIDDEN, "{}"));
    }
    let wants_json =
        parts.headers.get(header::ACCEPT).is_some_and(|accept| accept == "application/json");
    let mut inner = inner.lock().unwrap();
    let authorized = !inner.tokens.access.is_empty()
        && parts
            .headers
            .get(header::AUTHORIZATION)
            .is_some_and(|value| value == &format!("Bearer {}", inner.tokens.access));
    Ok(match (parts.method.as_str(), path.as_str()) {
        ("POST", TOKEN_PATH) => inner.token(&body, wants_json),
        ("GET", USER_PATH | EMAILS_PATH) if !authorized => {
            json(StatusCode::UNAUTHORIZED, include_str!("../fixtures/github/bad_credentials.json"))
        }
        ("GET", USER_PATH) => json(StatusCode::OK, inner.user),
        ("GET", EMAILS_PATH) => json(StatusCode::OK, inner.emails),
        _ => json(StatusCode::NOT_FOUND, include_str!("../fixtures/github/not_found.json")),
    })
}

impl Inner {
    fn token(&mut self, body: &[u8], wants_json: bool) -> Response<Full<Bytes>> {
        let form: HashMap<String, String> =
            url::form_urlencoded::parse(body).into_owned().collect();
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        if field("client_id") != CLIENT_ID {
            return json(StatusCode::NOT_FOUND, include_str!("../fixtures/github/not_found.json"));
        }
        if field("client_secret") != CLIENT_SECRET {
            return json(
                StatusCode::OK,
                include_str!("../fixtures/github/error_incorrect_client_credentials.json"),
            );
        }
        if field("grant_type") == "refresh_token" {
            if self.tokens.refresh.is_empty() || field("refresh_token") != self.tokens.refresh {
                return json(
                    StatusCode::OK,
                    include_str!("../fixtures/github/error_bad_refresh_token.json"),
                );
            }
            return self.hand_out();
        }
        // Redeemed or not, a code is gone once it was shown.
        let code = self.codes.remove(field("code")).filter(|code| {
            let shown = Sha256::digest(field("code_verifier").as_bytes());
            code.challenge == URL_SAFE_NO_PAD.encode(shown)
        });
        let Some(code) = code else {
            return json(
                StatusCode::OK,
                include_str!("../fixtures/github/error_bad_verification_code.json"),
            );
        };
        if field("redirect_uri") != code.redirect_uri {
            return json(
                StatusCode::OK,
                include_str!("../fixtures/github/error_redirect_uri_mismatch.json"),
            );
        }
        if wants_json {
            self.hand_out()
        } else {
            // Documented: without the header the answer is form encoded.
            Response::builder()
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
                .body(format!("access_token={TOKEN}&scope=&token_type=bearer").into())
                .unwrap()
        }
    }

    fn hand_out(&mut self) -> Response<Full<Bytes>> {
        let tokens = &mut self.tokens;
        if !tokens.of_app {
            tokens.access = TOKEN.to_owned();
            let scope = self.granted;
            let body = serde_json::json!(
                { "access_token": TOKEN, "scope": scope, "token_type": "bearer" }
            );
            return json(StatusCode::OK, &body.to_string());
        }
        tokens.made += 1;
        tokens.access = format!("ghu_{:036}", tokens.made);
        let mut body = serde_json::json!({
            "access_token": tokens.access,
            "expires_in": APP_TOKEN_SECONDS,
            "scope": "",
            "token_type": "bearer",
        });
        if !tokens.keeps_refresh_token {
            tokens.refresh = format!("ghr_{:072}", tokens.made);
            body["refresh_token"] = tokens.refresh.clone().into();
            body["refresh_token_expires_in"] = 15_897_600.into();
        }
        json(StatusCode::OK, &body.to_string())
    }
}

async fn fail(fault: Fault) -> Response<Full<Bytes>> {
    match fault {
        Fault::Answer(status, body) => json(status, body),
        Fault::Header(status, name, value) => {
            let mut response = json(status, "{}");
            response.headers_mut().insert(name, value.parse().unwrap());
            response
        }
        Fault::Page(body, link) => {
            let mut response = json(StatusCode::OK, body);
            response.headers_mut().insert(header::LINK, link.parse().unwrap());
            response
        }
        Fault::Html => Response::builder()
            .header(header::CONTENT_TYPE, "text/html")
            .body("<h1>Unicorn!</h1>".into())
            .unwrap(),
        Fault::Endless => json(StatusCode::OK, &" ".repeat(10 * 1024 * 1024)),
        Fault::Silence => std::future::pending().await,
    }
}

fn json(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .body(body.to_owned().into())
        .unwrap()
}
