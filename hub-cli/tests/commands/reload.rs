//! `hub reload`

use serde_json::{Value, json};

use super::stand_in::{Route, StandIn};

fn report(outcome: &str, errors: Value) -> Value {
    json!({
        "outcome": outcome,
        "applied": ["auth.userlist"],
        "for_new_servers": ["spawner.docker.image"],
        "needs_restart": ["http.listen"],
        "warnings": [],
        "errors": errors,
    })
}

#[test]
fn reload_tells_what_changed_and_what_needs_a_restart() {
    let hub =
        StandIn::new([Route::post("/hub/api/reload").json(200, report("applied", json!([])))]);
    insta::assert_snapshot!(hub.run(&["reload"]).success(), @r"
    applied: auth.userlist
    applied to servers that start from now on: spawner.docker.image
    needs a restart of the hub: http.listen
    ");
}

#[test]
fn a_configuration_with_errors_is_a_failure() {
    let answer = json!({
        "outcome": "refused", "applied": [], "for_new_servers": [], "needs_restart": [],
        "warnings": [], "errors": ["hub.toml:5: unknown key"],
    });
    let hub = StandIn::new([Route::post("/hub/api/reload").json(200, answer)]);
    let told = hub.run(&["reload"]).failure(1);
    assert!(told.contains("error: hub.toml:5: unknown key"), "{told}");
    assert!(told.contains("goes on with the old one"), "{told}");
}
