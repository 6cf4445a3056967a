//! `hub backup all`

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use hub_tests::{TestHub, hub::program};
use reqwest::Method;
use serde_json::Value;

use super::place::{Place, hub, succeeded};

fn names(path: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_4_a_run_holds_the_hub_and_every_user() {
    let test_hub = TestHub::builder().allowed("ada").start().await;
    test_hub.api(Method::POST, "/users/ada", None).await;
    test_hub.start_server("ada").await;
    test_hub.api(Method::DELETE, "/users/ada/server", None).await;
    let directory = test_hub.dir();
    let runs = directory.join("backups");
    fs::create_dir(&runs).unwrap();
    for old in ["2020-01-01T030000Z", "2020-01-02T030000Z.partial", "notes"] {
        fs::create_dir(runs.join(old)).unwrap();
    }

    let all = ["--json", "backup", "all", "-o", "backups", "--keep-daily", "1"];
    let told = succeeded(&all, hub(directory, &all, &[]));
    let told: Value = serde_json::from_str(&told).unwrap();
    assert!(told["parts"].as_array().unwrap().iter().all(|part| part["bytes"].is_u64()), "{told}");
    let left = names(&runs);
    assert!(left.len() == 2 && left[1] == "notes", "{left:?}");
    assert_eq!(names(&runs.join(&left[0])), ["hub.tar.zst", "users", "users.json"]);
    assert_eq!(names(&runs.join(&left[0]).join("users")), ["ada.tar.zst"]);
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_4_one_that_fails_makes_the_run_fail_and_spares_the_others() {
    // There is no store: the hub cannot be saved, its users can.
    let place = Place::new().await;
    place.make_volume("ada").await;
    place.shell("ada", "echo one > /v/file").await;
    fs::create_dir(place.path("backups")).unwrap();
    fs::create_dir(place.path("backups/2020-01-01T030000Z")).unwrap();

    let output = place.hub(&["backup", "all", "-o", "backups", "--keep-daily", "1"]);
    let told = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(told.contains("FAILED") && told.contains("saved and read again"), "{told}");
    let left = names(&place.path("backups"));
    assert_eq!(left[0], "2020-01-01T030000Z", "nothing good was removed");
    assert!(left[1].ends_with(".partial"), "{left:?}");
    let users = place.path("backups").join(&left[1]).join("users");
    assert_eq!(names(&users), ["ada.tar.zst"]);
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_4_a_schedule_waits_in_the_foreground_until_it_is_ended() {
    let place = Place::new().await;
    let mut waiting = Command::new(program("hub"))
        .args(["backup", "all", "-o", "backups", "--schedule", "daily 03:00", "-c", "hub.toml"])
        .current_dir(place.dir.path())
        .env_clear()
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(waiting.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("T03:00:00"), "{said}");
    assert_eq!(waiting.try_wait().unwrap(), None);

    let ended = Command::new("kill").arg(waiting.id().to_string()).status().unwrap();
    assert!(ended.success());
    assert!(waiting.wait().unwrap().success());
    assert!(!place.path("backups").exists());
}
