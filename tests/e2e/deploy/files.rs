//! What an operator changes in the deployment's directory, and what becomes of it.

use std::fs;

use hub_tests::{Deployment, Kernel, deployment::said, docker, eventually, volume::shell};
use reqwest::Method;

use super::{container_id, deployed};

/// The files of the hub that are the operator's, and what is in them.
pub(super) async fn files(deployment: &Deployment) -> String {
    let volume = format!("{}-data", deployment.name);
    shell(&deployment.name, &volume, "cd /v && find config secrets -type f | sort | xargs md5sum")
        .await
}

/// Whether who is not signed in sees the operator's page.
async fn has_own_page(deployment: &Deployment) -> bool {
    let page = deployment.browser().get("/hub/login").await;
    page.text.contains("the operator's own page")
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_3_a_changed_directory_is_told_then_brought_and_nothing_else_is_lost() {
    let (mut deployment, _github, mut ada) = deployed().await;
    let mut kernel = Kernel::start(&mut ada, "ada").await;
    let (hub, proxy) =
        (container_id(&deployment.name).await, container_id(&deployment.proxy()).await);
    let pages = deployment.dir().join("pages");
    fs::create_dir(&pages).unwrap();
    fs::write(pages.join("login.html"), "<p>the operator's own page</p>").unwrap();
    fs::write(pages.join("error.html"), "<p>another</p>").unwrap();
    fs::write(deployment.dir().join("hub.toml"), "[pages]\ntemplates = \"pages\"\n").unwrap();

    // A token of the operator's own is for another container of the hub.
    deployment.set("CONFIGPROXY_AUTH_TOKEN", "chosen-by-the-operator-0123456789");
    let told = deployment.told(&["reload"]).await;
    assert!(told.contains("config/pages/login.html"), "{told}");
    assert!(!told.contains("secrets/CONFIGPROXY_AUTH_TOKEN"), "{told}");
    let upgrade = format!("`cargo xtask deploy --dir {} upgrade`", deployment.dir().display());
    assert!(told.contains(&upgrade), "{told}");
    assert!(has_own_page(&deployment).await);

    // A dry run of what follows: told, not done.
    fs::remove_file(pages.join("error.html")).unwrap();
    let before = (files(&deployment).await, docker::containers(&deployment.name).await);
    deployment.new_release();
    let plan = deployment.run(&["--dry-run"]).await;
    deployment.first_release();
    for part in [
        "POST /images/create",
        "secrets/CONFIGPROXY_AUTH_TOKEN)",
        "hub-server forget config/pages/error.html)",
        &format!("POST /containers/{}/kill?signal=SIGUSR2", deployment.proxy()),
        &format!("POST /containers/create?name={}-next", deployment.name),
    ] {
        assert!(plan.contains(part), "{part} in {plan}");
    }
    assert_eq!((files(&deployment).await, docker::containers(&deployment.name).await), before);
    assert_eq!(container_id(&deployment.name).await, hub);

    // Done: the proxy learns the token where it is, and nobody is cut off.
    deployment.run(&["upgrade"]).await;
    assert_ne!(container_id(&deployment.name).await, hub);
    assert_eq!(container_id(&deployment.proxy()).await, proxy);
    assert_eq!(kernel.run("6 * 7").await, "42", "over the same WebSocket");
    assert!(!files(&deployment).await.contains("error.html"));
    drop(kernel);
    let stopped = ada.script(Method::DELETE, "/hub/api/users/ada/server", None).await;
    assert!([202, 204].contains(&stopped.status), "{}", stopped.text);
    ada.start_server("ada").await;
    let told = deployment.told(&["upgrade"]).await;
    assert_eq!(told.matches("(runs, unchanged)").count(), 2, "{told}");
    let plan = deployment.run(&["upgrade", "--dry-run"]).await;
    assert!(plan.lines().all(|line| line.contains("helper: hub-server prepare")), "{plan}");

    // A hub that does not come up takes its files back with it.
    let kept = (container_id(&deployment.name).await, files(&deployment).await);
    fs::write(deployment.dir().join("hub.toml"), "[servers]\nstart_timeout_seconds = 77\n")
        .unwrap();
    deployment.set("CONFIGPROXY_AUTH_TOKEN", "another-of-the-operator-0123456789");
    deployment.set("HUB__STORE__URL", "sqlite:///data/nowhere/hub.sqlite");
    let refused = deployment.fail(&["upgrade"]).await;
    assert!(refused.contains("the old one runs again"), "{refused}");
    assert_eq!((container_id(&deployment.name).await, files(&deployment).await), kept);
    // It takes a moment to come up.
    eventually("the old page is back", || async {
        if has_own_page(&deployment).await { Ok(()) } else { Err("not yet") }
    })
    .await;
    let status = said(&deployment.try_run(&["status"]).await);
    assert!(status.starts_with("exit status: 0"), "{status}");
}
