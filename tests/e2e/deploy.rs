//! A deployment from nothing, replaced, taken down.

mod backup;
mod certificates;
mod compose;
mod database;
mod faults;
mod files;
mod migration;
mod operate;
mod pull;
mod reload;
mod remote;
mod steps;
mod upgrade;

use hub_tests::{Browser, Deployment, GitHub, Kernel, docker};
use serde_json::Value;

/// Deploys from an empty state and signs ada in; her server runs.
pub(crate) async fn deployed() -> (Deployment, GitHub, Browser) {
    let mut deployment = Deployment::prepare();
    deployment.run(&["network"]).await;
    let github = deployment.github().await;
    github.person("ada", 1815);
    github.sign_in("ada");
    deployment.run(&[]).await;
    let mut ada = deployment.browser();
    let home = ada.get("/hub/oauth_login?next=%2Fhub%2Fhome").await;
    assert_eq!((home.status, home.url.path()), (200, "/hub/home"), "{}", home.text);
    ada.start_server("ada").await;
    (deployment, github, ada)
}

pub(crate) async fn container_id(name: &str) -> String {
    docker::engine().await.inspect(name).await.unwrap().expect("the container is there").id
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_3_from_nothing_to_a_kernel_and_through_a_replaced_hub() {
    let (mut deployment, _github, mut ada) = deployed().await;
    let mut kernel = Kernel::start(&mut ada, "ada").await;
    assert_eq!(kernel.run("answer = 6 * 7; answer").await, "42");

    // XT-1: a second run changes nothing.
    let (hub, proxy) =
        (container_id(&deployment.name).await, container_id(&deployment.proxy()).await);
    deployment.run(&[]).await;
    assert_eq!(container_id(&deployment.name).await, hub);
    assert_eq!(container_id(&deployment.proxy()).await, proxy);

    // A changed setting replaces the hub; the proxy and the open socket stay.
    deployment.set("HUB__SERVERS__START_TIMEOUT_SECONDS", "77");
    deployment.run(&["upgrade"]).await;
    assert_ne!(container_id(&deployment.name).await, hub, "the hub is another one");
    assert_eq!(container_id(&deployment.proxy()).await, proxy, "the proxy is the same");
    assert_eq!(kernel.run("answer").await, "42", "over the same WebSocket");
    let home = ada.get("/hub/home").await;
    assert_eq!((home.status, home.url.path()), (200, "/hub/home"), "nobody signs in again");

    // XT-5.
    let status = deployment.status().await;
    assert_eq!(status["hub"]["state"], "running", "{status:#}");
    assert_eq!(status["servers"][0]["user"], "ada", "{status:#}");
    assert!(status["networks"].as_array().unwrap().iter().all(|network| network["exists"] == true));

    // The operator's tool, in the hub's container, and without one.
    let users = deployment.run(&["hub", "users", "list", "--json"]).await;
    assert!(users.contains("grace") && users.contains("ada"), "{users}");
    let unknown = deployment.try_run(&["hub", "users", "show", "nobody"]).await;
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");

    // XT-4: down leaves the user's server.
    deployment.run(&["down"]).await;
    let shown = deployment.run(&["hub", "config", "show", "--set-only"]).await;
    assert!(shown.contains("store.url = \"sqlite:///data/hub.sqlite\""), "{shown}");
    let status = deployment.status().await;
    assert_eq!((&status["hub"], &status["proxy"]), (&Value::Null, &Value::Null));
    assert_eq!(status["servers"][0]["state"], "running", "{status:#}");
    drop(kernel);
    deployment.run(&[]).await;
    ada.wait_for_server("ada").await;
    assert_eq!(ada.get("/user/ada/api/status").await.status, 200);

    let refused = deployment.fail(&["down", "--purge"]).await;
    assert!(refused.contains("--yes"), "{refused}");
    deployment.run(&["down", "--servers", "--purge", "--yes"]).await;
    let status = deployment.status().await;
    assert_eq!(status["servers"], serde_json::json!([]));
    assert!(status["volumes"].as_array().unwrap().iter().all(|volume| volume["exists"] == false));
    let kept =
        docker::engine().await.volume(&format!("{}-user-ada", deployment.name)).await.unwrap();
    assert!(kept.is_some(), "the user's files stay");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn c11_no_secret_is_in_what_docker_shows() {
    let (deployment, _github, _ada) = deployed().await;
    let engine = docker::engine().await;
    for name in [&deployment.name, &deployment.proxy()] {
        let found = engine.inspect(name).await.unwrap().unwrap();
        for variable in ["GITHUB_CLIENT_SECRET", "CONFIGPROXY_AUTH_TOKEN"] {
            assert!(!found.variables.contains(variable), "{name}: {:?}", found.variables);
        }
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_2_all_that_is_missing_is_told_at_once() {
    let mut deployment = Deployment::prepare();
    std::fs::remove_file(deployment.dir().join("userlist")).unwrap();
    std::fs::remove_file(deployment.dir().join("secrets/jupyterhub.key")).unwrap();
    deployment.set("GITHUB_CLIENT_SECRET", "");
    let said = deployment.fail(&[]).await;
    for part in ["userlist", "zoe admin", "jupyterhub.key", "GITHUB_CLIENT_SECRET"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let engine = docker::engine().await;
    let network = engine.network(&docker::network(&deployment.name)).await.unwrap();
    assert!(network.is_none(), "nothing was begun");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_3_a_dry_run_tells_and_changes_nothing() {
    let deployment = Deployment::prepare();
    let plan = deployment.run(&["--dry-run"]).await;
    for part in ["POST /networks/create", "POST /volumes/create", "POST /containers/create"] {
        assert!(plan.lines().any(|line| line.starts_with(part)), "{part} in {plan}");
    }
    let engine = docker::engine().await;
    assert!(engine.network(&docker::network(&deployment.name)).await.unwrap().is_none());
    assert!(engine.inspect(&deployment.name).await.unwrap().is_none());
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn a_taken_port_is_told_and_the_same_command_goes_on() {
    let mut deployment = Deployment::prepare();
    deployment.run(&["network"]).await;
    let _github = deployment.github().await;
    for port in [deployment.port, deployment.http_port] {
        let somebody = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        let said = deployment.fail(&[]).await;
        assert!(said.contains("HUB_HTTPS_PORT and HUB_HTTP_PORT"), "{said}");
        drop(somebody);
    }
    deployment.run(&[]).await;
    let status = deployment.status().await;
    assert_eq!(status["proxy"]["state"], "running", "{status:#}");
}
