//! A stand-in GitHub on loopback, as GitHub documents its OAuth web flow, `GET
//! /user`, `GET /user/emails`, and who is in which organizations and teams.
//!
//! What is peculiar to GitHub is kept, since a hub stumbles over it: errors of the
//! token endpoint come with status 200, its answer is a form unless JSON is asked
//! for, scopes are separated by commas in it, a code is gone at the first try, and
//! the API refuses callers without a user agent.

mod api;
mod oauth;
mod organizations;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    routing::{get, post},
};
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};

/// The OAuth app that is registered here.
pub const CLIENT_ID: &str = "Iv1.0123456789abcdef";
/// Its secret.
pub const CLIENT_SECRET: &str = "0123456789abcdef0123456789abcdef01234567";

pub use organizations::Organization;

/// "The temporary `code` will expire after 10 minutes."
const CODE_LIFE: Duration = Duration::from_secs(600);

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
    organizations: Vec<Organization>,
    current: Option<String>,
    codes: HashMap<String, Code>,
    tokens: HashMap<String, Grant>,
    refuses: bool,
}

#[derive(Debug)]
struct Code {
    grant: Grant,
    redirect_uri: String,
    challenge: Option<String>,
    made: Instant,
}

/// What a token is good for.
#[derive(Clone, Debug)]
struct Grant {
    login: String,
    scopes: Vec<String>,
}

type Shared = State<Arc<Mutex<Site>>>;

impl GitHub {
    /// A GitHub where nobody has an account yet.
    pub async fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into()).await
    }

    /// The same at another address of this machine, such as one that containers
    /// reach.
    #[expect(clippy::disallowed_methods, reason = "the task is kept and ended with the stand-in")]
    pub async fn start_at(address: IpAddr) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(Site::default()));
        let router = Router::new()
            .route("/login/oauth/authorize", get(oauth::authorize))
            .route("/login/oauth/access_token", post(oauth::access_token))
            .route("/user", get(api::user))
            .route("/user/emails", get(api::emails))
            .route("/user/teams", get(organizations::teams))
            .route("/orgs/{org}/members/{login}", get(organizations::member))
            .route("/orgs/{org}/public_members/{login}", get(organizations::public_member))
            .route("/orgs/{org}/teams/{team}/members/{login}", get(organizations::team_member))
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

    /// Makes an organization, or one of that name anew.
    pub fn organization(&self, organization: Organization) {
        let organizations = &mut self.state.lock().unwrap().organizations;
        organizations.retain(|other| !other.is_called(&organization.login));
        organizations.push(organization);
    }

    /// From now on the browser that comes is `login`'s.
    pub fn sign_in(&self, login: &str) {
        self.state.lock().unwrap().current = Some(login.to_owned());
    }

    /// From now on the person says no.
    pub fn refuse(&self) {
        self.state.lock().unwrap().refuses = true;
    }

    /// All tokens end here, as when a person revokes the app.
    pub fn revoke_tokens(&self) {
        self.state.lock().unwrap().tokens.clear();
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        self.server.abort();
    }
}
