//! Servers that nobody uses, and one that computes.

use hub_tests::{Browser, Kernel, TestHub, eventually};
use reqwest::Method;
use serde_json::Value;

async fn server(hub: &TestHub, user: &str) -> Value {
    let path = format!("/users/{user}?include_stopped_servers");
    hub.api(Method::GET, &path, None).await.1["servers"][""].take()
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn an_idle_server_is_stopped_and_one_that_computes_is_not() {
    let culling = "[culling]\ntimeout_seconds = 15\ninterval_seconds = 1\nwarn_seconds = 10\n";
    let hub = TestHub::builder().password("ada").password("bob").config(culling).start().await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    ada.start_server("ada").await;
    let mut kernel = Kernel::start(&mut ada, "ada").await;
    kernel.begin("import time; time.sleep(3600)").await;
    // No connection keeps it, only what it does.
    let id = kernel.id.clone();
    drop(kernel);
    let mut bob = Browser::new(&hub);
    bob.sign_in("bob").await;
    bob.start_server("bob").await;

    eventually("bob's server is stopped", || async {
        let server = server(&hub, "bob").await;
        if server["stopped"] == true { Ok(()) } else { Err(server) }
    })
    .await;
    let told = server(&hub, "bob").await;
    let message = told["last_stop"]["message"].as_str().unwrap();
    assert!(message.contains("without use"), "{message}");
    let home = bob.get("/hub/home").await;
    assert!(home.text.contains(message), "{}", home.text);
    // Hers was started first, and not used since.
    assert_eq!(server(&hub, "ada").await["ready"], true, "{}", hub.log());

    let path = format!("/user/ada/api/kernels/{id}/interrupt");
    assert_eq!(ada.script(Method::POST, &path, None).await.status, 204);
    eventually("ada's server is stopped, too", || async {
        let server = server(&hub, "ada").await;
        if server["stopped"] == true { Ok(()) } else { Err(server) }
    })
    .await;
}
