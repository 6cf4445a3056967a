//! `hub backup hub`, `hub restore hub`: a hub moves.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use hub_tests::{ADMIN_TOKEN, Browser, TestHub, docker, hub::variable};
use reqwest::Method;
use serde_json::{Value, json};

use super::place::{fed, hub, succeeded};

/// The token of a service that may make administrators.
const CHIEF: &str = "end-to-end-chief-token";
const PASSPHRASE: &str = "a passphrase of several words";

/// Ends the hub and takes everything away that it has written or read.
async fn lose(test_hub: &mut TestHub) {
    test_hub.kill();
    for (_, id) in test_hub.containers().await {
        docker::engine().await.remove_container(&id, true).await.unwrap();
    }
    for entry in fs::read_dir(test_hub.dir()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !["hub.log", "passphrase"].contains(&&*name) && !name.contains(".tar") {
            fs::remove_file(&path).unwrap();
        }
    }
}

/// The configuration of that service.
fn chief() -> String {
    format!("[[services]]\nname = \"chief\"\napi_token = \"{CHIEF}\"\nadmin = true")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn token_of(test_hub: &TestHub, user: &str) -> String {
    let path = format!("/users/{user}/tokens");
    let body = json!({ "note": "script" });
    let (status, token) = test_hub.api(Method::POST, &path, Some(body)).await;
    assert_eq!(status, 201, "{token}");
    token["token"].as_str().unwrap().to_owned()
}

/// Makes users, a token, a session and a running server; backs the hub up with
/// its secrets while it runs, loses it, restores it, starts it.
async fn a_hub_comes_back(
    mut test_hub: TestHub,
    after_restore: impl FnOnce(&Path),
    env: &[(&str, &str)],
) {
    let directory = test_hub.dir().to_owned();
    test_hub.api(Method::POST, "/users/zoe", None).await;
    let mut ada = Browser::new(&test_hub);
    ada.sign_in("ada").await;
    ada.start_server("ada").await;
    let admin = Some(json!({ "admin": true }));
    let (status, zoe) = test_hub.api_with(CHIEF, Method::PATCH, "/users/zoe", admin).await;
    assert_eq!((status, &zoe["admin"]), (200, &json!(true)));
    let token = token_of(&test_hub, "ada").await;
    let (_, before) = test_hub.api(Method::GET, "/users", None).await;

    fs::write(directory.join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
    let backup = [
        "backup",
        "hub",
        "-o",
        "hub.tar.zst.age",
        "--with-secrets",
        "--passphrase-file",
        "passphrase",
    ];
    succeeded(&backup, hub(&directory, &backup, &[]));
    let archive = directory.join("hub.tar.zst.age");
    assert_eq!(mode(&archive), 0o600);
    let bytes = fs::read(&archive).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1"));

    lose(&mut test_hub).await;
    let restore = ["restore", "hub", "-i", "hub.tar.zst.age", "--passphrase-file", "passphrase"];
    let told = succeeded(&restore, hub(&directory, &restore, env));
    assert!(!told.contains("sign in again"), "{told}");
    assert_eq!(mode(&directory.join("jupyterhub_cookie_secret")), 0o600);
    after_restore(&directory);
    let log_before = test_hub.log().len();
    test_hub.launch().await;

    // Users and flags; the server is stopped, without noise.
    let (_, after) = test_hub.api(Method::GET, "/users", None).await;
    let facts = |users: &Value| -> Vec<(Value, Value, Value)> {
        let list = users.as_array().unwrap().iter();
        list.map(|user| (user["name"].clone(), user["admin"].clone(), user["created"].clone()))
            .collect()
    };
    assert_eq!(facts(&after), facts(&before));
    assert!(facts(&after).iter().any(|(name, admin, _)| name == "zoe" && admin == true));
    hub_tests::eventually("the server is known to be gone", || async {
        let (_, user) = test_hub.api(Method::GET, "/users/ada", None).await;
        if user["servers"].as_object().is_some_and(|all| all.is_empty()) {
            Ok(())
        } else {
            Err(user)
        }
    })
    .await;
    // The token, and the session of the browser.
    let (status, who) = test_hub.api_with(&token, Method::GET, "/user", None).await;
    assert_eq!((status, &who["name"]), (200, &json!("ada")));
    let home = ada.get("/hub/home").await;
    assert_eq!((home.status, home.url.path()), (200, "/hub/home"), "{}", home.text);
    let log = test_hub.log().split_off(log_before);
    assert!(!log.contains("ERROR"), "{log}");
    // And it works: the volume was not touched.
    ada.start_server("ada").await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_5_a_hub_comes_back_with_users_tokens_and_sessions() {
    let test_hub = TestHub::builder().password("ada").https().config(&chief()).start().await;
    a_hub_comes_back(test_hub, |_| {}, &[]).await;
}

fn psql(url: &str, sql: &str) {
    let done = Command::new("psql").args([url, "-qc", sql]).output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[tokio::test]
#[ignore = "needs Docker and PostgreSQL: cargo xtask test"]
async fn bak_5_a_hub_moves_from_postgresql_to_sqlite() {
    let server = variable("HUB_TEST_POSTGRES_URL").expect("cargo xtask test starts a PostgreSQL");
    let schema = format!("backup_{}", std::process::id());
    psql(&server, &format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}"));
    let joint = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{joint}options%5Bsearch_path%5D={schema}");
    let test_hub = TestHub::builder().password("ada").store(&url).config(&chief()).start().await;
    let sqlite = format!("sqlite://{}", test_hub.dir().join("moved.sqlite").display());
    let to_sqlite = |directory: &Path| {
        let config = fs::read_to_string(directory.join("hub.toml")).unwrap();
        assert!(config.contains(&url));
        let moved = config.replace(&url, "sqlite://moved.sqlite");
        fs::write(directory.join("hub.toml"), moved).unwrap();
    };
    a_hub_comes_back(test_hub, to_sqlite, &[("HUB_DATABASE_URL", &sqlite)]).await;
    psql(&server, &format!("DROP SCHEMA {schema} CASCADE"));
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_3_no_secret_is_in_an_archive_unless_asked_for() {
    let test_hub = TestHub::builder().password("ada").https().start().await;
    let directory = test_hub.dir();
    let cookie = fs::read_to_string(directory.join("jupyterhub_cookie_secret")).unwrap();
    let key = fs::read_to_string(directory.join("key.pem")).unwrap();

    let backup = ["backup", "hub", "-o", "hub.tar"];
    let told = succeeded(&backup, hub(directory, &backup, &[]));
    for left_out in ["services[0].api_token", "auth.password.accounts", "key.pem"] {
        assert!(told.contains(left_out), "{left_out} in {told}");
    }
    let archive_bytes = fs::read(directory.join("hub.tar")).unwrap();
    let archive = String::from_utf8_lossy(&archive_bytes).into_owned();
    for (what, secret) in [
        ("cookie secret", cookie.trim()),
        ("key", key.lines().nth(1).unwrap()),
        ("token", ADMIN_TOKEN),
        ("password", "$argon2"),
    ] {
        assert!(!archive.contains(secret), "the {what} is in the archive");
    }
    let certificate = fs::read_to_string(directory.join("cert.pem")).unwrap();
    assert!(archive.contains(&certificate));

    // The same by standard output, which holds nothing else.
    let piped = hub(directory, &["backup", "hub", "-o", "-"], &[]);
    let told = String::from_utf8_lossy(&piped.stderr).into_owned();
    assert!(piped.status.success() && told.contains("auth.password.accounts"), "{told}");
    let members = |archive: &[u8]| -> Vec<PathBuf> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().unwrap();
        entries.map(|entry| entry.unwrap().path().unwrap().into_owned()).collect()
    };
    assert_eq!(members(&piped.stdout), members(archive_bytes.as_slice()));

    let refused = hub(directory, &["backup", "hub", "-o", "x.tar", "--with-secrets"], &[]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && told.contains("x.tar.age"), "{told}");
    assert!(!directory.join("x.tar").exists());
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_3_what_is_there_is_not_replaced_unless_told_to() {
    let mut test_hub = TestHub::builder().allowed("ada").start().await;
    let directory = test_hub.dir().to_owned();
    test_hub.api(Method::POST, "/users/ada", None).await;
    let backup = ["backup", "hub", "-o", "hub.tar.zst"];
    succeeded(&backup, hub(&directory, &backup, &[]));
    test_hub.api(Method::POST, "/users/later", None).await;
    let config = fs::read_to_string(directory.join("hub.toml")).unwrap();

    let refused = hub(&directory, &["restore", "hub", "-i", "hub.tar.zst"], &[]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && told.contains("the store is not empty"), "{told}");
    let forced = ["restore", "hub", "-i", "hub.tar.zst", "--force"];
    let running = hub(&directory, &forced, &[]);
    let told = String::from_utf8(running.stderr).unwrap();
    assert!(!running.status.success() && told.contains("stop the hub first"), "{told}");
    assert_eq!(fs::read_to_string(directory.join("hub.toml")).unwrap(), config);
    test_hub.kill();

    let (damaged, path) = (directory.join("damaged.tar.zst"), directory.join("hub.tar.zst"));
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let refused = hub(&directory, &["restore", "hub", "-i", "damaged.tar.zst", "--force"], &[]);
    assert!(!refused.status.success());
    assert_eq!(fs::read_to_string(directory.join("hub.toml")).unwrap(), config);

    test_hub.launch().await;
    let (status, _) = test_hub.api(Method::GET, "/users/later", None).await;
    assert_eq!(status, 200, "nothing was lost");
    test_hub.kill();

    // The archive's configuration has lost its secrets: the one there is better.
    succeeded(&forced, hub(&directory, &forced, &[]));
    assert_eq!(fs::read_to_string(directory.join("hub.toml")).unwrap(), config);
    test_hub.launch().await;
    let (_, users) = test_hub.api(Method::GET, "/users", None).await;
    let names: Vec<&str> =
        users.as_array().unwrap().iter().filter_map(|user| user["name"].as_str()).collect();
    assert!(names.contains(&"ada") && !names.contains(&"later"), "{names:?}");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_3_without_secrets_a_hub_comes_back_once_they_are_filled_in() {
    let mut test_hub = TestHub::builder().allowed("ada").start().await;
    let directory = test_hub.dir().to_owned();
    let config = fs::read_to_string(directory.join("hub.toml")).unwrap();
    let backup = ["backup", "hub", "-o", "hub.tar.zst"];
    succeeded(&backup, hub(&directory, &backup, &[]));
    lose(&mut test_hub).await;

    let restore = ["restore", "hub", "-i", "hub.tar.zst"];
    let incomplete = hub(&directory, &restore, &[]);
    let told = String::from_utf8(incomplete.stderr).unwrap();
    assert!(!incomplete.status.success() && told.contains("services[0].api_token"), "{told}");
    let restored = fs::read_to_string(directory.join("hub.toml")).unwrap();
    assert!(restored.contains("allowed_users") && !restored.contains(ADMIN_TOKEN), "{restored}");

    fs::write(directory.join("hub.toml"), config).unwrap();
    let told = succeeded(&restore, hub(&directory, &restore, &[]));
    assert!(told.contains("everybody has to sign in again"), "{told}");
    test_hub.launch().await;
    let (status, _) = test_hub.api(Method::GET, "/users/ada", None).await;
    assert_eq!(status, 200);

    // With its secrets, by way of standard output and input.
    fs::write(directory.join("passphrase"), PASSPHRASE).unwrap();
    let secret = ["--passphrase-file", "passphrase"];
    let piped = hub(
        &directory,
        &[&["backup", "hub", "-o", "-", "--with-secrets"], &secret[..]].concat(),
        &[],
    );
    assert!(piped.status.success(), "{piped:?}");
    assert!(piped.stdout.starts_with(b"age-encryption.org/v1"));
    fs::write(directory.join("piped.tar.age"), piped.stdout).unwrap();
    lose(&mut test_hub).await;
    let restore = [&["restore", "hub", "-i", "-"], &secret[..]].concat();
    let told = succeeded(&restore, fed(&directory, &restore, "piped.tar.age"));
    assert!(!told.contains("sign in again"), "{told}");
    test_hub.launch().await;
    let (status, _) = test_hub.api(Method::GET, "/users/ada", None).await;
    assert_eq!(status, 200);
}
