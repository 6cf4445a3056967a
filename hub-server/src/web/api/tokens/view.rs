//! The JSON of tokens (hub-contract 5.2).

use hub_auth::Owner;
use hub_names::UserName;
use hub_store::{TokenRecord, User};
use serde::Serialize;

use crate::{
    access::bearer,
    hub::Hub,
    web::{api::model::Moment, error::ApiError},
};

/// A token.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Token"))]
pub(in crate::web::api) struct TokenModel {
    /// The user whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    user: Option<UserName>,
    /// The service whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    id: String,
    /// `api_token`
    kind: &'static str,
    /// Always empty, as since JupyterHub 3.
    roles: Vec<String>,
    /// What it may do now, which its owner's rights limit.
    scopes: Vec<String>,
    created: Moment,
    last_activity: Option<Moment>,
    expires_at: Option<Moment>,
    note: String,
    session_id: Option<String>,
    /// Who it was made for, in words.
    oauth_client: String,
}

/// A token that was just made, with its text.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "NewToken"))]
pub(in crate::web::api) struct NewTokenModel {
    pub(super) token: String,
    #[serde(flatten)]
    pub(super) shown: TokenModel,
}

/// A user's tokens.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Tokens"))]
pub(in crate::web::api) struct TokensModel {
    pub(super) api_tokens: Vec<TokenModel>,
}

impl TokenModel {
    /// A token of `user`.
    pub(super) async fn of(hub: &Hub, user: &User, token: &TokenRecord) -> Result<Self, ApiError> {
        let client = match &token.client_id {
            Some(id) => hub.store.oauth().client(id).await?,
            None => None,
        };
        let held = hub.scopes_of_user(user).await?;
        let owner = Owner::User(user.name.clone());
        let scopes = bearer::scopes(hub, token, &owner, &held).await?;
        Ok(Self {
            user: Some(user.name.clone()),
            service: None,
            id: format!("a{}", token.id.get()),
            kind: "api_token",
            roles: Vec::new(),
            scopes: scopes.to_strings(),
            created: Moment(token.created),
            last_activity: token.last_activity.map(Moment),
            expires_at: token.expires_at.map(Moment),
            note: token.note.clone(),
            session_id: token.session_id.clone(),
            oauth_client: client
                .map_or_else(|| "JupyterHub".to_owned(), |client| client.description),
        })
    }
}
