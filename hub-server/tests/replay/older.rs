//! Single-user servers of JupyterHub 2 to 6.0, of which the recording shows only what
//! they asked the hub: not who started them, nor how their codes came about.

use std::ops::RangeInclusive;

use http::Method;
use serde_json::json;

use crate::{
    SERVICE_TOKEN,
    harness::{TestHub, eventually},
    learn_server_token,
    opaque::Opaque,
    recording::Exchange,
};

/// What they asked.
pub(crate) const SERVERS: RangeInclusive<u32> = 365..=399;

/// Makes what the request holds and no answer before it has given out: the token of
/// a server, a code, or a token of a user.
pub(crate) async fn make_what_is_unseen(hub: &TestHub, exchange: &Exchange, opaque: &mut Opaque) {
    let Some(credential) = exchange.headers.get("Authorization") else { return };
    let credential = credential.strip_prefix("token ").unwrap();
    let segments: Vec<&str> = exchange.target.split('/').collect();
    match segments.as_slice() {
        ["", "hub", "api", "users", user, "activity"] if !opaque.knows(credential) => {
            let user = format!("/users/{user}");
            hub.api(SERVICE_TOKEN, Method::POST, &user, None).await;
            hub.api(SERVICE_TOKEN, Method::POST, &format!("{user}/server"), None).await;
            eventually("the server is ready", || async {
                hub.api(SERVICE_TOKEN, Method::GET, &user, None).await.json()["server"].is_string()
            })
            .await;
            learn_server_token(hub, exchange, &format!("{}/", segments[4]), opaque).await;
        }
        ["", "hub", "api", "oauth2", "token"] => {
            let form: Vec<(String, String)> =
                url::form_urlencoded::parse(exchange.body.as_bytes()).into_owned().collect();
            let value = |key: &str| &form.iter().find(|(name, _)| name == key).unwrap().1;
            if opaque.knows(value("code")) {
                return;
            }
            let user = value("client_id").strip_prefix("jupyterhub-user-").unwrap();
            let authorize = format!(
                "/hub/api/oauth2/authorize?client_id={}&redirect_uri={}&response_type=code&state=s",
                value("client_id"),
                value("redirect_uri"),
            );
            let answer = hub.signed_in(user).await.get(&authorize).await;
            let recorded = format!("{}?code={}", value("redirect_uri"), value("code"));
            opaque.learn_from_location(&recorded, answer.location());
        }
        ["", "hub", "api", "user"] if !opaque.knows(credential) => {
            let user = exchange.answer().unwrap()["name"].as_str().unwrap().to_owned();
            let tokens = format!("/users/{user}/tokens");
            let made = hub.api(SERVICE_TOKEN, Method::POST, &tokens, Some(json!({}))).await.json();
            opaque.learn(credential, made["token"].as_str().unwrap());
        }
        _ => {}
    }
}
