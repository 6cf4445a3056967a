//! `hub config`

use std::{fs, path::Path};

use serde_json::Value;

use super::program;

/// Runs `hub config` in a directory, with these variables and no others.
fn config(dir: &Path, variables: &[(&str, &str)], args: &[&str]) -> program::Run {
    let mut command = program::hub(&[]);
    command.env_clear().current_dir(dir).envs(variables.iter().copied());
    program::run(command.arg("config").args(args))
}

#[test]
fn env_1_show_tells_where_each_value_comes_from_and_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hub.toml"), "[spawner.docker]\nimage = \"lab\"\n").unwrap();
    fs::write(dir.path().join(".env"), "DOCKER_NETWORK_NAME=net\n").unwrap();
    let run = config(
        dir.path(),
        &[("JPY_COOKIE_SECRET", "hush")],
        &["show", "--origin", "--set-only", "--set", "log.level=debug"],
    );
    insta::assert_snapshot!(run.success(), @r#"
    KEY                     VALUE                               FROM
    store.cookie_secret     "(4 characters, fingerprint dc83)"  JPY_COOKIE_SECRET in the environment
    spawner.docker.image    "lab"                               hub.toml:2
    spawner.docker.network  "net"                               DOCKER_NETWORK_NAME in .env:1
    log.level               "debug"                             --set log.level
    "#);
    let mut command = program::hub(&["--json", "config", "show"]);
    command.env_clear().current_dir(dir.path());
    let all: Value = serde_json::from_str(&program::run(&mut command).success()).unwrap();
    assert_eq!(all["http.listen"]["value"], "127.0.0.1:8000");
    assert_eq!(all["http.listen"]["origin"], "default");
}

#[test]
fn check_tells_all_errors_at_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hub.toml"), "[http]\nlisten = \"nowhere\"\n").unwrap();
    let told = config(dir.path(), &[], &["check"]).failure(2);
    assert!(told.contains("hub: http.listen (hub.toml:2): \"nowhere\""), "{told}");
    assert!(told.contains("hub: spawner.docker.image: is missing"), "{told}");
}

#[test]
fn check_tells_weak_settings_one_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let variables = [("DOCKER_NOTEBOOK_IMAGE", "lab"), ("HUB_LISTEN", "0.0.0.0:80")];
    let told = config(dir.path(), &variables, &["check"]).success();
    assert!(told.contains("weak setting plain-http: http.listen"), "{told}");
    assert!(told.contains("in order"), "{told}");
}

#[test]
fn tls_2_check_looks_at_the_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let files = "[http.tls]\ncertificate = \"hub.crt\"\nkey = \"hub.key\"\n";
    fs::write(dir.path().join("hub.toml"), files).unwrap();
    let image = [("DOCKER_NOTEBOOK_IMAGE", "lab")];
    let told = config(dir.path(), &image, &["check"]).failure(2);
    assert!(told.contains("hub: http.tls: ") && told.contains("hub.crt: no such file"), "{told}");

    let acme = "[http]\nredirect_listen = \":80\"\n[http.acme]\ndomains = [\"hub.example.org\"]\n";
    fs::write(dir.path().join("hub.toml"), acme).unwrap();
    let told = config(dir.path(), &image, &["check"]).failure(2);
    assert!(told.contains("hub: http.acme: the terms of service of https://acme-v02"), "{told}");
    fs::write(dir.path().join("hub.toml"), format!("{acme}agree_tos = true\n")).unwrap();
    config(dir.path(), &image, &["check"]).success();
}

#[test]
fn check_looks_at_the_templates() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("pages")).unwrap();
    fs::write(dir.path().join("pages/login.html"), "fine\n{% block %}\n").unwrap();
    fs::write(dir.path().join("hub.toml"), "[pages]\ntemplates = \"pages\"\n").unwrap();
    let told = config(dir.path(), &[("DOCKER_NOTEBOOK_IMAGE", "lab")], &["check"]).failure(2);
    assert!(told.contains("pages/login.html:2: "), "{told}");
}

#[test]
fn init_writes_a_file_that_is_in_order_and_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    config(dir.path(), &[], &["init"]).success();
    let written = fs::read_to_string(dir.path().join("hub.toml")).unwrap();
    config(dir.path(), &[], &["check"]).success();
    let told = config(dir.path(), &[], &["init"]).failure(2);
    assert!(told.contains("hub.toml is there already"), "{told}");
    assert_eq!(fs::read_to_string(dir.path().join("hub.toml")).unwrap(), written);
}
