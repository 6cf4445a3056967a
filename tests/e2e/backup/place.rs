//! A configuration without a hub, and the volumes it means.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use hub_spawner::engine::{ContainerSpec, Engine, Labels, Mount};
use hub_tests::{
    docker,
    hub::{notebook_image, program},
};
use tempfile::TempDir;
use uuid::Uuid;

/// Files of all kinds, of several owners; `dd` leaves a hole of 8 MiB.
pub(super) const FILL: &str = "cd /v && umask 022
mkdir -p sub/deep && echo one > sub/deep/file && echo two > 'a name' && echo ü > ümlaut
chown 1000:100 sub 'a name' && chown 4242:2424 sub/deep/file
chmod 4750 sub/deep/file && chmod 1777 sub && chmod 600 'a name'
ln -s sub/deep/file soft && ln -s /nowhere dangling && ln 'a name' hard && mkfifo pipe
dd if=/dev/urandom of=big bs=1024 count=3000 seek=8192 2>/dev/null
d=$(printf 'long%.0s' $(seq 40)) && mkdir -p $d/$d && echo deep > $d/$d/file && ln -s $d/$d/file far
touch -d '2001-02-03 04:05:06' sub/deep/file && touch -d '2002-03-04 05:06:07' sub
chown 1000:100 . && chmod 2770 .";

/// All there is to know of each file: name, kind, mode, owner, size, links, time,
/// target, content.
const TELL: &str = "cd /v && find . | LC_ALL=C sort | while read -r f; do
stat -c '%n %F %a %u:%g %s %h' \"$f\"; [ -L \"$f\" ] || stat -c '%Y' \"$f\"
[ -L \"$f\" ] && readlink \"$f\"; [ -f \"$f\" ] && md5sum < \"$f\"; done; true";

/// How long a command in a container may take.
const DEADLINE: Duration = Duration::from_secs(120);

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
        let spec = ContainerSpec {
            command: Some(["sh", "-ec", line].map(str::to_owned).to_vec()),
            entrypoint: Some(Vec::new()),
            user: Some("0".to_owned()),
            mounts: vec![Mount::volume(self.volume(user), "/v")],
            labels: [("hub.deployment".to_owned(), self.deployment.clone())].into(),
            ..ContainerSpec::new("", notebook_image())
        };
        let done = self.engine.run_to_end(&spec, DEADLINE).await.unwrap();
        assert_eq!(done.code, 0, "{}", done.output);
        done.output
    }

    /// Everything about every file in a user's volume.
    pub(super) async fn tell(&self, user: &str) -> String {
        self.shell(user, TELL).await
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

pub(super) fn succeeded(arguments: &[&str], output: Output) -> String {
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
