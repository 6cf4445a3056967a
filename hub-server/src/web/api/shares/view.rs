//! The JSON of shares and share codes (hub-contract 5.2).

use axum::{http::Uri, response::Response};
use http::HeaderMap;
use hub_names::ServerKey;
use hub_store::{Grantee, Share, ShareCode};
use serde_json::{Value, json};

use crate::{
    hub::Hub,
    web::api::{
        model::time,
        paging::Paging,
        shares::{request::limited, values},
    },
};

/// A share.
pub(super) fn share(hub: &Hub, share: &Share) -> Value {
    let (user, group, kind) = match &share.with {
        Grantee::User(name) => (json!({ "name": name }), Value::Null, "user"),
        Grantee::Group(name) => (Value::Null, json!({ "name": name }), "group"),
    };
    json!({
        "server": server(hub, &share.server),
        "scopes": limited(&share.scopes, &share.server),
        "user": user,
        "group": group,
        "kind": kind,
        "created_at": time(Some(share.created)),
    })
}

/// A code, without its text, which only whoever made it sees.
pub(super) fn code(hub: &Hub, code: &ShareCode) -> Value {
    json!({
        "server": server(hub, &code.server),
        "scopes": limited(&code.scopes, &code.server),
        "id": id(code),
        "created_at": time(Some(code.created)),
        "expires_at": time(Some(code.expires_at)),
        "exchange_count": code.exchange_count,
        "last_exchanged_at": time(code.last_exchanged),
    })
}

/// How the API calls a code.
pub(super) fn id(code: &ShareCode) -> String {
    format!("sc_{}", code.id)
}

/// The part of `all` that was asked for; these lists always say what comes next.
pub(super) fn page<T>(
    paging: &Paging,
    uri: &Uri,
    headers: &HeaderMap,
    all: Vec<T>,
    one: impl Fn(&T) -> Value,
) -> Response {
    let paging = paging.clone().enveloped();
    let (items, total) = paging.cut(all);
    let shown = items.len() as u64;
    paging.answer(uri, headers, values(&items, one), shown, total)
}

/// The server as somebody sees it with whom it is shared: no state, no options.
fn server(hub: &Hub, key: &ServerKey) -> Value {
    let url = hub.paths.server(key);
    let ready = hub.servers.live(key).is_some_and(|view| view.phase.is_ready());
    json!({
        "user": { "name": key.user() },
        "name": key.server(),
        "full_url": hub.public_url.as_ref().map(|public| hub.paths.absolute(Some(public), &url)),
        "url": url,
        "ready": ready,
    })
}
