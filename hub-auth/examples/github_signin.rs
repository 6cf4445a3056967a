//! A web service that signs people in with GitHub. Run it with an OAuth App whose
//! callback URL is `http://localhost:8000/callback`:
//! `GITHUB_CLIENT_ID=... GITHUB_CLIENT_SECRET=... cargo run -p hub-auth --features
//! crypt --example github_signin`, then open `http://localhost:8000/`.

#![expect(clippy::disallowed_methods, reason = "an example has no configuration of its own")]

use std::{env::var, sync::Arc, time::Duration};

use axum::{Router, extract::Query, extract::State, response::Redirect, routing::get};
use http::{HeaderMap, HeaderName, StatusCode, header};
use hub_auth::*;

type App = State<Arc<(GithubAuthenticator, AccessPolicy, CryptKeys)>>;
type Page<T> = Result<T, (StatusCode, String)>;

fn refused(error: impl ToString) -> (StatusCode, String) {
    (StatusCode::FORBIDDEN, error.to_string())
}

async fn begin(State(app): App) -> Page<([(HeaderName, String); 1], Redirect)> {
    let start = app.0.begin().await.map_err(refused)?.ok_or_else(|| refused("no redirect"))?;
    let sealed = app.2.seal_value("sign-in", &start.pending, system_clock()()).map_err(refused)?;
    let cookie = format!("sign-in={sealed}; HttpOnly; SameSite=Lax; Max-Age=600");
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(start.redirect.as_str())))
}

async fn end(State(app): App, sent: HeaderMap, Query(callback): Query<Callback>) -> Page<String> {
    let cookies = sent.get(header::COOKIE).and_then(|value| value.to_str().ok());
    let mut cookies = cookies.unwrap_or_default().split("; ");
    let sealed = cookies.find_map(|one| one.strip_prefix("sign-in=")).unwrap_or_default();
    let age = Duration::from_secs(600);
    let pending = app.2.open_value("sign-in", sealed, age, system_clock()()).map_err(refused)?;
    let claims = app.0.finish(Answer::Callback { pending, callback }).await.map_err(refused)?;
    let person = app.1.admit(&claims, false).map_err(refused)?;
    Ok(format!("Welcome, {} ({})", person.name, claims.stable_id()))
}

pub(crate) fn service(app: Arc<(GithubAuthenticator, AccessPolicy, CryptKeys)>) -> Router {
    Router::new().route("/", get(begin)).route("/callback", get(end)).with_state(app)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (id, secret) = (var("GITHUB_CLIENT_ID")?, var("GITHUB_CLIENT_SECRET")?);
    let config = GithubConfig::new(id, secret.into(), "http://localhost:8000/callback".parse()?);
    let policy = AccessPolicy::new(AccessRules { allow_all: true, ..AccessRules::default() });
    let app = (GithubAuthenticator::new(config)?, policy, CryptKeys::generate());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    Ok(axum::serve(listener, service(Arc::new(app))).await?)
}
