//! Requests made from the descriptions of the API, as schemathesis makes them up.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use hub_tests::{TestHub, hub::variable};
use reqwest::Method;

/// A service that may do everything.
const TOKEN: &str = "schemathesis-service-token-of-the-tests";

fn python() -> PathBuf {
    variable("HUB_TEST_SERVICES_PYTHON").expect("cargo xtask test says which Python").into()
}

/// A hub that has something of each kind, and starts few servers.
async fn hub() -> TestHub {
    let servers = "[servers]\nallow_named_servers = true\nactive_server_limit = 2\n\
                   slow_spawn_timeout_seconds = 0\nslow_stop_timeout_seconds = 0\n";
    let service = format!("[[services]]\nname = \"all\"\napi_token = \"{TOKEN}\"\nadmin = true\n");
    let more = format!("{servers}{service}");
    let hub = TestHub::builder().password("ada").config(&more).start().await;
    for path in ["/users/0", "/groups/0"] {
        let (status, body) = hub.api_with(TOKEN, Method::POST, path, None).await;
        assert_eq!(status, 201, "{path}: {body}");
    }
    hub
}

/// Lets schemathesis make up requests by the description in `file`. Nothing may be
/// answered with a fault of the hub's, nor with a status that is not described.
fn holds(hub: &TestHub, file: &Path) {
    let output = Command::new(python().with_file_name("schemathesis"))
        .arg("run")
        .arg(file)
        .args(["--url", &format!("{}/hub/api", hub.url)])
        .args(["--header", &format!("Authorization: token {TOKEN}")])
        .args(["--checks", "not_a_server_error,status_code_conformance"])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "8"])
        // It would end the hub.
        .args(["--exclude-path", "/shutdown"])
        .args(["--seed", "1", "--request-timeout", "120", "--continue-on-failure"])
        .args(["--warnings", "off", "--suppress-health-check", "all", "--no-color"])
        .current_dir(hub.dir())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("API Operations:") && told.contains("generated"), "{told}");
}

#[tokio::test]
#[ignore = "needs Docker and Python packages"]
async fn requests_made_up_from_our_description_are_answered_as_it_says() {
    let hub = hub().await;
    let (status, document) = hub.api(Method::GET, "/openapi.json", None).await;
    assert_eq!(status, 200);
    let file = hub.dir().join("ours.json");
    fs::write(&file, document.to_string()).unwrap();
    holds(&hub, &file);
}

#[tokio::test]
#[ignore = "needs Docker and Python packages"]
async fn requests_made_up_from_jupyterhubs_description_are_answered_as_it_says() {
    let hub = hub().await;
    let description = variable("HUB_TEST_JUPYTERHUB_API").expect("cargo xtask test says where");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("services/with_refusals.py");
    let made = Command::new(python()).arg(script).arg(description).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let file = hub.dir().join("jupyterhub.json");
    fs::write(&file, made.stdout).unwrap();
    holds(&hub, &file);
}
