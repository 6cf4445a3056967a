//! What is removed with users and servers, in which order, and what of that can be tried
//! again (SPN-30).

use http::{Method, StatusCode};
use hub_spawner::fake::FakeSpawner;
use serde_json::json;

use crate::harness::{ADMIN, TestHub, eventually, notebook};

#[tokio::test]
async fn spn_30_a_name_is_taken_until_all_that_belonged_to_it_is_removed() {
    let hub = TestHub::new().await;
    hub.spawner.hold_removals();
    let meanwhile = async {
        eventually("ada is being deleted", || async { hub.spawner.removals_waiting() > 0 }).await;
        let taken = hub.post("/users/ada", None).await;
        assert_eq!(taken.status, StatusCode::CONFLICT, "{}", taken.text);
        for (method, path) in [(Method::POST, "/users/ada/server"), (Method::DELETE, "/users/ada")]
        {
            let refused = hub.api(ADMIN, method, path, None).await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
            assert_eq!(refused.json()["message"], "ada is being deleted");
        }
        hub.spawner.let_removals_go();
    };
    let (gone, ()) = tokio::join!(hub.api(ADMIN, Method::DELETE, "/users/ada", None), meanwhile);
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text);
    assert_eq!(hub.spawner.forgotten_users(), ["ada".parse().unwrap()]);
    assert!(hub.spawner.requests().is_empty());
    assert_eq!(hub.post("/users/ada", None).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn spn_30_an_account_stays_while_what_belongs_to_it_cannot_be_removed() {
    let hub = TestHub::new().await;
    hub.spawner.set_reachable(false);
    let failed = hub.api(ADMIN, Method::DELETE, "/users/ada", None).await;
    assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE, "{}", failed.text);
    let message = failed.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("the account is still there"), "{message}");
    assert_eq!(hub.get("/users/ada").await.status, StatusCode::OK);
    hub.spawner.set_reachable(true);
    let again = hub.api(ADMIN, Method::DELETE, "/users/ada", None).await;
    assert_eq!(again.status, StatusCode::NO_CONTENT, "{}", again.text);
    assert_eq!(hub.get("/users/ada").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn spn_30_a_deletion_goes_on_when_whoever_asked_for_it_has_gone_away() {
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    let hub = TestHub::with_servers("allow_named_servers = true", spawner).await;
    hub.post("/users/bob/servers/lab", None).await;
    for (path, body) in
        [("/users/ada", None), ("/users/bob/servers/lab", Some(json!({ "remove": true })))]
    {
        hub.spawner.hold_removals();
        tokio::select! {
            answer = hub.api(ADMIN, Method::DELETE, path, body) => panic!("{}", answer.text),
            () = eventually("the removal is under way", || async {
                hub.spawner.removals_waiting() > 0
            }) => {}
        }
        hub.spawner.let_removals_go();
        eventually("it is gone", || async { hub.get(path).await.status == StatusCode::NOT_FOUND })
            .await;
    }
}
