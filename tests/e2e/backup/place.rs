//! A configuration without a hub, and the volumes it means.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use hub_spawner::engine::{Engine, Labels};
use hub_tests::{
    docker,
    hub::{notebook_image, program},
    volume,
};
use tempfile::TempDir;
use uuid::Uuid;

/// A directory with a `hub.toml`. What is labelled with its deployment is removed
/// with it.
pub(super) struct Place {
    pub(super) dir: TempDir,
    pub(super) deployment: String,
    engine: Engine,
}

impl Place {
    pub(super) async fn new() -> Self {
        let deployment = format!("test-{}", &Uuid::new_v4().simple().to_string()[..12]);
        let dir = tempfile::Builder::new().prefix("hub-backup-").tempdir().unwrap();
        let config = format!(
            "[http]\nlisten = \"127.0.0.1:1\"\n[store]\nurl = \"sqlite://hub.sqlite\"\n\
             [spawner.docker]\nimage = \"{}\"\ndeployment = \"{deployment}\"\n\
             volumes = {{ \"{deployment}-{{username}}\" = \"/home/jovyan/work\" }}\n",
            notebook_image()
        );
        fs::write(dir.path().join("hub.toml"), config).unwrap();
        Self { dir, deployment, engine: docker::engine().await }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The volume that the configuration means for a user.
    pub(super) fn volume(&self, user: &str) -> String {
        format!("{}-{user}", self.deployment)
    }

    /// Makes a user's volume, as the hub does.
    pub(super) async fn make_volume(&self, user: &str) {
        let labels = [("deployment", self.deployment.as_str()), ("user", user), ("kind", "volume")]
            .map(|(key, value)| (format!("hub.{key}"), value.to_owned()));
        self.engine.ensure_volume(&self.volume(user), &Labels::from(labels)).await.unwrap();
    }

    /// Runs a line of shell as root, with the user's volume at `/v`.
    pub(super) async fn shell(&self, user: &str, line: &str) -> String {
        volume::shell(&self.deployment, &self.volume(user), line).await
    }

    /// Everything about every file in a user's volume.
    pub(super) async fn tell(&self, user: &str) -> String {
        self.shell(user, volume::TELL).await
    }

    /// How many containers lend their mounts just now.
    pub(super) async fn helpers(&self, user: &str) -> usize {
        let labels = [("hub.helper-volume".to_owned(), self.volume(user))].into();
        self.engine.containers(&labels).await.unwrap().len()
    }

    /// Whether the user has a volume.
    pub(super) async fn has_volume(&self, user: &str) -> bool {
        self.engine.volume(&self.volume(user)).await.unwrap().is_some()
    }

    /// Runs `hub` with the configuration of this place.
    pub(super) fn hub(&self, arguments: &[&str]) -> Output {
        hub(self.dir.path(), arguments, &[])
    }

    /// Runs `hub`, which has to succeed; what it printed.
    pub(super) fn ok(&self, arguments: &[&str]) -> String {
        succeeded(arguments, self.hub(arguments))
    }

    /// Runs `hub`, which has to fail; what it complained about.
    pub(super) fn refused(&self, arguments: &[&str]) -> String {
        let output = self.hub(arguments);
        assert!(!output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        docker::sweep(&self.deployment);
    }
}

/// Runs `hub` in a directory with a `hub.toml`.
pub(super) fn hub(directory: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    Command::new(program("hub"))
        .args(arguments)
        .args(["--config", "hub.toml"])
        .current_dir(directory)
        .env_clear()
        .envs(env.iter().copied())
        .output()
        .unwrap()
}

/// The same, with a file of that directory as standard input.
pub(super) fn fed(directory: &Path, arguments: &[&str], input: &str) -> Output {
    Command::new(program("hub"))
        .args(arguments)
        .args(["--config", "hub.toml"])
        .current_dir(directory)
        .env_clear()
        .stdin(fs::File::open(directory.join(input)).unwrap())
        .output()
        .unwrap()
}

pub(super) fn succeeded(arguments: &[&str], output: Output) -> String {
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
