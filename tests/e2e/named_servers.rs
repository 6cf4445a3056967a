//! Several servers of one person on real Docker.

use hub_tests::{TestHub, docker::engine, eventually};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn two_named_servers_run_at_once_and_one_is_renamed_and_removed() {
    let hub = TestHub::builder()
        .password("ada")
        .config("[servers]\nallow_named_servers = true")
        .start()
        .await;
    for name in ["lab", "den"] {
        let path = format!("/users/ada/servers/{name}");
        let (status, body) = hub.api(Method::POST, &path, None).await;
        assert!(matches!(status, 201 | 202), "{status}: {body}");
    }
    ready(&hub, &["den", "lab"]).await;
    let mut containers = names(&hub).await;
    containers.sort();
    assert_eq!(
        containers,
        [format!("{}-ada--den", hub.deployment), format!("{}-ada--lab", hub.deployment)]
    );
    for name in ["lab", "den"] {
        let url = format!("{}/user/ada/{name}/api", hub.url);
        let answer = hub.client().get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{name}");
    }
    // One volume for all servers of a person, as the templates of this hub say.
    let (_, lab) = container(&hub, "lab").await;
    engine().await.exec(&lab, &["touch", "/home/jovyan/work/x"]).await.unwrap();

    let (status, _) = hub.api(Method::DELETE, "/users/ada/servers/lab", None).await;
    assert!(matches!(status, 202 | 204), "{status}");
    ready(&hub, &["den"]).await;
    assert_eq!(names(&hub).await, [format!("{}-ada--den", hub.deployment)]);

    let rename = json!({ "name": "attic", "display_name": "The attic" });
    let (status, body) = hub.api(Method::PATCH, "/users/ada/servers/lab", Some(rename)).await;
    assert_eq!((status, &body["name"]), (200, &json!("attic")), "{body}");
    let (status, _) = hub.api(Method::POST, "/users/ada/servers/attic", None).await;
    assert!(matches!(status, 201 | 202), "{status}");
    ready(&hub, &["attic", "den"]).await;
    let (_, attic) = container(&hub, "attic").await;
    let kept = engine().await.exec(&attic, &["ls", "/home/jovyan/work"]).await.unwrap();
    assert_eq!(kept.output.trim(), "x");

    let remove = Some(json!({ "remove": true }));
    let (status, _) = hub.api(Method::DELETE, "/users/ada/servers/attic", remove).await;
    assert!(matches!(status, 202 | 204), "{status}");
    eventually("the server is forgotten", || async {
        match hub.api(Method::GET, "/users/ada/servers/attic", None).await {
            (404, _) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    assert_eq!(names(&hub).await, [format!("{}-ada--den", hub.deployment)]);
}

/// Waits until exactly these servers of ada's are ready and nothing else is up.
async fn ready(hub: &TestHub, wanted: &[&str]) {
    eventually("the servers are as they should be", || async {
        let (_, user) = hub.api(Method::GET, "/users/ada", None).await;
        let servers = user["servers"].as_object().cloned().unwrap_or_default();
        let all_ready = servers.values().all(|server| server["ready"] == Value::Bool(true));
        let names: Vec<&str> = servers.keys().map(String::as_str).collect();
        if all_ready && names == wanted { Ok(()) } else { Err(user) }
    })
    .await;
}

async fn names(hub: &TestHub) -> Vec<String> {
    hub.containers().await.into_iter().map(|(name, _)| name).collect()
}

async fn container(hub: &TestHub, server: &str) -> (String, String) {
    let name = format!("{}-ada--{server}", hub.deployment);
    let all = hub.containers().await;
    all.into_iter().find(|(one, _)| *one == name).unwrap()
}
