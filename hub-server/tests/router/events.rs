//! The record of starts and stops.

use std::path::Path;

use http::Method;
use hub_spawner::fake::FakeSpawner;
use hub_store::Store;
use serde_json::Value;

use crate::harness::{ADMIN, TestHub, eventually, key, notebook};

async fn hub(file: &Path) -> TestHub {
    let more = format!("[events]\nfile = {:?}\n", file.display().to_string());
    let spawner = FakeSpawner::new().answers_with(notebook().await);
    TestHub::configured(&more, spawner, Store::in_memory().await.unwrap()).await
}

fn actions(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let action = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        format!("{} {}", event["action"].as_str().unwrap(), event["username"].as_str().unwrap())
    };
    text.lines().map(action).collect()
}

#[tokio::test]
async fn starts_and_stops_are_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("events.jsonl");
    let hub = hub(&file).await;
    hub.post("/users/ada/server", None).await;
    hub.api(ADMIN, Method::DELETE, "/users/ada/server", None).await;
    // What ends by itself has ended, too.
    hub.post("/users/bob/server", None).await;
    hub.spawner.die(&key("bob"), hub_spawner::Exit::default());
    let all = ["start ada", "stop ada", "start bob", "stop bob"];
    eventually("all are written", || async { actions(&file).len() == all.len() }).await;
    assert_eq!(actions(&file), all);
}

#[tokio::test]
async fn a_start_that_fails_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("events.jsonl");
    let hub = hub(&file).await;
    let spawner = hub
        .spawner
        .clone()
        .behaves_for(key("bob"), hub_spawner::fake::Behaviour::Exits(hub_spawner::Exit::default()));
    hub.post("/users/bob/server", None).await;
    assert!(spawner.running().is_empty());
    hub.post("/users/ada/server", None).await;
    eventually("one is written", || async { !actions(&file).is_empty() }).await;
    assert_eq!(actions(&file), ["start ada"]);
}
