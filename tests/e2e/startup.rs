//! A hub that cannot start says why, in one line that names the culprit.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

use hub_tests::{
    TestHub,
    hub::{free_port, program},
};

struct Refusal {
    code: Option<i32>,
    text: String,
}

/// Runs a command of the program with a configuration, and none of our variables.
fn command(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(program("hub-server"))
        .args(["--config", "hub.toml"])
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap()
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

/// `hub config check` in a directory.
fn config_check(dir: &Path, arguments: &[&str]) -> std::process::Output {
    Command::new(program("hub"))
        .args(["config", "check"])
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .output()
        .unwrap()
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
    fs::write(dir.path().join("userlist"), "zoe admin\nwash\na/b\n").unwrap();
    let rows: [(&str, &[&str]); 5] = [
        (
            "[auth]\nalowed_users = [\"ada\"]\n",
            &["hub.toml:7:", "alowed_users", "did you mean \"allowed_users\""],
        ),
        ("[auth]\nuserlist = \"userlist\"\n", &["userlist:3:", "a/b", "contains `/`"]),
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
fn env_2_a_bad_env_file_is_exit_code_2() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let env = dir.path().join(".env");
    fs::write(&env, "# who\nexport HUB_LOG=info\nGITHUB_CLIENT_ID\n").unwrap();
    let refusal = refused(dir.path(), &config(""));
    assert_told(&refusal, 2, &[".env:2: ", "leave out `export`", ".env:3: "]);

    fs::write(&env, "GITHUB_CLIENT_SECRET=hush-hush\n").unwrap();
    fs::set_permissions(&env, fs::Permissions::from_mode(0o644)).unwrap();
    let refusal = refused(dir.path(), &config(""));
    assert_told(&refusal, 2, &[".env:1: ", "mode 0644; run chmod 600"]);
    assert!(!refusal.text.contains("hush-hush"), "{}", refusal.text);
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

#[test]
#[ignore = "needs the built programs: cargo xtask test"]
fn a_listeners_name_is_looked_up_when_it_is_bound_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[spawner.docker]\nimage = \"x\"\n[http]\nlisten = \"hub.invalid:8000\"\n";
    fs::write(dir.path().join("hub.toml"), text).unwrap();
    let output = config_check(dir.path(), &[]);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("hub.invalid:8000"), "{output:?}");
    let refusal = refused(dir.path(), text);
    assert_told(&refusal, 5, &["http.listen", "hub.invalid:8000", "alias of the container"]);
}

#[test]
#[ignore = "needs the built programs: cargo xtask test"]
fn a_proxy_of_its_own_needs_its_token() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hub.toml"), config("")).unwrap();
    let flag = ["--set", "proxy.api_url=http://127.0.0.1:8001"];
    let output = config_check(dir.path(), &flag);
    let text = String::from_utf8(output.stderr).unwrap();
    let parts = ["proxy.auth_token", "CONFIGPROXY_AUTH_TOKEN"];
    assert_told(&Refusal { code: output.status.code(), text }, 2, &parts);
    fs::write(dir.path().join("hub.toml"), config("[proxy]\nauth_token = \"t\"\n")).unwrap();
    let output = config_check(dir.path(), &flag);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("the proxy at http://127.0.0.1:8001"), "{output:?}");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn a_healthcheck_tells_by_its_exit_code_whether_the_hub_serves() {
    let mut hub = TestHub::builder().start().await;
    let output = command(hub.dir(), &["healthcheck"]);
    assert!(output.status.success(), "{output:?}");
    let elsewhere = format!("{}/hub/nothing", hub.url);
    let output = command(hub.dir(), &["healthcheck", "--url", &elsewhere]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("404"), "{output:?}");
    hub.kill();
    let output = command(hub.dir(), &["healthcheck"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(&hub.url), "{output:?}");
}
