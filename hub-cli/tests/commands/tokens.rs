//! `hub tokens`

use serde_json::{Value, json};

use super::stand_in::{Route, StandIn};

const TOKENS: &str = "/hub/api/users/ada/tokens";

fn token(id: &str, scopes: &[&str]) -> Value {
    json!({
        "user": "ada", "id": id, "kind": "api_token", "roles": [], "scopes": scopes,
        "created": "2020-01-01T00:00:00Z", "last_activity": null, "expires_at": null,
        "note": "for the cron job", "session_id": null, "oauth_client": "JupyterHub",
    })
}

#[test]
fn a_new_token_stands_alone_on_standard_output() {
    let mut made = token("a7", &["read:users"]);
    made["token"] = json!("fedcba9876543210");
    made["expires_at"] = json!("2999-01-01T00:00:00Z");
    let hub = StandIn::new([Route::post(TOKENS)
        .with(json!({ "note": "cron", "expires_in": 2_592_000, "scopes": ["read:users", "read:servers"] }))
        .json(201, made)]);
    let run = hub.run(&[
        "tokens",
        "create",
        "ada",
        "--note",
        "cron",
        "--expires-in",
        "30d",
        "--scopes",
        "read:users,read:servers",
    ]);
    assert_eq!(run.stderr, "Token a7 of ada, which expires 2999-01-01. It is not shown again.\n");
    assert_eq!(run.success(), "fedcba9876543210\n");
}

#[test]
fn nothing_is_asked_for_that_was_not_said() {
    let mut made = token("a8", &["inherit"]);
    made["token"] = json!("fedcba9876543210");
    let hub = StandIn::new([Route::post(TOKENS).with(json!({})).json(201, made.clone())]);
    let printed: Value =
        serde_json::from_str(&hub.run(&["--json", "tokens", "create", "ada"]).success()).unwrap();
    assert_eq!(printed, made);
}

#[test]
fn tokens_are_listed_and_many_scopes_counted() {
    let tokens = [token("a1", &["read:users"]), token("a2", &["a", "b", "c", "d", "e"])];
    let hub = StandIn::new([Route::get(TOKENS).json(200, json!({ "api_tokens": tokens }))]);
    insta::assert_snapshot!(hub.run(&["tokens", "list", "ada"]).success(), @r"
    ID  NOTE              CREATED     LAST USED  EXPIRES  SCOPES
    a1  for the cron job  2020-01-01  never      never    read:users
    a2  for the cron job  2020-01-01  never      never    a, b, c and 2 more
    ");
}

#[test]
fn no_tokens_are_told() {
    let hub = StandIn::new([Route::get(TOKENS).json(200, json!({ "api_tokens": [] }))]);
    assert_eq!(hub.run(&["tokens", "list", "ada"]).success(), "ada has no tokens.\n");
}

#[test]
fn a_token_is_revoked() {
    let hub = StandIn::new([Route::delete("/hub/api/users/ada/tokens/a7")]);
    assert_eq!(
        hub.run(&["tokens", "revoke", "ada", "a7"]).success(),
        "Token a7 of ada is revoked.\n"
    );
}

#[test]
fn an_unknown_token_is_an_error() {
    let hub = StandIn::new([
        Route::delete("/hub/api/users/ada/tokens/a9").error(404, "No such token: a9")
    ]);
    assert_eq!(hub.run(&["tokens", "revoke", "ada", "a9"]).failure(1), "hub: No such token: a9\n");
}
