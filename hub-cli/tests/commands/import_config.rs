//! `hub import-config`

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::Value;

use super::program;

const SCRIPT: &str = r#"import os

c = get_config()  # noqa

c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
c.DockerSpawner.image = os.environ["DOCKER_NOTEBOOK_IMAGE"]
c.DockerSpawner.network_name = "hub-net"
c.DockerSpawner.mem_limit = "2G"
c.JupyterHub.authenticator_class = "oauthenticator.GitHubOAuthenticator"
c.GitHubOAuthenticator.oauth_callback_url = "https://hub.test/hub/oauth_callback"
c.GitHubOAuthenticator.client_id = "id"
c.GitHubOAuthenticator.client_secret = "hush"
c.Spawner.pre_spawn_hook = lambda spawner: None
c.JupyterHub.cleanup_servers = False
"#;

fn import_config(dir: &Path, args: &[&str]) -> program::Run {
    let mut command = program::hub(&[]);
    command.env_clear().current_dir(dir);
    program::run(command.arg("import-config").args(args))
}

#[test]
fn spn_1_a_script_becomes_a_file_that_the_hub_reads() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("jupyterhub_config.py"), SCRIPT).unwrap();
    let run = import_config(dir.path(), &["jupyterhub_config.py", "--output", "hub.toml"]);
    insta::assert_snapshot!(run.success(), @r#"
    10 settings: 7 taken over, 2 not needed, 1 to look at.
    To look at:
      line 13: c.Spawner.pre_spawn_hook: settings are values, not programs; group_overrides, the user list and auth.spawn_env_from_auth_state may do
    Not needed:
      line 6: c.DockerSpawner.image: the hub reads DOCKER_NOTEBOOK_IMAGE itself
      line 14: c.JupyterHub.cleanup_servers: servers go on when the hub is stopped
    What the new file still lacks, unless variables set it:
      spawner.docker.image: is missing; name the image of the notebook servers here or as DOCKER_NOTEBOOK_IMAGE
    hub.toml is written. Then: hub config check --config hub.toml
    "#);
    let path = dir.path().join("hub.toml");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "it has secrets");
    insta::assert_snapshot!(fs::read_to_string(&path).unwrap(), @r#"
    # Made of a jupyterhub_config.py by `hub import-config`. The numbers are its lines.
    # All keys: hub config init FILE, and docs/configuration.md.

    [auth.github]
    client_id = "id"  # 11
    client_secret = "hush"  # 12
    callback_url = "https://hub.test/hub/oauth_callback"  # 10

    [spawner]
    kind = "docker"  # 5

    [spawner.docker]
    mem_limit = "2G"  # 8
    network = "hub-net"  # 7
    remove = false  # JupyterHub's default
    "#);

    // With the variable that the script took it from, it is complete.
    let mut check = program::hub(&["config", "check"]);
    check.env_clear().current_dir(dir.path()).env("DOCKER_NOTEBOOK_IMAGE", "lab");
    assert!(program::run(&mut check).success().contains("in order"));

    // A second time nothing is touched.
    let again = import_config(dir.path(), &["jupyterhub_config.py", "-o", "hub.toml"]).failure(2);
    assert!(again.contains("hub.toml is there already, and is not touched"), "{again}");
}

#[test]
fn spn_1_without_a_file_the_configuration_is_printed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("c.py"), "c.DockerSpawner.image = 'lab'\n").unwrap();
    let printed = import_config(dir.path(), &["c.py"]).success();
    let read: toml::Table = toml::from_str(&printed).unwrap();
    assert_eq!(read["spawner"]["docker"]["image"].as_str(), Some("lab"));

    let mut command = program::hub(&["--json", "import-config", "c.py"]);
    command.env_clear().current_dir(dir.path());
    let told: Value = serde_json::from_str(&program::run(&mut command).success()).unwrap();
    assert_eq!(told["settings"][0]["key"], "spawner.docker.image");
    assert_eq!(told["settings"][0]["outcome"], "taken");
    assert_eq!(told["settings"][0]["line"], 1);
    assert_eq!(told["problems"].as_array().map(Vec::len), Some(0));
}

#[test]
fn spn_1_what_cannot_be_read_is_an_error_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bad.py"), "c.X.y = = 1\n").unwrap();
    fs::write(dir.path().join("bytes.py"), b"\xff\xfe\n").unwrap();
    for (args, expected) in [
        (["bad.py", "-o", "new.toml"], "hub: bad.py: line 1: not Python"),
        (["bytes.py", "-o", "new.toml"], "hub: bytes.py: is not UTF-8 text"),
    ] {
        let told = import_config(dir.path(), &args).failure(2);
        assert!(told.contains(expected), "{told}");
        assert!(!dir.path().join("new.toml").exists());
    }
    let told = import_config(dir.path(), &["none.py"]).failure(1);
    assert!(told.contains("none.py: No such file"), "{told}");
}
