//! The operator's tool against a hub.

use std::{
    io::Read as _,
    process::{Command, Output, Stdio},
};

use hub_tests::{ADMIN_TOKEN, TestHub, hub::program};
use serde_json::Value;

const CHIEF: &str = "end-to-end-chief-token";

fn command(hub: &TestHub, token: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("hub"));
    command.args(arguments).env_clear().env("HUB_URL", &hub.url).env("HUB_TOKEN", token);
    command
}

fn hub(hub: &TestHub, token: &str, arguments: &[&str]) -> Output {
    command(hub, token, arguments).output().unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// Runs a command that has to succeed; what it printed.
fn ok(test_hub: &TestHub, arguments: &[&str]) -> String {
    let output = hub(test_hub, CHIEF, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    text(output.stdout)
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn an_operator_runs_a_hub() {
    let hub_process = TestHub::builder()
        .config(&format!("[[services]]\nname = \"chief\"\napi_token = \"{CHIEF}\"\nadmin = true"))
        .start()
        .await;
    let run = |arguments: &'static [&'static str]| ok(&hub_process, arguments);

    run(&["users", "add", "ada", "bob"]);
    let table = run(&["users", "list"]);
    assert!(table.contains("ada") && table.contains("bob"), "{table}");
    run(&["users", "admin", "bob"]);
    let bob: Value = serde_json::from_str(&run(&["--json", "users", "show", "bob"])).unwrap();
    assert_eq!(bob["admin"], true);

    run(&["servers", "start", "ada"]);
    let servers: Value = serde_json::from_str(&run(&["--json", "servers", "list"])).unwrap();
    assert_eq!(servers[0]["user"], "ada", "{servers}");
    assert_eq!(servers[0]["ready"], true);
    let log = run(&["servers", "log", "ada"]);
    assert!(log.contains("/user/ada/"), "{log}");
    let mut following = command(&hub_process, CHIEF, &["servers", "log", "ada", "--follow"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0];
    following.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    run(&["servers", "stop", "ada"]);
    let followed = following.wait_with_output().unwrap();
    assert!(followed.status.success(), "{followed:?}");
    let (log, end) = (text(followed.stdout), text(followed.stderr));
    // What it says when it is asked to end.
    assert!(log.contains("received signal 15"), "{log}");
    assert!(end.contains("before it ended"), "{end}");
    assert_eq!(hub_process.containers().await, []);

    let token = run(&["tokens", "create", "ada", "--note", "script"]);
    let (status, who) =
        hub_process.api_with(token.trim(), reqwest::Method::GET, "/user", None).await;
    assert_eq!((status, &who["name"]), (200, &Value::from("ada")));

    let refused = hub(&hub_process, ADMIN_TOKEN, &["users", "admin", "ada"]);
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("Only an administrator"), "{told}");
}
