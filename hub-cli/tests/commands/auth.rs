//! `hub auth`

use std::{fs, path::Path};

use serde_json::Value;

use super::program;

const PRESENT: &str = "[store]\nurl = 'sqlite://hub.sqlite'\n[http]\npublic_url = 'https://hub.test'\n\
    [auth]\nallowed_users = ['ada']\nadmin_users = ['zoe']\n\
    [auth.github]\nclient_id = 'x'\nclient_secret = 'y'\nallowed_organizations = ['lab']\n";

/// Runs `hub` with these words in a directory.
fn hub(dir: &Path, args: &[&str]) -> program::Run {
    let mut command = program::hub(args);
    command.env_clear().current_dir(dir);
    program::run(&mut command)
}

/// A database in which these people are.
fn people(dir: &Path, names: &[&str]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = format!("sqlite://{}", dir.join("hub.sqlite").display());
        let store = hub_store::Store::open(&hub_store::StoreConfig { url }).await.unwrap();
        for name in names {
            let name = name.parse().unwrap();
            store.users().ensure(&name, jiff::Timestamp::UNIX_EPOCH).await.unwrap();
        }
        store.close().await;
    });
}

#[test]
fn explain_names_the_rule_that_decides() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hub.toml"), PRESENT).unwrap();
    insta::assert_snapshot!(
        hub(dir.path(), &["auth", "explain", "eve", "--groups", "lab"]).success()
    );
    let all = hub(dir.path(), &["--json", "auth", "explain", "Ada"]).success();
    let all: Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all[0]["rule"], "allowed_users");
    assert_eq!(all[0]["admitted"], true);
    let told = hub(dir.path(), &["auth", "explain", "eve", "--provider", "gitlab"]).failure(1);
    assert!(told.contains("\"gitlab\"; the configuration has github"), "{told}");
}

#[test]
fn check_fails_if_anybody_would_be_locked_out() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hub.toml"), PRESENT).unwrap();
    fs::write(dir.path().join("new.toml"), PRESENT.replace("'ada'", "'bob'")).unwrap();
    let check = ["auth", "check", "--rules", "new.toml"];
    // A hub that nobody has used yet knows nobody who could be locked out.
    assert_eq!(hub(dir.path(), &check).success(), "Nothing changes for 0 others.\n");
    people(dir.path(), &["ada", "zoe"]);
    let run = hub(dir.path(), &check);
    assert_eq!(run.code, Some(1), "{run:?}");
    insta::assert_snapshot!(run.stdout);
    let told = hub(dir.path(), &["auth", "check", "--rules", "nowhere.toml"]).failure(2);
    assert!(told.contains("nowhere.toml"), "{told}");
}
