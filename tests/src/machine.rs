//! Another machine with a Docker engine: processes, network and mounts of its own
//! on this one, and a cable between. Whatever runs on it ends with it.
//!
//! Needs to be root.

mod cgroup;
mod disk;
mod images;
mod ssh;
mod swarm;

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use hub_spawner::engine::{DockerHost, Engine, HostSettings};
use tempfile::TempDir;
use uuid::Uuid;

use self::cgroup::Cgroup;
pub use self::disk::Disk;
use crate::{
    certificate::Authority,
    wait::{DEADLINE, eventually},
};

/// Where its engine listens for others.
const PORT: u16 = 2376;

/// The machine. Gone when dropped.
#[derive(Debug)]
pub struct Machine {
    dir: TempDir,
    /// Holds the machine's first process, which ends when its input does.
    power: Child,
    /// That process.
    first: u32,
    /// The engine, as long as it should run.
    engine: Option<tokio::process::Child>,
    group: Cgroup,
    /// This end of the cable: what the machine reaches us at.
    pub gateway: Ipv4Addr,
    /// Its address.
    pub address: Ipv4Addr,
}

impl Machine {
    /// Switches one on and starts its engine, which keeps everything on `disk`.
    pub async fn start(disk: Disk) -> Self {
        let dir = tempfile::Builder::new().prefix("machine-").tempdir().unwrap();
        fs::create_dir(dir.path().join("data")).unwrap();
        let lit = dir.path().join("lit");
        let boot = format!(
            "mount -t tmpfs tmpfs /run && {} && touch {} && exec docker-init -- cat",
            disk.mount(&dir.path().join("data")),
            lit.display()
        );
        let power = Command::new("unshare")
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            // What is unmounted around it is not held here.
            .args(["--propagation", "slave", "sh", "-ec", &boot])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let first = eventually("the machine is on", async || {
            let children = format!("/proc/{0}/task/{0}/children", power.id());
            let first = fs::read_to_string(children).unwrap().trim().parse::<u32>();
            first.ok().filter(|_| lit.exists()).ok_or("dark")
        })
        .await;
        // Four addresses of the range that is meant for tests.
        let id = Uuid::new_v4();
        let [high, low, last, ..] = *id.as_bytes();
        let end = |end: u8| Ipv4Addr::new(198, 18 | (high & 1), low, (last & !3) | end);
        let name = format!("hubtest{}", &id.simple().to_string()[..8]);
        let mut machine = Self {
            dir,
            power,
            first,
            engine: None,
            group: Cgroup(name.clone()),
            gateway: end(1),
            address: end(2),
        };
        machine.connect(&name);
        machine.issue_certificates();
        machine.start_engine().await;
        machine
    }

    fn connect(&self, device: &str) {
        let (here, there) = (self.gateway, self.address);
        let first = self.first;
        run(&format!("ip link add {device} type veth peer name eth0 netns {first}"));
        run(&format!("ip address add {here}/30 dev {device}"));
        run(&format!("ip link set {device} up"));
        for command in [
            "ip link set lo up".to_owned(),
            format!("ip address add {there}/30 dev eth0"),
            "ip link set eth0 up".to_owned(),
            format!("ip route add default via {here}"),
        ] {
            run(&format!("nsenter --target {first} --net {command}"));
        }
    }

    fn issue_certificates(&self) {
        let authority = Authority::new();
        for place in [self.at("server"), self.certificates()] {
            fs::create_dir(&place).unwrap();
            fs::write(place.join("ca.pem"), authority.pem()).unwrap();
        }
        authority.issue_server(&self.at("server"), &[&self.address.to_string()]);
        authority.issue_client(&self.certificates());
        fs::write(self.at("daemon.json"), "{}").unwrap();
    }

    /// Starts its engine and waits until it answers.
    pub async fn start_engine(&mut self) {
        let log = File::options().create(true).append(true).open(self.at("log")).unwrap();
        let mut command = self.inside("dockerd");
        command
            .arg("--config-file")
            .arg(self.at("daemon.json"))
            .arg("--data-root")
            .arg(self.data())
            .args(["--exec-opt", "native.cgroupdriver=cgroupfs"])
            .args(["--cgroup-parent", &self.group.0])
            .arg("--pidfile")
            .arg(self.at("pid"))
            .arg("--host")
            .arg(format!("unix://{}", self.socket().display()))
            .args(["--host", "unix:///var/run/docker.sock"])
            .args(["--host", &format!("tcp://{}:{PORT}", self.address), "--tlsverify"])
            .arg("--tlscacert")
            .arg(self.at("server/ca.pem"))
            .arg("--tlscert")
            .arg(self.at("server/cert.pem"))
            .arg("--tlskey")
            .arg(self.at("server/key.pem"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.engine = Some(tokio::process::Command::from(command).spawn().unwrap());
        let host = DockerHost::resolve(&self.settings()).unwrap();
        eventually("the machine's engine answers", async || {
            match Engine::connect_to(&host).await {
                Ok(_) => Ok(()),
                Err(error) => Err((error, fs::read_to_string(self.at("log")).unwrap_or_default())),
            }
        })
        .await;
    }

    /// Sends its engine a signal, such as `TERM`, and waits for its end. After
    /// `KILL` what it ran goes on.
    pub async fn end_engine(&mut self, signal: &str) -> ExitStatus {
        let mut engine = self.engine.take().expect("it runs");
        let pid = fs::read_to_string(self.at("pid")).unwrap();
        let sent = self.inside("kill").arg(format!("-{signal}")).arg(pid.trim()).status().unwrap();
        assert!(sent.success());
        let ended = tokio::time::timeout(DEADLINE, engine.wait()).await;
        ended.expect("it ends").unwrap()
    }

    /// Where an operator on another machine reaches its engine.
    pub fn docker_host(&self) -> String {
        format!("tcp://{}:{PORT}", self.address)
    }

    /// The directory with an operator's certificate for it.
    pub fn certificates(&self) -> PathBuf {
        self.at("client")
    }

    /// The engine's socket, on this machine.
    pub fn socket(&self) -> PathBuf {
        self.at("docker.sock")
    }

    /// Its engine, as an operator on another machine reaches it.
    pub async fn docker(&self) -> Engine {
        let host = DockerHost::resolve(&self.settings()).unwrap();
        Engine::connect_to(&host).await.unwrap()
    }

    /// Where its engine keeps everything.
    pub fn data(&self) -> PathBuf {
        self.at("data")
    }

    fn settings(&self) -> HostSettings {
        HostSettings {
            tls_verify: true,
            cert_path: Some(self.certificates()),
            ..HostSettings::at(Some(&self.docker_host()))
        }
    }

    /// A program on the machine.
    pub fn command(&self, program: &str) -> Command {
        self.inside(program)
    }

    fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.first.to_string()]);
        command.args(["--net", "--mount", "--pid", program]);
        command
    }

    fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Its first process goes with this one, and all others with the first.
        self.power.kill().ok();
        self.power.wait().ok();
    }
}

/// Runs a command whose words have no spaces in them.
fn run(line: &str) {
    let mut words = line.split(' ');
    let status = Command::new(words.next().unwrap()).args(words).status().unwrap();
    assert!(status.success(), "{line}");
}
