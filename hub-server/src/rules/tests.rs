use std::path::Path;

use hub_auth::AuthState;
use hub_store::{Store, StoreConfig};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::{
    auth_state,
    config::{Environment, parse},
};

/// A configuration with these lines, over a database in `dir`.
fn config(dir: &Path, lines: &str) -> Config {
    let text = format!(
        "[http]\npublic_url = 'https://hub.test'\n[store]\nurl = 'sqlite://hub.sqlite'\n\
         [spawner.docker]\nimage = 'lab'\n[auth.github]\nclient_id = 'x'\nclient_secret = 'y'\n{lines}"
    );
    parse(&text, "hub.toml", dir, &Environment::default(), false).unwrap().config
}

/// Ada and bob have signed in at GitHub, cyd was added by an administrator.
async fn three_people(dir: &Path) {
    let url = config(dir, "").store.url;
    let store = Store::open(&StoreConfig { url }).await.unwrap();
    for (name, id) in [("ada", Some("1")), ("bob", Some("2")), ("cyd", None)] {
        let (user, _) =
            store.users().ensure(&name.parse().unwrap(), Timestamp::UNIX_EPOCH).await.unwrap();
        if let Some(id) = id {
            store
                .users()
                .bind_identity(user.id, "github", id, Timestamp::UNIX_EPOCH)
                .await
                .unwrap();
        }
    }
    store.close().await;
}

#[tokio::test]
async fn a_stored_person_is_explained_at_their_provider() {
    let dir = tempfile::tempdir().unwrap();
    three_people(dir.path()).await;
    let config = config(dir.path(), "[auth]\nallowed_users = ['ada']\nblocked_users = ['bob']\n");
    let ada = explain(&config, "Ada", &Assumed::default()).await.unwrap();
    assert_eq!(ada.len(), 1);
    assert_eq!((ada[0].identity.as_str(), ada[0].rule.as_str()), ("github:1", "allowed_users"));
    assert!(ada[0].admitted && ada[0].text.contains("github:1 is remembered as ada"));
    let bob = explain(&config, "bob", &Assumed::default()).await.unwrap();
    assert_eq!((bob[0].admitted, bob[0].rule.as_str()), (false, "blocked_users"));

    // Somebody else with her name.
    let taker = Assumed { id: Some("9".to_owned()), ..Assumed::default() };
    let taker = explain(&config, "ada", &taker).await.unwrap();
    assert_eq!((taker[0].admitted, taker[0].rule.as_str()), (false, "identity_key"));
}

#[tokio::test]
async fn what_is_assumed_of_a_stranger_decides() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(
        dir.path(),
        "allowed_organizations = ['lab']\nadmin_organizations = ['lab:core']\n\
         admin_claims = { type = 'Boss' }\n",
    );
    let decide = async |assumed: Assumed| {
        let all = explain(&config, "eve", &assumed).await.unwrap();
        (all[0].admitted, all[0].rule.clone(), all[0].admin)
    };
    let nothing = decide(Assumed::default()).await;
    assert_eq!(nothing, (false, "nobody else".to_owned(), "unchanged"));
    let groups =
        |groups: &[&str]| Some(groups.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>());
    let member = decide(Assumed { groups: groups(&["lab"]), ..Assumed::default() }).await;
    assert_eq!(member, (true, "allowed_groups".to_owned(), "withdrawn"));
    let chief = decide(Assumed { groups: groups(&["lab:core"]), ..Assumed::default() }).await;
    assert_eq!(chief, (true, "admin_groups".to_owned(), "granted"));
    let claims = vec![("type".to_owned(), "Boss".to_owned())];
    let boss = decide(Assumed { claims, ..Assumed::default() }).await;
    assert_eq!(boss, (true, "admin_claims".to_owned(), "granted"));

    let elsewhere = Assumed { provider: Some("oidc".to_owned()), ..Assumed::default() };
    let error = explain(&config, "eve", &elsewhere).await.unwrap_err().to_string();
    assert!(error.contains("\"oidc\"") && error.contains("github"), "{error}");
    assert!(!dir.path().join("hub.sqlite").exists(), "nothing is made");
}

#[tokio::test]
async fn other_rules_are_compared_for_everybody() {
    let dir = tempfile::tempdir().unwrap();
    three_people(dir.path()).await;
    let now = config(dir.path(), "[auth]\nallowed_users = ['ada']\nadmin_users = ['bob']\n");
    let same = compare(&now, &now).await.unwrap();
    assert_eq!(same, Effect { unchanged: 3, ..Effect::default() });

    // Not even those with an account any more, and cyd by name.
    let new = config(
        dir.path(),
        "[auth]\nallowed_users = ['bob', 'cyd']\nallow_existing_users = false\n",
    );
    let effect = compare(&now, &new).await.unwrap();
    assert_eq!(effect.locked_out.len(), 1);
    let ada = &effect.locked_out[0];
    assert_eq!(
        (ada.who.as_str(), ada.rule_before, ada.rule_after),
        ("ada", "allowed_users", "nobody else")
    );
    assert_eq!(effect.admin_lost[0].who, "bob");
    assert_eq!(effect.unchanged, 1);

    let groups = config(dir.path(), "allowed_organizations = ['lab']\n");
    let effect = compare(&now, &groups).await.unwrap();
    assert_eq!(effect.unknown, ["ada", "bob", "cyd"], "nobody remembers who is in the lab");
    assert!(effect.locked_out.is_empty());
}

#[tokio::test]
async fn what_is_kept_of_a_sign_in_decides_where_nobody_can_be_asked() {
    let dir = tempfile::tempdir().unwrap();
    three_people(dir.path()).await;
    let state = format!("[auth]\nenable_auth_state = true\ncrypt_key = '{}'\n", "ab".repeat(32));
    let now = config(
        dir.path(),
        &format!("{state}allowed_users = ['bob', 'cyd']\nallow_existing_users = false\n"),
    );
    let store = Store::open(&StoreConfig { url: now.store.url.clone() }).await.unwrap();
    for (name, id, organizations) in [("ada", 1, json!(["lab"])), ("bob", 9, json!(["lab"]))] {
        let user = store.users().by_name(&name.parse().unwrap()).await.unwrap().unwrap();
        let Value::Object(fields) = json!({
            "scope": ["read:org"],
            "github_user": { "id": id, "login": name, "type": "Boss" },
            "organizations": organizations,
        }) else {
            panic!("an object")
        };
        let kept = AuthState::new(fields);
        let sealing = now.auth.state.as_ref().unwrap();
        let at = Timestamp::UNIX_EPOCH;
        auth_state::keep(&store, sealing, user.id, Some(&kept), at).await.unwrap();
    }
    store.close().await;

    let new = config(
        dir.path(),
        &format!("allowed_organizations = ['lab']\n{state}allow_existing_users = false\n"),
    );
    let effect = compare(&now, &new).await.unwrap();
    let names = |people: &[Affected]| people.iter().map(|one| one.who.clone()).collect::<Vec<_>>();
    assert_eq!(names(&effect.let_in), ["ada"], "she was in the lab when she signed in");
    // What is kept for bob is about somebody else, and cyd never signed in.
    assert_eq!(effect.unknown, ["bob", "cyd"]);

    let ada = explain(&new, "ada", &Assumed::default()).await.unwrap().remove(0);
    assert_eq!((ada.admitted, ada.rule.as_str()), (true, "allowed_groups"));
    let left = Assumed { groups: Some(vec![]), ..Assumed::default() };
    let ada = explain(&new, "ada", &left).await.unwrap().remove(0);
    assert!(!ada.admitted, "what is assumed goes before what is kept: {}", ada.text);
    let bosses = config(dir.path(), &format!("required_claims = {{ type = 'Boss' }}\n{state}"));
    let ada = explain(&bosses, "ada", &Assumed::default()).await.unwrap().remove(0);
    assert!(ada.text.contains("all required claims are there"), "{}", ada.text);
    let bosses = config(dir.path(), &format!("admin_claims = {{ type = 'Boss' }}\n{state}"));
    let ada = explain(&bosses, "ada", &Assumed::default()).await.unwrap().remove(0);
    assert_eq!(ada.admin, "granted", "{}", ada.text);
}

/// A configuration with these ways of signing in and no other.
fn ways(dir: &Path, lines: &str) -> Config {
    let text = format!(
        "[http]\npublic_url = 'https://hub.test'\n[store]\nurl = 'sqlite://hub.sqlite'\n\
         [spawner.docker]\nimage = 'lab'\n{lines}"
    );
    parse(&text, "hub.toml", dir, &Environment::default(), false).unwrap().config
}

#[tokio::test]
async fn a_way_of_signing_in_that_is_gone_locks_its_people_out() {
    const GITHUB: &str = "[auth.github]\nclient_id = 'x'\nclient_secret = 'y'\n";
    const LOCAL: &str = "[auth.local]\nsign_up = 'approval'\n";
    const ALL: &str = "[auth]\nallow_all = true\n";
    let dir = tempfile::tempdir().unwrap();
    three_people(dir.path()).await;
    let both = ways(dir.path(), &format!("{ALL}{GITHUB}{LOCAL}"));
    let store = Store::open(&StoreConfig { url: both.store.url.clone() }).await.unwrap();
    let cyd = store.users().by_name(&"cyd".parse().unwrap()).await.unwrap().unwrap();
    store.users().bind_identity(cyd.id, "local", "l1", Timestamp::UNIX_EPOCH).await.unwrap();
    store.close().await;
    let locked_out = async |now: &Config, new: &str| {
        let effect = compare(now, &ways(dir.path(), new)).await.unwrap();
        let told = effect
            .locked_out
            .iter()
            .map(|one| (one.who.clone(), one.refusal.clone().unwrap_or_default()));
        (told.collect::<Vec<_>>(), effect.unchanged)
    };
    let of = |name: &str, way: &str| {
        (name.to_owned(), format!("they sign in with {way}, which is not configured"))
    };
    let (told, others) = locked_out(&both, &format!("{ALL}{GITHUB}")).await;
    assert_eq!((told, others), (vec![of("cyd", "local")], 2));
    let (told, others) = locked_out(&both, &format!("{ALL}{LOCAL}")).await;
    assert_eq!((told, others), (vec![of("ada", "github"), of("bob", "github")], 1));
    let (told, _) = locked_out(&both, ALL).await;
    assert_eq!(told.len(), 3, "{told:?}");
    // Where names are enough, others may come by them.
    let by_name = format!("{ALL}identity_key = 'login'\n{GITHUB}");
    assert_eq!(locked_out(&both, &by_name).await, (vec![], 3));
}

#[tokio::test]
async fn each_configuration_reads_what_is_kept_its_own_way() {
    let dir = tempfile::tempdir().unwrap();
    let oidc = |groups: &str| {
        ways(
            dir.path(),
            &format!(
                "[auth]\nenable_auth_state = true\ncrypt_key = '{}'\n[auth.oidc]\n\
                 issuer = 'https://id.test'\nclient_id = 'x'\nclient_secret = 'y'\n\
                 allowed_groups = ['lab']\ngroups_claims = ['{groups}']\n",
                "ab".repeat(32)
            ),
        )
    };
    let now = oidc("groups");
    let store = Store::open(&StoreConfig { url: now.store.url.clone() }).await.unwrap();
    let at = Timestamp::UNIX_EPOCH;
    let (ada, _) = store.users().ensure(&"ada".parse().unwrap(), at).await.unwrap();
    store.users().bind_identity(ada.id, "oidc", "1", at).await.unwrap();
    let told = json!({ "sub": "1", "preferred_username": "ada", "groups": ["lab"], "teams": [] });
    let Value::Object(fields) = json!({ "scope": [], "oauth_user": told }) else {
        panic!("an object")
    };
    let sealing = now.auth.state.as_ref().unwrap();
    let kept = AuthState::new(fields);
    auth_state::keep(&store, sealing, ada.id, Some(&kept), at).await.unwrap();
    store.close().await;
    assert_eq!(compare(&now, &now).await.unwrap().unchanged, 1);
    let effect = compare(&now, &oidc("teams")).await.unwrap();
    assert_eq!(effect.locked_out.len(), 1, "{effect:?}");
}

#[tokio::test]
async fn nat_1_a_local_account_is_explained_under_its_own_name() {
    let dir = tempfile::tempdir().unwrap();
    three_people(dir.path()).await;
    let both = ways(
        dir.path(),
        "[auth]\nallow_existing_users = true\nusername_map = { cyd = 'ada' }\n\
         [auth.github]\nclient_id = 'x'\nclient_secret = 'y'\n[auth.local]\nsign_up = 'approval'\n",
    );
    let store = Store::open(&StoreConfig { url: both.store.url.clone() }).await.unwrap();
    let cyd = store.users().by_name(&"cyd".parse().unwrap()).await.unwrap().unwrap();
    store.users().bind_identity(cyd.id, "local", "l1", Timestamp::UNIX_EPOCH).await.unwrap();
    store.close().await;
    let local = Assumed { provider: Some("local".to_owned()), ..Assumed::default() };
    let cyd = explain(&both, "cyd", &local).await.unwrap().remove(0);
    assert!(cyd.admitted && cyd.identity == "local:l1", "{}", cyd.text);
    let github = Assumed { provider: Some("github".to_owned()), ..Assumed::default() };
    let ada = explain(&both, "cyd", &github).await.unwrap().remove(0);
    assert_eq!(ada.identity, "github:1", "{}", ada.text);
}

#[tokio::test]
async fn an_explanation_says_what_it_does_not_know() {
    let dir = tempfile::tempdir().unwrap();
    three_people(dir.path()).await;
    let config = config(
        dir.path(),
        "allowed_organizations = ['lab']\n[auth.local]\n[auth]\nallowed_users = ['ada']\nblocked_users = ['bob']\n",
    );
    let hints = async |name: &str, assumed: Assumed| {
        let all = explain(&config, name, &assumed).await.unwrap();
        all.into_iter().map(|one| (one.identity, one.hints.join(" "))).collect::<Vec<_>>()
    };
    let eve = hints("eve", Assumed::default()).await;
    assert_eq!(eve[0].0, "github:new");
    assert!(eve[0].1.contains("github says") && eve[0].1.contains("--groups"), "{eve:?}");
    assert_eq!(eve[1].0, "local:new");
    assert!(eve[1].1.contains("no account eve"), "let in by allow_all, and nobody can: {eve:?}");
    let groups = Some(vec!["lab".to_owned()]);
    let github = Some("github".to_owned());
    let known = Assumed { groups, provider: github, ..Assumed::default() };
    assert_eq!(hints("eve", known).await, [("github:new".to_owned(), String::new())]);
    // Neither who is let in anyhow, nor who is kept out anyhow.
    for name in ["ada", "bob"] {
        assert_eq!(hints(name, Assumed::default()).await[0].1, "", "{name}");
    }
}

#[tokio::test]
async fn who_is_blocked_before_and_after_is_known_whatever_their_groups() {
    let dir = tempfile::tempdir().unwrap();
    three_people(dir.path()).await;
    let rules = |more: &str| {
        config(
            dir.path(),
            &format!("allowed_organizations = ['lab']\n[auth]\nblocked_users = ['bob']\n{more}"),
        )
    };
    let effect = compare(&rules(""), &rules("allowed_users = ['ada']\n")).await.unwrap();
    assert_eq!(effect.unknown, ["ada", "cyd"]);
    assert_eq!(effect.unchanged, 1, "{effect:?}");
}
