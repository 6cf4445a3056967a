//! Export and import: every table, from each engine into each.

use std::{fs, path::Path};

use hub_names::ServerKey;
use hub_store::{
    ClientOf, Exported, Grantee, ImportMode, LocalStatus, NewLocalAccount, NewSecondFactor,
    NewSession, NewShareCode, NewTicket, NewToken, NewTries, OauthClient, OauthCode, Origin, Store,
    StoreConfig, StoreError, TokenOwner,
};
use serde_json::{Value as Json, json};
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, SqliteConnection, sqlite::SqliteConnectOptions,
};

use crate::{at, engines::open, key, name, scratch::Schema, user};

fn config(url: &str) -> StoreConfig {
    StoreConfig { url: url.to_owned() }
}

fn origin() -> Origin {
    Origin { program: "hub-tests 1".to_owned(), created: at(0) }
}

async fn export(store: &Store) -> (String, Exported) {
    let mut out = Vec::new();
    let exported = store.export(&mut out, &origin()).await.unwrap();
    (String::from_utf8(out).unwrap(), exported)
}

/// Puts at least one row into every table, with all that a text can hold.
async fn fill(store: &Store) {
    let ada = user(store, "ada").await;
    let gone = user(store, "gone").await;
    let users = store.users();
    users.set_admin(ada.id, true).await.unwrap();
    users.touch(ada.id, at(5)).await.unwrap();
    users.delete(gone.id).await.unwrap();
    users.bind_identity(ada.id, "github", "4711", at(1)).await.unwrap();

    let server = key("ada", "");
    let servers = store.servers();
    let options = json!({"image": "läb \"quoted\"\n\u{1F4D3}", "n": 9_007_199_254_740_993_i64});
    servers.ensure(&server, at(2)).await.unwrap();
    servers.record_starting(&server, at(3), Some(&options)).await.unwrap();

    let client = OauthClient {
        id: "jupyterhub-user-ada".to_owned(),
        description: "Server of ada".to_owned(),
        secret_hash: [0; 32],
        redirect_uri: "/user/ada/oauth_callback".to_owned(),
        allowed_scopes: vec!["access:servers!user=ada".to_owned()],
        of: ClientOf::Server(server.clone()),
    };
    store.oauth().put_client(&client).await.unwrap();
    let session = NewSession {
        hash: [9; 32],
        user: ada.id,
        sign_outs: 0,
        provider: "github".to_owned(),
        session_id: "s1".to_owned(),
        created: at(4),
        expires_at: at(9_000),
    };
    store.sessions().create(&session).await.unwrap();
    let code = OauthCode {
        client_id: client.id.clone(),
        user: ada.id,
        session_id: "s1".to_owned(),
        scopes: vec![],
        redirect_uri: None,
        challenge: Some("c".to_owned()),
        created: at(3),
        expires_at: at(600),
    };
    store.oauth().insert_code(&[255; 32], &code).await.unwrap();
    for (number, owner) in
        [(1, TokenOwner::User(ada.id)), (2, TokenOwner::Service("culler".to_owned()))]
    {
        let token = NewToken {
            owner,
            hash: [number; 32],
            client_id: Some("jupyterhub-user-ada".to_owned()),
            session_id: None,
            note: "it's\tone".to_owned(),
            scopes: vec!["self".to_owned()],
            created: at(4),
            expires_at: (number == 1).then(|| at(10_000)),
        };
        store.tokens().issue(&token).await.unwrap();
    }
    store.server_logs().keep(&server, at(5), "bye").await.unwrap();
    store.auth_states().set(ada.id, "gAAAA", at(6)).await.unwrap();
    share(store, &server).await;
    enrol(store).await;
}

/// Groups, roles, services, shares.
async fn share(store: &Store, server: &ServerKey) {
    let bob = user(store, "bob").await;
    let staff = store.groups().create("staff", &[bob.id]).await.unwrap();
    store.groups().set_properties(staff.id, &json!({"room": "ä"})).await.unwrap();
    let roles = store.roles();
    roles.replace_users("helper", &[name("bob")]).await.unwrap();
    roles.replace_groups("reader", &["staff".to_owned()]).await.unwrap();
    roles.replace_services("culler", &["culler".to_owned()]).await.unwrap();
    store.services().create("extra", &json!({"url": "http://x"}), at(6)).await.unwrap();
    let scopes = ["access:servers".to_owned()];
    store.shares().grant(server, &Grantee::User(name("bob")), &scopes, at(7)).await.unwrap();
    let code = NewShareCode {
        server: server.clone(),
        hash: [3; 32],
        scopes: scopes.to_vec(),
        created: at(7),
        expires_at: at(8_000),
    };
    store.share_codes().create(&code).await.unwrap();
}

/// Local accounts, failed tries, links.
async fn enrol(store: &Store) {
    let account = NewLocalAccount {
        id: "0123".to_owned(),
        name: name("cyd"),
        hash: "$argon2id$x".to_owned(),
        status: LocalStatus::Waiting,
        admin: false,
        groups: vec![],
    };
    store.local_accounts().create(&account, None, at(8)).await.unwrap();
    let factor = NewSecondFactor {
        account_id: "0123".to_owned(),
        sealed: "sealed".to_owned(),
        last_step: 7,
        recovery: vec!["hash".to_owned()],
    };
    store.second_factors().add(&factor, None, at(8)).await.unwrap();
    let tries = NewTries { tries: json!([1, 2]), expires_at: at(300) };
    store.login_tries().count("account:cyd", at(8), |_| (Some(tries), ())).await.unwrap();
    let ticket = NewTicket {
        hash: [4; 32],
        kind: "reset".to_owned(),
        purpose: json!({"kind": "reset"}),
        account_id: Some("0123".to_owned()),
        created: at(8),
        expires_at: at(900),
        uses_left: 1,
    };
    store.tickets().create(&ticket).await.unwrap();
}

/// The lines after the header, tables as well as rows.
fn body(text: &str) -> Vec<Json> {
    text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Names of the tables that have rows.
fn filled_tables(text: &str) -> Vec<String> {
    let mut filled = Vec::new();
    let mut current = String::new();
    for line in body(text) {
        match line.get("table") {
            Some(table) => current = table.as_str().unwrap().to_owned(),
            None if line.is_array() && filled.last() != Some(&current) => {
                filled.push(current.clone());
            }
            None => {}
        }
    }
    filled
}

/// Exports a filled store at `from`, imports it at `to`, compares row by row.
async fn round_trip(from: &str, to: &str) {
    let source = open(from).await;
    fill(&source).await;
    let (text, exported) = export(&source).await;
    source.close().await;

    let imported = Store::import(&config(to), text.as_bytes(), ImportMode::Empty).await.unwrap();

    let target = open(to).await;
    let (again, _) = export(&target).await;
    assert_eq!(imported.rows, exported.rows);
    assert_eq!(imported.header.program, "hub-tests 1");
    assert_eq!(body(&again), body(&text));
    assert_eq!(
        filled_tables(&text),
        [
            "users",
            "identities",
            "servers",
            "server_logs",
            "oauth_clients",
            "oauth_codes",
            "tokens",
            "sessions",
            "user_groups",
            "group_members",
            "role_members",
            "services",
            "shares",
            "share_codes",
            "local_accounts",
            "second_factors",
            "login_tries",
            "tickets",
            "auth_states"
        ]
    );
    // The store's own reading of it, and the next id: 3 was given out before.
    let ada = target.users().by_name(&name("ada")).await.unwrap().unwrap();
    assert!(ada.admin && ada.last_activity == Some(at(5)));
    let token = target.tokens().by_hash(&[1; 32], at(5)).await.unwrap().unwrap();
    assert_eq!(token.owner, TokenOwner::User(ada.id));
    assert_eq!(user(&target, "next").await.id.get(), 4);
    target.close().await;
}

fn file(directory: &Path, name: &str) -> String {
    format!("sqlite://{}", directory.join(name).display())
}

#[tokio::test]
async fn bak_3_sqlite_to_sqlite_keeps_every_row() {
    let directory = tempfile::tempdir().unwrap();
    round_trip(&file(directory.path(), "a"), &file(directory.path(), "b")).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
async fn bak_3_postgres_to_postgres_keeps_every_row() {
    let (a, b) = (Schema::create().await, Schema::create().await);
    round_trip(a.url(), b.url()).await;
    a.remove().await;
    b.remove().await;
}

/// An export as the first schema had it. Never to be changed: such archives lie on
/// people's disks.
const FIRST_SCHEMA: &str = include_str!("fixtures/schema-1.jsonl");

/// Imports it at `url` and looks at it with this program's eyes.
async fn an_old_export_is_brought_up_to_date(url: &str) {
    let imported =
        Store::import(&config(url), FIRST_SCHEMA.as_bytes(), ImportMode::Empty).await.unwrap();
    assert_eq!((imported.header.schema, imported.rows), (1, 8));

    let store = open(url).await;
    let ada = store.users().by_name(&name("ada")).await.unwrap().unwrap();
    assert!(ada.admin && ada.last_activity == Some(at(5)));
    assert!(store.tokens().by_hash(&[1; 32], at(5)).await.unwrap().is_some());
    assert!(store.servers().get(&key("ada", "")).await.unwrap().is_some());
    let (text, now) = export(&store).await;
    assert!(now.schema > 1 && text.contains("\"server_logs\""), "{text}");
    store.close().await;
}

#[tokio::test]
async fn bak_5_an_export_of_the_first_schema_is_brought_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    an_old_export_is_brought_up_to_date(&file(directory.path(), "a")).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
async fn bak_5_an_export_of_the_first_schema_is_brought_up_to_date_in_postgres() {
    let schema = Schema::create().await;
    an_old_export_is_brought_up_to_date(schema.url()).await;
    schema.remove().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
async fn bak_3_sqlite_to_postgres_and_back_keeps_every_row() {
    let directory = tempfile::tempdir().unwrap();
    let schema = Schema::create().await;
    round_trip(&file(directory.path(), "a"), schema.url()).await;
    let postgres = open(schema.url()).await;
    let (text, _) = export(&postgres).await;
    postgres.close().await;
    schema.remove().await;

    let back = file(directory.path(), "b");
    Store::import(&config(&back), text.as_bytes(), ImportMode::Empty).await.unwrap();

    assert_eq!(body(&export(&open(&back).await).await.0), body(&text));
}

on_every_engine! {
    async fn an_export_of_nothing_is_whole(store) {
        let (text, exported) = export(&store).await;
        assert_eq!(exported.rows, 0);
        assert_eq!(text.lines().last().unwrap(), r#"{"end":{"rows":0}}"#);
        let header: Json = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(header["schema"], exported.schema);
    }

    async fn every_table_of_the_schema_is_exported(store) {
        // A migration that adds a table has to add it to `TABLES` as well.
        let listed: Vec<Json> = body(&export(&store).await.0)
            .into_iter()
            .filter_map(|line| line.get("table").cloned())
            .collect();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
        for migration in fs::read_dir(folder).unwrap() {
            let sql = fs::read_to_string(migration.unwrap().path()).unwrap();
            for table in sql.lines().filter_map(|line| line.strip_prefix("CREATE TABLE ")) {
                let table = table.split_whitespace().next().unwrap();
                assert!(listed.contains(&json!(table)), "{table} is not exported");
            }
        }
    }
}

#[tokio::test]
async fn bak_3_a_store_in_use_can_be_exported_but_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let url = file(directory.path(), "hub.sqlite");
    let hub = open(&url).await;
    fill(&hub).await;

    let beside = Store::open_read_only(&config(&url)).await.unwrap();
    let (text, _) = export(&beside).await;
    user(&hub, "later").await;
    let change = beside.users().create(&name("eve"), false, at(0)).await;
    beside.close().await;
    let import = Store::import(&config(&url), text.as_bytes(), ImportMode::Replace).await;

    assert!(matches!(change, Err(StoreError::Unavailable { .. })), "{change:?}");
    assert!(matches!(import, Err(StoreError::InUse { .. })), "{import:?}");
    assert!(hub.users().by_name(&name("later")).await.unwrap().is_some());
    assert_eq!(body(&text), {
        let mut all = body(&export(&hub).await.0);
        all.retain(|line| line[1] != "later");
        all[0]["last_id"] = json!(3);
        let rows = all.len() - 1;
        all[rows] = body(&text).pop().unwrap();
        all
    });
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
async fn bak_3_a_postgres_store_in_use_can_be_exported_but_not_replaced() {
    let schema = Schema::create().await;
    let hub = open(schema.url()).await;
    fill(&hub).await;

    let beside = Store::open_read_only(&config(schema.url())).await.unwrap();
    let (text, exported) = export(&beside).await;
    let change = beside.users().create(&name("eve"), false, at(0)).await;
    beside.close().await;
    let import = Store::import(&config(schema.url()), text.as_bytes(), ImportMode::Replace).await;
    hub.close().await;
    schema.remove().await;

    assert!(exported.rows > 7);
    assert!(matches!(change, Err(StoreError::Unavailable { .. })), "{change:?}");
    assert!(matches!(import, Err(StoreError::InUse { .. })), "{import:?}");
}

#[tokio::test]
async fn a_store_that_is_not_empty_is_only_replaced_when_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let (a, b) = (file(directory.path(), "a"), file(directory.path(), "b"));
    let source = open(&a).await;
    fill(&source).await;
    let (text, _) = export(&source).await;
    let target = open(&b).await;
    user(&target, "eve").await;
    user(&target, "mallory").await;
    user(&target, "trent").await;
    target.close().await;

    let refused = Store::import(&config(&b), text.as_bytes(), ImportMode::Empty).await;
    assert!(matches!(refused, Err(StoreError::NotEmpty)), "{refused:?}");
    assert_eq!(open(&b).await.users().count(None).await.unwrap(), 3);

    Store::import(&config(&b), text.as_bytes(), ImportMode::Replace).await.unwrap();
    let target = open(&b).await;
    assert_eq!(body(&export(&target).await.0), body(&text));
}

#[tokio::test]
async fn a_damaged_export_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (a, b) = (file(directory.path(), "a"), file(directory.path(), "b"));
    let source = open(&a).await;
    fill(&source).await;
    let (text, _) = export(&source).await;
    let target = open(&b).await;
    user(&target, "eve").await;
    let (before, _) = export(&target).await;
    target.close().await;
    let lines: Vec<&str> = text.lines().collect();
    let cut = |count: usize| lines[..count].iter().map(|line| format!("{line}\n")).collect();
    let rows: [(&str, String, &str); 7] = [
        ("cut between lines", cut(lines.len() - 1), "cut off"),
        ("cut in a line", text[..text.len() - 3].to_owned(), "cut off"),
        (
            "a row is missing",
            text.replacen(&format!("{}\n", lines[lines.len() - 2]), "", 1),
            "it should hold",
        ),
        ("another table", text.replacen("\"users\"", "\"passwords\"", 1), "no table"),
        ("another column", text.replacen("\"admin\"", "\"root\"", 1), "no such columns"),
        ("a wrong value", text.replacen("\"ada\",\"ada\",1", "\"ada\",\"ada\",7", 1), "refused"),
        ("a value too few", text.replacen("\"ada\",\"ada\",1", "\"ada\",1", 1), "6 values"),
    ];

    for (label, damaged, expected) in rows {
        assert_ne!(damaged, text, "{label}");
        let import = Store::import(&config(&b), damaged.as_bytes(), ImportMode::Replace).await;
        let Err(error @ StoreError::BadExport { .. }) = import else {
            panic!("{label}: {import:?}");
        };
        assert!(error.to_string().contains(expected), "{label}: {error}");
        assert_eq!(export(&open(&b).await).await.0, before, "{label}");
    }
}

#[tokio::test]
async fn an_export_of_a_newer_schema_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&file(directory.path(), "a")).await;
    let (text, exported) = export(&store).await;
    let newer = text.replacen(&format!("\"schema\":{}", exported.schema), "\"schema\":999", 1);

    let path = directory.path().join("b");
    let url = format!("sqlite://{}", path.display());
    let import = Store::import(&config(&url), newer.as_bytes(), ImportMode::Empty).await;

    assert!(matches!(import, Err(StoreError::Newer { found: 999, .. })), "{import:?}");
    assert!(!path.exists());
}

#[tokio::test]
async fn what_is_no_store_cannot_be_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let missing = file(directory.path(), "missing");
    let error = Store::open_read_only(&config(&missing)).await.unwrap_err();
    assert!(error.to_string().contains("there is no such file"), "{error}");
    assert!(!directory.path().join("missing").exists());

    fs::write(directory.path().join("empty"), "").unwrap();
    let empty = file(directory.path(), "empty");
    let error = Store::open_read_only(&config(&empty)).await.unwrap_err();
    assert!(error.to_string().contains("no hub's store in it"), "{error}");

    let path = directory.path().join("newer");
    open(&format!("sqlite://{}", path.display())).await.close().await;
    let options = SqliteConnectOptions::new().filename(&path);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let last = "(SELECT max(version) FROM _sqlx_migrations)";
    let later = format!("UPDATE _sqlx_migrations SET version = 1001 WHERE version = {last}");
    connection.execute(AssertSqlSafe(later)).await.unwrap();
    connection.close().await.unwrap();
    let newer = file(directory.path(), "newer");
    let error = Store::open_read_only(&config(&newer)).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 1001, .. }), "{error:?}");
}
