//! A second Docker daemon on this machine, behind TLS, with everything of its
//! own: nothing it does touches the other one. It has a bridge of its own, too: a
//! daemon that is told to have none deletes `docker0`, whoever made it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use hub_spawner::engine::{DockerHost, Engine, HostSettings};
use tempfile::TempDir;
use tokio::time::Instant;

use super::certificates::Authority;

const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Daemon {
    dir: TempDir,
    client_dir: PathBuf,
    port: u16,
    /// After the daemon, which uses it.
    _bridge: Bridge,
    child: Child,
}

/// A network device. Gone with this value.
struct Bridge(String);

impl Daemon {
    /// Starts one and waits until it answers.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The same, with more arguments.
    pub(crate) async fn with(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        let (server_dir, client_dir) = (at("server"), at("client"));
        let authority = Authority::new();
        for place in [&server_dir, &client_dir] {
            fs::create_dir(place).expect("a directory");
            fs::write(place.join("ca.pem"), authority.pem()).expect("write");
        }
        authority.issue_daemon(&server_dir);
        authority.issue_client(&client_dir);
        fs::write(at("daemon.json"), "{}").expect("write");

        let port = free_port().await;
        let bridge = Bridge::make(port);
        let log = File::create(at("log")).expect("a log");
        let child = Command::new("dockerd")
            .arg("--config-file")
            .arg(at("daemon.json"))
            .arg("--data-root")
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("--pidfile")
            .arg(at("pid"))
            // Another daemon's containers are not ours, even in one containerd.
            .args(["--containerd-namespace", &format!("hub-test-{port}")])
            .args(["--containerd-plugins-namespace", &format!("hub-test-plugins-{port}")])
            .args(["--bridge", &bridge.0])
            .args(["--iptables=false", "--ip-forward=false", "--ip-masq=false"])
            .args(["--storage-driver=vfs", "--host", &format!("tcp://127.0.0.1:{port}")])
            .arg("--tlsverify")
            .arg("--tlscacert")
            .arg(server_dir.join("ca.pem"))
            .arg("--tlscert")
            .arg(server_dir.join("cert.pem"))
            .arg("--tlskey")
            .arg(server_dir.join("key.pem"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("install docker.io");
        let mut daemon = Self { dir, client_dir, port, _bridge: bridge, child };
        daemon.wait_until_it_answers().await;
        daemon
    }

    pub(crate) fn address(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }

    /// Where a client finds its files.
    pub(crate) fn client_dir(&self) -> &Path {
        &self.client_dir
    }

    pub(crate) fn settings(&self) -> HostSettings {
        HostSettings {
            tls_verify: true,
            cert_path: Some(self.client_dir.clone()),
            ..HostSettings::at(Some(&self.address()))
        }
    }

    async fn wait_until_it_answers(&mut self) {
        let host = DockerHost::resolve(&self.settings()).expect("the settings make sense");
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = Engine::connect_to(&host).await {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            if let Some(status) = self.child.try_wait().expect("wait") {
                panic!("dockerd ended with {status}:\n{log}");
            }
            assert!(Instant::now() < deadline, "{error:?}:\n{log}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Drop for Daemon {
    /// Asks it to end, so that it takes its own processes with it.
    fn drop(&mut self) {
        ran(Command::new("kill").arg(self.child.id().to_string()));
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        // Where it has ended this does nothing.
        let _ = self.child.kill();
    }
}

impl Bridge {
    /// A bridge of eight addresses of the range that is meant for tests.
    fn make(port: u16) -> Self {
        let bridge = Self(format!("hubtest{port}"));
        let [high, low] = port.to_be_bytes();
        let address = format!("198.18.{high}.{}/29", (low & !7) + 1);
        assert!(ran(Command::new("ip").args(["link", "add", &bridge.0, "type", "bridge"])));
        assert!(ran(Command::new("ip").args(["address", "add", &address, "dev", &bridge.0])));
        assert!(ran(Command::new("ip").args(["link", "set", &bridge.0, "up"])));
        bridge
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        ran(Command::new("ip").args(["link", "delete", &self.0]));
    }
}

fn ran(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

/// A port that nobody uses at the moment.
pub(crate) async fn free_port() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("bound").port()
}
