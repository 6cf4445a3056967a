//! Typed calls to the hub's REST API.

mod error;
mod events;
mod model;
mod tls;

use std::time::Duration;

use anyhow::Context as _;
use reqwest::{
    Method, RequestBuilder, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION},
    redirect,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

pub(crate) use self::{
    error::CallError,
    events::{Events, ProgressEvent},
    model::{Answer, ApiToken, Caller, Log, NewApiToken, Reloaded, Server, User},
};
use crate::{
    args::{Connection, UserState},
    token::Token,
};

/// `Accept` of a client that wants pages.
const PAGED: &str = "application/jupyterhub-pagination+json";
/// Users a page; the hub gives at most as many.
const PAGE_LEN: u64 = 200;
/// Nothing that answers takes longer to connect to.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The hub, through its REST API.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    hub: Url,
    token: Option<Token>,
    timeout: Duration,
}

/// How the hub took a request that takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is done.
    Done,
    /// The hub is at it.
    Underway,
}

/// What to ask for a token with.
#[derive(Debug, Default)]
pub(crate) struct TokenWish<'a> {
    pub(crate) note: Option<&'a str>,
    pub(crate) expires_in_seconds: Option<u64>,
    pub(crate) scopes: Option<&'a [String]>,
}

impl Client {
    /// A client of the hub that `connection` tells of. Does not connect yet.
    ///
    /// # Errors
    ///
    /// A [usage error](crate::args::UsageError) if the certificates to trust cannot be read.
    pub(crate) fn new(connection: &Connection, token: Option<Token>) -> anyhow::Result<Self> {
        let timeout = Duration::from_secs(connection.timeout);
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("hub/", env!("CARGO_PKG_VERSION")))
            // The API never redirects; what does is something else, and must not
            // get a request that was meant for the hub.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .read_timeout(timeout);
        match (connection.url.scheme(), &connection.ca_file) {
            // Nothing is verified, so a machine without any certificates will do.
            ("http", _) => builder = builder.tls_certs_only([]),
            (_, None) => {}
            (_, Some(file)) => builder = builder.tls_backend_preconfigured(tls::trusting(file)?),
        }
        let http = builder.build().context(
            "secure connections could not be prepared; does this machine have CA certificates (ca-certificates)?",
        )?;
        Ok(Self { http, hub: connection.url.clone(), token, timeout })
    }

    /// The address of the hub, as it was given.
    pub(crate) fn hub(&self) -> &Url {
        &self.hub
    }

    /// Whether there is a token to make requests with.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// The address to open for a path that the hub told.
    pub(crate) fn absolute(&self, path: &str) -> String {
        self.hub.join(path).map_or_else(|_| path.to_owned(), String::from)
    }

    /// `GET /hub/api`: the API's version; needs no token.
    pub(crate) async fn version(&self) -> Result<Value, CallError> {
        let request = self.http.get(self.url(&[], &[]));
        self.json(self.checked(request, None).await?).await
    }

    /// `GET /hub/api/info`
    pub(crate) async fn info(&self) -> Result<Value, CallError> {
        self.json(self.call(Method::GET, &["info"], None).await?).await
    }

    /// `POST /hub/api/reload`
    pub(crate) async fn reload(&self) -> Result<Answer<Reloaded>, CallError> {
        self.answer(self.call(Method::POST, &["reload"], None).await?).await
    }

    /// `GET /hub/api/user`: whose token this is.
    pub(crate) async fn caller(&self) -> Result<Answer<Caller>, CallError> {
        self.answer(self.call(Method::GET, &["user"], None).await?).await
    }

    /// `GET /hub/api/users`, all pages.
    pub(crate) async fn users(
        &self,
        state: Option<UserState>,
        name_contains: Option<&str>,
    ) -> Result<Vec<Answer<User>>, CallError> {
        let mut users = Vec::new();
        let mut offset = 0;
        loop {
            let place = [("offset", offset.to_string()), ("limit", PAGE_LEN.to_string())];
            let mut query: Vec<(&str, &str)> =
                place.iter().map(|(key, value)| (*key, value.as_str())).collect();
            query.extend(state.map(|state| ("state", state.as_str())));
            query.extend(name_contains.map(|text| ("name_filter", text)));
            let request = self.http.get(self.url(&["users"], &query)).header(ACCEPT, PAGED);
            let page: Value =
                self.json(self.checked(self.authorized(request), None).await?).await?;
            let (items, next) = model::page(page).map_err(|source| self.unreadable(source))?;
            for item in items {
                users.push(Answer::read(item).map_err(|source| self.unreadable(source))?);
            }
            // The page's own URL is what the hub believes to be called; only its
            // numbers are used. One that does not move on would never end.
            match next.filter(|next| *next > offset) {
                Some(next) => offset = next,
                None => return Ok(users),
            }
        }
    }

    /// `GET /hub/api/users/{name}`, stopped servers included.
    pub(crate) async fn user(&self, name: &str) -> Result<Answer<User>, CallError> {
        let request =
            self.http.get(self.url(&["users", name], &[("include_stopped_servers", "1")]));
        self.answer(self.checked(self.authorized(request), Some(name)).await?).await
    }

    /// `POST /hub/api/users`: those that were new.
    pub(crate) async fn add_users(
        &self,
        names: &[String],
        admin: bool,
    ) -> Result<Vec<Answer<User>>, CallError> {
        let body = json!({ "usernames": names, "admin": admin });
        let added: Vec<Value> =
            self.json(self.call(Method::POST, &["users"], Some(&body)).await?).await?;
        added
            .into_iter()
            .map(|item| Answer::read(item).map_err(|source| self.unreadable(source)))
            .collect()
    }

    /// `PATCH /hub/api/users/{name}`
    pub(crate) async fn set_admin(
        &self,
        name: &str,
        admin: bool,
    ) -> Result<Answer<User>, CallError> {
        let body = json!({ "admin": admin });
        self.answer(self.call(Method::PATCH, &["users", name], Some(&body)).await?).await
    }

    /// `DELETE /hub/api/users/{name}`
    pub(crate) async fn delete_user(&self, name: &str) -> Result<(), CallError> {
        self.call(Method::DELETE, &["users", name], None).await.map(drop)
    }

    /// `GET /hub/api/users/{user}/server`
    pub(crate) async fn server(&self, user: &str) -> Result<Answer<Server>, CallError> {
        self.answer(self.call(Method::GET, &["users", user, "server"], None).await?).await
    }

    /// `POST /hub/api/users/{user}/server`. The hub waits a while for the server
    /// before it answers.
    pub(crate) async fn start(&self, user: &str) -> Result<Taken, CallError> {
        self.call(Method::POST, &["users", user, "server"], None)
            .await
            .map(|response| taken(&response))
    }

    /// `DELETE /hub/api/users/{user}/server`. The hub waits a while for the end of
    /// the server before it answers.
    pub(crate) async fn stop(&self, user: &str) -> Result<Taken, CallError> {
        self.call(Method::DELETE, &["users", user, "server"], None)
            .await
            .map(|response| taken(&response))
    }

    /// `GET /hub/api/users/{user}/server/progress`, as it happens.
    pub(crate) async fn progress(&self, user: &str) -> Result<Events<ProgressEvent>, CallError> {
        let path = ["users", user, "server", "progress"];
        self.events(self.call(Method::GET, &path, None).await?)
    }

    /// `GET /hub/api/users/{user}/server/log`: the last `lines` lines.
    pub(crate) async fn log(&self, user: &str, lines: u64) -> Result<Answer<Log>, CallError> {
        let lines = lines.to_string();
        self.answer(self.log_as(user, &[("lines", &lines)]).await?).await
    }

    /// The same, and what the server writes from then on.
    pub(crate) async fn follow_log(
        &self,
        user: &str,
        lines: u64,
    ) -> Result<Events<Log>, CallError> {
        let lines = lines.to_string();
        self.events(self.log_as(user, &[("lines", &lines), ("follow", "1")]).await?)
    }

    async fn log_as(&self, user: &str, query: &[(&str, &str)]) -> Result<Response, CallError> {
        let request = self.http.get(self.url(&["users", user, "server", "log"], query));
        self.checked(self.authorized(request), Some(user)).await
    }

    fn events<T: DeserializeOwned>(&self, response: Response) -> Result<Events<T>, CallError> {
        if content_type(&response) != "text/event-stream" {
            return Err(self.not_a_hub(&response));
        }
        Ok(Events::new(response))
    }

    /// `POST /hub/api/users/{user}/tokens`
    pub(crate) async fn create_token(
        &self,
        user: &str,
        wish: &TokenWish<'_>,
    ) -> Result<Answer<NewApiToken>, CallError> {
        let mut body = json!({});
        if let Some(note) = wish.note {
            body["note"] = json!(note);
        }
        if let Some(seconds) = wish.expires_in_seconds {
            body["expires_in"] = json!(seconds);
        }
        if let Some(scopes) = wish.scopes {
            body["scopes"] = json!(scopes);
        }
        self.answer(self.call(Method::POST, &["users", user, "tokens"], Some(&body)).await?).await
    }

    /// `GET /hub/api/users/{user}/tokens`
    pub(crate) async fn tokens(&self, user: &str) -> Result<Answer<model::ApiTokens>, CallError> {
        self.answer(self.call(Method::GET, &["users", user, "tokens"], None).await?).await
    }

    /// `DELETE /hub/api/users/{user}/tokens/{id}`
    pub(crate) async fn revoke_token(&self, user: &str, id: &str) -> Result<(), CallError> {
        self.call(Method::DELETE, &["users", user, "tokens", id], None).await.map(drop)
    }

    /// A request with the token, about the user that the path names.
    async fn call(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Response, CallError> {
        let mut request = self.authorized(self.http.request(method, self.url(path, &[])));
        if let Some(body) = body {
            request = request.json(body);
        }
        let user = match path {
            ["users", user, ..] => Some(*user),
            _ => None,
        };
        self.checked(request, user).await
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.authorization()),
            None => request,
        }
    }

    /// Sends `request`; whatever is not a success is an error.
    async fn checked(
        &self,
        request: RequestBuilder,
        user: Option<&str>,
    ) -> Result<Response, CallError> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let source = self.token.as_ref().map(Token::source);
        Err(CallError::of_response(response, &self.hub, user, source).await)
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        response: Response,
    ) -> Result<Answer<T>, CallError> {
        let json = self.json(response).await?;
        Answer::read(json).map_err(|source| self.unreadable(source))
    }

    async fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T, CallError> {
        if content_type(&response) != "application/json" {
            return Err(self.not_a_hub(&response));
        }
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        serde_json::from_slice(&body).map_err(|source| self.unreadable(source))
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.hub.clone();
        url.path_segments_mut()
            .expect("http and https addresses have paths")
            .pop_if_empty()
            .extend(["hub", "api"])
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    fn unreachable(&self, error: &reqwest::Error) -> CallError {
        CallError::unreachable(&self.hub, error, self.timeout)
    }

    fn not_a_hub(&self, response: &Response) -> CallError {
        CallError::NotAHub { hub: self.hub.clone(), status: response.status() }
    }

    fn unreadable(&self, source: serde_json::Error) -> CallError {
        CallError::Unreadable { hub: self.hub.clone(), source }
    }
}

fn taken(response: &Response) -> Taken {
    match response.status() {
        StatusCode::ACCEPTED => Taken::Underway,
        _ => Taken::Done,
    }
}

/// The type of a response's body, without its parameters.
fn content_type(response: &Response) -> String {
    let value = response.headers().get(reqwest::header::CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
