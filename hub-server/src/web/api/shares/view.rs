//! The JSON of shares and share codes (hub-contract 5.2).

use axum::{http::Uri, response::Response};
use http::HeaderMap;
use hub_names::{ServerKey, ServerName, UserName};
use hub_store::{Grantee, Share, ShareCode};
use serde::Serialize;

use crate::{
    hub::Hub,
    web::api::{model::Moment, paging::Paging, shares::request::limited},
};

/// What a user or a group may do with a server.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Share"))]
pub(in crate::web::api) struct ShareModel {
    server: SharedServerModel,
    scopes: Vec<String>,
    user: Option<NamedModel>,
    group: Option<NamedModel>,
    /// `user` or `group`
    kind: &'static str,
    created_at: Moment,
}

/// What is left of a share from which something was taken; without fields when it is
/// nothing.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LeftOfShare"))]
pub(in crate::web::api) struct LeftModel {
    #[serde(flatten)]
    pub(super) left: Option<ShareModel>,
}

/// A server as somebody sees it with whom it is shared: no state, no options.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "SharedServer"))]
struct SharedServerModel {
    user: OwnerName,
    #[cfg_attr(test, schemars(with = "String"))]
    name: ServerName,
    url: String,
    full_url: Option<String>,
    ready: bool,
}

/// Whose a server is.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ServerOwner"))]
struct OwnerName {
    #[cfg_attr(test, schemars(with = "String"))]
    name: UserName,
}

/// Somebody's or something's name.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Named"))]
struct NamedModel {
    name: String,
}

/// A code that whoever has it may exchange for a share. Its text is not in it: only
/// whoever made it sees that.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ShareCode"))]
pub(in crate::web::api) struct ShareCodeModel {
    server: SharedServerModel,
    scopes: Vec<String>,
    id: String,
    created_at: Moment,
    expires_at: Option<Moment>,
    exchange_count: u64,
    last_exchanged_at: Option<Moment>,
}

/// A code that was just made, with its text.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "NewShareCode"))]
pub(in crate::web::api) struct NewShareCodeModel {
    #[serde(flatten)]
    pub(super) shown: ShareCodeModel,
    pub(super) code: String,
    /// The path of the page that exchanges it.
    pub(super) accept_url: String,
    pub(super) full_accept_url: Option<String>,
}

impl ShareModel {
    /// A share.
    pub(super) fn of(hub: &Hub, share: &Share) -> Self {
        let (user, group, kind) = match &share.with {
            Grantee::User(name) => (Some(NamedModel { name: name.to_string() }), None, "user"),
            Grantee::Group(name) => (None, Some(NamedModel { name: name.clone() }), "group"),
        };
        Self {
            server: SharedServerModel::of(hub, &share.server),
            scopes: limited(&share.scopes, &share.server),
            user,
            group,
            kind,
            created_at: Moment(share.created),
        }
    }
}

impl ShareCodeModel {
    /// A code.
    pub(super) fn of(hub: &Hub, code: &ShareCode) -> Self {
        Self {
            server: SharedServerModel::of(hub, &code.server),
            scopes: limited(&code.scopes, &code.server),
            id: id(code),
            created_at: Moment(code.created),
            expires_at: Some(Moment(code.expires_at)),
            exchange_count: code.exchange_count,
            last_exchanged_at: code.last_exchanged.map(Moment),
        }
    }
}

impl SharedServerModel {
    fn of(hub: &Hub, key: &ServerKey) -> Self {
        let url = hub.paths.server(key);
        let public = hub.public_url.as_ref();
        Self {
            user: OwnerName { name: key.user().clone() },
            name: key.server().clone(),
            full_url: public.map(|public| hub.paths.absolute(Some(public), &url)),
            url,
            ready: hub.servers.live(key).is_some_and(|view| view.phase.is_ready()),
        }
    }
}

/// How the API calls a code.
pub(super) fn id(code: &ShareCode) -> String {
    format!("sc_{}", code.id)
}

/// The part of `all` that was asked for; these lists always say what comes next.
pub(super) fn page<T, M: Serialize>(
    paging: &Paging,
    uri: &Uri,
    headers: &HeaderMap,
    all: Vec<T>,
    one: impl Fn(&T) -> M,
) -> Response {
    let paging = paging.clone().enveloped();
    let (items, total) = paging.cut(all);
    let items: Vec<M> = items.iter().map(one).collect();
    let shown = items.len() as u64;
    paging.answer(uri, headers, items, shown, total)
}
