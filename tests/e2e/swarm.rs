//! A hub whose servers are services of a swarm of two machines: the whole way.

use hub_spawner::engine::Engine;
use hub_tests::{
    Browser, Disk, Kernel, Machine, TestHub, eventually,
    hub::{free_port, notebook_image},
};
use reqwest::Method;

use crate::orphans::{forget, gc, told};

/// A registry that refuses at once: engines of a swarm ask before they use what they have.
const IMAGE: &str = "127.0.0.1:1/hub-notebook:swarm";

async fn hub(manager: &Machine, worker: &Machine) -> TestHub {
    let port = free_port();
    TestHub::builder()
        .password("ada")
        .image(IMAGE)
        .docker(&format!("host = \"unix://{}\"", manager.socket().display()))
        // The start script of the image, whose own command a swarm does not know.
        .docker("cmd = \"jupyterhub-singleuser\"")
        .config(&format!(
            "[spawner]\nkind = \"swarm\"\n\
             [spawner.swarm]\npublish = \"host\"\nconstraints = [\"node.role == worker\"]\n\
             [hub_api]\nlisten = \"0.0.0.0:{port}\"\nurl = \"http://{}:{port}/hub/api\"",
            worker.gateway
        ))
        .start()
        .await
}

async fn is_running(engine: &Engine) -> bool {
    let found = engine.containers(&[].into()).await.unwrap();
    found.iter().any(|container| container.state == "running")
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn swm_1_a_notebook_of_a_swarm_is_used_through_the_hub_and_outlives_it() {
    let (manager, worker) = (Machine::start(Disk::LARGE).await, Machine::start(Disk::LARGE).await);
    manager.form_swarm(&worker).await;
    worker.bring_image(&notebook_image()).await;
    let engine = worker.docker().await;
    engine.tag(&notebook_image(), IMAGE).await.unwrap();

    let mut hub = hub(&manager, &worker).await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    ada.start_server("ada").await;
    let page = ada.get("/user/ada/lab").await;
    assert_eq!(page.status, 200, "{}", page.text);
    let mut kernel = Kernel::start(&mut ada, "ada").await;
    assert_eq!(kernel.run("print(6 * 7)").await, "42");
    assert_eq!(manager.services().await, [format!("{}-ada", hub.deployment)]);
    assert!(is_running(&engine).await, "it is on the second machine");

    hub.kill();
    hub.launch().await;
    eventually("the server is taken up", || async {
        let (_, body) = hub.api(Method::GET, "/users/ada", None).await;
        if body["servers"][""]["ready"] == true { Ok(()) } else { Err(body) }
    })
    .await;
    let mut again = Kernel::connect(&ada, "ada", &kernel.id).await;
    assert_eq!(again.run("print(6 * 7)").await, "42");

    let (status, _) = hub.api(Method::DELETE, "/users/ada/server", None).await;
    assert!(matches!(status, 202 | 204), "{status}");
    eventually("the service is gone", || async {
        let left = manager.services().await;
        if left.is_empty() && !is_running(&engine).await { Ok(()) } else { Err(left) }
    })
    .await;
    eventually("the hub knows", || async {
        let (_, body) = hub.api(Method::GET, "/users/ada", None).await;
        if body["servers"][""].is_null() { Ok(()) } else { Err(body) }
    })
    .await;

    // RST-3: what the store does not know is removed as a service.
    hub.start_server("ada").await;
    assert!(hub.terminate().success());
    let (code, listed, _) = told(gc(&hub, &["--orphans", "--dry-run"]));
    assert!(code == Some(0) && listed.contains("No orphans"), "{listed}");
    forget(&hub, &["ada"], true).await;
    let (code, removed, said) = told(gc(&hub, &["--orphans", "--yes"]));
    let name = format!("Removed: {}-ada", hub.deployment);
    assert!(code == Some(0) && removed.contains(&name), "{removed}{said}");
    assert!(manager.services().await.is_empty());
}
