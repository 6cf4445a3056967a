//! Servers outlive the hub.

use hub_tests::{Browser, Kernel, TestHub, docker, eventually};
use reqwest::Method;
use serde_json::json;

/// How the hub ends.
#[derive(Clone, Copy)]
enum End {
    PowerCut,
    Signal,
}

async fn a_busy_kernel_survives(end: End) {
    let mut hub = TestHub::builder().password("ada").start().await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    ada.start_server("ada").await;
    let container = hub.containers().await;
    let mut kernel = Kernel::start(&mut ada, "ada").await;
    kernel.run("secret = 40").await;
    kernel.begin("import time\nfor step in range(30):\n    time.sleep(0.1)\n    secret = 41").await;

    match end {
        End::PowerCut => hub.kill(),
        End::Signal => {
            let status = hub.terminate();
            assert!(status.success(), "{status}: {}", hub.log());
        }
    }
    let id = kernel.id.clone();
    drop(kernel);
    assert_eq!(hub.containers().await, container, "the container goes on without the hub");
    hub.launch().await;

    // The same browser, without signing in again.
    ada.wait_for_server("ada").await;
    assert_eq!(hub.containers().await, container);
    let kernels = ada.get("/user/ada/api/kernels").await.json();
    assert_eq!(kernels[0]["id"], json!(id), "{kernels}");
    let mut kernel = Kernel::connect(&ada, "ada", &id).await;
    assert_eq!(kernel.run("secret + 1").await, "42");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn rst_2_a_busy_kernel_survives_a_killed_hub() {
    a_busy_kernel_survives(End::PowerCut).await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn rst_1_a_busy_kernel_survives_a_stopped_hub() {
    a_busy_kernel_survives(End::Signal).await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn rst_2_a_container_removed_while_the_hub_was_down_is_noticed() {
    let mut hub = TestHub::builder().password("ada").start().await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    ada.start_server("ada").await;
    hub.kill();
    hub.remove_container("ada").await;
    hub.launch().await;
    is_told_and_started_again(&hub, &mut ada).await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn rst_8_a_container_removed_behind_the_hubs_back_is_noticed() {
    let (hub, mut ada) = running_without_polls().await;
    hub.remove_container("ada").await;
    is_told_and_started_again(&hub, &mut ada).await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn rst_8_a_container_that_is_killed_is_noticed() {
    let (hub, mut ada) = running_without_polls().await;
    docker::engine().await.kill(&hub.container("ada").await).await.unwrap();
    is_told_and_started_again(&hub, &mut ada).await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn rst_2_a_start_that_was_under_way_when_the_hub_was_killed_ends_well() {
    let mut hub = TestHub::builder().password("ada").start().await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    let (status, _) = hub.api(Method::POST, "/users/ada/server", None).await;
    assert!(matches!(status, 201 | 202), "{status}");
    eventually("the container is there", || async {
        let containers = hub.containers().await;
        if containers.len() == 1 { Ok(()) } else { Err(containers) }
    })
    .await;
    hub.kill();
    hub.launch().await;

    // Whether it is taken up or cleared away: nothing hangs, and she gets in.
    let settled = eventually("the start has come to an end", || async {
        let (_, user) = hub.api(Method::GET, "/users/ada", None).await;
        if user["pending"].is_null() { Ok(user) } else { Err(user) }
    })
    .await;
    if settled["servers"] == json!({}) {
        ada.start_server("ada").await;
    } else {
        ada.wait_for_server("ada").await;
    }
    assert_eq!(ada.get("/user/ada/api/status").await.status, 200);
    assert_eq!(hub.containers().await.len(), 1, "and nothing is left of the first try");
}

/// A hub on which ada's server runs. With an hour between two polls only an event
/// can tell that it ended.
async fn running_without_polls() -> (TestHub, Browser) {
    let hub = TestHub::builder()
        .password("ada")
        .config("[servers]\npoll_interval_seconds = 3600")
        .start()
        .await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    ada.start_server("ada").await;
    (hub, ada)
}

async fn is_told_and_started_again(hub: &TestHub, ada: &mut Browser) {
    eventually("the hub knows that the server is gone", || async {
        let (_, user) = hub.api(Method::GET, "/users/ada", None).await;
        if user["servers"] == json!({}) { Ok(()) } else { Err(user) }
    })
    .await;
    let page = ada.get("/user/ada/lab").await;
    assert_eq!(page.status, 424, "{}", page.text);
    assert!(page.text.contains("/hub/spawn/ada"), "{}", page.text);
    ada.start_server("ada").await;
    assert_eq!(ada.get("/user/ada/api/status").await.status, 200);
}
