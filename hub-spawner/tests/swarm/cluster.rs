//! Machines of a swarm: daemons in network namespaces that are joined by a cable.
//!
//! Each has data, sockets and mounts of its own, and is ended by its process id.

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use bollard::{
    API_DEFAULT_VERSION, Docker,
    models::{ContainerInspectResponse, SwarmInitRequest, SwarmJoinRequest},
    query_parameters::ImportImageOptionsBuilder,
};
use futures_util::StreamExt;
use hub_spawner::engine::Engine;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::image;

const PATIENCE: Duration = Duration::from_secs(120);

/// Some machines, of which the first manages the swarm.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) nodes: Vec<Node>,
    /// Both ends of the cable: without the other one none would be up.
    spaces: [String; 2],
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes.clear();
        for space in &self.spaces {
            ran(Command::new("ip").args(["netns", "delete", space]));
        }
    }
}

/// A machine: a daemon, and the namespace that is its network.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) engine: Engine,
    pub(crate) ip: Ipv4Addr,
    namespace: String,
    dir: TempDir,
    daemon: Child,
}

impl Cluster {
    /// A swarm of one machine, or of two.
    pub(crate) async fn start(count: u8) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // Names of network devices have fifteen characters at most.
        let name = format!("hsw{}x{number}", std::process::id());
        let spaces = [format!("{name}a"), format!("{name}b")];
        for space in &spaces {
            ip(&["netns", "add", space]);
            ip(&["-n", space, "link", "set", "lo", "up"]);
        }
        let [a, b] = &spaces;
        ip(&["link", "add", a, "netns", a, "type", "veth", "peer", "name", b, "netns", b]);
        let mut nodes = Vec::new();
        for (space, last) in spaces.iter().zip([1, 2]) {
            // Of the range that is meant for tests; others may use it in their own space.
            let own = Ipv4Addr::new(198, 18, 77, last);
            ip(&["-n", space, "address", "add", &format!("{own}/24"), "dev", space]);
            ip(&["-n", space, "link", "set", space, "up"]);
            ip(&["-n", space, "route", "add", "default", "dev", space]);
            if last <= count {
                nodes.push(Node::start(space, own).await);
            }
        }
        let cluster = Self { name, nodes, spaces };
        cluster.form().await;
        cluster
    }

    pub(crate) fn manager(&self) -> &Node {
        &self.nodes[0]
    }

    /// A registry that refuses at once: daemons of a swarm ask before they use what
    /// they have.
    pub(crate) fn image(&self) -> String {
        format!("127.0.0.1:1/{}:test", self.name)
    }

    pub(crate) async fn secrets(&self) -> usize {
        let docker = self.manager().docker();
        docker.list_secrets(None).await.expect("list secrets").len()
    }

    /// Looks until there is something to see.
    pub(crate) async fn eventually<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match look().await {
                Some(found) => return found,
                None if Instant::now() > deadline => panic!("{what}"),
                None => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn form(&self) {
        for node in &self.nodes {
            let changes = ["ENV PATH=/bin", r#"CMD ["/bin/serve"]"#];
            let made = node.engine.import(image::root(), &self.image(), &changes).await;
            made.expect("import the image");
        }
        let manager = self.manager();
        let docker = manager.docker();
        let init = SwarmInitRequest {
            listen_addr: Some(format!("{}:2377", manager.ip)),
            advertise_addr: Some(manager.ip.to_string()),
            ..SwarmInitRequest::default()
        };
        docker.init_swarm(init).await.expect("make a swarm");
        let swarm = docker.inspect_swarm().await.expect("look at the swarm");
        let tokens = swarm.join_tokens.expect("the manager has tokens");
        for worker in &self.nodes[1..] {
            let join = SwarmJoinRequest {
                listen_addr: Some(format!("{}:2377", worker.ip)),
                advertise_addr: Some(worker.ip.to_string()),
                remote_addrs: Some(vec![format!("{}:2377", manager.ip)]),
                join_token: tokens.worker.clone(),
                ..SwarmJoinRequest::default()
            };
            worker.docker().join_swarm(join).await.expect("join the swarm");
        }
    }
}

impl Node {
    async fn start(namespace: &str, ip: Ipv4Addr) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        fs::write(at("daemon.json"), "{}").expect("write");
        let log = File::create(at("log")).expect("a log");
        // Not `ip netns exec`: its new /sys would hide the control groups.
        let daemon = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{namespace}"))
            .args(["unshare", "--mount", "--propagation", "private", "dockerd"])
            .arg("--config-file")
            .arg(at("daemon.json"))
            .arg("--data-root")
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("--pidfile")
            .arg(at("pid"))
            .arg("--host")
            .arg(format!("unix://{}", at("sock").display()))
            .arg(format!("--storage-driver={}", storage_driver(dir.path())))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("install docker.io");
        let address = format!("unix://{}", at("sock").display());
        let engine = connect(&address, &at("log")).await;
        Self { engine, ip, namespace: namespace.to_owned(), dir, daemon }
    }

    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("sock")
    }

    /// All that the daemon tells of a container.
    pub(crate) async fn inspect(&self, id: &str) -> ContainerInspectResponse {
        self.docker().inspect_container(id, None).await.expect("look at the container")
    }

    fn docker(&self) -> Docker {
        Docker::connect_with_unix(&self.address(), 60, API_DEFAULT_VERSION).expect("connect")
    }

    /// A program of busybox that finds itself in this machine's network.
    pub(crate) fn busybox(&self, words: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("nsenter");
        let namespace = format!("--net=/run/netns/{}", self.namespace);
        command.arg(namespace).arg("/bin/busybox").args(words);
        command
    }

    /// Takes over an image of the machine that the tests run on.
    pub(crate) async fn load(&self, image: &str, name: &str) {
        let here = Docker::connect_with_local_defaults().expect("connect");
        let saved = here.export_image(image);
        let options = ImportImageOptionsBuilder::default().quiet(true).build();
        let mut loading = self.docker().import_image_stream(options, saved, None);
        while let Some(line) = loading.next().await {
            line.expect("load the image");
        }
        self.engine.tag(image, name).await.expect("tag the image");
    }

    /// Ends the machine as a power cut does: everything on it at once.
    pub(crate) async fn kill(mut self) {
        let containers = self.engine.containers(&[].into()).await.expect("list containers");
        let ids: Vec<String> = containers.into_iter().map(|one| one.id).collect();
        self.daemon.kill().expect("kill the daemon");
        let _ = self.daemon.wait();
        let in_container = |id: i32| {
            let groups = fs::read_to_string(format!("/proc/{id}/cgroup")).unwrap_or_default();
            ids.iter().any(|container| groups.contains(container.as_str()))
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let own = self.dir.path().to_owned();
            let left: Vec<i32> =
                processes().filter(|id| mentions(*id, &own) || in_container(*id)).collect();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "{left:?} are left");
            for id in left {
                ran(Command::new("kill").args(["-9", &id.to_string()]));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Layers where the file system can have them: a notebook's image is large. Else copies,
/// which are possible on every one, also on layers.
fn storage_driver(dir: &Path) -> &'static str {
    let output = Command::new("stat").args(["-f", "-c", "%T"]).arg(dir).output();
    match output.expect("run stat").stdout.trim_ascii() {
        b"ext2/ext3" => "overlay2",
        _ => "vfs",
    }
}

/// The processes of this machine, by their ids.
fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether a process was told of this directory: the daemon's helpers were.
fn mentions(id: i32, dir: &Path) -> bool {
    let words = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).contains(&*dir.to_string_lossy())
}

async fn connect(address: &str, log: &Path) -> Engine {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Engine::connect(Some(address)).await {
            Ok(engine) => return engine,
            Err(error) if Instant::now() > deadline => {
                let log = fs::read_to_string(log).unwrap_or_default();
                panic!("{error:?}:\n{log}");
            }
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

impl Drop for Node {
    /// Asks the daemon to end, so that it takes its own processes with it.
    fn drop(&mut self) {
        ran(Command::new("kill").arg(self.daemon.id().to_string()));
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.daemon.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        // Where it has ended this does nothing.
        let _ = self.daemon.kill();
    }
}

fn ip(words: &[&str]) {
    assert!(ran(Command::new("ip").args(words)), "ip {words:?}");
}

fn ran(command: &mut Command) -> bool {
    command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
