//! What `--help` says. The command line is a contract: scripts are written
//! against it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::Command;

/// The help of `hub` or of one of its commands.
fn help(command: &[&str]) -> String {
    let output = Command::new(assert_cmd::cargo::cargo_bin!("hub"))
        .args(command)
        .arg("--help")
        .env_remove("COLUMNS")
        .env("HUB_URL", "https://in-the-environment.example")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_of_hub() {
    insta::assert_snapshot!(help(&[]));
}

#[test]
fn help_of_info() {
    insta::assert_snapshot!(help(&["info"]));
}

#[test]
fn help_of_config() {
    insta::assert_snapshot!("config", help(&["config"]));
    insta::assert_snapshot!("config_show", help(&["config", "show"]));
    insta::assert_snapshot!("config_check", help(&["config", "check"]));
    insta::assert_snapshot!("config_init", help(&["config", "init"]));
}

#[test]
fn help_of_import_config() {
    insta::assert_snapshot!("import_config", help(&["import-config"]));
}

#[test]
fn help_of_auth() {
    insta::assert_snapshot!("auth", help(&["auth"]));
    insta::assert_snapshot!("auth_explain", help(&["auth", "explain"]));
    insta::assert_snapshot!("auth_check", help(&["auth", "check"]));
}

#[test]
fn help_of_crypt() {
    insta::assert_snapshot!("crypt", help(&["crypt"]));
    insta::assert_snapshot!("crypt_rotate", help(&["crypt", "rotate"]));
}

#[test]
fn help_of_gc() {
    insta::assert_snapshot!("gc", help(&["gc"]));
}

#[test]
fn help_of_reload() {
    insta::assert_snapshot!("reload", help(&["reload"]));
}

#[test]
fn help_of_doctor() {
    insta::assert_snapshot!(help(&["doctor"]));
}

#[test]
fn help_of_users() {
    insta::assert_snapshot!("users", help(&["users"]));
    insta::assert_snapshot!("users_list", help(&["users", "list"]));
    insta::assert_snapshot!("users_show", help(&["users", "show"]));
    insta::assert_snapshot!("users_add", help(&["users", "add"]));
    insta::assert_snapshot!("users_admin", help(&["users", "admin"]));
    insta::assert_snapshot!("users_delete", help(&["users", "delete"]));
    insta::assert_snapshot!("users_identity", help(&["users", "identity"]));
    insta::assert_snapshot!("users_identities", help(&["users", "identities"]));
    insta::assert_snapshot!("users_purge", help(&["users", "purge"]));
}

#[test]
fn help_of_backup() {
    insta::assert_snapshot!("backup", help(&["backup"]));
    insta::assert_snapshot!("backup_hub", help(&["backup", "hub"]));
    insta::assert_snapshot!("backup_user", help(&["backup", "user"]));
    insta::assert_snapshot!("backup_all", help(&["backup", "all"]));
    insta::assert_snapshot!("backup_directory", help(&["backup", "directory"]));
}

#[test]
fn help_of_restore() {
    insta::assert_snapshot!("restore", help(&["restore"]));
    insta::assert_snapshot!("restore_hub", help(&["restore", "hub"]));
    insta::assert_snapshot!("restore_user", help(&["restore", "user"]));
    insta::assert_snapshot!("restore_all", help(&["restore", "all"]));
    insta::assert_snapshot!("restore_directory", help(&["restore", "directory"]));
}

#[test]
fn help_of_servers() {
    insta::assert_snapshot!("servers", help(&["servers"]));
    insta::assert_snapshot!("servers_list", help(&["servers", "list"]));
    insta::assert_snapshot!("servers_start", help(&["servers", "start"]));
    insta::assert_snapshot!("servers_stop", help(&["servers", "stop"]));
    insta::assert_snapshot!("servers_log", help(&["servers", "log"]));
}

#[test]
fn help_of_tokens() {
    insta::assert_snapshot!("tokens", help(&["tokens"]));
    insta::assert_snapshot!("tokens_create", help(&["tokens", "create"]));
    insta::assert_snapshot!("tokens_list", help(&["tokens", "list"]));
    insta::assert_snapshot!("tokens_revoke", help(&["tokens", "revoke"]));
}
