//! The shipped `hub-server` as a process, with everything it needs and nothing
//! of anybody else.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
};

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    GitHub, Proxy, certificate, docker,
    github::{CLIENT_ID, CLIENT_SECRET},
    proxy::PROXY_TOKEN,
    wait::eventually,
};

/// The password of every local account.
pub const PASSWORD: &str = "correct horse battery";
/// What a hub is called whose users have hosts; browsers look for it, and for all
/// names below it, on their own machine.
pub const HOST: &str = "jupyter.localhost";
/// The token of the service `admin`.
pub const ADMIN_TOKEN: &str = "end-to-end-admin-token";

/// A hub in a temporary directory. Dropping it ends the process and removes its
/// containers, volumes and network.
#[derive(Debug)]
pub struct TestHub {
    /// Where browsers reach it, without a slash at the end.
    pub url: String,
    /// Where it listens itself; not the same behind a proxy.
    pub own_url: String,
    /// The label of everything it makes, and part of every name.
    pub deployment: String,
    dir: TempDir,
    environment: BTreeMap<String, String>,
    process: Option<Child>,
    client: reqwest::Client,
    /// The certificate browsers have to trust, PEM.
    pub ca: Option<String>,
}

/// What a hub is to be like.
#[derive(Debug, Default)]
pub struct Builder {
    accounts: Vec<String>,
    allowed: Vec<String>,
    /// Where it is, and more lines of its settings.
    github: Option<(String, String)>,
    /// More lines of `[auth]`.
    auth: String,
    https: bool,
    subdomains: bool,
    redirect: Option<u16>,
    store: Option<String>,
    image: Option<String>,
    proxy: Option<Behind>,
    docker: String,
    processes: Option<String>,
    more: String,
}

/// A proxy of its own that the hub drives.
#[derive(Debug)]
struct Behind {
    url: String,
    api_url: String,
    hub_port: u16,
}

impl Builder {
    /// Adds a local account with the password [`PASSWORD`].
    #[must_use]
    pub fn password(mut self, name: &str) -> Self {
        self.accounts.push(name.to_owned());
        self.allowed(name)
    }

    /// Puts somebody on the list of those who may sign in.
    #[must_use]
    pub fn allowed(mut self, name: &str) -> Self {
        self.allowed.push(name.to_owned());
        self
    }

    /// Offers sign-in with this GitHub.
    #[must_use]
    pub fn github(self, github: &GitHub) -> Self {
        self.github_with(github, "")
    }

    /// The same with more lines in its settings.
    #[must_use]
    pub fn github_with(mut self, github: &GitHub, toml: &str) -> Self {
        self.github = Some((github.url.clone(), toml.to_owned()));
        self
    }

    /// Adds lines to the settings of the sign-in.
    #[must_use]
    pub fn auth(mut self, toml: &str) -> Self {
        self.auth.push_str(toml);
        self.auth.push('\n');
        self
    }

    /// Speaks https, with a certificate of its own.
    #[must_use]
    pub fn https(mut self) -> Self {
        self.https = true;
        self
    }

    /// Gives every user a host below [`HOST`], where browsers reach the hub by https.
    #[must_use]
    pub fn subdomains(mut self) -> Self {
        self.subdomains = true;
        self.https()
    }

    /// Listens on another port, too, and sends browsers to https from there.
    #[must_use]
    pub fn redirect_from(mut self, port: u16) -> Self {
        self.redirect = Some(port);
        self
    }

    /// Keeps its state in this database.
    #[must_use]
    pub fn store(mut self, url: &str) -> Self {
        self.store = Some(url.to_owned());
        self
    }

    /// Starts servers from this image.
    #[must_use]
    pub fn image(mut self, image: &str) -> Self {
        self.image = Some(image.to_owned());
        self
    }

    /// Drives this proxy, and is reached through it.
    #[must_use]
    pub fn behind(mut self, proxy: &Proxy) -> Self {
        let (url, api_url) = (proxy.url(), proxy.api_url());
        self.proxy = Some(Behind { url, api_url, hub_port: proxy.hub_port });
        self
    }

    /// Adds lines to the settings of the Docker spawner.
    #[must_use]
    pub fn docker(mut self, toml: &str) -> Self {
        self.docker.push_str(toml);
        self.docker.push('\n');
        self
    }

    /// Runs servers as processes, whose programs are in these places, and knows of no
    /// Docker.
    #[must_use]
    pub fn processes(mut self, path: &str) -> Self {
        self.processes = Some(path.to_owned());
        self
    }

    /// Adds lines to the end of the configuration.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        self.more.push_str(toml);
        self.more.push('\n');
        self
    }

    /// Writes the configuration, starts the hub and waits until it serves.
    pub async fn start(self) -> TestHub {
        let deployment = format!("test-{}", &Uuid::new_v4().simple().to_string()[..12]);
        let dir = tempfile::Builder::new().prefix("hub-").tempdir().unwrap();
        let port = self.proxy.as_ref().map_or_else(free_port, |proxy| proxy.hub_port);
        let scheme = if self.https { "https" } else { "http" };
        let host = if self.https { "localhost" } else { "127.0.0.1" };
        let own_url = format!("{scheme}://{host}:{port}");
        let url = self.proxy.as_ref().map_or_else(|| own_url.clone(), |proxy| proxy.url.clone());
        let ca = self.https.then(|| certificate::issue(dir.path()));
        let config = self.toml(&deployment, port, &url);
        fs::write(dir.path().join("hub.toml"), config).unwrap();
        let mut client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        if let Some(pem) = &ca {
            client = client
                .add_root_certificate(reqwest::Certificate::from_pem(pem.as_bytes()).unwrap());
        }
        crypto_provider();
        let environment =
            self.proxy.iter().map(|_| ("CONFIGPROXY_AUTH_TOKEN", PROXY_TOKEN.to_owned()));
        let mut hub = TestHub {
            url,
            own_url,
            deployment,
            dir,
            environment: environment.map(|(name, value)| (name.to_owned(), value)).collect(),
            process: None,
            client: client.build().unwrap(),
            ca,
        };
        hub.launch().await;
        hub
    }

    fn toml(&self, deployment: &str, port: u16, url: &str) -> String {
        let mut text =
            format!("[http]\nlisten = \"127.0.0.1:{port}\"\nshutdown_grace_seconds = 2\n");
        text += &match self.subdomains {
            true => format!("subdomain_host = \"https://{HOST}:{port}\"\n"),
            false => format!("public_url = \"{url}\"\n"),
        };
        if self.proxy.is_some() {
            text += "trusted_proxies = [\"127.0.0.1\"]\n";
        }
        if let Some(port) = self.redirect {
            text += &format!("redirect_listen = \"127.0.0.1:{port}\"\n");
        }
        if self.https {
            text += "[http.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n";
        }
        let store = self.store.clone().unwrap_or_else(|| "sqlite://hub.sqlite".to_owned());
        text += &format!(
            "[store]\nurl = \"{store}\"\n[auth]\nallowed_users = {:?}\nadmin_users = [\"grace\"]\n{}",
            self.allowed, self.auth
        );
        if let Some((github, more)) = &self.github {
            text += &format!(
                "[auth.github]\nclient_id = \"{CLIENT_ID}\"\nclient_secret = \"{CLIENT_SECRET}\"\nurl = \"{github}\"\napi_url = \"{github}\"\n{more}\n"
            );
        }
        if !self.accounts.is_empty() {
            text += "[auth.password.accounts]\n";
            for name in &self.accounts {
                text += &format!("{name:?} = {:?}\n", password_hash());
            }
        }
        text += &match &self.processes {
            Some(path) => format!(
                "[hub_api]\nlisten = \"127.0.0.1:{}\"\n\
                 [spawner]\nkind = \"process\"\n[spawner.docker]\nhost = \"unix:///none/such\"\n\
                 [spawner.process]\npath = \"{path}\"\nargs = \"--allow-root\"\n",
                free_port(),
            ),
            None => self.containers_toml(deployment),
        };
        text += &format!(
            "[[services]]\nname = \"admin\"\napi_token = \"{ADMIN_TOKEN}\"\n\
             scopes = [\"admin:users\", \"admin:servers\", \"access:servers\", \"list:users\", \"tokens\", \"read:hub\"]\n",
        );
        if let Some(proxy) = &self.proxy {
            text += &format!("[proxy]\napi_url = \"{}\"\n", proxy.api_url);
        }
        text.push_str(&self.more);
        text
    }

    fn containers_toml(&self, deployment: &str) -> String {
        let image = self.image.clone().unwrap_or_else(notebook_image);
        format!(
            "[spawner.docker]\nimage = \"{image}\"\ndeployment = \"{deployment}\"\nnetwork = \"{}\"\nprefix = \"{deployment}\"\nmem_limit = \"1G\"\n\
             volumes = {{ \"{deployment}-{{username}}\" = \"/home/jovyan/work\" }}\n\
             {}\n",
            docker::network(deployment),
            self.docker,
        )
    }
}

impl TestHub {
    /// A hub to be described.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts the process on the state that is there and waits until it serves.
    pub async fn launch(&mut self) {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let child = Command::new(program("hub-server"))
            .arg("--config")
            .arg(self.dir.path().join("hub.toml"))
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(child);
        let url = self.own_url.clone();
        eventually("the hub serves", || {
            let ended = self.process.as_mut().and_then(|process| process.try_wait().unwrap());
            assert_eq!(ended, None, "the hub has ended");
            self.health(&url)
        })
        .await;
    }

    /// Waits until browsers reach it, which a proxy may delay.
    pub async fn reachable(&self) {
        eventually("the hub is reached", || self.health(&self.url)).await;
    }

    fn health(&self, url: &str) -> impl Future<Output = Result<(), String>> + use<> {
        let request = self.client.get(format!("{url}/hub/health")).send();
        async move {
            match request.await {
                Ok(response) if response.status() == 200 => Ok(()),
                Ok(response) => Err(response.status().to_string()),
                Err(error) => Err(error.to_string()),
            }
        }
    }

    /// Ends the process as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Asks the process to end, and waits for it.
    pub fn terminate(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("the hub runs");
        let status = Command::new("kill").arg(process.id().to_string()).status().unwrap();
        assert!(status.success());
        process.wait().unwrap()
    }

    /// The process id.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Calls the REST API with the token of the service `admin`.
    pub async fn api(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        self.api_with(ADMIN_TOKEN, method, path, body).await
    }

    /// Calls the REST API with a token.
    pub async fn api_with(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let mut request = self
            .client
            .request(method, format!("{}/hub/api{path}", self.own_url))
            .header("authorization", format!("token {token}"));
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Starts the server of `user`, which must not be running, and waits for it.
    pub async fn start_server(&self, user: &str) {
        let path = format!("/users/{user}/server");
        let (status, body) = self.api(Method::POST, &path, None).await;
        assert!(matches!(status, 201 | 202), "{status}: {body}");
        eventually("the server is ready", || async {
            let (_, body) = self.api(Method::GET, &format!("/users/{user}"), None).await;
            if body["servers"][""]["ready"] == true { Ok(()) } else { Err(body) }
        })
        .await;
    }

    /// The client that trusts this hub and follows no redirect.
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// The directory with configuration and state.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What the hub has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The containers of this hub's servers: name and id.
    pub async fn containers(&self) -> Vec<(String, String)> {
        docker::containers(&self.deployment).await
    }

    /// The id of the container of somebody's default server.
    pub async fn container(&self, user: &str) -> String {
        let name = format!("{}-{user}", self.deployment);
        let found = self.containers().await.into_iter().find(|(one, _)| *one == name);
        found.expect("the server has a container").1
    }

    /// Removes the container of a server behind the hub's back.
    pub async fn remove_container(&self, user: &str) {
        let id = self.container(user).await;
        docker::engine().await.remove_container(&id, true).await.unwrap();
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("hub.log")
    }
}

impl Drop for TestHub {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("---- log of the hub ----\n{}", self.log());
        }
        docker::sweep(&self.deployment);
        end_processes(&self.dir.path().join("servers"));
    }
}

/// Ends all processes of servers that are kept below `dir`: their variables name it.
fn end_processes(dir: &Path) {
    let Ok(processes) = fs::read_dir("/proc") else { return };
    let own = format!("HUB_SERVER_RUN_DIR={}/", dir.display());
    for process in processes.flatten() {
        let variables = fs::read(process.path().join("environ")).unwrap_or_default();
        let is_own = variables.split(|byte| *byte == 0).any(|one| one.starts_with(own.as_bytes()));
        if let Some(id) = process.file_name().to_str().filter(|_| is_own) {
            // It may have ended by itself.
            Command::new("kill").args(["-9", id]).stderr(Stdio::null()).status().ok();
        }
    }
}

/// A port that nobody listens on at this moment. It is below those that the system gives to
/// connections, one of which could otherwise have it before whom it is for.
pub fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let random = || 10_000 + u16::try_from(Uuid::new_v4().as_u128() % 20_000).unwrap();
    std::iter::repeat_with(random).take(100).find(free).expect("a free port among hundred")
}

/// A program of the workspace, built beside this test.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join(name);
    assert!(path.exists(), "{} is not built; run `cargo build --workspace` first", path.display());
    path
}

/// The image of notebook servers.
pub fn notebook_image() -> String {
    variable("HUB_TEST_IMAGE").unwrap_or_else(|| "hub-notebook:latest".to_owned())
}

/// A variable that `cargo xtask test` sets.
#[expect(clippy::disallowed_methods, reason = "tests are told by their runner what to use")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The one process-wide choice of a TLS implementation.
pub fn crypto_provider() {
    // Every test of the process comes by here; the first one installs it.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
}

fn password_hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| {
        use std::io::Write;
        let mut child = Command::new(program("hub-server"))
            .arg("hash-password")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}
