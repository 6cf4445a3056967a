//! JupyterHub itself, from PyPI, with our proxy in place of its own.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use hub_tests::{
    eventually,
    hub::{crypto_provider, free_port, program, variable},
};
use serde_json::{Value, json};
use tempfile::TempDir;

const TOKEN: &str = "admin-token-of-the-tests";

/// Seconds after which the culler stops an idle server.
const IDLE: u32 = 8;

/// A JupyterHub with dummy sign-in and servers that are processes here. It ends
/// with all processes that it began.
struct JupyterHub {
    child: Child,
    dir: TempDir,
    url: String,
}

impl JupyterHub {
    /// With certificates between all its parts, or without any.
    fn start(internal_ssl: bool) -> Self {
        let dir = tempfile::Builder::new().prefix("jupyterhub-").tempdir().unwrap();
        let python = PathBuf::from(
            variable("HUB_TEST_SERVICES_PYTHON").expect("cargo xtask test says which Python"),
        );
        let port = free_port();
        fs::write(
            dir.path().join("jupyterhub_config.py"),
            config(dir.path(), &python, port, internal_ssl),
        )
        .unwrap();
        let log = File::create(dir.path().join("log")).unwrap();
        let path = format!(
            "{}:{}",
            python.parent().unwrap().display(),
            variable("PATH").unwrap_or_default()
        );
        let child = Command::new(&python)
            .args(["-m", "jupyterhub", "-f", "jupyterhub_config.py"])
            .current_dir(dir.path())
            .env("PATH", path)
            .env("HOME", dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        Self { child, dir, url: format!("http://127.0.0.1:{port}") }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for JupyterHub {
    fn drop(&mut self) {
        // It ends its servers and the proxy by itself when it is asked to.
        let pid = self.child.id().to_string();
        Command::new("kill").arg(&pid).stderr(Stdio::null()).status().ok();
        self.child.wait().ok();
        Command::new("kill")
            .args(["-9", "--", &format!("-{pid}")])
            // Nobody is left, as a rule.
            .stderr(Stdio::null())
            .status()
            .ok();
    }
}

fn config(dir: &Path, python: &Path, port: u16, internal_ssl: bool) -> String {
    let (proxy_api, hub) = (free_port(), free_port());
    let proxy = program("hub-proxy");
    let (scheme, flag) = if internal_ssl { ("https", "True") } else { ("http", "False") };
    let culler = if internal_ssl {
        format!(
            ", '--ssl-enabled=True', '--internal-certs-location={}/certificates'",
            dir.display()
        )
    } else {
        String::new()
    };
    format!(
        "c.JupyterHub.bind_url = 'http://127.0.0.1:{port}'\n\
         c.JupyterHub.hub_bind_url = '{scheme}://127.0.0.1:{hub}'\n\
         c.JupyterHub.internal_ssl = {flag}\n\
         c.JupyterHub.internal_certs_location = '{dir}/certificates'\n\
         c.JupyterHub.db_url = 'sqlite:///{dir}/hub.sqlite'\n\
         c.JupyterHub.cookie_secret_file = '{dir}/cookie_secret'\n\
         c.ConfigurableHTTPProxy.command = [{proxy:?}, '--log-level', 'debug']\n\
         c.ConfigurableHTTPProxy.api_url = '{scheme}://127.0.0.1:{proxy_api}'\n\
         c.ConfigurableHTTPProxy.pid_file = '{dir}/proxy.pid'\n\
         c.JupyterHub.authenticator_class = 'dummy'\n\
         c.Authenticator.allow_all = True\n\
         c.JupyterHub.spawner_class = 'simple'\n\
         c.SimpleLocalProcessSpawner.home_dir_template = '{dir}/home/{{username}}'\n\
         c.Spawner.cmd = ['{singleuser}']\n\
         c.Spawner.args = ['--allow-root']\n\
         c.JupyterHub.last_activity_interval = 1\n\
         c.JupyterHub.services = [\n\
         \x20   {{'name': 'admin', 'api_token': '{TOKEN}', 'admin': True}},\n\
         \x20   {{'name': 'culler', 'command': ['{python}', '-m', 'jupyterhub_idle_culler',\n\
         \x20       '--timeout={IDLE}', '--cull-every=1'{culler}]}},\n\
         ]\n\
         c.JupyterHub.load_roles = [{{'name': 'culler', 'services': ['culler'],\n\
         \x20   'scopes': ['list:users', 'read:users:activity', 'read:servers', 'delete:servers']}}]\n",
        dir = dir.display(),
        python = python.display(),
        singleuser = python.with_file_name("jupyterhub-singleuser").display(),
    )
}

#[tokio::test]
#[ignore = "needs Python packages"]
async fn j_01_jupyterhub_serves_a_kernel_through_our_proxy_and_culls_by_its_activity() {
    serves_and_culls(&JupyterHub::start(false)).await;
}

#[tokio::test]
#[ignore = "needs Python packages"]
async fn j_01_s_04_s_05_so_it_does_with_certificates_between_all_parts() {
    serves_and_culls(&JupyterHub::start(true)).await;
}

async fn serves_and_culls(hub: &JupyterHub) {
    crypto_provider();
    eventually("JupyterHub answers through the proxy", || async {
        match reqwest::get(format!("{}/hub/health", hub.url)).await {
            Ok(answer) if answer.status() == 200 => Ok(()),
            other => Err(format!("{other:?}: {}", hub.log())),
        }
    })
    .await;
    let python = variable("HUB_TEST_SERVICES_PYTHON").unwrap();
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("services/jupyterhub_behind_a_proxy.py");
    // Longer than the culler lets an idle server live.
    let seconds = (IDLE + 4).to_string();
    let output = tokio::process::Command::new(python)
        .arg(script)
        .args([&hub.url, TOKEN, &seconds])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.lines().last().unwrap_or_default();
    let told: Value = serde_json::from_str(last).unwrap_or_else(|_| {
        panic!("{said}\n{}\n{}", String::from_utf8_lossy(&output.stderr), hub.log())
    });
    let expected = json!({ "result": "42", "stays": true, "moved": true, "culled": true });
    assert_eq!(told, expected, "{}", hub.log());
    assert!(hub.log().contains("[ConfigProxy] info: Removing route /user/ada"), "{}", hub.log());
}
