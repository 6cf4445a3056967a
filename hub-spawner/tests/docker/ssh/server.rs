//! An `ssh` server of this test's own: keys, port and configuration are in a
//! directory of its own, and so is the client's configuration.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use hub_spawner::engine::HostSettings;
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use crate::remote::free_port;

const PATIENCE: Duration = Duration::from_secs(60);

/// What the machine behind the server is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    /// The client knows the server's key.
    pub(crate) known: bool,
    /// The server knows the client's key.
    pub(crate) let_in: bool,
    /// There is a program `docker`.
    pub(crate) docker: bool,
    /// A daemon listens where that program looks.
    pub(crate) daemon: bool,
    /// Sockets are forwarded.
    pub(crate) forwards: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { known: true, let_in: true, docker: true, daemon: true, forwards: true }
    }
}

pub(crate) struct Server {
    dir: TempDir,
    port: u16,
    child: Child,
}

impl Server {
    pub(crate) async fn start(setup: Setup) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        let port = free_port().await;
        for key in ["host_key", "client_key"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(at(key))
                .status()
                .await
                .expect("install openssh-client");
            assert!(made.success());
        }
        let public = |key: &str| fs::read_to_string(at(&format!("{key}.pub"))).expect("a key");
        fs::write(
            at("authorized"),
            if setup.let_in { public("client_key") } else { String::new() },
        )
        .expect("write");
        let known = format!("[127.0.0.1]:{port} {}", public("host_key"));
        fs::write(at("known"), if setup.known { known } else { String::new() }).expect("write");

        let path = programs(&at("bin"), setup.docker);
        let nowhere = if setup.daemon { "" } else { " DOCKER_HOST=unix:///nowhere/docker.sock" };
        let forwards = if setup.forwards { "yes" } else { "no" };
        let text = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nPidFile none\n\
             AuthorizedKeysFile {authorized}\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             AllowStreamLocalForwarding {forwards}\nSetEnv PATH={path}{nowhere}\n",
            host_key = at("host_key").display(),
            authorized = at("authorized").display(),
            path = path.display(),
        );
        fs::write(at("sshd_config"), text).expect("write");
        let text = format!(
            "Host *\n  IdentityFile {key}\n  IdentitiesOnly yes\n  IdentityAgent none\n  \
             UserKnownHostsFile {known}\n  GlobalKnownHostsFile none\n",
            key = at("client_key").display(),
            known = at("known").display(),
        );
        fs::write(at("ssh_config"), text).expect("write");

        // The server insists on this directory, and on an absolute path to itself.
        fs::create_dir_all("/run/sshd").expect("a directory");
        let log = File::create(at("log")).expect("a log");
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(at("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("install openssh-server");
        let mut server = Self { dir, port, child };
        server.wait_until_it_listens().await;
        server
    }

    /// How to reach the daemon behind it.
    pub(crate) fn settings(&self, path: &str) -> HostSettings {
        HostSettings {
            ssh_config: Some(self.client_config()),
            ..HostSettings::at(Some(&format!("ssh://root@127.0.0.1:{}{path}", self.port)))
        }
    }

    /// How many processes use it at the moment.
    pub(crate) fn clients(&self) -> usize {
        let config = self.client_config().display().to_string();
        let processes = fs::read_dir("/proc").expect("list processes").flatten();
        processes
            .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
            .filter(|words| words.split(|byte| *byte == 0).any(|word| word == config.as_bytes()))
            .count()
    }

    /// Ends it; its files stay as long as this value.
    pub(crate) async fn end(&mut self) {
        self.child.kill().await.expect("end the server");
    }

    fn client_config(&self) -> PathBuf {
        self.dir.path().join("ssh_config")
    }

    async fn wait_until_it_listens(&mut self) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while let Err(error) = TcpStream::connect(("127.0.0.1", self.port)).await {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            if let Some(status) = self.child.try_wait().expect("wait") {
                panic!("sshd ended with {status}:\n{log}");
            }
            assert!(tokio::time::Instant::now() < deadline, "{error}:\n{log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A directory with the only programs that are found behind the server.
fn programs(dir: &Path, docker: bool) -> PathBuf {
    fs::create_dir(dir).expect("a directory");
    symlink("/bin/cat", dir.join("cat")).expect("link");
    if docker {
        let places = ["/usr/bin/docker", "/usr/local/bin/docker"].map(Path::new);
        let found = places.into_iter().find(|place| place.exists()).expect("install docker.io");
        symlink(found, dir.join("docker")).expect("link");
    }
    dir.to_owned()
}
