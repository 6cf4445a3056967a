//! The REST API, as far as a sign-in needs it.

use std::collections::HashMap;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Grant, Shared};

/// Why a caller gets no answer.
pub(super) enum Refused {
    NoUserAgent,
    BadCredentials,
    NotFound,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::NoUserAgent => {
                let text = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.";
                (StatusCode::FORBIDDEN, text).into_response()
            }
            Self::BadCredentials => refusal(StatusCode::UNAUTHORIZED, "Bad credentials"),
            Self::NotFound => refusal(StatusCode::NOT_FOUND, "Not Found"),
        }
    }
}

/// `GET /user`. The address is null unless the person shows it to everybody.
pub(super) async fn user(State(site): Shared, headers: HeaderMap) -> Response {
    let site = site.lock().unwrap();
    match caller(&site.tokens, &headers) {
        Ok(grant) => answer(
            grant,
            json!({
                "login": grant.login, "id": site.people[&grant.login], "name": null,
                "email": null, "type": "User",
            }),
        ),
        Err(refused) => refused.into_response(),
    }
}

/// `GET /user/emails`: not there for a token without the scope.
pub(super) async fn emails(State(site): Shared, headers: HeaderMap) -> Response {
    let site = site.lock().unwrap();
    match caller(&site.tokens, &headers) {
        Ok(grant) if grant.scopes.iter().any(|scope| scope == "user:email" || scope == "user") => {
            let login = grant.login.to_lowercase();
            let address = |host: &str, primary: bool| {
                json!({
                    "email": format!("{login}@{host}"), "primary": primary, "verified": true,
                    "visibility": if primary { json!("private") } else { Value::Null },
                })
            };
            answer(grant, json!([address("old.test", false), address("mail.test", true)]))
        }
        Ok(_) => Refused::NotFound.into_response(),
        Err(refused) => refused.into_response(),
    }
}

/// Whose token it is, with either scheme that GitHub takes.
pub(super) fn caller<'a>(
    tokens: &'a HashMap<String, Grant>,
    headers: &HeaderMap,
) -> Result<&'a Grant, Refused> {
    if !headers.contains_key(header::USER_AGENT) {
        return Err(Refused::NoUserAgent);
    }
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.split_once(' '))
        .filter(|(scheme, _)| ["bearer", "token"].contains(&scheme.to_lowercase().as_str()))
        .and_then(|(_, token)| tokens.get(token))
        .ok_or(Refused::BadCredentials)
}

pub(super) fn answer(grant: &Grant, body: Value) -> Response {
    ([("x-oauth-scopes", grant.scopes.join(", "))], Json(body)).into_response()
}

pub(super) fn refusal(status: StatusCode, message: &str) -> Response {
    let body = json!({
        "message": message, "documentation_url": "https://docs.github.com/rest",
        "status": status.as_str(),
    });
    (status, Json(body)).into_response()
}
