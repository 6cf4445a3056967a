//! A stand-in GitHub on loopback, as GitHub documents its OAuth web flow and
//! `GET /user`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Form, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, task::JoinHandle};
use uuid::Uuid;

/// The OAuth app that is registered here.
pub const CLIENT_ID: &str = "Iv1.0123456789abcdef";
/// Its secret.
pub const CLIENT_SECRET: &str = "0123456789abcdef0123456789abcdef01234567";

/// A GitHub with a few people, one of whom is signed in in every browser.
#[derive(Debug)]
pub struct GitHub {
    /// Where it is, `http://127.0.0.1:PORT`.
    pub url: String,
    state: Arc<Mutex<Site>>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Site {
    callback: Option<String>,
    people: HashMap<String, u64>,
    current: Option<String>,
    codes: HashMap<String, Code>,
    tokens: HashMap<String, String>,
    refuses: bool,
}

#[derive(Debug)]
struct Code {
    login: String,
    redirect_uri: String,
    challenge: Option<String>,
}

type Shared = State<Arc<Mutex<Site>>>;

impl GitHub {
    /// A GitHub where nobody has an account yet.
    #[expect(clippy::disallowed_methods, reason = "the task is kept and ended with the stand-in")]
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(Site::default()));
        let router = Router::new()
            .route("/login/oauth/authorize", get(authorize))
            .route("/login/oauth/access_token", post(access_token))
            .route("/user", get(user))
            .with_state(Arc::clone(&state));
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self { url, state, server }
    }

    /// Registers the callback URL of the app.
    pub fn register(&self, callback: &str) {
        self.state.lock().unwrap().callback = Some(callback.to_owned());
    }

    /// Makes an account, or changes the number behind a login name.
    pub fn person(&self, login: &str, id: u64) {
        self.state.lock().unwrap().people.insert(login.to_owned(), id);
    }

    /// From now on the browser that comes is `login`'s.
    pub fn sign_in(&self, login: &str) {
        self.state.lock().unwrap().current = Some(login.to_owned());
    }

    /// From now on the person says no.
    pub fn refuse(&self) {
        self.state.lock().unwrap().refuses = true;
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn authorize(State(site): Shared, Query(query): Query<HashMap<String, String>>) -> Response {
    let mut site = site.lock().unwrap();
    if query.get("client_id").map(String::as_str) != Some(CLIENT_ID) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let callback = site.callback.clone().unwrap();
    let redirect_uri = query.get("redirect_uri").cloned().unwrap_or_else(|| callback.clone());
    let state = query.get("state").cloned().unwrap_or_default();
    let back = |fields: &[(&str, &str)]| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(fields).append_pair("state", &state);
        Redirect::to(&format!("{callback}?{}", query.finish())).into_response()
    };
    if redirect_uri != callback {
        return back(&[
            ("error", "redirect_uri_mismatch"),
            (
                "error_description",
                "The redirect_uri MUST match the registered callback URL for this application.",
            ),
        ]);
    }
    if site.refuses {
        return back(&[
            ("error", "access_denied"),
            ("error_description", "The user has denied your application access."),
        ]);
    }
    let login = site.current.clone().expect("somebody is signed in at GitHub");
    let code = Uuid::new_v4().simple().to_string()[..20].to_owned();
    let challenge = query.get("code_challenge").cloned();
    site.codes.insert(code.clone(), Code { login, redirect_uri, challenge });
    back(&[("code", &code)])
}

/// Errors come with status 200; the form is the answer unless JSON is asked for.
async fn access_token(
    State(site): Shared,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let mut site = site.lock().unwrap();
    let answer = if field("client_id") != CLIENT_ID || field("client_secret") != CLIENT_SECRET {
        vec![
            ("error", "incorrect_client_credentials".to_owned()),
            (
                "error_description",
                "The client_id and/or client_secret passed are incorrect.".to_owned(),
            ),
        ]
    } else {
        // A code is gone at the first try, right or wrong.
        match site.codes.remove(field("code")).filter(|code| proves(code, &form)) {
            Some(code) => {
                let token = format!("gho_{}", Uuid::new_v4().simple());
                site.tokens.insert(token.clone(), code.login);
                vec![
                    ("access_token", token),
                    ("scope", String::new()),
                    ("token_type", "bearer".to_owned()),
                ]
            }
            None => vec![
                ("error", "bad_verification_code".to_owned()),
                ("error_description", "The code passed is incorrect or expired.".to_owned()),
            ],
        }
    };
    let json = headers.get(header::ACCEPT).is_some_and(|accept| accept == "application/json");
    if json {
        return Json(answer.into_iter().collect::<HashMap<_, _>>()).into_response();
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(answer);
    ([(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")], query.finish())
        .into_response()
}

fn proves(code: &Code, form: &HashMap<String, String>) -> bool {
    let same_address = form.get("redirect_uri").is_none_or(|uri| *uri == code.redirect_uri);
    let verified = match (&code.challenge, form.get("code_verifier")) {
        (None, _) => true,
        (Some(challenge), Some(verifier)) => {
            *challenge == URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
        }
        (Some(_), None) => false,
    };
    same_address && verified
}

async fn user(State(site): Shared, headers: HeaderMap) -> Response {
    let bad = || {
        let body =
            json!({ "message": "Bad credentials", "documentation_url": "", "status": "401" });
        (StatusCode::UNAUTHORIZED, Json(body)).into_response()
    };
    if !headers.contains_key(header::USER_AGENT) {
        return (StatusCode::FORBIDDEN, "Request forbidden by administrative rules.")
            .into_response();
    }
    let Some((scheme, token)) =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '))
    else {
        return bad();
    };
    let site = site.lock().unwrap();
    let known = ["bearer", "token"].contains(&scheme.to_ascii_lowercase().as_str());
    let Some(login) = site.tokens.get(token).filter(|_| known) else { return bad() };
    Json(json!({ "login": login, "id": site.people[login], "name": null, "email": null, "type": "User" }))
        .into_response()
}
