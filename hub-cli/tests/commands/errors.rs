//! What goes wrong says what is wrong and what to do.

use std::{fs, net::TcpListener, path::PathBuf, process::Command};

use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::json;

use super::{
    program,
    stand_in::{Route, StandIn},
};

const USER: &str = "/hub/api/users/ada?include_stopped_servers=1";
const SHOW: [&str; 3] = ["users", "show", "ada"];

/// What `hub users show ada` says when the hub answers so.
fn told(route: Route) -> String {
    let hub = StandIn::new([route]);
    let url = hub.url();
    hub.run(&SHOW).failure(1).replace(&url, "HUB")
}

/// What the program says, called so.
fn failure(command: &mut Command, code: i32) -> String {
    program::run(command).failure(code)
}

/// A file with a certificate called `name`, to trust in place of the machine's.
fn only_trusted(directory: &tempfile::TempDir, name: &str) -> PathBuf {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let file = directory.path().join("trusted.pem");
    fs::write(&file, certificate.pem()).unwrap();
    file
}

#[test]
fn a_hub_that_does_not_run() {
    // Bound and closed again: nobody listens there now.
    let port = TcpListener::bind("localhost:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://localhost:{port}");
    let told = failure(program::hub(&SHOW).env("HUB_URL", &url), 1).replace(&url, "HUB");
    insta::assert_snapshot!(told, @r"
    hub: the hub at HUB/ cannot be reached: connection refused
    hint: does the hub run? Its address is given with --url, or in the variable HUB_URL
    ");
}

#[test]
fn a_hub_that_does_not_answer() {
    let hub = TcpListener::bind("localhost:0").unwrap();
    let url = format!("http://localhost:{}", hub.local_addr().unwrap().port());
    let told = failure(program::hub(&SHOW).args(["--timeout", "1", "--url", &url]), 1)
        .replace(&url, "HUB");
    insta::assert_snapshot!(told, @"hub: the hub at HUB/ cannot be reached: no answer within 1 s");
}

#[test]
fn a_certificate_that_nobody_vouches_for() {
    let directory = tempfile::tempdir().unwrap();
    let (hub, _) = StandIn::with_tls(program::certificate("localhost"), []);
    let told = failure(
        hub.command(&SHOW).env("SSL_CERT_FILE", only_trusted(&directory, "somebody else")),
        1,
    );
    insta::assert_snapshot!(told.replace(&hub.url(), "HUB"), @r"
    hub: the hub at HUB/ cannot be reached: its certificate was not signed by an authority that this machine trusts
    hint: if the hub has a certificate of its own making, name it with --ca-file, or in the variable HUB_CA_FILE
    ");
}

#[test]
fn a_certificate_of_an_authority_that_was_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (hub, _) = StandIn::with_tls(program::certificate("localhost"), []);
    // The name is the one that the stand-in's certificate has; the key is not.
    let trusted = only_trusted(&directory, "rcgen self signed cert");
    let told = failure(hub.command(&SHOW).env("SSL_CERT_FILE", trusted), 1);
    assert!(told.contains("not signed by an authority that this machine trusts"), "{told}");
}

#[test]
fn a_certificate_that_vouches_for_itself() {
    let directory = tempfile::tempdir().unwrap();
    let (hub, _) = StandIn::with_tls(program::authority("localhost"), []);
    let trusted = only_trusted(&directory, "somebody else");
    let told = failure(hub.command(&SHOW).env("SSL_CERT_FILE", &trusted), 1);
    assert!(told.contains("hint: if the hub has a certificate of its own making"), "{told}");
    // Naming another one does not help.
    let told = failure(hub.command(&SHOW).arg("--ca-file").arg(trusted), 1);
    assert!(told.contains("not signed by an authority that this machine trusts"), "{told}");
}

#[test]
fn a_certificate_for_another_name() {
    for certificate in [program::certificate("hub.example"), program::authority("hub.example")] {
        let directory = tempfile::tempdir().unwrap();
        let (hub, pem) = StandIn::with_tls(certificate, []);
        let file = directory.path().join("ca.pem");
        fs::write(&file, pem).unwrap();
        let told = failure(hub.command(&SHOW).arg("--ca-file").arg(&file), 1);
        insta::allow_duplicates! {
            insta::assert_snapshot!(told.replace(&hub.url(), "HUB"), @r"
            hub: the hub at HUB/ cannot be reached: its certificate is for another name
            hint: use the name that the certificate is for in --url, or in the variable HUB_URL
            ");
        }
    }
}

#[test]
fn a_certificate_that_has_expired() {
    for mut certificate in [program::certificate("localhost"), program::authority("localhost")] {
        certificate.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let directory = tempfile::tempdir().unwrap();
        let (hub, pem) = StandIn::with_tls(certificate, []);
        let file = directory.path().join("ca.pem");
        fs::write(&file, pem).unwrap();
        let told = failure(hub.command(&SHOW).arg("--ca-file").arg(&file), 1);
        assert!(
            told.contains("its certificate is not valid: ") && told.contains("expired"),
            "{told}"
        );
    }
}

#[test]
fn a_hub_without_tls_where_tls_was_expected() {
    let directory = tempfile::tempdir().unwrap();
    let hub = StandIn::new([]);
    let url = hub.url().replace("http://", "https://");
    let told = failure(
        hub.command(&SHOW)
            .args(["--url", &url])
            .env("SSL_CERT_FILE", only_trusted(&directory, "somebody else")),
        1,
    );
    insta::assert_snapshot!(told.replace(&url, "HUB"), @r"
    hub: the hub at HUB/ cannot be reached: it does not speak TLS
    hint: if it really is a hub without TLS, its address begins with http://
    ");
}

#[test]
fn tls_where_none_was_expected() {
    let (hub, _) = StandIn::with_tls(program::certificate("localhost"), []);
    let url = hub.url().replace("https://", "http://");
    let told = failure(hub.command(&SHOW).args(["--url", &url]), 1);
    assert!(told.contains("cannot be reached: "), "{told}");
    assert!(
        told.ends_with("hint: if the hub speaks TLS, its address begins with https://\n"),
        "{told}"
    );
}

#[test]
fn a_token_that_the_hub_does_not_know() {
    insta::assert_snapshot!(told(Route::get(USER).error(403, "Missing or invalid credentials.")), @r"
    hub: the hub does not accept the token of HUB_TOKEN
    hint: it may have expired or been revoked, or its service is no longer in the hub's configuration
    ");
}

#[test]
fn a_token_without_the_scope() {
    let message =
        "Action is not authorized with current scopes; requires any of [read:users, read:servers]";
    insta::assert_snapshot!(told(Route::get(USER).error(403, message)), @r"
    hub: the token lacks the scope read:users or read:servers
    hint: use the token of an administrator, or one that was made with this scope
    ");
}

#[test]
fn other_refusals_are_told_as_the_hub_says_them() {
    let message = "Only an administrator may change an administrator or make one";
    assert_eq!(told(Route::get(USER).error(403, message)), format!("hub: {message}\n"));
}

#[test]
fn a_user_who_does_not_exist() {
    let route = Route::get(USER).error(404, "No access to resources or resources not found");
    assert_eq!(told(route), "hub: there is no user ada, or the token may not see or change them\n");
}

#[test]
fn a_hub_that_fails_for_a_while() {
    let message = "The hub's database did not answer. Try again in a moment.";
    insta::assert_snapshot!(told(Route::get(USER).error(503, message).header("retry-after", "5")), @r"
    hub: The hub's database did not answer. Try again in a moment. (503 Service Unavailable)
    hint: try again in 5 seconds
    ");
}

#[test]
fn a_gateway_that_fails_in_html() {
    let route = Route::get(USER).text(502, "text/html", "<h1>Bad Gateway</h1>");
    assert_eq!(told(route), "hub: the hub did not manage to do it (502 Bad Gateway)\n");
}

#[test]
fn something_that_is_not_a_hub() {
    for (status, shown) in [(200, "200 OK"), (404, "404 Not Found")] {
        let said =
            told(Route::get(USER).text(status, "text/html; charset=utf-8", "<h1>Hello</h1>"));
        assert!(
            said.starts_with(&format!("hub: what answers at HUB/ is not a hub ({shown})\n")),
            "{said}"
        );
        assert!(said.contains("hint: is the address right?"), "{said}");
    }
}

#[test]
fn a_hub_that_is_elsewhere_gets_no_token_there() {
    let elsewhere = "https://hub.example/hub/api/users/ada";
    let route = Route::get(USER).text(301, "text/plain", "").header("location", elsewhere);
    insta::assert_snapshot!(told(route), @r"
    hub: what answers at HUB/ sends on to https://hub.example
    hint: if you trust that, give https://hub.example with --url, or in the variable HUB_URL
    ");
}

#[test]
fn an_address_outside_of_the_base_url() {
    let route =
        Route::get(USER).text(302, "text/plain", "").header("location", "/hub/hub/api/users/ada");
    insta::assert_snapshot!(told(route), @r"
    hub: what answers at HUB/ is not a hub (302 Found)
    hint: is the address right? A hub with a base URL has it in its address (--url https://example.org/jupyter)
    ");
}

#[test]
fn an_answer_of_another_shape() {
    let said = told(Route::get(USER).json(200, json!({ "name": ["ada"] })));
    assert!(said.starts_with("hub: the answer of the hub at HUB/ is not understood: "), "{said}");
}

#[test]
fn what_the_hub_says_cannot_take_over_the_terminal() {
    let said = told(Route::get(USER).error(400, "no\u{1b}[2J"));
    assert_eq!(said, "hub: no\u{fffd}[2J\n");
}

#[test]
fn no_token_is_a_usage_error() {
    let told = failure(program::hub(&SHOW).env_remove("HUB_TOKEN"), 2);
    insta::assert_snapshot!(told, @r"
    hub: no API token given
    hint: put one into the variable HUB_TOKEN, or into a file for --token-file; [[services]] in the hub's configuration gives a program one
    ");
}

#[test]
fn a_token_file_goes_before_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, format!("{}\n", program::TOKEN)).unwrap();
    let hub = StandIn::new([
        Route::get("/hub/api/users/ada/tokens").json(200, json!({ "api_tokens": [] }))
    ]);
    let mut command = hub.command(&["tokens", "list", "ada", "--token-file"]);
    let run = program::run(command.arg(&file).env("HUB_TOKEN", "another"));
    hub.check(&run);
    assert_eq!(run.success(), "ada has no tokens.\n");
}

#[test]
fn the_environment_may_name_a_token_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let told = failure(program::hub(&SHOW).env("HUB_TOKEN", "").env("HUB_TOKEN_FILE", &file), 2);
    assert!(told.contains("cannot be read") && told.contains("token"), "{told}");
    fs::write(&file, "two words").unwrap();
    let told = failure(program::hub(&SHOW).env("HUB_TOKEN", "").env("HUB_TOKEN_FILE", &file), 2);
    assert!(told.contains("is not a token") && !told.contains("two words"), "{told}");
}

#[test]
fn a_file_without_certificates_is_a_usage_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    let told = failure(program::hub(&SHOW).env("HUB_CA_FILE", &file), 2);
    assert!(told.contains("cannot be read"), "{told}");
    fs::write(&file, "nothing").unwrap();
    let told = failure(program::hub(&SHOW).env("HUB_CA_FILE", &file), 2);
    assert!(told.contains("there is no certificate in"), "{told}");
}

#[test]
fn a_tls_port_that_says_so() {
    let said = told(Route::get(USER).text(400, "text/plain", "This server speaks HTTPS only."));
    assert!(
        said.ends_with("hint: if the hub speaks TLS, its address begins with https://\n"),
        "{said}"
    );
}

#[test]
fn words_that_are_no_command_are_usage_errors() {
    for args in [
        vec!["users", "destroy"],
        vec!["users", "show", ".."],
        vec!["users", "add"],
        vec!["users", "list", "--state", "asleep"],
        vec!["servers", "log", "ada", "--lines", "0"],
        vec!["tokens", "create", "ada", "--expires-in", "soon"],
        vec!["info", "--url", "localhost:8000"],
        vec!["info", "--token", "secret"],
    ] {
        let told = failure(&mut program::hub(&args), 2);
        assert!(told.starts_with("error: "), "{args:?}: {told}");
    }
}
