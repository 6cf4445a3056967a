//! The OAuth web flow.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{Form, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use uuid::Uuid;

use super::{CLIENT_ID, CLIENT_SECRET, CODE_LIFE, Code, Grant, Shared};

type Fields = HashMap<String, String>;

/// `GET /login/oauth/authorize`: the person has agreed before, so GitHub asks
/// nothing and sends the browser back at once.
pub(super) async fn authorize(State(site): Shared, Query(query): Query<Fields>) -> Response {
    let mut site = site.lock().unwrap();
    let field = |name: &str| query.get(name).map_or("", String::as_str);
    if field("client_id") != CLIENT_ID {
        return StatusCode::NOT_FOUND.into_response();
    }
    let callback = site.callback.clone().expect("the app has a callback URL");
    let back = |fields: &[(&str, &str)]| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(fields).append_pair("state", field("state"));
        Redirect::to(&format!("{callback}?{}", query.finish())).into_response()
    };
    let redirect_uri = query.get("redirect_uri").unwrap_or(&callback);
    if *redirect_uri != callback {
        return back(&[
            ("error", "redirect_uri_mismatch"),
            (
                "error_description",
                "The redirect_uri MUST match the registered callback URL for this application.",
            ),
        ]);
    }
    if site.refuses {
        return back(&[
            ("error", "access_denied"),
            ("error_description", "The user has denied your application access."),
        ]);
    }
    let login = site.current.clone().expect("somebody is signed in at GitHub");
    let scopes = field("scope").split([' ', ',']).filter(|scope| !scope.is_empty());
    let code = Uuid::new_v4().simple().to_string()[..20].to_owned();
    site.codes.insert(
        code.clone(),
        Code {
            grant: Grant { login, scopes: scopes.map(str::to_owned).collect() },
            redirect_uri: redirect_uri.clone(),
            challenge: query.get("code_challenge").cloned(),
            made: Instant::now(),
        },
    );
    back(&[("code", &code)])
}

/// `POST /login/oauth/access_token`.
pub(super) async fn access_token(
    State(site): Shared,
    headers: HeaderMap,
    Form(form): Form<Fields>,
) -> Response {
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let mut site = site.lock().unwrap();
    let answer = if field("client_id") != CLIENT_ID || field("client_secret") != CLIENT_SECRET {
        refusal(
            "incorrect_client_credentials",
            "The client_id and/or client_secret passed are incorrect.",
        )
    } else {
        // A code is gone at the first try, right or wrong.
        match site.codes.remove(field("code")) {
            Some(code) if code.is_good(&form, Instant::now()) => {
                let token = format!("gho_{}", Uuid::new_v4().simple());
                let scopes = code.grant.scopes.join(",");
                site.tokens.insert(token.clone(), code.grant);
                vec![
                    ("access_token", token),
                    ("scope", scopes),
                    ("token_type", "bearer".to_owned()),
                ]
            }
            _ => refusal("bad_verification_code", "The code passed is incorrect or expired."),
        }
    };
    let json = headers.get(header::ACCEPT).is_some_and(|accept| accept == "application/json");
    if json {
        return Json(answer.into_iter().collect::<HashMap<_, _>>()).into_response();
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(answer);
    ([(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")], query.finish())
        .into_response()
}

impl Code {
    /// Whether it may be redeemed at this time, by whoever sends this form.
    pub(super) fn is_good(&self, form: &Fields, now: Instant) -> bool {
        let same_address = form.get("redirect_uri").is_none_or(|uri| *uri == self.redirect_uri);
        let verified = match (&self.challenge, form.get("code_verifier")) {
            (None, _) => true,
            (Some(challenge), Some(verifier)) => {
                *challenge == URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
            }
            (Some(_), None) => false,
        };
        same_address && verified && now.duration_since(self.made) < CODE_LIFE
    }
}

fn refusal(error: &'static str, description: &str) -> Vec<(&'static str, String)> {
    vec![("error", error.to_owned()), ("error_description", description.to_owned())]
}
