//! Servers as processes, with a small stand-in for a notebook server.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use async_trait::async_trait;
use hub_spawner::{
    Liveness, Progress, SavedState, ServerKey, SpawnError, Spawner, StopMode,
    conformance::{self, Bench, request},
    process::{ProcessConfig, ProcessSpawner},
};
use tempfile::TempDir;
use tokio::time::Instant;

/// Serves its environment's names over HTTP. Its user's name tells it how to behave.
const SERVER: &str = r#"
import http.server, os, signal, subprocess, sys, time
from urllib.parse import urlsplit
user = os.environ["JUPYTERHUB_USER"]
if user == "exits-at-once":
    print("last words", flush=True)
    sys.exit(3)
if user == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if user == "careful":
    def save(*_):
        open("saved", "w").write("work")
        sys.exit(0)
    signal.signal(signal.SIGTERM, save)
if user == "has-kernel":
    kernel = subprocess.Popen(["sleep", "600"], start_new_session=True)
    open("kernel", "w").write(str(kernel.pid))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("hello " + " ".join(sorted(os.environ))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
url = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
print("serving", flush=True)
http.server.HTTPServer((url.hostname, url.port), Handler).serve_forever()
"#;

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("server.py"), SERVER).expect("write the server");
        Self(dir)
    }

    fn config(&self) -> ProcessConfig {
        let script = self.0.path().join("server.py").display().to_string();
        ProcessConfig {
            cmd: ["python3", script.as_str()].into_iter().collect(),
            stop_timeout_seconds: 2,
            ..ProcessConfig::new(self.0.path().join("hub"))
        }
    }

    async fn spawner(&self) -> ProcessSpawner {
        ProcessSpawner::open(self.config()).await.expect("open")
    }

    fn home(&self, user: &str) -> std::path::PathBuf {
        self.0.path().join("hub/users").join(user)
    }
}

/// Nothing runs on when a test fails.
impl Drop for Place {
    fn drop(&mut self) {
        let runs = self.0.path().join("hub/servers");
        for dir in std::fs::read_dir(runs).into_iter().flatten().flatten() {
            let stat = std::fs::read_to_string(dir.path().join("process")).unwrap_or_default();
            if let Some(id) = stat.split(' ').next().filter(|id| !id.is_empty()) {
                kill(&format!("-{id}"));
            }
        }
    }
}

fn kill(target: &str) {
    let _ = std::process::Command::new("/bin/kill").args(["-9", "--", target]).status();
}

#[async_trait]
impl Bench for Place {
    async fn open(&self) -> Box<dyn Spawner> {
        Box::new(self.spawner().await)
    }

    async fn kill(&self, key: &ServerKey) {
        let found = self.spawner().await.identify(key).await.expect("identify");
        let id = found[0].state.text("object_id").expect("a process id").to_owned();
        kill(&format!("-{id}"));
    }
}

fn key(user: &str) -> ServerKey {
    ServerKey::default_of(user.parse().expect("a valid name"))
}

async fn start(spawner: &ProcessSpawner, key: &ServerKey) -> hub_spawner::Started {
    spawner.start(&request(key.clone()), &Progress::ignored()).await.expect("start")
}

/// What a server answers, asked until it listens.
async fn get(url: &url::Url) -> String {
    let address = url.socket_addrs(|| None).expect("an address")[0];
    let deadline = Instant::now() + PATIENCE;
    loop {
        let asked = TcpStream::connect(address).and_then(|mut stream| {
            let mut answer = String::new();
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        });
        match asked {
            Ok(answer) if !answer.is_empty() => return answer,
            _ if Instant::now() > deadline => panic!("no answer from {url}"),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

fn is_running(id: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

async fn eventually(what: &str, look: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !look() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn processes_conform() {
    conformance::check(&Place::new()).await;
}

#[tokio::test]
async fn c11_a_server_answers_and_has_nothing_of_the_hubs_environment() {
    let place = Place::new();
    let spawner = place.spawner().await;
    let started = start(&spawner, &key("ada")).await;
    let answer = get(&started.url).await;
    assert!(answer.contains("hello") && answer.contains("JUPYTERHUB_API_TOKEN"), "{answer}");
    // This test has that one.
    assert!(!answer.contains("CARGO_PKG_NAME"), "{answer}");
    let runs = place.0.path().join("hub/servers");
    for entry in std::fs::read_dir(runs).unwrap().flatten() {
        for file in std::fs::read_dir(entry.path()).unwrap().flatten() {
            let text = std::fs::read_to_string(file.path()).unwrap();
            assert!(!text.contains("conformance"), "the token is in {:?}", file.path());
        }
    }
    spawner.stop(&key("ada"), &started.state, StopMode::Now).await.unwrap();
}

#[tokio::test]
async fn spn_23_a_server_is_asked_to_end_and_ended_if_it_does_not() {
    let place = Place::new();
    let spawner = place.spawner().await;
    let (careful, stubborn) = (key("careful"), key("stubborn"));
    for key in [&careful, &stubborn] {
        let started = start(&spawner, key).await;
        get(&started.url).await;
        let id = started.state.text("object_id").unwrap();
        spawner.stop(key, &started.state, StopMode::Graceful).await.unwrap();
        assert!(!is_running(id), "{key}");
        assert_eq!(spawner.probe(key, &started.state).await.unwrap(), Liveness::Missing);
    }
    let saved = std::fs::read_to_string(place.home("careful").join("saved")).unwrap();
    assert_eq!(saved, "work", "it had time to save");
}

#[tokio::test]
async fn a_kernel_in_a_group_of_its_own_ends_with_its_server() {
    let place = Place::new();
    let spawner = place.spawner().await;
    let key = key("has-kernel");
    let started = start(&spawner, &key).await;
    get(&started.url).await;
    let kernel = std::fs::read_to_string(place.home("has-kernel").join("kernel")).unwrap();
    assert!(is_running(&kernel));
    spawner.stop(&key, &started.state, StopMode::Graceful).await.unwrap();
    assert!(!is_running(&kernel));
}

#[tokio::test]
async fn rst_2_a_hub_that_starts_again_knows_its_servers_by_id_and_start_time() {
    let place = Place::new();
    let (ada, bob) = (key("ada"), key("bob"));
    let before = place.spawner().await;
    let started = start(&before, &ada).await;
    start(&before, &bob).await;
    drop(before);
    let after = place.spawner().await;
    let state = SavedState::default();
    match after.probe(&ada, &state).await.unwrap() {
        Liveness::Running { url, .. } => assert_eq!(url, started.url),
        other => panic!("{other:?}"),
    }
    assert_eq!(after.found().await.unwrap(), [ada.clone(), bob.clone()]);

    // Another process that has the id of bob's server by now is not bob's server.
    let bobs = after.identify(&bob).await.unwrap().remove(0);
    let file = process_file(&place, bobs.state.text("object_id").unwrap());
    let stat = std::fs::read_to_string(&file).unwrap();
    let mut fields: Vec<String> = stat.split(' ').map(str::to_owned).collect();
    let earlier: u64 = fields[21].parse::<u64>().unwrap() - 1;
    fields[21] = earlier.to_string();
    std::fs::write(&file, fields.join(" ")).unwrap();
    assert!(matches!(after.probe(&bob, &state).await.unwrap(), Liveness::Exited(_)));
    for key in [&ada, &bob] {
        after.stop(key, &state, StopMode::Now).await.unwrap();
    }
    // All the same it was found by its mark.
    assert!(!is_running(bobs.state.text("object_id").unwrap()));
}

fn process_file(place: &Place, id: &str) -> std::path::PathBuf {
    let runs = std::fs::read_dir(place.0.path().join("hub/servers")).expect("runs").flatten();
    let mut files = runs.map(|dir| dir.path().join("process"));
    let begins = |file: &Path| {
        std::fs::read_to_string(file).is_ok_and(|text| text.starts_with(&format!("{id} ")))
    };
    files.find(|file| begins(file)).expect("the server has a file")
}

#[tokio::test]
async fn a_program_that_is_not_there_is_explained() {
    let place = Place::new();
    let config = ProcessConfig { cmd: ["no-such-program"].into_iter().collect(), ..place.config() };
    let spawner = ProcessSpawner::open(config).await.unwrap();
    let ada = key("ada");
    let exit = match spawner.start(&request(ada.clone()), &Progress::ignored()).await {
        Err(SpawnError::Exited(exit)) => exit,
        Err(error) => panic!("{error:?}"),
        Ok(started) => {
            let id = started.state.text("object_id").unwrap().to_owned();
            eventually("it ends", || !is_running(&id)).await;
            match spawner.probe(&ada, &started.state).await.unwrap() {
                Liveness::Exited(exit) => exit,
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(exit.code, 127);
    assert!(exit.log_tail.contains("no-such-program"), "{exit:?}");
}

#[tokio::test]
async fn ports_come_from_the_range_until_it_is_used_up() {
    let place = Place::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port();
    let config = ProcessConfig { ports: format!("{taken}-{taken}").parse().ok(), ..place.config() };
    let spawner = ProcessSpawner::open(config).await.unwrap();
    let error = spawner.start(&request(key("ada")), &Progress::ignored()).await.unwrap_err();
    assert!(matches!(error, SpawnError::NoCapacity { .. }), "{error:?}");
    drop(listener);
    let started = start(&spawner, &key("ada")).await;
    assert_eq!(started.url.port(), Some(taken));
    spawner.stop(&key("ada"), &started.state, StopMode::Now).await.unwrap();
}

/// Nothing of a start that failed is left: no directory, no process.
async fn assert_nothing_left(place: &Place, spawner: &ProcessSpawner, key: &ServerKey) {
    assert_eq!(spawner.found().await.expect("look"), [], "{key}");
    let state = SavedState::default();
    assert_eq!(spawner.probe(key, &state).await.expect("probe"), Liveness::Missing, "{key}");
    let runs = place.0.path().join("hub/servers").display().to_string();
    for process in std::fs::read_dir("/proc").expect("processes").flatten() {
        let variables = std::fs::read(process.path().join("environ")).unwrap_or_default();
        let variables = String::from_utf8_lossy(&variables).into_owned();
        assert!(!variables.contains(&runs), "{:?} is left", process.path());
    }
}

/// Something that is no directory stands where one is needed.
fn obstruct(path: &Path) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("make it");
    std::fs::write(path, "in the way").expect("write it");
}

#[tokio::test]
async fn spn_33_a_start_that_fails_at_any_step_leaves_nothing() {
    let place = Place::new();
    let ada = key("ada");
    let request = request(ada.clone());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port();
    let cases: [(&str, ProcessConfig); 4] = [
        (
            "a port",
            ProcessConfig { ports: format!("{taken}-{taken}").parse().ok(), ..place.config() },
        ),
        (
            "the user's directory",
            ProcessConfig { notebook_dir: Some(blocked(&place)), ..place.config() },
        ),
        (
            "a directory that leads elsewhere",
            ProcessConfig { notebook_dir: Some("/srv/../{username}".to_owned()), ..place.config() },
        ),
        (
            "a way to the user's directory",
            ProcessConfig {
                notebook_dir: Some(format!("{}/{{username}}", blocked(&place))),
                ..place.config()
            },
        ),
    ];
    for (step, config) in cases {
        let spawner = ProcessSpawner::open(config).await.unwrap();
        let error = spawner.start(&request, &Progress::ignored()).await.expect_err(step);
        assert!(error.user_message().len() > 10, "{step}: {error:?}");
        assert_nothing_left(&place, &spawner, &ada).await;
    }
    let spawner = place.spawner().await;
    let started = start(&spawner, &ada).await;
    get(&started.url).await;
    spawner.stop(&ada, &started.state, StopMode::Now).await.unwrap();
    assert_nothing_left(&place, &spawner, &ada).await;
}

fn blocked(place: &Place) -> String {
    let path = place.0.path().join("no-directory");
    obstruct(&path);
    path.display().to_string()
}

#[tokio::test]
async fn a_program_that_ends_at_once_is_told_with_its_last_words_and_leaves_nothing() {
    let place = Place::new();
    let spawner = place.spawner().await;
    let key = key("exits-at-once");
    let exit = match spawner.start(&request(key.clone()), &Progress::ignored()).await {
        Err(SpawnError::Exited(exit)) => exit,
        Err(error) => panic!("{error:?}"),
        Ok(started) => {
            let id = started.state.text("object_id").unwrap().to_owned();
            eventually("it ends", || !is_running(&id)).await;
            match spawner.probe(&key, &started.state).await.unwrap() {
                Liveness::Exited(exit) => exit,
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(exit.code, 3);
    assert!(exit.log_tail.contains("last words"), "{exit:?}");
    spawner.stop(&key, &SavedState::default(), StopMode::Now).await.unwrap();
    assert_nothing_left(&place, &spawner, &key).await;
}

#[tokio::test]
async fn a_place_where_nothing_can_be_kept_is_told_when_the_spawner_is_opened() {
    let place = Place::new();
    let dir = place.0.path().join("obstructed");
    obstruct(&dir);
    let config = ProcessConfig { dir: dir.clone(), ..place.config() };
    let error = ProcessSpawner::open(config).await.unwrap_err();
    assert!(matches!(error, SpawnError::Rejected { .. }), "{error:?}");
    assert!(error.user_message().contains(&*dir.to_string_lossy()), "{error:?}");

    // One that is taken away later fails the start, and nothing more.
    let spawner = place.spawner().await;
    std::fs::remove_dir_all(place.0.path().join("hub/servers")).unwrap();
    obstruct(&place.0.path().join("hub/servers"));
    let started = spawner.start(&request(key("ada")), &Progress::ignored()).await;
    assert!(matches!(started, Err(SpawnError::Backend { .. })), "{started:?}");
}

#[tokio::test]
async fn cfg_1_another_configuration_is_for_servers_that_start_later() {
    let place = Place::new();
    let spawner = place.spawner().await;
    let (ada, bob) = (key("ada"), key("bob"));
    let before = start(&spawner, &ada).await;
    let environment = [("HUB_TEST_NEW".to_owned(), "1".to_owned().into())].into();
    let plan = spawner.plan(&ProcessConfig { environment, ..place.config() }).unwrap();
    spawner.adopt(plan);
    let after = start(&spawner, &bob).await;
    assert!(!get(&before.url).await.contains("HUB_TEST_NEW"));
    assert!(get(&after.url).await.contains("HUB_TEST_NEW"));
    for (key, started) in [(&ada, &before), (&bob, &after)] {
        spawner.stop(key, &started.state, StopMode::Now).await.unwrap();
    }
    let elsewhere = ProcessConfig { dir: "/elsewhere".into(), ..place.config() };
    assert_eq!(spawner.plan(&elsewhere).unwrap_err().key, "dir");
}

#[tokio::test]
async fn a_user_whose_files_would_stay_behind_keeps_the_name() {
    let place = Place::new();
    let spawner = place.spawner().await;
    let (ada, bob) = ("ada".parse().unwrap(), "bob".parse().unwrap());
    spawner.rename_user(&ada, &bob).await.expect("there is nothing yet");
    let started = start(&spawner, &key("ada")).await;
    spawner.stop(&key("ada"), &started.state, StopMode::Now).await.unwrap();
    let refused = spawner.rename_user(&ada, &bob).await.unwrap_err();
    assert!(matches!(refused, SpawnError::Rejected { .. }), "{refused:?}");

    let shared = place.0.path().join("all").display().to_string();
    let config = ProcessConfig { notebook_dir: Some(shared), ..place.config() };
    let spawner = ProcessSpawner::open(config).await.unwrap();
    let started = start(&spawner, &key("ada")).await;
    drop(started);
    spawner.rename_user(&ada, &bob).await.expect("everybody's files are in one place");
    assert_eq!(spawner.found().await.unwrap(), []);
}

#[tokio::test]
async fn spn_21_servers_that_do_not_listen_yet_have_ports_of_their_own() {
    let place = Place::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr());
    let port = free.expect("a free port").port();
    let config = ProcessConfig {
        cmd: ["sleep", "600"].into_iter().collect(),
        ports: format!("{port}-{port}").parse().ok(),
        ..place.config()
    };
    let spawner = ProcessSpawner::open(config).await.unwrap();
    let (ada, bob) = (key("ada"), key("bob"));
    let both = [&ada, &bob]
        .map(|key| async { spawner.start(&request(key.clone()), &Progress::ignored()).await });
    let [one, other] = both;
    let (one, other) = tokio::join!(one, other);
    let (key, started, refused) = match (one, other) {
        (Ok(started), Err(refused)) => (&ada, started, refused),
        (Err(refused), Ok(started)) => (&bob, started, refused),
        both => panic!("{both:?}"),
    };
    assert!(matches!(refused, SpawnError::NoCapacity { .. }), "{refused:?}");
    // Of a server that is gone, the port is free again.
    spawner.stop(key, &started.state, StopMode::Now).await.unwrap();
    assert_eq!(start(&spawner, &bob).await.url.port(), Some(port));
}

#[tokio::test]
async fn spn_21_a_server_whose_process_a_killed_hub_did_not_begin_holds_no_port() {
    let place = Place::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr());
    let port = free.expect("a free port").port();
    let config = ProcessConfig { ports: format!("{port}-{port}").parse().ok(), ..place.config() };
    let spawner = ProcessSpawner::open(config.clone()).await.unwrap();
    let (ada, bob) = (key("ada"), key("bob"));
    let started = start(&spawner, &ada).await;
    let id = started.state.text("object_id").unwrap().to_owned();
    let process = process_file(&place, &id);

    // A process that runs is kept, also if it did not say yet who it is.
    let said = std::fs::read(&process).unwrap();
    std::fs::remove_file(&process).unwrap();
    let spawner = ProcessSpawner::open(config.clone()).await.unwrap();
    assert_eq!(spawner.found().await.unwrap(), std::slice::from_ref(&ada));

    // What a hub leaves that is killed before the process begins: all but the process.
    std::fs::write(&process, said).unwrap();
    let written = std::fs::read(process.with_file_name("server.json")).unwrap();
    spawner.stop(&ada, &started.state, StopMode::Now).await.unwrap();
    std::fs::create_dir(process.parent().unwrap()).unwrap();
    std::fs::write(process.with_file_name("server.json"), written).unwrap();
    assert_eq!(spawner.found().await.unwrap(), [ada]);

    let spawner = ProcessSpawner::open(config).await.unwrap();
    assert_eq!(spawner.found().await.unwrap(), []);
    let started = start(&spawner, &bob).await;
    assert_eq!(started.url.port(), Some(port));
    spawner.stop(&bob, &started.state, StopMode::Now).await.unwrap();
}
