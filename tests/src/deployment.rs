//! What `cargo xtask deploy` makes, under names of a test's own.

use std::{
    fs,
    net::IpAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Mutex,
};

use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    Browser, GitHub, Machine,
    certificate::Authority,
    docker,
    github::{CLIENT_ID, CLIENT_SECRET},
    hub::{crypto_provider, free_port, notebook_image, program},
};

/// Where programs are looked for.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A directory as an operator keeps it, and what was deployed from it. Dropping
/// it removes containers, volumes, networks, and the images of releases of its own.
#[derive(Debug)]
pub struct Deployment {
    /// The name of the deployment and of the hub's container.
    pub name: String,
    /// Where browsers reach it, without a slash at the end.
    pub url: String,
    /// The certificate browsers have to trust, PEM.
    pub ca: String,
    /// The published port of https.
    pub port: u16,
    /// The published port that sends browsers there.
    pub http_port: u16,
    dir: TempDir,
    variables: Vec<(String, String)>,
    /// Where the programs are that go into the image.
    programs: PathBuf,
    /// Where it looks for programs.
    path: String,
    /// The images of releases that no other test has. They are large.
    images: Mutex<Vec<String>>,
}

impl Deployment {
    /// The directory of somebody who has read the instructions: `.env`,
    /// `userlist` and a certificate. Nothing is deployed yet.
    pub fn prepare() -> Self {
        let mut deployment = Self::at("localhost", (free_port(), free_port()));
        deployment.set("HUB_BIND_IP", "127.0.0.1");
        deployment
    }

    /// The same for another machine, which people reach at its address.
    pub fn on(machine: &Machine) -> Self {
        let mut deployment = Self::at(&machine.address.to_string(), (443, 80));
        deployment.set("DOCKER_HOST", &machine.docker_host());
        deployment.set("DOCKER_TLS_VERIFY", "1");
        deployment.set("DOCKER_CERT_PATH", &machine.certificates().display().to_string());
        deployment
    }

    fn at(host: &str, (port, http_port): (u16, u16)) -> Self {
        crypto_provider();
        let name = format!("test-{}", &Uuid::new_v4().simple().to_string()[..12]);
        let dir = tempfile::Builder::new().prefix("deploy-").tempdir().unwrap();
        let secrets = dir.path().join("secrets");
        fs::create_dir(&secrets).unwrap();
        let authority = Authority::new();
        authority.issue_server(&secrets, &[host]);
        fs::rename(secrets.join("cert.pem"), secrets.join("jupyterhub.crt")).unwrap();
        fs::rename(secrets.join("key.pem"), secrets.join("jupyterhub.key")).unwrap();
        private(&secrets.join("jupyterhub.key"));
        fs::write(dir.path().join("userlist"), "grace admin\nada\n").unwrap();
        let url = match port {
            443 => format!("https://{host}"),
            _ => format!("https://{host}:{port}"),
        };
        let variables = [
            ("HUB_DEPLOY_NAME", name.clone()),
            // The sweep after tests finds networks by this name.
            ("DOCKER_NETWORK_NAME", docker::network(&name)),
            ("DOCKER_NOTEBOOK_IMAGE", notebook_image()),
            ("HUB_HTTPS_PORT", port.to_string()),
            ("HUB_HTTP_PORT", http_port.to_string()),
            ("GITHUB_CLIENT_ID", CLIENT_ID.to_owned()),
            ("GITHUB_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
            ("OAUTH_CALLBACK_URL", format!("{url}/hub/oauth_callback")),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let programs = first_programs();
        let ca = authority.pem().to_owned();
        let path = PATH.to_owned();
        let images = Mutex::default();
        let deployment =
            Self { name, url, ca, port, http_port, dir, variables, programs, path, images };
        deployment.write_env();
        deployment
    }

    /// Sets a line of `.env`; an empty value takes it away.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.variables.push((name.to_owned(), value.to_owned()));
        }
        self.write_env();
    }

    /// Makes a release whose proxy is another program that does the same; the
    /// next run deploys it.
    pub fn new_release(&mut self) {
        let proxy = program("hub-proxy");
        self.release("next-release", |release| {
            let note = release.join("note");
            fs::write(&note, release.as_os_str().as_encoded_bytes()).unwrap();
            let section = format!("--add-section=.note.release={}", note.display());
            let mut command = Command::new("objcopy");
            command.arg(section).arg(proxy).arg(release.join("hub-proxy"));
            let done = command.status().unwrap();
            assert!(done.success(), "{done}");
        });
    }

    /// Makes a release whose proxy ends at once.
    pub fn broken_release(&mut self) {
        self.release("broken-release", |release| {
            fs::copy("/bin/true", release.join("hub-proxy")).unwrap();
        });
    }

    /// Makes a release of the programs as they are, but for the proxy.
    fn release(&mut self, name: &str, put_proxy: impl FnOnce(&Path)) {
        let release = self.dir.path().join(name);
        let programs = first_programs();
        if !release.exists() {
            fs::create_dir(&release).unwrap();
            for name in ["hub-server", "hub"] {
                fs::hard_link(programs.join(name), release.join(name))
                    .or_else(|_| fs::copy(programs.join(name), release.join(name)).map(drop))
                    .unwrap();
            }
            put_proxy(&release);
        }
        self.programs = release;
    }

    /// Goes back to the programs of this build.
    pub fn first_release(&mut self) {
        self.programs = first_programs();
    }

    /// Starts a GitHub where the hub's container reaches it. The network has to
    /// be there.
    pub async fn github(&mut self) -> GitHub {
        let network = docker::engine().await.network(&docker::network(&self.name)).await.unwrap();
        let gateway = network.and_then(|network| network.gateway).expect("the network is there");
        self.github_at(gateway).await
    }

    /// The same at an address of this machine that the hub's container reaches.
    pub async fn github_at(&mut self, address: IpAddr) -> GitHub {
        let github = GitHub::start_at(address).await;
        github.register(&format!("{}/hub/oauth_callback", self.url));
        self.set("GITHUB_URL", &github.url);
        self.set("HUB__AUTH__GITHUB__API_URL", &github.url);
        github
    }

    /// Lets it find programs in a directory before all others.
    pub fn look_first_in(&mut self, directory: &Path) {
        self.path = format!("{}:{PATH}", directory.display());
    }

    /// Lets it find programs in a directory and nowhere else.
    pub fn look_only_in(&mut self, directory: &Path) {
        self.path = directory.display().to_string();
    }

    /// Runs `cargo xtask deploy ARGUMENTS` and expects it to succeed; what it
    /// printed on standard output.
    pub async fn run(&self, arguments: &[&str]) -> String {
        let output = self.try_run(arguments).await;
        assert!(output.status.success(), "deploy {arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same, and expects it to fail; what it said.
    pub async fn fail(&self, arguments: &[&str]) -> String {
        let output = self.try_run(arguments).await;
        assert_eq!(output.status.code(), Some(1), "deploy {arguments:?}: {}", said(&output));
        said(&output)
    }

    /// The same as [`run`](Self::run), but what it said to the person who runs it.
    pub async fn told(&self, arguments: &[&str]) -> String {
        let output = self.try_run(arguments).await;
        assert!(output.status.success(), "deploy {arguments:?}: {}", said(&output));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Runs it, whatever comes of it.
    pub async fn try_run(&self, arguments: &[&str]) -> Output {
        let output = tokio::process::Command::from(self.command(arguments)).output().await;
        let output = output.unwrap();
        self.note(&output);
        output
    }

    /// Remembers which image a run has made, to remove it with the deployment.
    pub fn note(&self, output: &Output) {
        if self.programs == first_programs() {
            return;
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let made = said.split("making the image ").skip(1);
        let names = made.filter_map(|rest| rest.split_whitespace().next().map(str::to_owned));
        self.images.lock().unwrap().extend(names);
    }

    /// The command, to be run in a way of the test's own.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("xtask"));
        command
            .args(["deploy", "--dir"])
            .arg(self.dir.path())
            .arg("--binaries")
            .arg(&self.programs)
            .args(arguments)
            .env_clear()
            .env("PATH", &self.path)
            .env("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null());
        command
    }

    /// What `status --json` says, whether or not all is up.
    pub async fn status(&self) -> Value {
        let output = self.try_run(&["status", "--json"]).await;
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)))
    }

    /// A browser in which nobody is signed in.
    pub fn browser(&self) -> Browser {
        let root = reqwest::Certificate::from_pem(self.ca.as_bytes()).unwrap();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .add_root_certificate(root)
            .build()
            .unwrap();
        Browser::at(&self.url, client, Some(self.ca.clone()))
    }

    /// The operator's directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The name of the proxy's container.
    pub fn proxy(&self) -> String {
        format!("{}-proxy", self.name)
    }

    fn env_file(&self) -> PathBuf {
        self.dir.path().join(".env")
    }

    fn write_env(&self) {
        let lines = self.variables.iter().map(|(name, value)| format!("{name}={value}\n"));
        fs::write(self.env_file(), lines.collect::<String>()).unwrap();
        private(&self.env_file());
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        docker::sweep(&self.name);
        for image in self.images.get_mut().unwrap().drain(..) {
            docker::forget_image(&image);
        }
    }
}

/// Where the programs of this build are.
fn first_programs() -> PathBuf {
    program("hub-server").parent().unwrap().to_owned()
}

/// What a command printed, both outputs.
pub fn said(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn private(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
