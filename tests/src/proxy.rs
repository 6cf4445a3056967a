//! A proxy program that a hub drives over its REST API, as a process.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    hub::{crypto_provider, free_port, program, variable},
    wait::eventually,
};

/// The token of every proxy's API.
pub const PROXY_TOKEN: &str = "end-to-end-proxy-token";

/// A program that takes configurable-http-proxy's flags.
#[derive(Clone, Debug)]
pub struct ProxyProgram(PathBuf);

impl ProxyProgram {
    /// The proxy of JupyterHub.
    pub fn configurable_http_proxy() -> Self {
        let installed = || {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
            root.join(".hub/npm/node_modules/.bin/configurable-http-proxy")
        };
        let path = variable("HUB_TEST_CHP").map_or_else(installed, PathBuf::from);
        assert!(path.exists(), "{} is missing; cargo xtask test installs it", path.display());
        Self(path)
    }

    /// Our own.
    pub fn hub_proxy() -> Self {
        Self(program("hub-proxy"))
    }
}

/// A proxy on ports of its own. Dropping it ends the process.
#[derive(Debug)]
pub struct Proxy {
    program: ProxyProgram,
    port: u16,
    api_port: u16,
    /// Where the hub is to listen.
    pub(crate) hub_port: u16,
    token: String,
    process: Option<Child>,
    client: reqwest::Client,
    dir: TempDir,
}

impl Proxy {
    /// A proxy that does not run yet.
    pub fn new(program: ProxyProgram) -> Self {
        crypto_provider();
        Self {
            program,
            port: free_port(),
            api_port: free_port(),
            hub_port: free_port(),
            token: PROXY_TOKEN.to_owned(),
            process: None,
            client: reqwest::Client::new(),
            dir: tempfile::Builder::new().prefix("proxy-").tempdir().unwrap(),
        }
    }

    /// A proxy that runs.
    pub async fn start(program: ProxyProgram) -> Self {
        let mut proxy = Self::new(program);
        proxy.launch().await;
        proxy
    }

    /// Changes the token that the proxy expects from its next start on.
    pub fn set_token(&mut self, token: &str) {
        token.clone_into(&mut self.token);
    }

    /// Where browsers reach it, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where the hub reaches its API.
    pub fn api_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.api_port)
    }

    /// Starts the process, with nothing in its table, and waits until it answers.
    pub async fn launch(&mut self) {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let child = Command::new(&self.program.0)
            .args(["--ip", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--api-ip", "127.0.0.1", "--api-port", &self.api_port.to_string()])
            .args(["--error-target", &format!("http://127.0.0.1:{}/hub/error", self.hub_port)])
            .args(["--log-level", "debug"])
            .env_clear()
            // For the interpreter of the script, if it is one.
            .envs(variable("PATH").map(|path| ("PATH", path)))
            .env("CONFIGPROXY_AUTH_TOKEN", &self.token)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(child);
        eventually("the proxy answers", || async {
            match self.call(Method::GET, "", None).await {
                Ok((200, _)) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// Ends the process as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Its table, by path.
    pub async fn routes(&self) -> Value {
        self.call(Method::GET, "", None).await.unwrap().1
    }

    /// Adds a route behind the hub's back.
    pub async fn add(&self, path: &str, data: Value) {
        let (status, _) = self.call(Method::POST, path, Some(data)).await.unwrap();
        assert_eq!(status, 201);
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        data: Option<Value>,
    ) -> reqwest::Result<(u16, Value)> {
        let mut request = self
            .client
            .request(method, format!("{}/api/routes{path}", self.api_url()))
            .header("authorization", format!("token {}", self.token));
        if let Some(data) = data {
            request = request.body(data.to_string());
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("proxy.log")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("---- log of the proxy, without our own looks at it ----");
            for line in self.log().lines().filter(|line| !line.contains("200 GET /api/routes")) {
                eprintln!("{line}");
            }
        }
    }
}
