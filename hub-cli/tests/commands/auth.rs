//! `hub auth`, `hub crypt`, `hub users identity` and `hub users identities`

use std::{fs, path::Path};

use hub_store::{NewToken, Store, TokenOwner};
use serde_json::Value;

use super::program;

const PRESENT: &str = "[store]\nurl = 'sqlite://hub.sqlite'\n[http]\npublic_url = 'https://hub.test'\n\
    [auth]\nallow_existing_users = false\nallowed_users = ['ada']\nadmin_users = ['zoe']\n\
    [auth.github]\nclient_id = 'x'\nclient_secret = 'y'\n";

/// Runs `hub` with these words in a directory.
fn hub(dir: &Path, args: &[&str]) -> program::Run {
    let mut command = program::hub(args);
    command.env_clear().current_dir(dir);
    program::run(&mut command)
}

/// What `work` finds in the database, or does to it.
fn in_store<T>(dir: &Path, work: impl AsyncFnOnce(&Store) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = format!("sqlite://{}", dir.join("hub.sqlite").display());
        let store = Store::open(&hub_store::StoreConfig { url }).await.unwrap();
        let found = work(&store).await;
        store.close().await;
        found
    })
}

/// A database in which these people are.
fn people(dir: &Path, names: &[&str]) {
    in_store(dir, async |store| {
        for name in names {
            let name = name.parse().unwrap();
            store.users().ensure(&name, jiff::Timestamp::UNIX_EPOCH).await.unwrap();
        }
    });
}

/// Tokens of ada: made by her, given out in a session, and her server's own.
fn tokens(dir: &Path) {
    in_store(dir, async |store| {
        let ada = store.users().by_name(&"ada".parse().unwrap()).await.unwrap().unwrap();
        let given = [(1, None, None), (2, Some("lab"), Some("s1")), (3, Some("lab"), None)];
        for (digest, client, session) in given {
            let token = NewToken {
                owner: TokenOwner::User(ada.id),
                hash: [digest; 32],
                client_id: client.map(str::to_owned),
                session_id: session.map(str::to_owned),
                note: String::new(),
                scopes: Vec::new(),
                created: jiff::Timestamp::UNIX_EPOCH,
                expires_at: None,
            };
            store.tokens().issue(&token).await.unwrap();
        }
    });
}

/// Which of them are good.
fn good_tokens(dir: &Path) -> Vec<u8> {
    in_store(dir, async |store| {
        let mut good = Vec::new();
        for digest in [1, 2, 3] {
            let found = store.tokens().by_hash(&[digest; 32], jiff::Timestamp::UNIX_EPOCH).await;
            good.extend(found.unwrap().map(|_| digest));
        }
        good
    })
}

#[test]
fn explain_names_the_rule_that_decides() {
    let dir = tempfile::tempdir().unwrap();
    let groups = format!("{PRESENT}allowed_organizations = ['lab']\n");
    fs::write(dir.path().join("hub.toml"), groups).unwrap();
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

#[test]
fn cry_1_rotate_needs_something_that_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hub.toml"), PRESENT).unwrap();
    let told = hub(dir.path(), &["crypt", "rotate"]).failure(1);
    assert!(told.contains("auth.enable_auth_state is not set"), "{told}");
    let key = "ab".repeat(32);
    let kept = PRESENT
        .replace("[auth]\n", &format!("[auth]\nenable_auth_state = true\ncrypt_key = '{key}'\n"));
    fs::write(dir.path().join("hub.toml"), kept).unwrap();
    let told = hub(dir.path(), &["crypt", "rotate"]).success();
    assert!(told.starts_with("sealed anew: 0; in order already: 0\n"), "{told}");
}

#[test]
fn gh_3_an_operator_decides_whose_an_account_is() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hub.toml"), PRESENT).unwrap();
    people(dir.path(), &["ada", "zoe"]);
    let identity = |args: &[&str]| hub(dir.path(), &[&["users", "identity"], args].concat());
    let nobody = identity(&["ada"]).success();
    assert_eq!(nobody, "ada belongs to nobody yet: whoever signs in with that name gets it.\n");
    let bound = identity(&["ada", "--bind", "github:1"]).success();
    assert!(bound.contains("github") && bound.contains('1'), "{bound}");
    for (args, part) in [
        (
            &["ada", "--bind", "github:2"][..],
            "ada is bound to github:1 already; add --forget github",
        ),
        (&["zoe", "--bind", "github:1"], "github:1 is the user ada; take it away there first"),
        (&["zoe", "--bind", "gitlab:1"], "\"gitlab\"; the configuration has github"),
        (
            &["zoe", "--forget", "github"],
            "zoe is not bound to \"github\"; known of this user: nothing",
        ),
        (&["eve"], "there is no user eve"),
    ] {
        let told = identity(args).failure(1);
        assert!(told.contains(part), "{told}");
    }
    assert!(identity(&["ada", "--bind", "one"]).failure(2).contains("PROVIDER:ID"));
    identity(&["ada", "--forget", "github", "--bind", "github:2"]).success();
    let all = hub(dir.path(), &["--json", "users", "identity", "ada"]).success();
    let all: Value = serde_json::from_str(&all).unwrap();
    assert_eq!((&all[0]["provider"], &all[0]["subject"]), (&"github".into(), &"2".into()));
    assert_eq!(all.as_array().unwrap().len(), 1);
}

#[test]
fn gh_3_whoever_had_an_account_has_nothing_more_of_it_once_it_changes_hands() {
    for changes in [&["--forget", "github"][..], &["--bind", "github:1"]] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("hub.toml"), PRESENT).unwrap();
        people(dir.path(), &["ada"]);
        let identity = |args: &[&str]| {
            let run = hub(dir.path(), &[&["users", "identity", "ada"], args].concat());
            assert_eq!(run.code, Some(0), "{run:?}");
            run.stderr
        };
        if changes[0] == "--forget" {
            identity(&["--bind", "github:1"]);
            tokens(dir.path());
            assert_eq!(identity(&["--bind", "github:1"]), "", "that changes nothing");
            assert_eq!(good_tokens(dir.path()), [1, 2, 3]);
        } else {
            tokens(dir.path());
        }
        let told = identity(changes);
        assert!(told.contains("hub servers stop ada"), "{told}");
        assert_eq!(good_tokens(dir.path()), [3], "the server's own goes with the server");
    }
}

#[test]
fn gh_3_an_account_belongs_to_one_of_the_providers_that_there_are() {
    const OIDC: &str =
        "[auth.oidc]\nissuer = 'https://id.test'\nclient_id = 'x'\nclient_secret = 'y'\n";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hub.toml");
    fs::write(&file, format!("{PRESENT}{OIDC}")).unwrap();
    people(dir.path(), &["ada"]);
    let identity = |args: &[&str]| hub(dir.path(), &[&["users", "identity", "ada"], args].concat());
    identity(&["--bind", "github:1"]).success();
    let told = identity(&["--bind", "oidc:7"]).failure(1);
    assert!(told.contains("bound to github:1; add --forget github"), "{told}");
    identity(&["--forget", "github", "--bind", "oidc:7"]).success();

    // One that nobody can sign in with any more is not in the way.
    fs::write(&file, PRESENT).unwrap();
    identity(&["--bind", "github:1"]).success();
}

#[test]
fn gh_3_a_provider_with_a_new_id_keeps_its_people() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hub.toml");
    fs::write(&file, PRESENT).unwrap();
    people(dir.path(), &["ada", "bob", "zoe"]);
    let all = |args: &[&str]| hub(dir.path(), &[&["users", "identities"], args].concat());
    let known = || {
        let all = hub(dir.path(), &["--json", "users", "identities"]).success();
        let all: Value = serde_json::from_str(&all).unwrap();
        let one = |one: &Value| {
            let text = |key: &str| one[key].as_str().unwrap().to_owned();
            format!("{} {}:{}", text("user"), text("provider"), text("subject"))
        };
        all.as_array().unwrap().iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(all(&[]).success(), "No account belongs to anybody yet.\n");
    hub(dir.path(), &["users", "identity", "bob", "--bind", "github:7"]).success();
    hub(dir.path(), &["users", "identity", "ada", "--bind", "github:1"]).success();
    tokens(dir.path());
    let rename = ["--rename", "github", "ghe"];
    for (args, part) in [
        (&rename[..], "there is no way of signing in with the id \"ghe\""),
        (
            &["--rename", "gitlab", "github"],
            "no account is bound to \"gitlab\"; accounts are bound to: github",
        ),
        (&["--rename", "github", "github"], "\"github\" is the id of a way of signing in"),
        (&["--rename", "local", "github"], "\"local\" are accounts with the hub itself"),
        (&["--forget", "password", "--yes"], "\"password\" are accounts with the hub itself"),
        (&["--forget", "gitlab", "--yes"], "no account is bound to \"gitlab\""),
    ] {
        let told = all(args).failure(1);
        assert!(told.contains(part), "{told}");
    }

    fs::write(&file, format!("{PRESENT}id = 'ghe'\n")).unwrap();
    let run = all(&[]);
    assert!(run.stderr.contains("--rename github NEW_ID"), "{run:?}");
    let run = all(&[&rename[..], &["--dry-run"]].concat());
    assert!(run.stderr.contains("Would be known at ghe: 2 accounts"), "{run:?}");
    assert_eq!(known(), ["ada github:1", "bob github:7"], "nothing has changed");

    // Somebody who is known under both is for an operator to decide about.
    hub(dir.path(), &["users", "identity", "zoe", "--bind", "ghe:7"]).success();
    for dry in [&[][..], &["--dry-run"]] {
        let told = all(&[&rename[..], dry].concat()).failure(1);
        assert!(told.contains("already: bob; decide"), "{told}");
    }
    assert_eq!(known(), ["ada github:1", "bob github:7", "zoe ghe:7"]);
    hub(dir.path(), &["users", "identity", "zoe", "--forget", "ghe"]).success();

    let run = all(&rename);
    assert!(run.stderr.contains("Now known at ghe: 2 accounts"), "{run:?}");
    assert_eq!(known(), ["ada ghe:1", "bob ghe:7"]);
    assert_eq!(good_tokens(dir.path()), [1, 2, 3], "nobody is signed out");
    assert_eq!(all(&["--provider", "github"]).success(), "No account belongs to anybody yet.\n");
}

#[test]
fn gh_3_all_accounts_of_a_provider_can_be_made_nobodys() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hub.toml"), PRESENT).unwrap();
    people(dir.path(), &["ada", "zoe"]);
    hub(dir.path(), &["users", "identity", "ada", "--bind", "github:1"]).success();
    tokens(dir.path());
    let forget = |args: &[&str]| {
        hub(dir.path(), &[&["users", "identities", "--forget", "github"], args].concat())
    };
    let run = forget(&["--dry-run"]);
    assert!(run.stderr.contains("1 account would be nobody's at github"), "{run:?}");
    assert!(run.stdout.contains("ada"), "{run:?}");
    let told = forget(&[]).failure(2);
    assert!(told.contains("--yes"), "{told}");
    assert_eq!(good_tokens(dir.path()), [1, 2, 3]);

    let run = forget(&["--yes"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("hub servers list"), "{run:?}");
    assert_eq!(good_tokens(dir.path()), [3], "the server's own goes with the server");
    let nobody = hub(dir.path(), &["users", "identity", "ada"]).success();
    assert!(nobody.starts_with("ada belongs to nobody yet"), "{nobody}");
    assert!(forget(&["--yes"]).failure(1).contains("accounts are bound to: none"));
}
