//! The page on which a share code becomes a share (hub-contract 1.2).

use std::sync::Arc;

use axum::{body::Bytes, extract::State, http::Uri, response::Response};
use http::StatusCode;
use hub_auth::{ApiToken, ScopeName, TokenHash};
use hub_names::ServerKey;
use hub_store::{Grantee, ShareCode, StoreError};
use minijinja::context;

use crate::{
    hub::Hub,
    web::{
        error::{PageError, redirect},
        request::Fields,
        visitor::Visitor,
    },
};

type PageResult = Result<Response, PageError>;

/// `GET /hub/accept-share?code=`
pub(super) async fn show(State(hub): State<Arc<Hub>>, visitor: Visitor, uri: Uri) -> PageResult {
    let user = visitor.require_user()?;
    let query = Fields::of_query(&uri);
    let text = query.get("code").ok_or_else(|| no_code(&hub))?;
    let Some((code, _)) = find(&hub, text).await? else {
        return Err(PageError::new(StatusCode::NOT_FOUND, "Share not found or expired")
            .hint("The link is only good for a while, and its owner can take it back. Ask for a new one.")
            .action("Home", hub.paths.home()));
    };
    let key = &code.server;
    if *key.user() == user.name {
        return Err(PageError::new(StatusCode::FORBIDDEN, "You can't share with yourself!")
            .hint("Send this link to whom you want to let into your server.")
            .action("Home", hub.paths.home()));
    }
    let live = hub.live();
    let scopes: Vec<_> = code
        .scopes
        .iter()
        .filter_map(|name| name.parse::<ScopeName>().ok())
        .map(|name| context! { scope => name.as_str(), text => live.roles.meaning(&name) })
        .collect();
    let page = context! {
        code => text,
        owner => context! { name => key.user().as_str() },
        server => context! {
            name => key.server().as_str(),
            url => hub.paths.server(key),
            ready => hub.servers.live(key).is_some_and(|view| view.phase.is_ready()),
        },
        scopes => scopes,
        next_url => next_url(&hub, &visitor, query.get("next"), key),
        form_action => hub.paths.in_hub("accept-share"),
        next => query.get("next"),
        cancel_url => hub.paths.home(),
    };
    Ok(visitor.page(StatusCode::OK, "accept-share.html", page))
}

/// `POST /hub/accept-share`
pub(super) async fn accept(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
    uri: Uri,
    body: Bytes,
) -> PageResult {
    let user = visitor.require_user()?;
    let (fields, query) = (Fields::parse(&body), Fields::of_query(&uri));
    let field = |name| fields.get(name).or_else(|| query.get(name));
    visitor.require_xsrf(&fields)?;
    let invalid = || {
        PageError::new(StatusCode::BAD_REQUEST, "Invalid share code")
            .hint("It may have expired, or its owner took it back. Ask for a new one.")
            .action("Home", hub.paths.home())
    };
    let text = field("code").ok_or_else(|| no_code(&hub))?;
    let (code, hash) = find(&hub, text).await?.ok_or_else(invalid)?;
    if *code.server.user() == user.name {
        return Err(PageError::new(StatusCode::BAD_REQUEST, "You can't share with yourself!")
            .action("Home", hub.paths.home()));
    }
    let with = Grantee::User(user.name.clone());
    let exchanged =
        hub.store.share_codes().exchange(hash.as_bytes(), &with, hub.clock.now()).await?;
    let share = exchanged.ok_or_else(invalid)?;
    tracing::info!(server = %share.server, with = %user.name, "share code exchanged");
    Ok(redirect(&next_url(&hub, &visitor, field("next"), &share.server)))
}

/// The valid code with this text, and its digest.
async fn find(hub: &Hub, text: &str) -> Result<Option<(ShareCode, TokenHash)>, StoreError> {
    let Some(secret) = ApiToken::from_text(text) else { return Ok(None) };
    let hash = secret.hash();
    let code = hub.store.share_codes().by_hash(hash.as_bytes(), hub.clock.now()).await?;
    Ok(code.map(|code| (code, hash)))
}

fn next_url(hub: &Hub, visitor: &Visitor, next: Option<&str>, key: &ServerKey) -> String {
    visitor.next(next).unwrap_or_else(|| hub.paths.server(key))
}

fn no_code(hub: &Hub) -> PageError {
    PageError::new(StatusCode::BAD_REQUEST, "Missing argument code")
        .hint("The link is not complete. Copy all of it, or ask for it again.")
        .action("Home", hub.paths.home())
}
