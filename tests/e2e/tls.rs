//! The same over https.

use hub_tests::{Browser, Kernel, TestHub, hub::free_port, wire};

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn tls_1_a_server_is_reached_over_https_and_tls_5_http_leads_there() {
    let plain = free_port();
    let hub = TestHub::builder().password("ada").https().redirect_from(plain).start().await;
    let mut ada = Browser::new(&hub);
    let page = ada.get("/hub/login").await;
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("Secure"), "{cookie}");
    ada.sign_in("ada").await;
    ada.start_server("ada").await;
    assert_eq!(ada.get("/user/ada/api/status").await.status, 200);
    // The WebSocket, too (`wss`).
    let mut kernel = Kernel::start(&mut ada, "ada").await;
    assert_eq!(kernel.run("6*7").await, "42");
    let stranger = wire::connect(ada.hub(), None).await;
    assert!(stranger.is_err(), "nobody else vouches for this certificate");

    let redirected = hub
        .client()
        .get(format!("http://localhost:{plain}/hub/login?next=%2Fx"))
        .send()
        .await
        .unwrap();
    assert_eq!(redirected.status(), 308);
    assert_eq!(
        redirected.headers()["location"].to_str().unwrap(),
        format!("{}/hub/login?next=%2Fx", hub.url)
    );
}
