//! A hub that cannot start says why, in one line that names the culprit.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};

use hub_tests::hub::{free_port, program};

struct Refusal {
    code: Option<i32>,
    text: String,
}

/// Starts a hub that is expected to end by itself.
fn refused(dir: &Path, config: &str) -> Refusal {
    refused_with(dir, config, &[])
}

/// The same with variables, and none of ours.
fn refused_with(dir: &Path, config: &str, variables: &[(&str, &str)]) -> Refusal {
    fs::write(dir.join("hub.toml"), config).unwrap();
    let output = Command::new(program("hub-server"))
        .args(["--config", "hub.toml"])
        .current_dir(dir)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Refusal { code: output.status.code(), text: String::from_utf8(output.stderr).unwrap() }
}

/// A configuration that is fine but for what is added, and that finds no Docker.
fn config(more: &str) -> String {
    let port = free_port();
    format!(
        "[spawner.docker]\nimage = \"x\"\nhost = \"unix:///nonexistent/docker.sock\"\n[http]\nlisten = \"127.0.0.1:{port}\"\n{more}"
    )
}

#[track_caller]
fn assert_told(refusal: &Refusal, code: i32, parts: &[&str]) {
    assert_eq!(refusal.code, Some(code), "{}", refusal.text);
    for part in parts {
        assert!(refusal.text.contains(part), "{part:?} in {}", refusal.text);
    }
}

#[test]
#[ignore = "needs the built programs: cargo xtask test"]
fn a_broken_configuration_is_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("userlist"), "zoe admin\nwash admn\na/b\n").unwrap();
    let rows: [(&str, &[&str]); 5] = [
        (
            "[auth]\nalowed_users = [\"ada\"]\n",
            &["hub.toml:7:", "alowed_users", "did you mean \"allowed_users\""],
        ),
        ("[auth]\nuserlist = \"userlist\"\n", &["userlist:2:", "userlist:3:", "admn"]),
        ("[auth]\nuserlist = \"nowhere\"\n", &["auth.userlist", "nowhere", "no such file"]),
        (
            "public_url = \"https://hub.example.org\"\n[auth.github]\nclient_id = \"x\"\nclient_secret = \"y\"\ncallback_url = \"https://hub.example.org/oauth\"\n",
            &["auth.github.callback_url", "/hub/oauth_callback"],
        ),
        ("[http.tls]\ncertificate = \"absent.crt\"\nkey = \"absent.key\"\n", &["absent.crt"]),
    ];
    for (more, parts) in rows {
        assert_told(&refused(dir.path(), &config(more)), 2, parts);
    }
}

#[test]
#[ignore = "needs the built programs: cargo xtask test"]
fn tls_2_a_bad_certificate_is_told_with_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let one = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(dir.path().join("one.crt"), one.cert.pem()).unwrap();
    fs::write(dir.path().join("other.key"), other.signing_key.serialize_pem()).unwrap();
    fs::write(dir.path().join("garbage.crt"), "garbage").unwrap();
    let tls = |certificate: &str, key: &str| {
        config(&format!("[http.tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n"))
    };
    assert_told(
        &refused(dir.path(), &tls("one.crt", "other.key")),
        2,
        &["other.key", "does not belong"],
    );
    assert_told(&refused(dir.path(), &tls("garbage.crt", "other.key")), 2, &["garbage.crt"]);
    fs::write(dir.path().join("one.key"), one.signing_key.serialize_pem()).unwrap();
    let elsewhere = config(
        "public_url = \"https://hub.example.org\"\n[http.tls]\ncertificate = \"one.crt\"\nkey = \"one.key\"\n",
    );
    assert_told(
        &refused(dir.path(), &elsewhere),
        2,
        &["one.crt", "not for hub.example.org but for localhost", "openssl x509"],
    );
}

#[test]
#[ignore = "needs the built programs: cargo xtask test"]
fn an_unusable_database_is_exit_code_3() {
    let dir = tempfile::tempdir().unwrap();
    let refusal =
        refused(dir.path(), &config("[store]\nurl = \"sqlite:///nonexistent/hub.sqlite\"\n"));
    assert_told(&refusal, 3, &["/nonexistent"]);
    let refusal = refused(dir.path(), &config("[store]\nurl = \"mysql://u:pass-word@h/d\"\n"));
    assert_told(&refusal, 3, &["mysql"]);
    assert!(!refusal.text.contains("pass-word"), "{}", refusal.text);
}

#[test]
#[ignore = "needs the built programs: cargo xtask test"]
fn no_docker_is_exit_code_4() {
    let dir = tempfile::tempdir().unwrap();
    assert_told(&refused(dir.path(), &config("")), 4, &["/nonexistent/docker.sock"]);
    // The environment wins over the file (ENV-1), and says where nobody listens.
    let dead = format!("tcp://127.0.0.1:{}", free_port());
    let refusal = refused_with(dir.path(), &config(""), &[("DOCKER_HOST", &dead)]);
    assert_told(&refusal, 4, &[&dead]);
}

#[test]
#[ignore = "needs the built programs: cargo xtask test"]
fn a_port_in_use_is_exit_code_5() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = format!("[spawner.docker]\nimage = \"x\"\n[http]\nlisten = \"{address}\"\n");
    assert_told(&refused(dir.path(), &text), 5, &["http.listen", &address.to_string(), "in use"]);
}
