//! A newer release takes over.

use hub_tests::Kernel;

use super::{container_id, deployed};

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_3_z_01_an_open_kernel_does_not_notice_a_newer_release() {
    let (mut deployment, _github, mut ada) = deployed().await;
    let mut kernel = Kernel::start(&mut ada, "ada").await;
    assert_eq!(kernel.run("answer = 42; answer").await, "42");
    let (name, proxy) = (deployment.name.clone(), deployment.proxy());
    let (first_hub, first_proxy) = (container_id(&name).await, container_id(&proxy).await);

    deployment.new_release();
    let told = deployment.told(&["upgrade"]).await;
    assert!(told.contains("1 open before, 1 now; none has ended"), "{told}");
    assert_ne!(container_id(&name).await, first_hub, "the image is another one");
    assert_eq!(container_id(&proxy).await, first_proxy, "the program changed in its container");
    assert_eq!(kernel.run("answer").await, "42", "over the same WebSocket");
    assert_eq!(ada.get("/hub/home").await.url.path(), "/hub/home", "nobody signs in again");

    // XT-1: what was handed over is known.
    let told = deployment.told(&["upgrade"]).await;
    assert!(!told.contains("WebSockets"), "nothing was to be done: {told}");

    // And back, in the same container, under the same WebSocket.
    deployment.first_release();
    let told = deployment.told(&["upgrade"]).await;
    assert!(told.contains("1 open before, 1 now; none has ended"), "{told}");
    assert_eq!(container_id(&proxy).await, first_proxy);
    assert_eq!(kernel.run("answer").await, "42");

    // A proxy that cannot take over: nobody notices, and it is said what can be done.
    deployment.broken_release();
    for _ in 0..2 {
        let refused = deployment.fail(&["upgrade"]).await;
        for part in ["did not take over", "the old one goes on", "--replace-proxy"] {
            assert!(refused.contains(part), "{part:?} in {refused}");
        }
    }
    assert_eq!(container_id(&proxy).await, first_proxy);
    assert_eq!(kernel.run("answer").await, "42", "over the same WebSocket");
    deployment.first_release();
    let told = deployment.told(&["upgrade"]).await;
    assert!(!told.contains("WebSockets"), "what runs is what is wanted: {told}");

    // Other settings need another container, which begins with its own program,
    // not with what was handed over to the last one.
    deployment.set("HUB_TRUSTED_PROXIES", "192.0.2.0/24");
    let told = deployment.told(&["upgrade"]).await;
    assert!(told.contains("1 cut, since"), "{told}");
    assert_ne!(container_id(&proxy).await, first_proxy);
    let told = deployment.told(&["upgrade"]).await;
    assert!(!told.contains("WebSockets"), "it runs the wanted program: {told}");
    let second_proxy = container_id(&proxy).await;
    deployment.new_release();
    deployment.told(&["upgrade", "--replace-proxy"]).await;
    assert_ne!(container_id(&proxy).await, second_proxy, "as the operator said");
    let kernel = Kernel::connect(&ada, "ada", &kernel.id).await.run("answer").await;
    assert_eq!(kernel, "42", "the server was not touched");
}
