//! `hub doctor` against a real Docker engine: what it says of an installation
//! that is in order, and of some that are not.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use hub_spawner::engine::{Labels, NetworkSpec};
use hub_tests::{
    ADMIN_TOKEN, Disk, Machine, Proxy, ProxyProgram, TestHub, docker,
    hub::{free_port, notebook_image, program},
    proxy::PROXY_TOKEN,
};
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

/// An installation that has not been started. Dropping it removes its network.
struct Installation {
    deployment: String,
    dir: TempDir,
    variables: BTreeMap<String, String>,
}

impl Installation {
    /// With a network, unless it is made without.
    async fn new(network: Option<bool>) -> Self {
        let deployment = format!("test-{}", &Uuid::new_v4().simple().to_string()[..12]);
        let installation = Self {
            dir: tempfile::Builder::new().prefix("hub-").tempdir().unwrap(),
            variables: BTreeMap::new(),
            deployment,
        };
        if let Some(internal) = network {
            let spec = NetworkSpec {
                name: docker::network(&installation.deployment),
                labels: Labels::from([(
                    "hub.deployment".to_owned(),
                    installation.deployment.clone(),
                )]),
                internal,
                ..NetworkSpec::default()
            };
            docker::engine().await.ensure_network_from(&spec).await.unwrap();
        }
        installation.write(&notebook_image(), "");
        installation
    }

    fn write(&self, image: &str, more: &str) {
        let text = format!(
            "[http]\nlisten = \"127.0.0.1:{}\"\n[auth]\nallowed_users = [\"ada\"]\n\
             [auth.password.accounts]\nada = \"$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g\"\n\
             [spawner.docker]\nimage = \"{image}\"\ndeployment = \"{}\"\nnetwork = \"{}\"\n{more}\n",
            free_port(),
            self.deployment,
            docker::network(&self.deployment)
        );
        fs::write(self.config(), text).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("hub.toml")
    }

    fn examine(&self, arguments: &[&str]) -> Examined {
        let output = Command::new(program("hub"))
            .args(["doctor", "--json", "--config"])
            .arg(self.config())
            .args(arguments)
            .env_clear()
            .envs(&self.variables)
            .output()
            .unwrap();
        Examined::of(output)
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        docker::sweep(&self.deployment);
    }
}

/// What the doctor said.
#[derive(Debug)]
struct Examined {
    code: Option<i32>,
    json: Value,
}

impl Examined {
    fn of(output: Output) -> Self {
        let json = serde_json::from_slice(&output.stdout);
        let json = json.unwrap_or_else(|error| panic!("{error}: {output:?}"));
        Self { code: output.status.code(), json }
    }

    /// The findings of a check, each as `outcome: what was seen -> advice`.
    fn check(&self, name: &str) -> Vec<String> {
        let checks = self.json["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["check"] == name).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let findings = check["findings"].as_array().unwrap().iter();
        findings
            .map(|finding| {
                let [outcome, seen, advice] =
                    ["outcome", "seen", "advice"].map(|key| text(&finding[key]));
                format!("{outcome}: {seen} -> {advice}")
            })
            .collect()
    }

    /// Asserts that a check says something that begins with `outcome` and has all
    /// `parts`.
    fn says(&self, name: &str, outcome: &str, parts: &[&str]) {
        let found = self.check(name);
        let fits = |line: &String| {
            line.starts_with(outcome) && parts.iter().all(|part| line.contains(part))
        };
        assert!(found.iter().any(fits), "{name}: {outcome} with {parts:?} in {self:#?}");
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn the_way_is_proved_before_the_first_start() {
    let installation = Installation::new(Some(false)).await;
    let examined = installation.examine(&["--deep"]);
    assert_eq!(examined.code, Some(0), "{examined:#?}");
    examined.says("docker", "ok", &["version"]);
    examined.says("image-content", "ok", &["jupyterhub"]);
    examined.says("hub", "skipped", &["does not run"]);
    examined.says("ports", "ok", &["http.listen", "free"]);
    examined.says("from-container", "ok", &["in the hub's place"]);
    // Nothing stays behind, and nothing was made for the hub to find.
    assert_eq!(docker::containers(&installation.deployment).await, []);
    let left = fs::read_dir(installation.dir.path()).unwrap().count();
    assert_eq!(left, 1, "only the configuration");
}

/// Examines the installation of a hub that runs.
fn examine_beside(hub: &TestHub, config: &str, variables: &[(&str, &str)]) -> Examined {
    let output = Command::new(program("hub"))
        .args(["doctor", "--json", "--config"])
        .arg(hub.dir().join(config))
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    Examined::of(output)
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn a_hub_that_runs_is_examined_beside_its_work() {
    let hub = TestHub::builder().https().password("ada").start().await;
    hub.start_server("ada").await;
    let examined = examine_beside(&hub, "hub.toml", &[("HUB_TOKEN", ADMIN_TOKEN)]);
    assert_eq!(examined.code, Some(0), "{examined:#?}");
    examined.says("hub", "ok", &["answers at https://127.0.0.1"]);
    examined.says("hub", "ok", &["speaks as JupyterHub 6"]);
    examined.says("hub", "ok", &["service admin"]);
    examined.says("database", "ok", &["schema"]);
    examined.says("ports", "ok", &["http.listen", "the hub's"]);
    examined.says("ports", "ok", &["hub_api.listen", "the hub's"]);
    examined.says("from-container", "ok", &["the hub answers"]);
    examined.says("orphans", "ok", &["1 containers"]);

    // A database of somebody else: the container is nobody's.
    let config = fs::read_to_string(hub.dir().join("hub.toml")).unwrap();
    let other = config.replace("sqlite://hub.sqlite", "sqlite://other.sqlite");
    fs::write(hub.dir().join("other.toml"), other).unwrap();
    let token = [("HUB_TOKEN", "not-a-token-of-this-hub")];
    let examined = examine_beside(&hub, "other.toml", &token);
    examined.says("orphans", "warning", &[&format!("{}-ada", hub.deployment)]);
    examined.says("hub", "problem", &["does not accept the token"]);
    assert_eq!(examined.code, Some(1));
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn a_proxy_of_its_own_is_tried() {
    let mut proxy = Proxy::start(ProxyProgram::configurable_http_proxy()).await;
    let hub = TestHub::builder().behind(&proxy).start().await;
    hub.reachable().await;
    let ours = [("CONFIGPROXY_AUTH_TOKEN", PROXY_TOKEN)];
    examine_beside(&hub, "hub.toml", &ours).says("proxy", "ok", &["1 routes, / leads to"]);
    let other = [("CONFIGPROXY_AUTH_TOKEN", "another-token")];
    let examined = examine_beside(&hub, "hub.toml", &other);
    examined.says("proxy", "problem", &["does not accept the token", "CONFIGPROXY_AUTH_TOKEN"]);
    proxy.kill();
    let examined = examine_beside(&hub, "hub.toml", &ours);
    examined.says("proxy", "problem", &["nothing listens", "start the proxy"]);
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn env_4_what_is_absent_is_told_in_one_run() {
    let mut installation = Installation::new(None).await;
    installation.write("no-such-image:1", "pull_policy = \"never\"");
    let volume = format!("{}-data", installation.deployment);
    installation.variables.insert("DATA_VOLUME_HOST".to_owned(), volume.clone());
    installation.variables.insert("GITHUB_CLIENT_ID".to_owned(), "id".to_owned());
    let examined = installation.examine(&[]);
    assert_eq!(examined.code, Some(1));
    examined.says("configuration", "problem", &["client_secret"]);
    examined.says("callback-url", "skipped", &["configuration"]);
    examined.says("network", "warning", &["there is no network", "docker network create"]);
    examined.says("data-volume", "problem", &[&volume, "docker volume create"]);
    examined.says("image", "problem", &["no-such-image:1", "docker pull"]);
    examined.says("from-container", "skipped", &["image"]);

    let nowhere = "unix:///nowhere/docker.sock".to_owned();
    installation.variables.insert("DOCKER_HOST".to_owned(), nowhere);
    let examined = installation.examine(&[]);
    examined.says("docker", "problem", &["/nowhere/docker.sock", "DOCKER_HOST"]);
    examined.says("network", "skipped", &["docker has to be right first"]);
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn a_hub_that_listens_where_no_container_comes_is_told() {
    let installation = Installation::new(Some(false)).await;
    let port = free_port();
    let listen = format!("[hub_api]\nlisten = \"127.0.0.1:{port}\"");
    installation.write(&notebook_image(), &listen);
    let examined = installation.examine(&[]);
    assert_eq!(examined.code, Some(1));
    let advice = format!("auto:{port}");
    examined.says("from-container", "problem", &["refused from there", &advice]);

    // Something else answers where servers look for the hub.
    let other = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = other.local_addr().unwrap().port();
    installation.write(&notebook_image(), &format!("[hub_api]\nlisten = \"auto:{port}\""));
    let app = axum::Router::new().fallback(|| async { "hello" });
    let served = axum::serve(other, app).into_future();
    let look = tokio::task::spawn_blocking(move || {
        let examined = installation.examine(&[]);
        (examined, installation)
    });
    let (examined, _installation) = tokio::select! {
        looked = look => looked.unwrap(),
        _ = served => unreachable!("it serves for ever"),
    };
    examined.says("from-container", "problem", &["something else", "status 200"]);
    let pid = format!("PID {}", std::process::id());
    examined.says("ports", "problem", &["hub_api.listen", "in use by", &pid]);
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn a_network_without_a_way_out_is_told() {
    let installation = Installation::new(Some(true)).await;
    // The host's own address in an internal network is reached.
    installation.examine(&[]).says("from-container", "ok", &["in the hub's place"]);
    let url = format!("[hub_api]\nurl = \"http://192.0.2.1:{}/hub/api\"", free_port());
    installation.write(&notebook_image(), &url);
    let examined = installation.examine(&[]);
    assert_eq!(examined.code, Some(1));
    examined.says("from-container", "problem", &["from there", "is internal"]);
    installation
        .write(&notebook_image(), "[hub_api]\nurl = \"http://no-such-container:8081/hub/api\"");
    let examined = installation.examine(&[]);
    examined.says("from-container", "problem", &["name is not known there"]);
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn env_4_a_deployment_is_examined_from_inside() {
    let (deployment, _github, _ada) = crate::deploy::deployed().await;
    let examined = Examined::of(deployment.try_run(&["hub", "doctor", "--json"]).await);
    assert_eq!(examined.code, Some(0), "{examined:#?}");
    examined.says("callback-url", "ok", &[&deployment.url]);
    examined.says("database", "ok", &["/data/hub.sqlite"]);
    examined.says("network", "ok", &[&docker::network(&deployment.name)]);
    examined.says("data-volume", "ok", &[&deployment.name]);
    examined.says("image-content", "ok", &["jupyterhub"]);
    examined.says("hub", "ok", &["the token is that of the service operator"]);
    examined.says("ports", "ok", &["hub_api.listen", "the hub's"]);
    examined.says("from-container", "ok", &["the hub answers"]);
    examined.says("proxy", "ok", &["2 routes, / leads to"]);
    examined.says("proxy", "ok", &["its certificate: until"]);
    examined.says("orphans", "ok", &["1 containers"]);
}

/// A rule of the firewall for one bridge, taken back when dropped.
struct Dropping {
    bridge: String,
}

impl Dropping {
    fn from(bridge: String) -> Self {
        let dropping = Self { bridge };
        assert!(dropping.iptables("-I"), "iptables is there and may be used");
        dropping
    }

    fn iptables(&self, action: &str) -> bool {
        let rule = [action, "INPUT", "-i", &self.bridge, "-p", "tcp", "-j", "DROP"];
        Command::new("iptables").args(rule).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Dropping {
    fn drop(&mut self) {
        self.iptables("-D");
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn a_firewall_in_the_way_is_told_with_the_rule_to_add() {
    let installation = Installation::new(Some(false)).await;
    let name = docker::network(&installation.deployment);
    let network = docker::engine().await.network(&name).await.unwrap().unwrap();
    let bridge = format!("br-{}", &network.id[..12]);
    let dropping = Dropping::from(bridge.clone());
    let examined = installation.examine(&[]);
    assert_eq!(examined.code, Some(1));
    examined.says("from-container", "problem", &["no answer", "firewall", &bridge]);
    drop(dropping);
    installation.examine(&[]).says("from-container", "ok", &["in the hub's place"]);
}

/// A cloud tells its machines their credentials at an address that none of Docker's
/// networks keeps from servers.
#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn c10_a_way_to_a_clouds_metadata_is_told_with_the_rule_that_closes_it() {
    let (machine, cloud) =
        (Machine::start(Disk::LARGE).await, Machine::start(Disk { mebibytes: 64 }).await);
    let (_, there) = machine.cable(&cloud);
    cloud.run("ip address add 169.254.169.254/32 dev lo");
    machine.run(&format!("ip route add 169.254.0.0/16 via {there}"));
    let mut metadata =
        cloud.command("busybox").args(["httpd", "-f", "-p", "169.254.169.254:80"]).spawn().unwrap();
    machine.bring_image(&notebook_image()).await;
    let installation = Installation::new(None).await;
    let spec =
        NetworkSpec { name: docker::network(&installation.deployment), ..NetworkSpec::default() };
    machine.docker().await.ensure_network_from(&spec).await.unwrap();
    installation
        .write(&notebook_image(), &format!("host = \"unix://{}\"", machine.socket().display()));

    let warned = installation.examine(&[]);
    let rule = "iptables -I DOCKER-USER -d 169.254.0.0/16 -j DROP";
    warned.says("from-container", "warning", &["169.254.169.254", rule]);
    machine.run(rule);
    let closed = installation.examine(&[]);
    closed.says("from-container", "ok", &["nothing answers servers at 169.254.169.254"]);
    metadata.kill().unwrap();
    metadata.wait().unwrap();
}
