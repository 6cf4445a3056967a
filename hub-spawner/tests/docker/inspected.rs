//! What the daemon tells of containers that were made with each option (SPN-17).
//!
//! Each file of `inspected/` has options, and under `told` what they change in the
//! daemon's answer about a container that has none; `plain.json` has all of that one.
//! Only what neither the machine nor the version of Docker decides is looked at.
//! `HUB_WRITE_DOCS=1 cargo test -p hub-spawner --all-features --test docker inspected -- --ignored`
//! writes what is told anew; the options are written by hand.

mod answer;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use hub_spawner::{
    Progress, SavedState, ServerKey, Spawner, StartRequest, StopMode,
    conformance::request,
    docker::{DockerConfig, DockerSpawner},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    bench::{Corner, in_a_corner, root, socket},
    gate::Gate,
    spawner::{key, start},
};
use answer::{Seen, changes, sorted};

/// Options that no answer about a container shows, and what shows them instead.
const SEEN_ELSEWHERE: [(&str, &str); 24] = [
    ("host", "the connection: remote.rs, ssh.rs"),
    ("tls_verify", "the connection: remote.rs"),
    ("cert_path", "the connection: remote.rs"),
    ("context", "the connection"),
    ("config_dir", "the connection"),
    ("ssh_config", "the connection: ssh.rs"),
    ("registry_auth", "pulls: options.rs"),
    ("prepull", "pulls: options.rs"),
    ("pull_policy", "pulls: pull.rs"),
    ("pull_timeout_seconds", "pulls"),
    ("volume_owner", "files of a volume: options.rs"),
    ("create_host_dirs", "directories of the host: options.rs"),
    ("volume_migration", "volumes: options.rs"),
    ("on_user_delete", "volumes of the deleted: kept.rs"),
    ("archive_dir", "volumes of the deleted: kept.rs"),
    ("disk_soft_limit", "the start: options.rs"),
    ("disk_hard_limit", "the start: options.rs"),
    ("remove", "the stop: kept.rs"),
    ("reuse_stopped", "the next start: kept.rs"),
    ("stop_timeout_seconds", "the stop"),
    ("post_start_cmd", "a command after the start: options.rs"),
    ("post_start_required", "a command after the start: options.rs"),
    ("on_unhealthy", "the hub"),
    ("storage_size", "few daemons take it: the body of the call, in the unit tests"),
];

/// One file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(skip)]
    path: PathBuf,
    #[serde(default)]
    request: Asked,
    /// As in the configuration. `CORNER` stands for the test's own name, `/HOST` for a
    /// directory of the host that is there.
    options: Map<String, Value>,
    #[serde(default)]
    told: Value,
}

/// What is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    user: Option<String>,
    server: String,
    groups: Vec<String>,
    options: Value,
    /// Whether the machine of a test lacks what the options ask for: the container is
    /// made, and the daemon refuses to start it.
    never_starts: bool,
}

impl Case {
    fn read(name: &str) -> Self {
        let path = directory().join(name);
        let text = fs::read_to_string(&path).expect("the file can be read");
        let case = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { path, ..case }
    }

    /// All but the plain one, in the order of their names.
    fn all() -> Vec<Self> {
        let names = fs::read_dir(directory()).expect("the directory can be read");
        let names = names.map(|entry| entry.expect("an entry").file_name());
        let names: BTreeSet<_> = names.filter_map(|name| name.into_string().ok()).collect();
        let others = names.iter().filter(|name| name.ends_with(".json") && *name != "plain.json");
        others.map(|name| Self::read(name)).collect()
    }

    /// Writes the file with `told`.
    fn write(&self, told: &Value) {
        let text = fs::read_to_string(&self.path).expect("the file can be read");
        let mut file: Map<String, Value> = serde_json::from_str(&text).expect("it was read");
        file.insert("told".to_owned(), told.clone());
        let text = serde_json::to_string_pretty(&sorted(file.into())).expect("JSON");
        fs::write(&self.path, text + "\n").expect("the file can be written");
    }

    fn key(&self) -> ServerKey {
        key(self.request.user.as_deref().unwrap_or("ada"), &self.request.server)
    }

    fn request(&self) -> StartRequest {
        let mut request = request(self.key());
        request.options = self.request.options.clone();
        request.preset.groups.clone_from(&self.request.groups);
        request
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/docker/inspected")
}

/// Where containers are made and looked at.
struct Stage {
    corner: Corner,
    /// A directory of the host.
    host: tempfile::TempDir,
}

impl Stage {
    fn config(&self, options: &Map<String, Value>) -> DockerConfig {
        let mut all = json!({
            "image": "CORNER:test", "deployment": "CORNER", "network": "CORNER",
            "prefix": "CORNER", "volumes": {},
            // What it is else depends on the machine.
            "mem_limit": "none",
        });
        let fields = all.as_object_mut().expect("an object");
        fields.extend(options.clone());
        let text = all.to_string().replace("CORNER", &self.corner.name);
        let text = text.replace("/HOST", &self.host.path().display().to_string());
        let config = serde_json::from_str(&text).expect("the options make sense");
        DockerConfig { host: self.corner.config().host, ..config }
    }

    /// What the daemon tells of the container that `case` makes.
    async fn told(&self, case: &Case) -> Value {
        let config = self.config(&case.options);
        if case.request.never_starts {
            return self.told_of_what_never_starts(case, config).await;
        }
        let spawner = DockerSpawner::connect(config).await.expect("connect");
        let started = spawner.start(&case.request(), &Progress::ignored()).await;
        let started = started.unwrap_or_else(|error| panic!("{}: {error:?}", case.path.display()));
        let id = started.state.text("object_id").expect("the container is remembered");
        let mut told = self.seen().container(id).await;
        told["Address"] = self.seen().address(&started.url, &told);
        let shown = self.seen().shown(&told);
        spawner.stop(&case.key(), &SavedState::default(), StopMode::Now).await.expect("stop");
        shown
    }

    /// The same where the start fails, and the container cannot be removed after it.
    async fn told_of_what_never_starts(&self, case: &Case, config: DockerConfig) -> Value {
        let gate = Gate::before(socket()).await;
        let config = DockerConfig { host: Some(gate.address()), ..config };
        gate.refuse(Some(("DELETE", "/containers/{}")));
        let request = case.request();
        gate.beside(Box::pin(async move {
            let spawner = DockerSpawner::connect(config).await.expect("connect");
            spawner.start(&request, &Progress::ignored()).await.expect_err("no such hardware");
        }))
        .await;
        let id = self.corner.container(&case.key()).await;
        let shown = self.seen().shown(&self.seen().container(&id).await);
        self.corner.engine.remove_container(&id, true).await.expect("remove");
        shown
    }

    fn seen(&self) -> Seen<'_> {
        Seen { corner: &self.corner, host: self.host.path() }
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
#[expect(clippy::disallowed_methods, reason = "the person who runs it says what is wanted")]
async fn spn_17_the_daemon_tells_of_each_option() {
    let is_written = std::env::var("HUB_WRITE_DOCS").is_ok();
    in_a_corner(|corner| async move {
        let host = tempfile::tempdir().unwrap();
        for name in ["home", "data", "users/ada"] {
            fs::create_dir_all(host.path().join(name)).unwrap();
        }
        let image = format!("{}:built", corner.name);
        corner.engine.import(root(), &image, &[r#"CMD ["/bin/serve"]"#]).await.unwrap();
        // For what names other containers.
        start(&corner.spawner().await, &key("neighbour", "")).await.unwrap();
        let stage = Stage { corner, host };

        let plain = Case::read("plain.json");
        let base = stage.told(&plain).await;
        let mut stale = Vec::new();
        let mut compare = |case: &Case, told: &Value| match is_written {
            true => case.write(told),
            false if case.told == *told => {}
            false => stale.push(format!(
                "{}: {}",
                case.path.display(),
                Value::Object(changes(&case.told, told))
            )),
        };
        compare(&plain, &base);
        for case in Case::all() {
            let told = Value::Object(changes(&base, &stage.told(&case).await));
            compare(&case, &told);
        }
        assert!(stale.is_empty(), "the daemon tells otherwise:\n{}", stale.join("\n"));
    })
    .await;
}

#[test]
fn spn_17_each_option_is_in_a_file_or_is_seen_elsewhere() {
    // Only the reader of the configuration knows them all.
    let error = serde_json::from_value::<DockerConfig>(json!({"?": 0})).unwrap_err().to_string();
    let known: BTreeSet<&str> = error.split('`').skip(1).step_by(2).filter(|n| *n != "?").collect();
    assert!(known.len() > 60, "{error}");
    let cases = Case::all();
    let mut seen: BTreeSet<&str> =
        cases.iter().flat_map(|case| case.options.keys().map(String::as_str)).collect();
    seen.extend(SEEN_ELSEWHERE.iter().map(|(option, _)| option));
    assert_eq!(seen, known);
    for case in cases {
        assert!(case.told.as_object().is_some_and(|told| !told.is_empty()), "{case:?}");
    }
}
