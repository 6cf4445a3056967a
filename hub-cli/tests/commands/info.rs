//! `hub info`

use serde_json::{Value, json};

use super::{
    program,
    stand_in::{Route, StandIn},
};

fn version() -> Route {
    Route::get("/hub/api").open().json(200, json!({ "version": "6.1.0" }))
}

fn caller() -> Value {
    json!({
        "kind": "service", "name": "operator", "admin": false, "roles": [],
        "token_id": null, "session_id": null, "scopes": ["list:users", "tokens"],
    })
}

fn about() -> Value {
    json!({
        "version": "6.1.0", "python": "", "sys_executable": "hub-server",
        "spawner": { "class": "docker", "version": "0.1.0" },
        "authenticator": { "class": "github", "version": "0.1.0" },
    })
}

#[test]
fn info_tells_what_the_hub_is_and_who_asks() {
    let hub = StandIn::new([
        version(),
        Route::get("/hub/api/user").json(200, caller()),
        Route::get("/hub/api/info").json(200, about()),
    ]);
    let url = hub.url();
    insta::assert_snapshot!(hub.run(&["info"]).success().replace(&url, "HUB"), @r"
    Hub      HUB/
    API of   JupyterHub 6.1.0
    Spawner  docker (0.1.0)
    Sign-in  github (0.1.0)
    You are  service operator
    Scopes   list:users tokens
    ");
}

#[test]
fn acme_2_info_tells_why_there_is_no_new_certificate() {
    let mut told = about();
    told["certificate"] = json!({
        "source": "acme", "not_after": "2020-01-02T00:00:00Z", "state": "failed",
        "next_try": "2020-01-01T00:00:00Z", "failures": 2,
        "problem": "hub.example.org is not in the DNS", "advice": "make a record",
    });
    let hub = StandIn::new([
        version(),
        Route::get("/hub/api/user").json(200, caller()),
        Route::get("/hub/api/info").json(200, told),
    ]);
    let printed = hub.run(&["info"]).success();
    let line = "Certificate  until 2020-01-02; no new one: hub.example.org is not in the DNS; make \
                a record (next try: 2020-01-01)";
    assert!(printed.contains(line), "{printed}");
}

#[test]
fn what_the_token_may_not_see_is_left_out() {
    let missing = "Action is not authorized with current scopes; requires any of [read:hub]";
    let hub = StandIn::new([
        version(),
        Route::get("/hub/api/user").json(200, caller()),
        Route::get("/hub/api/info").error(403, missing),
    ]);
    let printed: Value = serde_json::from_str(&hub.run(&["info", "--json"]).success()).unwrap();
    assert_eq!(printed["info"], Value::Null);
    assert_eq!(printed["version"], "6.1.0");
    assert_eq!(printed["user"], caller());
}

#[test]
fn info_needs_no_token() {
    let hub = StandIn::new([version()]);
    let run = program::run(hub.command(&["info"]).env_remove("HUB_TOKEN"));
    hub.check(&run);
    assert!(run.success().contains("nobody: there is no token"));
}

#[test]
fn a_base_url_stands_before_the_api() {
    for slash in ["", "/"] {
        let hub = StandIn::new([Route::get("/jupyter/hub/api")
            .open()
            .json(200, json!({ "version": "6.1.0" }))]);
        let url = format!("{}/jupyter{slash}", hub.url());
        let run = program::run(hub.command(&["info", "--url", &url]).env_remove("HUB_TOKEN"));
        hub.check(&run);
        assert!(run.success().contains("JupyterHub 6.1.0"));
    }
}

#[test]
fn a_certificate_of_ones_own_is_trusted_when_named() {
    for certificate in [program::certificate("localhost"), program::authority("localhost")] {
        let (hub, pem) = StandIn::with_tls(certificate, [version()]);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        std::fs::write(&file, pem).unwrap();
        let run =
            program::run(hub.command(&["info"]).env("HUB_CA_FILE", &file).env_remove("HUB_TOKEN"));
        hub.check(&run);
        assert!(run.success().contains("JupyterHub 6.1.0"));
    }
}
