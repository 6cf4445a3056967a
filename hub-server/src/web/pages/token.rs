//! The page with one's tokens: make one, see which there are, revoke them.
//!
//! Plain forms, so that it works without script; what a token may be is decided where
//! the REST API decides it.

mod lives;

use std::{collections::BTreeMap, sync::Arc};

use axum::{body::Bytes, extract::State, response::Response};
use http::StatusCode;
use hub_auth::{Roles, Scope, ScopeName, Target};
use hub_store::{StoreError, TokenRecord, User};
use minijinja::{Value, context, value::Serde};

use crate::{
    access::Caller,
    hub::Hub,
    web::{
        api::tokens::{self, Wanted},
        error::{ApiError, PageError, redirect},
        request::Fields,
        visitor::Visitor,
    },
};

/// `GET /hub/token`
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
) -> Result<Response, PageError> {
    let user = visitor.require_user()?;
    page(&hub, &visitor, user, StatusCode::OK, context! {}).await
}

/// `POST /hub/token`: makes a token, or revokes the one that the form names.
pub(super) async fn submit(
    State(hub): State<Arc<Hub>>,
    visitor: Visitor,
    body: Bytes,
) -> Result<Response, PageError> {
    let user = visitor.require_user()?;
    let fields = Fields::parse(&body);
    visitor.require_xsrf(&fields)?;
    let caller = Caller::at_page(user.clone(), visitor.scopes.clone());
    match change(&hub, &caller, user, &fields).await {
        Ok(None) => Ok(redirect(&hub.paths.token())),
        // Shown by this answer and never again.
        Ok(Some(made)) => page(&hub, &visitor, user, StatusCode::OK, made).await,
        Err(error) => {
            let (status, message) = error.told();
            let told = context! { token_error => message, note => fields.get("note") };
            page(&hub, &visitor, user, status, told).await
        }
    }
}

/// Does what the form asks for. A new token is returned, to be shown once.
async fn change(
    hub: &Hub,
    caller: &Caller,
    user: &User,
    fields: &Fields,
) -> Result<Option<Value>, ApiError> {
    caller.require_any(&[ScopeName::Tokens], &Target::user(&user.name))?;
    match fields.get("revoke") {
        Some(id) => tokens::end(hub, caller, user, id).await.map(|()| None),
        None => make(hub, caller, user, fields).await.map(Some),
    }
}

async fn make(hub: &Hub, caller: &Caller, user: &User, fields: &Fields) -> Result<Value, ApiError> {
    let scopes: Vec<String> = fields.all("scopes").map(str::to_owned).collect();
    let wanted = Wanted {
        note: Some(fields.get("note").unwrap_or_default().trim())
            .filter(|note| !note.is_empty())
            .or(Some("Made on the token page"))
            .map(str::to_owned),
        expires_in: fields.get("expires_in").and_then(|text| text.parse().ok()),
        scopes: (!scopes.is_empty()).then_some(scopes),
        ..Wanted::default()
    };
    let (record, token) = tokens::make(hub, caller, user, &wanted).await?;
    Ok(context! {
        new_token => context! { token => token.expose(), note => record.note },
    })
}

async fn page(
    hub: &Hub,
    visitor: &Visitor,
    user: &User,
    status: StatusCode,
    more: Value,
) -> Result<Response, PageError> {
    let listed = Listed::of(hub, user).await?;
    let live = hub.live();
    let longest = live.session.token_max_age.map(|age| age.as_secs());
    let held: Vec<Value> = scope_values(&live.roles, visitor.scopes.to_strings());
    let page = context! {
        api_tokens => listed.own,
        server_tokens => listed.of_servers,
        oauth_clients => listed.applications,
        lives => Value::from(Serde(lives::offered(longest))),
        held => held,
        form_action => hub.paths.token(),
    };
    Ok(visitor.page(status, "token.html", context! { ..more, ..page }))
}

/// A person's tokens by what they are for.
#[derive(Default)]
struct Listed {
    own: Vec<Value>,
    of_servers: Vec<Value>,
    applications: Vec<Value>,
}

impl Listed {
    async fn of(hub: &Hub, user: &User) -> Result<Self, StoreError> {
        let live = hub.live();
        let mut listed = Self::default();
        let mut by_client: BTreeMap<String, Vec<TokenRecord>> = BTreeMap::new();
        let mut records = hub.store.tokens().of_user(user.id, hub.clock.now()).await?;
        // The latest first: it is the one a person looks for.
        records.sort_by_key(|record| std::cmp::Reverse((record.created, record.id.get())));
        for record in records {
            match (&record.client_id, &record.session_id) {
                (None, _) => listed.own.push(value(&live.roles, &record)),
                (Some(_), None) => listed.of_servers.push(value(&live.roles, &record)),
                (Some(client), Some(_)) => {
                    by_client.entry(client.clone()).or_default().push(record);
                }
            }
        }
        for (id, records) in by_client {
            let client = hub.store.oauth().client(&id).await?;
            let description = client.map_or(id, |client| client.description);
            listed.applications.push(application(&live.roles, &description, &records));
        }
        Ok(listed)
    }
}

fn value(roles: &Roles, record: &TokenRecord) -> Value {
    let inherits = record.scopes.iter().any(|scope| scope == ScopeName::Inherit.as_str());
    context! {
        id => format!("a{}", record.id.get()),
        note => record.note.as_str(),
        everything => inherits,
        scopes => scope_values(roles, record.scopes.iter().cloned()),
        created => record.created.to_string(),
        last_activity => record.last_activity.map(|at| at.to_string()),
        expires_at => record.expires_at.map(|at| at.to_string()),
    }
}

/// One application with all its tokens; the latest is first.
fn application(roles: &Roles, description: &str, records: &[TokenRecord]) -> Value {
    let mut scopes: Vec<String> =
        records.iter().flat_map(|record| record.scopes.iter().cloned()).collect();
    scopes.sort_unstable();
    scopes.dedup();
    context! {
        description => description,
        id => records.first().map(|record| format!("a{}", record.id.get())),
        scopes => scope_values(roles, scopes),
        created => records.iter().map(|record| record.created).min().map(|at| at.to_string()),
        last_activity => records
            .iter()
            .filter_map(|record| record.last_activity)
            .max()
            .map(|at| at.to_string()),
    }
}

fn scope_values(roles: &Roles, scopes: impl IntoIterator<Item = String>) -> Vec<Value> {
    scopes
        .into_iter()
        .map(|text| {
            let meaning = text
                .parse::<Scope>()
                .map(|scope| roles.meaning(&scope.name).to_owned())
                .unwrap_or_default();
            context! { scope => text, text => meaning }
        })
        .collect()
}
