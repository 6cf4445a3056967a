//! A server's life, as a script sees it.

use hub_tests::{Browser, TestHub, docker::engine, eventually};
use reqwest::Method;
use serde_json::Value;

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn a_container_is_what_the_contract_says() {
    let hub = TestHub::builder().password("ada").start().await;
    hub.start_server("ada").await;
    let containers = hub.containers().await;
    assert_eq!(containers.len(), 1);
    let (name, id) = &containers[0];
    assert_eq!(*name, format!("{}-ada", hub.deployment));
    let engine = engine().await;
    let env = engine.exec(id, &["env"]).await.unwrap().output;
    for line in [
        "JUPYTERHUB_USER=ada",
        "JUPYTERHUB_SERVICE_PREFIX=/user/ada/",
        "JUPYTERHUB_CLIENT_ID=jupyterhub-user-ada",
        "JUPYTERHUB_OAUTH_CALLBACK_URL=/user/ada/oauth_callback",
        "JUPYTERHUB_BASE_URL=/",
        "MEM_LIMIT=1073741824",
    ] {
        assert!(env.lines().any(|one| one == line), "{line} in {env}");
    }
    // C1: no way up, and the volume is writable by the notebook's user.
    let written = engine
        .exec(id, &["sh", "-c", "id -u && touch /home/jovyan/work/x && echo written"])
        .await
        .unwrap();
    assert_eq!(written.output.trim(), "1000\nwritten", "{written:?}");
    let raised = engine.exec(id, &["cat", "/proc/1/status"]).await.unwrap().output;
    assert!(raised.contains("NoNewPrivs:\t1"), "{raised}");

    let (status, _) = hub.api(Method::DELETE, "/users/ada/server", None).await;
    assert!(matches!(status, 202 | 204));
    eventually("the container is gone", || async {
        let left = hub.containers().await;
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    // The files are not.
    hub.start_server("ada").await;
    let (_, id) = hub.containers().await.remove(0);
    let kept = engine.exec(&id, &["ls", "/home/jovyan/work"]).await.unwrap();
    assert_eq!(kept.output.trim(), "x");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn progress_is_streamed_to_a_browser() {
    let hub = TestHub::builder().password("ada").start().await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    let home = ada.get("/hub/home").await;
    let page = ada.submit("/hub/spawn/ada", &[("_xsrf", home.field("_xsrf"))]).await;
    assert!(
        page.url.path().starts_with("/hub/spawn-pending/ada")
            || page.url.path().starts_with("/user/ada/")
    );
    let stream = ada.script(Method::GET, "/hub/api/users/ada/server/progress", None).await;
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    let events: Vec<Value> = stream
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    let last = events.last().unwrap();
    assert_eq!(last["ready"], true, "{events:?}");
    assert_eq!(last["url"], "/user/ada/");
    let percents: Vec<u64> = events.iter().filter_map(|event| event["progress"].as_u64()).collect();
    assert!(percents.is_sorted() && percents.len() >= 3, "{percents:?}");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn two_starts_at_once_are_one_server() {
    let hub = TestHub::builder().password("ada").start().await;
    let start = || hub.api(Method::POST, "/users/ada/server", None);
    let mut answers = <[_; 2]>::from(tokio::join!(start(), start()));
    // Either may have come first. JupyterHub: accepted again while it starts,
    // 400 once it runs.
    answers.sort_by_key(|(status, _)| *status);
    let [(first, _), (second, body)] = answers;
    assert!(matches!(first, 201 | 202), "{first}");
    match second {
        201 | 202 => {}
        400 => assert_eq!(body["message"], "ada is already running"),
        other => panic!("{other}: {body}"),
    }
    eventually("the server is ready", || async {
        let (_, user) = hub.api(Method::GET, "/users/ada", None).await;
        if user["servers"][""]["ready"] == true { Ok(()) } else { Err(user) }
    })
    .await;
    assert_eq!(hub.containers().await.len(), 1);
}
