//! Servers that run and that the hub's store has forgotten.

use std::{
    path::Path,
    process::{Command, Output},
};

use hub_store::{ServerKey, Store, StoreConfig};
use hub_tests::{
    Browser, Gate, Kernel, TestHub,
    docker::{self, SOCKET},
    eventually,
    hub::program,
};
use reqwest::Method;
use serde_json::Value;

/// Takes the servers of `users` out of the store of a hub that is down; with
/// `tokens`, also what they prove by that they are its own.
pub(crate) async fn forget(hub: &TestHub, users: &[&str], tokens: bool) {
    let url = format!("sqlite://{}", hub.dir().join("hub.sqlite").display());
    let store = Store::open(&StoreConfig { url }).await.unwrap();
    for user in users {
        assert!(
            store.servers().delete(&ServerKey::default_of(user.parse().unwrap())).await.unwrap()
        );
        if tokens {
            store.oauth().delete_client(&format!("jupyterhub-user-{user}")).await.unwrap();
        }
    }
    store.close().await;
}

/// The command `hub` beside a hub.
fn command(hub: &TestHub, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("hub"));
    command.args(arguments).args(["--config", "hub.toml"]);
    command.current_dir(hub.dir()).env_clear();
    command
}

pub(crate) fn gc(hub: &TestHub, arguments: &[&str]) -> Output {
    command(hub, &[&["gc"], arguments].concat()).output().unwrap()
}

/// Exit code, standard output, standard error.
pub(crate) fn told(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Asserts that `text` has all `parts` in it.
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}

async fn names(hub: &TestHub) -> Vec<String> {
    let mut names: Vec<String> = hub.containers().await.into_iter().map(|(name, _)| name).collect();
    names.sort();
    names
}

async fn is_ready(hub: &TestHub, user: &str) -> bool {
    let (_, body) = hub.api(Method::GET, &format!("/users/{user}"), None).await;
    body["servers"][""]["ready"] == true
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn rst_3_a_forgotten_server_is_adopted_and_a_strangers_goes_when_told_to() {
    let mut hub = TestHub::builder().password("ada").allowed("bob").allowed("zoe").start().await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    ada.start_server("ada").await;
    let mut kernel = Kernel::start(&mut ada, "ada").await;
    kernel.run("secret = 41").await;
    let id = kernel.id.clone();
    drop(kernel);
    for user in ["bob", "zoe"] {
        hub.start_server(user).await;
    }
    let neighbour = TestHub::builder().allowed("bob").start().await;
    neighbour.start_server("bob").await;
    let (containers, next_door) = (hub.containers().await, neighbour.containers().await);

    hub.kill();
    forget(&hub, &["ada"], false).await;
    forget(&hub, &["bob", "zoe"], true).await;
    let prefix = hub.deployment.clone();
    let name = |user: &str| format!("{prefix}-{user}");
    let (code, list, _) = told(gc(&hub, &["--orphans", "--dry-run"]));
    assert_eq!(code, Some(0), "no hub runs: {list}");
    says(&list, &[&name("ada"), &name("bob"), &name("zoe")]);
    hub.launch().await;

    // Ada's has proved whose it is: the same kernel, and the way in for the
    // browser of then and for a new one.
    ada.wait_for_server("ada").await;
    assert_eq!(hub.containers().await, containers, "nothing was started or ended");
    let mut kernel = Kernel::connect(&ada, "ada", &id).await;
    assert_eq!(kernel.run("secret + 1").await, "42");
    drop(kernel);
    let mut again = Browser::new(&hub);
    again.sign_in("ada").await;
    again.wait_for_server("ada").await;
    let kernels = again.get("/user/ada/api/kernels").await.json();
    assert_eq!(kernels[0]["id"], Value::from(id), "{kernels}");

    // Those of bob and zoe have not, and it is said what to do.
    assert!(!is_ready(&hub, "bob").await && !is_ready(&hub, "zoe").await);
    let log = hub.log();
    says(&log, &["adopted: it runs with a token of this hub", "hub gc --orphans"]);
    says(&log, &[&name("bob"), &name("zoe"), "the hub does not know its token"]);

    let (code, _, complaint) = told(gc(&hub, &[]));
    assert_eq!(code, Some(2), "{complaint}");
    says(&complaint, &["--orphans removes the containers", "volumes stay"]);
    let (code, list, _) = told(gc(&hub, &["--orphans", "--dry-run"]));
    assert_eq!(code, Some(0), "{list}");
    says(&list, &[&name("bob"), &name("zoe"), "bob", "running", "hub-notebook"]);
    assert!(!list.contains(&name("ada")) && !list.contains(&neighbour.deployment), "{list}");
    let (code, listed, complaint) = told(gc(&hub, &["--orphans"]));
    assert_eq!((code, listed), (Some(2), list), "nobody can be asked");
    says(&complaint, &["no terminal to ask at", "--yes"]);
    assert_eq!(hub.containers().await, containers, "only told");

    // One that cannot be removed does not keep the other.
    let gate = Gate::before(Path::new(SOCKET)).await;
    gate.lose("DELETE", &hub.container("bob").await);
    let mut through_gate = command(&hub, &["gc", "--orphans", "--yes", "--json"]);
    through_gate.env("DOCKER_HOST", gate.address());
    // The gate is in this process: it must not wait here.
    let output = tokio::process::Command::from(through_gate).output().await.unwrap();
    let (code, json, complaint) = told(output);
    assert_eq!(code, Some(1), "{complaint}");
    says(&complaint, &[&format!("{} could not be removed", name("bob")), "1 of 2 containers"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["removed"], serde_json::json!([name("zoe")]), "{json}");
    assert_eq!(json["failed"][0]["container"], Value::from(name("bob")), "{json}");
    assert_eq!(json["orphans"][0]["user"], "bob", "{json}");
    assert_eq!(names(&hub).await, [name("ada"), name("bob")]);

    let (code, list, complaint) = told(gc(&hub, &["--orphans", "--yes"]));
    assert_eq!(code, Some(0), "{complaint}");
    says(&list, &[&format!("Removed: {}", name("bob"))]);
    assert_eq!(names(&hub).await, [name("ada")]);
    assert!(is_ready(&hub, "ada").await);
    assert_eq!(neighbour.containers().await, next_door, "another hub's stay");
    for user in ["bob", "zoe"] {
        let volume = docker::engine().await.volume(&name(user)).await.unwrap();
        assert!(volume.is_some(), "the files of {user} stay");
    }
    let (code, nothing, _) = told(gc(&hub, &["--orphans", "--yes"]));
    assert_eq!(code, Some(0));
    says(&nothing, &["No orphans"]);

    // Where there is no database, nobody's server is taken for an orphan.
    std::fs::rename(hub.dir().join("hub.sqlite"), hub.dir().join("elsewhere")).unwrap();
    let (code, _, complaint) = told(gc(&hub, &["--orphans", "--yes"]));
    assert_eq!(code, Some(1), "{complaint}");
    says(&complaint, &["store.url", "no database of a hub yet"]);
    std::fs::rename(hub.dir().join("elsewhere"), hub.dir().join("hub.sqlite")).unwrap();
    assert_eq!(names(&hub).await, [name("ada")]);

    // The adopted one ends like any other.
    hub.api(Method::DELETE, "/users/ada/server", None).await;
    eventually("ada's server is gone", || async {
        let left = names(&hub).await;
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn rst_3_an_older_state_is_restored_beside_servers_that_run() {
    let mut hub = TestHub::builder().password("ada").password("bob").allowed("zoe").start().await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    ada.start_server("ada").await;
    let mut kernel = Kernel::start(&mut ada, "ada").await;
    kernel.run("secret = 41").await;
    let id = kernel.id.clone();
    drop(kernel);
    hub.start_server("bob").await;
    let backup = command(&hub, &["backup", "hub", "-o", "older.tar"]).output().unwrap();
    assert!(backup.status.success(), "{backup:?}");

    // After the backup: bob's is started again, zoe's for the first time.
    hub.api(Method::DELETE, "/users/bob/server", None).await;
    eventually("bob's server is gone", || async {
        let left = names(&hub).await;
        if left.len() == 1 { Ok(()) } else { Err(left) }
    })
    .await;
    hub.start_server("bob").await;
    hub.start_server("zoe").await;
    let containers = hub.containers().await;
    hub.kill();
    let restore = ["restore", "hub", "-i", "older.tar", "--state-only", "--force"];
    let restored = command(&hub, &restore).output().unwrap();
    assert!(restored.status.success(), "{restored:?}");
    hub.launch().await;

    ada.wait_for_server("ada").await;
    assert_eq!(hub.containers().await, containers, "nothing was started or ended");
    let mut kernel = Kernel::connect(&ada, "ada", &id).await;
    assert_eq!(kernel.run("secret + 1").await, "42");
    drop(kernel);

    // Bob's goes on, with the truth about it.
    eventually("bob's server is found", || async {
        if is_ready(&hub, "bob").await { Ok(()) } else { Err(hub.log()) }
    })
    .await;
    let (_, json) = hub.api(Method::GET, "/users/bob", None).await;
    let warning = json["servers"][""]["warning"].to_string();
    says(&warning, &["a token that the hub does not know", "Stop it and start it again"]);
    let mut bob = Browser::new(&hub);
    bob.sign_in("bob").await;
    says(&bob.get("/hub/home").await.text, &["a token that the hub does not know"]);
    let refused = bob.get("/user/bob/lab").await;
    assert_ne!(refused.status, 200, "nobody can sign in there: {}", refused.url);
    assert_eq!(ada.get("/hub/home").await.text.matches("does not know").count(), 0);

    // Zoe's is nobody's.
    let zoes = format!("{}-zoe", hub.deployment);
    says(&hub.log(), &["not adopted: the hub does not know its token", &zoes]);
    let (code, list, _) = told(gc(&hub, &["--orphans", "--dry-run"]));
    assert_eq!((code, list.lines().count()), (Some(0), 2), "{list}");
    says(&list, &[&zoes]);

    hub.api(Method::DELETE, "/users/bob/server", None).await;
    eventually("bob's server is gone", || async {
        let left = names(&hub).await;
        if left.len() == 2 { Ok(()) } else { Err(left) }
    })
    .await;
    bob.start_server("bob").await;
    assert_eq!(bob.get("/user/bob/lab").await.status, 200);
    let (_, json) = hub.api(Method::GET, "/users/bob", None).await;
    assert!(json["servers"][""]["warning"].is_null(), "{json}");
}
