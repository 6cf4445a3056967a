//! The hub as OAuth2 provider of single-user servers and services (hub-contract 4).
//!
//! Whether a request is in order is decided by `hub_auth::provider`, which is
//! pure; here it meets the store, the person and the page.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderValue, StatusCode, header};
use hub_auth::{
    ApiToken, AuthorizeError, AuthorizeRequest, Authorized, Challenge, ClientFacts, Filter, Owner,
    Scope, ScopeName, ScopeSet, Target, TokenError, TokenHash, TokenRequest,
    provider::{check_pkce, success_location},
};
use hub_store::{
    ClientOf, NewToken, OauthClient, OauthCode, Session, StoreError, TokenOwner, User,
};
use jiff::SignedDuration;
use minijinja::context;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::{
    error::{PageError, redirect},
    request::Fields,
    visitor::{Visitor, set_cookies},
};
use crate::{access::held::issuer, hub::Hub};

/// Life of a code. JupyterHub's 300 s; the safer minute is too short for a
/// server that is busy starting.
const CODE_SECONDS: i64 = 300;
/// How many tokens of one person's sessions a client has at most; the oldest go.
const MOST_OF_CLIENT: u64 = 100;

pub(super) fn routes(hub: &Hub) -> Router<Arc<Hub>> {
    server_routes(hub)
        .route(&hub.paths.in_hub("api/oauth2/authorize"), get(authorize).post(confirm))
}

/// What servers call by themselves.
pub(super) fn server_routes(hub: &Hub) -> Router<Arc<Hub>> {
    let token = post(token).options(|| async { StatusCode::OK });
    Router::new().route(&hub.paths.in_hub("api/oauth2/token"), token)
}

/// A request that may be granted, and to whom.
struct Consent {
    client: OauthClient,
    request: Authorized,
    session: Session,
    scopes: Vec<Scope>,
}

/// `GET /hub/api/oauth2/authorize`
async fn authorize(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, PageError> {
    let consent = match check(&hub, &visitor, &uri).await? {
        Ok(consent) => consent,
        Err(answer) => return Ok(answer),
    };
    if needs_no_question(&hub, &consent).await? {
        return grant(&hub, &visitor, &consent).await;
    }
    let live = hub.live();
    let scopes: Vec<_> = consent
        .scopes
        .iter()
        .map(|scope| context! { scope => scope.to_string(), text => live.roles.meaning(&scope.name) })
        .collect();
    let page = context! {
        client => consent.client.description,
        scopes => scopes,
        form_action => uri.path_and_query().map_or("", |path| path.as_str()),
        cancel_url => hub.paths.home(),
    };
    Ok(visitor.page(StatusCode::OK, "oauth.html", page))
}

/// `POST /hub/api/oauth2/authorize`: the person said yes.
async fn confirm(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
    uri: Uri,
    body: Bytes,
) -> Result<Response, PageError> {
    visitor.require_user()?;
    let fields = Fields::parse(&body);
    visitor.require_xsrf(&fields)?;
    let mut consent = match check(&hub, &visitor, &uri).await? {
        Ok(consent) => consent,
        Err(answer) => return Ok(answer),
    };
    // The form may grant less than was asked for, never more; what the client
    // cannot do without stays.
    let chosen: Vec<&str> = fields.all("scopes").collect();
    let needed = needed(&consent.client);
    consent
        .scopes
        .retain(|scope| chosen.contains(&scope.to_string().as_str()) || needed.contains(scope));
    grant(&hub, &visitor, &consent).await
}

/// Whether the request is in order and this person may make it. The inner error
/// is an answer that is no page of ours.
async fn check(
    hub: &Hub,
    visitor: &Visitor,
    uri: &Uri,
) -> Result<Result<Consent, Response>, PageError> {
    visitor.require_user()?;
    let Some(session) = visitor.session.clone() else { return Err(PageError::not_found()) };
    let refused = |error: AuthorizeError| {
        match error {
        AuthorizeError::ShowPage { message, .. } => Err(PageError::new(StatusCode::BAD_REQUEST, message)
            .hint("The server that sent you here is not known to this hub any more. Open it again from your home page.")
            .action("Home", hub.paths.home())),
        error => match error.location() {
            Some(location) => Ok(Err(redirect(&location))),
            None => Err(PageError::new(StatusCode::BAD_REQUEST, error.to_string())),
        },
    }
    };
    let request = match AuthorizeRequest::parse(Fields::of_query(uri).into_pairs()) {
        Ok(request) => request,
        Err(error) => return refused(error),
    };
    let Some(client) = hub.store.oauth().client(request.client_id()).await? else {
        return refused(AuthorizeError::unknown_client());
    };
    let facts = ClientFacts {
        id: client.id.clone(),
        redirect_uri: client.redirect_uri.clone(),
        allowed_scopes: client.allowed_scopes.clone(),
        access: issuer(&client).access(),
    };
    let request = match request.check(&facts, &hub.live().roles) {
        Ok(request) => request,
        Err(error) => return refused(error),
    };
    let user = &session.user;
    let held = hub.scopes_of_user(user).await?;
    let (may_enter, what, hint) = match &client.of {
        ClientOf::Server(key) => (
            held.has(ScopeName::AccessServers, &hub.server_target(&held, key).await?),
            format!("Server at {}", hub.paths.server(key)),
            "Each server belongs to one person. Open your own from the home page.",
        ),
        ClientOf::Service(name) => (
            held.has(ScopeName::AccessServices, &Target::service(name)),
            client.description.clone(),
            "Whoever runs this hub decides who may use a service. Ask them for access.",
        ),
    };
    if !may_enter {
        return Err(PageError::new(
            StatusCode::FORBIDDEN,
            format!("You do not have permission to access {what}"),
        )
        .hint(hint)
        .action("Home", hub.paths.home()));
    }
    let scopes = within_reach(hub, &client, user, &held, &request.scopes).await?;
    Ok(Ok(Consent { client, request, session, scopes }))
}

/// What of the request this person has any part of, and what the client needs in any
/// case. The token can do no more than the person (hub-contract 6.5); nobody is asked
/// to grant what they do not have.
async fn within_reach(
    hub: &Hub,
    client: &OauthClient,
    user: &User,
    held: &ScopeSet,
    requested: &[Scope],
) -> Result<Vec<Scope>, StoreError> {
    let (needed, issuer, live) = (needed(client), issuer(client), hub.live());
    let owner = Owner::User(user.name.clone());
    let mut scopes = Vec::new();
    for scope in requested {
        let stands_for_all = scope.name == ScopeName::Inherit;
        if !stands_for_all && !needed.contains(scope) {
            let raw = live.roles.spell_out([scope.clone()]);
            let wanted = ScopeSet::expand(raw, &owner, Some(&issuer));
            let groups = hub.groups_behind(&[&wanted, held]).await?;
            if wanted.intersect(held, &groups).is_empty() {
                continue;
            }
        }
        scopes.push(scope.clone());
    }
    Ok(scopes)
}

/// What every client gets: to know who the person is, and to let them in.
fn needed(client: &OauthClient) -> [Scope; 3] {
    [
        Scope::filtered(ScopeName::ReadUsersName, Filter::OwnUser),
        Scope::filtered(ScopeName::ReadUsersGroups, Filter::OwnUser),
        issuer(client).access(),
    ]
}

/// Nobody is asked whether their own server may know them, nor by a service that is
/// part of the hub, nor twice.
async fn needs_no_question(hub: &Hub, consent: &Consent) -> Result<bool, StoreError> {
    let user = &consent.session.user;
    let is_trusted = match &consent.client.of {
        ClientOf::Server(key) => *key.user() == user.name,
        ClientOf::Service(name) => {
            hub.services.get(name).is_some_and(|service| service.config.oauth_no_confirm)
        }
    };
    if is_trusted {
        return Ok(true);
    }
    let now = hub.clock.now();
    let tokens = hub.store.tokens().of_user(user.id, now).await?;
    Ok(tokens.iter().any(|token| {
        token.client_id.as_ref() == Some(&consent.client.id)
            && token.session_id.is_some()
            && consent.scopes.iter().all(|scope| token.scopes.contains(&scope.to_string()))
    }))
}

async fn grant(hub: &Hub, visitor: &Visitor, consent: &Consent) -> Result<Response, PageError> {
    let code = hub_auth::random_code();
    let now = hub.clock.now();
    let challenge =
        consent.request.challenge.as_ref().map(|challenge| challenge.as_str().to_owned());
    let kept = hub
        .store
        .oauth()
        .insert_code(
            code_hash(&code).as_bytes(),
            &OauthCode {
                client_id: consent.client.id.clone(),
                user: consent.session.user.id,
                session_id: consent.session.session_id.clone(),
                scopes: consent.scopes.iter().map(ToString::to_string).collect(),
                redirect_uri: consent.request.named_redirect_uri.clone(),
                challenge,
                created: now,
                expires_at: now + SignedDuration::from_secs(CODE_SECONDS),
            },
        )
        .await;
    if let Err(StoreError::SignedOut) = kept {
        // In another tab, since the session was looked at.
        visitor.clone().signed_out().require_user()?;
    }
    kept?;
    let request = &consent.request;
    let location = success_location(&request.redirect_uri, &code, request.state.as_deref());
    let mut response = redirect(&location);
    // The client looks for the session that its token belongs to.
    set_cookies(&mut response, visitor.missing_session_id());
    Ok(response)
}

/// `POST /hub/api/oauth2/token`
async fn token(State(hub): State<Arc<Hub>>, body: Bytes) -> Response {
    let mut response = match redeem(&hub, &body).await {
        Ok(body) => (StatusCode::OK, axum::Json(body)).into_response(),
        Err(Refused::Token(error)) => {
            tracing::warn!("a code was not redeemed: {error}");
            (error.status(), axum::Json(error.body())).into_response()
        }
        Err(Refused::Store(error)) => super::error::ApiError::from(error).into_response(),
    };
    // RFC 6749, section 5.2.
    if response.status() == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer error=\"invalid_client\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

enum Refused {
    Token(TokenError),
    Store(StoreError),
}

impl From<TokenError> for Refused {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn redeem(hub: &Hub, body: &Bytes) -> Result<serde_json::Value, Refused> {
    let request = TokenRequest::parse(Fields::parse(body).into_pairs())?;
    let oauth = hub.store.oauth();
    let client = oauth.client(&request.client_id).await?.ok_or(TokenError::InvalidClient)?;
    let secret = ApiToken::from_text(request.client_secret.expose_secret())
        .ok_or(TokenError::InvalidClient)?;
    if !TokenHash::from(client.secret_hash).matches(&secret) {
        return Err(TokenError::InvalidClient.into());
    }
    let now = hub.clock.now();
    let hash = code_hash(request.code.expose_secret());
    let code = oauth.code(hash.as_bytes(), now).await?;
    let Some(code) = code.filter(|code| code.client_id == client.id) else {
        return Err(worthless(hub, &hash, &client).await);
    };
    request.check_redirect_uri(code.redirect_uri.as_deref(), &client.redirect_uri)?;
    // Before the code is used up: a failed try at PKCE does not consume it.
    let challenge: Option<Challenge> = code.challenge.as_deref().and_then(|text| text.parse().ok());
    check_pkce(challenge.as_ref(), request.code_verifier.as_ref())?;
    let token = ApiToken::generate();
    // As long as the sign-in, which is JupyterHub's `oauth_token_expires_in`.
    let life = hub.live().session.max_age;
    let new = NewToken {
        owner: TokenOwner::User(code.user),
        hash: *token.hash().as_bytes(),
        client_id: Some(client.id.clone()),
        session_id: Some(code.session_id.clone()),
        note: String::new(),
        scopes: code.scopes.clone(),
        created: now,
        expires_at: Some(now + life),
    };
    if oauth.redeem(hash.as_bytes(), &code, &new, Some(MOST_OF_CLIENT)).await?.is_none() {
        return Err(worthless(hub, &hash, &client).await);
    }
    Ok(serde_json::json!({
        "access_token": token.expose(),
        "expires_in": life.as_secs(),
        "token_type": "Bearer",
        "scope": code.scopes.join(" "),
    }))
}

/// The answer to a client whose code is good for nothing. A code that was used is known
/// to two who should not both know it: what was made from it ends.
async fn worthless(hub: &Hub, code: &TokenHash, client: &OauthClient) -> Refused {
    match hub.store.oauth().revoke_used(code.as_bytes(), &client.id).await {
        Ok(None) => TokenError::InvalidGrant.into(),
        Ok(Some(token)) => {
            let (client, token) = (&client.id, token.get());
            tracing::warn!(client, token, "a code came a second time; its token is revoked");
            TokenError::InvalidGrant.into()
        }
        Err(error) => error.into(),
    }
}

/// Codes are kept as tokens are: as a hash.
fn code_hash(code: &str) -> TokenHash {
    TokenHash::from(<[u8; 32]>::from(Sha256::digest(code.as_bytes())))
}
